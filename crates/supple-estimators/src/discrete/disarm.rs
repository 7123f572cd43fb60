//! DisARM, or U2G: pairs of opposite samples, without the noise that drew them.
//!
//! $$ g_i = \tfrac12 \bigl( f(b) - f(\tilde b) \bigr) (b_i - \tilde b_i) \, \sigma(\lvert x_i \rvert) $$
//!
//! for the pairs $b, \tilde b$ of [`Arm`](super::Arm): its mean given the pair, so the variance is at most
//! that of ARM. Two evaluations for each pair; the mean over pairs. Right in expectation, for any function.
//!
//! Dong, Mnih and Tucker, *DisARM: an antithetic gradient estimator for binary latent variables*, NeurIPS
//! 2020; Yin, Ho, Yan, Qian and Zhou, *Probabilistic best subset selection via gradient-based optimization*,
//! 2020 (U2G).

use super::arm::pairs;
use super::{Bernoulli, Discrete, check_samples, mode};
use crate::estimator::check_budget;
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault};

/// Differences of opposite samples, for [`Bernoulli`] variables.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::DisArm;
/// use supple_estimators::{Budget, estimate};
///
/// // With one variable at logit 0 the two samples always differ, and nothing is left to chance.
/// let cost = |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = 3.0 + b[0]; Ok(()) };
/// let (estimate, ()) = estimate(&DisArm, &cost, &[0.0], Budget::new(2, 1), &())?;
/// assert_eq!(estimate.gradient, [0.25]);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DisArm;

impl Estimator for DisArm {
    const NAME: &'static str = "disarm";
    type Needs = Values;
    type State = ();
    type Plan = ();

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        Bernoulli.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(mode(&Bernoulli, x))
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<()>, Fault> {
        check_samples(x)?;
        let Asked { points, weights, .. } = pairs(x, evaluations / 2, draws);
        Ok(Asked { points, weights, plan: () })
    }

    fn tell(&self, x: &[f64], asked: &Asked<()>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let n = x.len();
        let pairs = asked.points.chunks_exact(2 * n.max(1)).zip(told.costs.chunks_exact(2));
        for (pair, costs) in pairs {
            let (b, opposite) = pair.split_at(n);
            let half = 0.5 * (costs[0] - costs[1]);
            gradient
                .iter_mut()
                .zip(b)
                .zip(opposite)
                .for_each(|((g, b), opposite)| *g += half * (b - opposite));
        }
        let count = (asked.rows() / 2) as f64;
        gradient.iter_mut().zip(x).for_each(|(g, x)| *g /= count * (1.0 + (-x.abs()).exp()));
    }
}
