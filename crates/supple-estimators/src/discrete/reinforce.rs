//! The score function estimator, with baselines.
//!
//! $$ \frac1S \sum_s (f(b_s) - a_s) \nabla_x \ln p_x(b_s), \qquad b_s \sim p_x $$
//!
//! The baseline $a_s$ is nothing, the mean of the *other* costs ([`Baseline::LeaveOneOut`]: RLOO), or the cost
//! of the most probable value ([`Baseline::Value`]: self-critical), which takes one evaluation. All three are
//! right in expectation, for any function and any distribution.
//!
//! Williams, *Simple statistical gradient-following algorithms for connectionist reinforcement learning*,
//! Machine Learning 1992; Kool, van Hoof and Welling, *Buy 4 REINFORCE samples, get a baseline for free!*, 2019;
//! Rennie, Marcheret, Mroueh, Ross and Goel, *Self-critical sequence training for image captioning*, CVPR 2017.

use super::Discrete;
use crate::estimator::{add_rows, check_budget};
use crate::{Asked, Baseline, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault};

/// The score function estimator.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::{Bernoulli, Reinforce};
/// use supple_estimators::{Baseline, Budget, estimate};
///
/// // E b = 1 / 2 at logit 0, with slope 1 / 4.
/// let cost = |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = b[0]; Ok(()) };
/// let estimator = Reinforce { distribution: Bernoulli, baseline: Baseline::LeaveOneOut };
/// let (estimate, ()) = estimate(&estimator, &cost, &[0.0], Budget::new(10_000, 1), &())?;
/// assert!((estimate.value - 0.5).abs() < 0.02 && (estimate.gradient[0] - 0.25).abs() < 0.02);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reinforce<D> {
    /// What is drawn; its parameters are the logits.
    pub distribution: D,
    /// What is subtracted from each cost.
    pub baseline: Baseline,
}

impl<D: Discrete> Estimator for Reinforce<D> {
    const NAME: &'static str = "reinforce";
    type Needs = Values;
    type State = ();
    type Plan = ();

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        self.distribution.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 1 + self.centre() as usize)
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(super::mode(&self.distribution, x))
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<()>, Fault> {
        let samples = evaluations - self.centre() as usize;
        let mut points = super::samples(&self.distribution, x, draws, samples);
        let mut weights = vec![1.0 / samples as f64; samples];
        if self.centre() {
            points.extend(super::mode(&self.distribution, x));
            weights.push(0.0);
        }
        super::check_samples(&points)?;
        Ok(Asked { points, weights, plan: () })
    }

    fn tell(&self, x: &[f64], asked: &Asked<()>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let (costs, value) = match told.costs.split_last() {
            Some((&value, costs)) if self.centre() => (costs, Some(value)),
            _ => (told.costs, None),
        };
        let advantages = self.baseline.advantages(costs, Some(1), value);
        let scores = super::scores(&self.distribution, x, &asked.points[..costs.len() * x.len()]);
        add_rows(gradient, &scores, |s| advantages[s] / costs.len() as f64);
    }
}

impl<D: Discrete> Reinforce<D> {
    fn centre(&self) -> bool {
        self.baseline == Baseline::Value
    }
}
