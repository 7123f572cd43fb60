//! Simultaneous perturbation: differences along random signs.
//!
//! $$ g_i = \frac1P \sum_p \frac{f(x + \sigma \Delta_p) - f(x - \sigma \Delta_p)}{2 \sigma \Delta_{p, i}},
//! \qquad \Delta_{p, i} = \pm 1 $$
//!
//! Two evaluations give a difference for all coordinates at once. In expectation, entry $i$ is the derivative
//! of $f$ averaged over $\pm\sigma$ in the other coordinates and over the whole of $[-\sigma, \sigma]$ in its own.
//!
//! **Surrogate**: each entry belongs to another average, so together they are no gradient, except as
//! $\sigma \to 0$, when they become that of $f$ with an error of order $\sigma^2$, and for quadratic $f$, where
//! they are exact.
//!
//! Spall, *Multivariate stochastic approximation using a simultaneous perturbation gradient approximation*,
//! IEEE Transactions on Automatic Control, 1992.

use super::points::shifted;
use crate::estimator::{add_rows, check_budget, check_positive};
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault, Gradient};

/// Differences along random signs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spsa {
    /// The step σ, in the unit of `x`.
    pub softness: f64,
}

/// A step of 1.
impl Default for Spsa {
    fn default() -> Self {
        Self { softness: 1.0 }
    }
}

impl Estimator for Spsa {
    const NAME: &'static str = "spsa";
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Needs = Values;
    type State = ();
    /// The signs of each sample.
    type Plan = Vec<f64>;

    fn validate(&self, _: usize, evaluations: usize) -> Result<(), Error> {
        check_positive(Self::NAME, "softness", self.softness)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn bias(&self) -> Option<&'static str> {
        Some("differences over a step of σ, each coordinate's of another average")
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(x.to_vec())
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<Vec<f64>>, Fault> {
        let pairs = evaluations / 2;
        let mut signs = Vec::with_capacity(2 * pairs * x.len());
        for pair in 0..pairs {
            let mut stream = draws.stream(pair);
            let first = signs.len();
            signs.extend(x.iter().map(|_| if stream.bits() >> 63 == 0 { 1.0 } else { -1.0 }));
            let mirrored: Vec<f64> = signs[first..].iter().map(|sign| -sign).collect();
            signs.extend(mirrored);
        }
        let points = shifted(x, self.softness, &signs);
        Ok(Asked { points, weights: vec![0.5 / pairs as f64; 2 * pairs], plan: signs })
    }

    fn tell(&self, _: &[f64], asked: &Asked<Vec<f64>>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        // 1 / ±1 is ±1.
        let divisor = asked.rows() as f64 * self.softness;
        add_rows(gradient, &asked.plan, |s| told.costs[s] / divisor);
    }
}
