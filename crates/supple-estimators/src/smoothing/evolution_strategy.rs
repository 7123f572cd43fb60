//! Evolution strategies: the search direction by the ranks of the costs.
//!
//! $$ g = \frac{1}{S \sigma} \sum_s u_s Z_s, \qquad Z_{2s + 1} = -Z_{2s} $$
//!
//! with utilities $u_s$ that depend on the rank of the cost among the $S$ samples only: evenly spaced from
//! $-\tfrac12$ for the least to $\tfrac12$ for the largest (Salimans et al.), or those of natural evolution
//! strategies, $1 - S \max(0, \ln(\tfrac S2 + 1) - \ln r) / \sum_j \max(0, \ln(\tfrac S2 + 1) - \ln j)$ for the
//! $r$-th least (Wierstra et al.), for which only the better half counts. Equal costs share the mean of
//! their utilities.
//!
//! **Surrogate**: an ascent direction of the cost that does not change with its units, or under any increasing
//! map of it; outliers cannot dominate. It is not the gradient of the mean cost. The natural gradient of a
//! Gaussian's mean is $\sigma^2$ times this one.
//!
//! Salimans, Ho, Chen, Sidor and Sutskever, *Evolution strategies as a scalable alternative to reinforcement
//! learning*, 2017; Wierstra, Schaul, Glasmachers, Sun, Peters and Schmidhuber, *Natural evolution strategies*,
//! JMLR 2014.

use super::points::{noise, shifted};
use super::{Design, Noise};
use crate::estimator::{add_rows, check_budget, check_positive};
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault, Gradient, choices};

choices! {
    /// Utilities of ranks.
    pub enum Utilities {
        /// Evenly spaced.
        Centred = "centred",
        /// Logarithmic over the better half.
        Logarithmic = "logarithmic",
    }
}

/// An evolution strategy with mirrored Gaussian samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvolutionStrategy {
    /// Scale σ of the noise, in the unit of `x`.
    pub softness: f64,
    /// What a rank counts.
    pub utilities: Utilities,
}

/// Scale 1, evenly spaced utilities.
impl Default for EvolutionStrategy {
    fn default() -> Self {
        Self { softness: 1.0, utilities: Utilities::Centred }
    }
}

impl Estimator for EvolutionStrategy {
    const NAME: &'static str = "evolution_strategy";
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Needs = Values;
    type State = ();
    /// The noise of each sample.
    type Plan = Vec<f64>;

    fn validate(&self, _: usize, evaluations: usize) -> Result<(), Error> {
        check_positive(Self::NAME, "softness", self.softness)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn bias(&self) -> Option<&'static str> {
        Some("a direction by ranks, whatever the size of the costs")
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(x.to_vec())
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<Vec<f64>>, Fault> {
        let samples = Design::Antithetic.rows(evaluations, x.len());
        let z = noise(Noise::Gaussian, Design::Antithetic, draws, samples, x.len());
        let points = shifted(x, self.softness, &z);
        Ok(Asked { points, weights: vec![1.0 / samples as f64; samples], plan: z })
    }

    fn tell(&self, _: &[f64], asked: &Asked<Vec<f64>>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        if told.costs.iter().any(|cost| cost.is_nan()) {
            return gradient.fill(f64::NAN); // a cost without a rank
        }
        let utilities = self.utilities.of(told.costs);
        let divisor = utilities.len() as f64 * self.softness;
        add_rows(gradient, &asked.plan, |s| utilities[s] / divisor);
    }
}

impl Utilities {
    /// The utility of each cost, larger for larger costs; they sum to zero.
    fn of(self, costs: &[f64]) -> Vec<f64> {
        let count = costs.len();
        let half = (count as f64 / 2.0 + 1.0).ln();
        let better = |rank: usize| (half - ((rank + 1) as f64).ln()).max(0.0);
        let total: f64 = (0..count).map(better).sum();
        let utility = |rank: usize| match self {
            Self::Centred => rank as f64 / (count.max(2) - 1) as f64 - 0.5,
            // Of natural evolution strategies, which maximise: the signs are turned.
            Self::Logarithmic => 1.0 - better(rank) / total * count as f64,
        };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&i, &j| costs[i].total_cmp(&costs[j]));
        let mut utilities = vec![0.0; count];
        let mut first = 0;
        for run in order.chunk_by(|&i, &j| costs[i] == costs[j]) {
            let mean = (first..first + run.len()).map(utility).sum::<f64>() / run.len() as f64;
            run.iter().for_each(|&i| utilities[i] = mean);
            first += run.len();
        }
        utilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilities_grow_with_the_cost_share_ties_and_sum_to_zero() {
        for utilities in [Utilities::Centred, Utilities::Logarithmic] {
            let costs = [3.0, -1.0, 3.0, 100.0, 0.0, -2.0];
            let u = utilities.of(&costs);
            assert!(u.iter().sum::<f64>().abs() < 1e-12, "{u:?}");
            assert_eq!(u[0], u[2]);
            assert!(u[5] < u[1] && u[1] < u[4] && u[4] <= u[0] && u[0] <= u[3], "{u:?}");
            assert_eq!(u, utilities.of(&costs.map(|c: f64| c.powi(3) + 5.0)));
            assert!(utilities.of(&[1.0; 4]).iter().all(|u| u.abs() < 1e-15));
        }
        assert_eq!(Utilities::Centred.of(&[5.0, 1.0]), [0.5, -0.5]);
    }
}
