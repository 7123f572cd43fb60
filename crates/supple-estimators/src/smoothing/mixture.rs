//! A mixture of the two gradients of a smoothed function: by values and by gradients.
//!
//! $$ \alpha \, \frac1S \sum_s \nabla f(x + \sigma Z_s)
//! + (1 - \alpha) \, \frac{1}{S \sigma} \sum_s (f(x + \sigma Z_s) - b_s) \nu'(Z_s) $$
//!
//! The first has little variance but misses jumps, and is useless where gradients explode; the second sees
//! everything, with much variance. For a continuous $f$ both are right in expectation, and so is every mixture
//! of given α. Without a given α, each is weighted by one over the variance of its mean, summed over
//! coordinates and estimated from the same samples: α then depends on the samples, a bias that vanishes as
//! their number grows. It does not notice a jump that no sample's gradient shows: give α there.
//!
//! Cost: one evaluation and one gradient for each sample; two samples at least.
//!
//! Suh, Simchowitz, Zhang and Tedrake, *Do differentiable simulators give better policy gradients?*, ICML
//! 2022; Parmas, Rasmussen, Peters and Doya, *PIPPS: Flexible model-based policy search robust to the curse of
//! chaos*, ICML 2018.

use super::points::{check_score, noise, shifted};
use super::{Baseline, Design, Noise};
use crate::estimator::{add_rows, check_budget, check_positive};
use crate::{Asked, Draws, Estimator, Gradients, Told};
use supple_core::{Error, Fault};

/// A mixture of pathwise and score function gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    /// Scale σ of the noise, in the unit of `x`.
    pub softness: f64,
    /// Distribution of the noise; not uniform.
    pub noise: Noise,
    /// The share of the pathwise gradient, from 0 to 1; chosen by the variances where there is none.
    pub alpha: Option<f64>,
}

/// Gaussian noise of scale 1, α by the variances.
impl Default for Mixture {
    fn default() -> Self {
        Self { softness: 1.0, noise: Noise::Gaussian, alpha: None }
    }
}

impl Estimator for Mixture {
    const NAME: &'static str = "mixture";
    type Needs = Gradients;
    type State = ();
    /// The noise of each sample.
    type Plan = Vec<f64>;

    fn validate(&self, _: usize, evaluations: usize) -> Result<(), Error> {
        check_positive(Self::NAME, "softness", self.softness)?;
        if let Some(alpha) = self.alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            return Err(Error::argument(Self::NAME, "alpha", "in 0..=1", alpha));
        }
        check_score(Self::NAME, self.noise)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn bias(&self) -> Option<&'static str> {
        self.alpha
            .is_none()
            .then_some("shares that depend on the samples: a term that vanishes with many samples")
    }

    fn has_standard_error(&self) -> bool {
        self.noise.score_variance().is_finite()
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(x.to_vec())
    }

    fn ask(&self, x: &[f64], samples: usize, _: &(), draws: Draws) -> Result<Asked<Vec<f64>>, Fault> {
        let z = noise(self.noise, Design::MonteCarlo, draws, samples, x.len());
        let points = shifted(x, self.softness, &z);
        Ok(Asked { points, weights: vec![1.0 / samples as f64; samples], plan: z })
    }

    fn tell(&self, _: &[f64], asked: &Asked<Vec<f64>>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let advantages = Baseline::LeaveOneOut.advantages(told.costs, Some(1), None);
        let mut scores = asked.plan.clone();
        self.noise.score(&mut scores);
        for (scores, advantage) in scores.chunks_exact_mut(gradient.len().max(1)).zip(&advantages) {
            scores.iter_mut().for_each(|score| *score *= advantage / self.softness);
        }
        let alpha = self.alpha.unwrap_or_else(|| {
            let [first, zeroth] = [told.slopes, &scores].map(|rows| spread(rows, gradient.len()));
            match (first.is_finite(), zeroth.is_finite()) {
                (true, true) if first + zeroth > 0.0 => zeroth / (first + zeroth),
                // Without any spread the mean of gradients is as good as exact.
                (true, _) => 1.0,
                // Gradients have exploded.
                (false, _) => 0.0,
            }
        });
        let samples = asked.rows() as f64;
        add_rows(gradient, told.slopes, |_| alpha / samples);
        add_rows(gradient, &scores, |_| (1.0 - alpha) / samples);
    }
}

/// The variances of the columns, summed, up to a factor.
fn spread(rows: &[f64], n: usize) -> f64 {
    let count = rows.len().checked_div(n).unwrap_or(0) as f64;
    let column = |j: usize| rows.iter().skip(j).step_by(n);
    let variance = |j| {
        let mean = column(j).sum::<f64>() / count;
        column(j).map(|x| (x - mean).powi(2)).sum::<f64>()
    };
    (0..n).map(variance).sum()
}
