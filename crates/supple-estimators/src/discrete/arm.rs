//! Augment, REINFORCE, merge: pairs of opposite samples of yes-or-no answers.
//!
//! $$ g = \bigl( f(1[u > \sigma(-x)]) - f(1[u < \sigma(x)]) \bigr) (u - \tfrac12), \qquad u \sim [0, 1]^n $$
//!
//! Two evaluations for each pair; the mean over pairs. Right in expectation, for any function. [`DisArm`]
//! takes the same pairs and is never worse.
//!
//! Yin and Zhou, *ARM: augment-REINFORCE-merge gradient for stochastic binary networks*, ICLR 2019.
//!
//! [`DisArm`]: super::DisArm

use super::{Bernoulli, Discrete, mode};
use crate::estimator::{add_rows, check_budget};
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault};

/// Pairs of opposite samples, weighed by the noise that drew them, for [`Bernoulli`] variables.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::Arm;
/// use supple_estimators::{Budget, estimate};
///
/// // E b = 1 / 2 at logit 0, with slope 1 / 4.
/// let cost = |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = b[0]; Ok(()) };
/// let (estimate, ()) = estimate(&Arm, &cost, &[0.0], Budget::new(10_000, 1), &())?;
/// assert!((estimate.gradient[0] - 0.25).abs() < 0.02);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arm;

impl Estimator for Arm {
    const NAME: &'static str = "arm";
    type Needs = Values;
    type State = ();
    /// The noise of each pair, less ½.
    type Plan = Vec<f64>;

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        Bernoulli.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(mode(&Bernoulli, x))
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<Vec<f64>>, Fault> {
        super::check_samples(x)?;
        Ok(pairs(x, evaluations / 2, draws))
    }

    fn tell(&self, _: &[f64], asked: &Asked<Vec<f64>>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let pairs = asked.rows() / 2;
        add_rows(gradient, &asked.plan, |s| (told.costs[2 * s] - told.costs[2 * s + 1]) / pairs as f64);
    }
}

/// Opposite samples, one after the other: each is Bernoulli, and they differ as much as they can.
pub(super) fn pairs(x: &[f64], count: usize, draws: Draws) -> Asked<Vec<f64>> {
    let mut plan = Vec::with_capacity(count * x.len());
    let mut points = Vec::with_capacity(2 * count * x.len());
    let bit = |x: f64, yes: bool| if x.is_nan() { x } else { f64::from(u8::from(yes)) };
    for pair in 0..count {
        let mut stream = draws.stream(pair);
        let u: Vec<f64> = x.iter().map(|_| stream.uniform()).collect();
        // u > σ(−x), and u < σ(x).
        points.extend(x.iter().zip(&u).map(|(&x, u)| bit(x, *u > 1.0 / (1.0 + x.exp()))));
        points.extend(x.iter().zip(&u).map(|(&x, u)| bit(x, *u < 1.0 / (1.0 + (-x).exp()))));
        plan.extend(u.iter().map(|u| u - 0.5));
    }
    Asked { points, weights: vec![0.5 / count as f64; 2 * count], plan }
}
