//! MuProp: the score function of what a first-order expansion about the mean leaves over.
//!
//! $$ \frac1S \sum_s \bigl( f(b_s) - f(\mu) - \langle \nabla f(\mu), b_s - \mu \rangle \bigr)
//! \nabla_x \ln p_x(b_s) + \mathrm{Cov}(b) \nabla f(\mu), \qquad \mu = \mathrm{E} b $$
//!
//! The last term is the mean of what is taken away. Right in expectation, for any function that has a value
//! and a gradient at the mean, which lies between the values of $b$; without variance where $f$ is linear.
//!
//! Cost: one evaluation for each sample, one evaluation and one gradient at the mean. Gradients are had at
//! all points, and those at the samples are not used.
//!
//! Gu, Levine, Sutskever and Mnih, *MuProp: unbiased backpropagation for stochastic neural networks*, ICLR
//! 2016.

use super::independent::dot;
use super::{Independent, check_samples, mean, mode};
use crate::estimator::{add_rows, check_budget};
use crate::{Asked, Draws, Estimator, Gradients, Told};
use supple_core::{Error, Fault};

/// The score function estimator with a Taylor expansion for its baseline.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::{Bernoulli, MuProp};
/// use supple_estimators::{Budget, WithGradient, estimate};
///
/// let cost = WithGradient {
///     value: |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = 3.0 + b[0]; Ok(()) },
///     gradient: |_: &[f64], dy: &[f64], db: &mut [f64]| -> Result<(), Fault> { db[0] = dy[0]; Ok(()) },
/// };
/// let estimator = MuProp { distribution: Bernoulli };
/// let (estimate, ()) = estimate(&estimator, &cost, &[0.0], Budget::new(2, 1), &())?;
/// assert_eq!(estimate.gradient, [0.25]);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MuProp<D> {
    /// What is drawn; its parameters are the logits.
    pub distribution: D,
}

impl<D: Independent> Estimator for MuProp<D> {
    const NAME: &'static str = "mu_prop";
    type Needs = Gradients;
    type State = ();
    type Plan = ();

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        self.distribution.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(mode(&self.distribution, x))
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<()>, Fault> {
        let samples = evaluations - 1;
        let mut points = super::samples(&self.distribution, x, draws, samples);
        points.extend(mean(&self.distribution, x));
        check_samples(&points)?;
        let mut weights = vec![1.0 / samples as f64; samples];
        weights.push(0.0);
        Ok(Asked { points, weights, plan: () })
    }

    fn tell(&self, x: &[f64], asked: &Asked<()>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let Some((value, costs)) = told.costs.split_last() else { return };
        let (samples, centre) = asked.points.split_at(costs.len() * x.len());
        let slope = &told.slopes[costs.len() * x.len()..];
        let scores = super::scores(&self.distribution, x, samples);
        add_rows(gradient, &scores, |s| {
            let step: Vec<f64> =
                samples[s * x.len()..].iter().zip(centre).map(|(b, mean)| b - mean).collect();
            (costs[s] - value - dot(slope, &step)) / costs.len() as f64
        });
        let expected = self.distribution.covariance(x, slope);
        gradient.iter_mut().zip(expected).for_each(|(g, expected)| *g += expected);
    }
}
