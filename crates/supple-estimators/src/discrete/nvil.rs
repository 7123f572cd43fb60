//! The score function estimator with a running mean of the costs as its baseline.
//!
//! $$ \frac1S \sum_s \frac{f(b_s) - \mu}{\max(1, \sigma)} \nabla_x \ln p_x(b_s), \qquad b_s \sim p_x $$
//!
//! μ is a mean over the costs of earlier calls that forgets: it is the state, with their variance σ². The
//! divisor is there if [`normalise`](Nvil::normalise) asks for it.
//!
//! Without the divisor it is right in expectation, for any function and any distribution: the state knows
//! nothing of the samples of this call. With it, the gradient is scaled, which steps in its direction do not
//! mind and sums with other gradients do.
//!
//! Left out of the paper's method: the network that predicts the baseline from an observation, for there is
//! no observation here, and the costs of one layer only.
//!
//! Mnih and Gregor, *Neural variational inference and learning in belief networks*, ICML 2014.

use super::{Discrete, mode};
use crate::estimator::{add_rows, check_budget};
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault};

/// The score function estimator with a learned constant baseline. It lowers the variance of single samples,
/// which have no others to compare with.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::{Bernoulli, Nvil};
/// use supple_estimators::{Budget, estimate};
///
/// let cost = |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = 10.0 + b[0]; Ok(()) };
/// let estimator = Nvil::new(Bernoulli);
/// let budget = Budget { evaluations: 1000, replicates: 1000, seed: 1 };
/// let (_, state) = estimate(&estimator, &cost, &[0.0], budget, &Default::default())?;
/// let (later, _) = estimate(&estimator, &cost, &[0.0], Budget { seed: 2, ..budget }, &state)?;
/// assert!((later.gradient[0] - 0.25).abs() < 0.05);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nvil<D> {
    /// What is drawn; its parameters are the logits.
    pub distribution: D,
    /// How much of what is known a call keeps, from 0 up to below 1.
    pub memory: f64,
    /// Whether gradients are divided by the standard deviation of the costs, where that is above 1.
    pub normalise: bool,
}

impl<D> Nvil<D> {
    /// A memory of 0.8, no divisor.
    pub fn new(distribution: D) -> Self {
        Self { distribution, memory: 0.8, normalise: false }
    }
}

/// What [`Nvil`] knows of the costs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NvilState {
    /// The weight of all calls so far: 0 before the first, towards 1.
    pub weight: f64,
    /// Their mean.
    pub mean: f64,
    /// Their variance.
    pub variance: f64,
}

impl NvilState {
    /// The state after more costs, which keeps `memory` of what is known.
    fn after(self, costs: &[f64], memory: f64) -> Self {
        let count = costs.len() as f64;
        let mean = costs.iter().sum::<f64>() / count;
        let variance = costs.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / count;
        let weight = memory * self.weight + (1.0 - memory);
        // The share of the new in the mixture of both.
        let share = (1.0 - memory) / weight;
        let step = mean - self.mean;
        let next = Self {
            weight,
            mean: self.mean + share * step,
            variance: (1.0 - share) * (self.variance + share * step * step) + share * variance,
        };
        if next.mean.is_finite() && next.variance.is_finite() { next } else { self }
    }
}

impl<D: Discrete> Estimator for Nvil<D> {
    const NAME: &'static str = "nvil";
    type Needs = Values;
    type State = NvilState;
    type Plan = ();

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check_memory(Self::NAME, self.memory)?;
        self.distribution.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 1)
    }

    fn bias(&self) -> Option<&'static str> {
        self.normalise.then_some("a scale: it is divided by the deviation of earlier costs")
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(mode(&self.distribution, x))
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &NvilState, draws: Draws) -> Result<Asked<()>, Fault> {
        let points = super::samples(&self.distribution, x, draws, evaluations);
        super::check_samples(&points)?;
        Ok(Asked { points, weights: vec![1.0 / evaluations as f64; evaluations], plan: () })
    }

    fn tell(
        &self,
        x: &[f64],
        asked: &Asked<()>,
        told: Told<'_>,
        state: &NvilState,
        gradient: &mut [f64],
    ) -> NvilState {
        let scores = super::scores(&self.distribution, x, &asked.points);
        let scale = if self.normalise { state.variance.sqrt().max(1.0) } else { 1.0 };
        add_rows(gradient, &scores, |s| (told.costs[s] - state.mean) * asked.weights[s] / scale);
        state.after(told.costs, self.memory)
    }
}

/// Refuses memories that grow or that never learn.
pub(super) fn check_memory(name: &str, memory: f64) -> Result<(), Error> {
    if !(0.0..1.0).contains(&memory) {
        return Err(Error::argument(name, "memory", "in 0..1, without 1", memory));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_a_weighted_sample() {
        let calls: [&[f64]; 3] = [&[1.0, 4.0], &[-2.0], &[0.5, 7.0, 3.0]];
        let memory = 0.6;
        let state = calls.iter().fold(NvilState::default(), |state, costs| state.after(costs, memory));
        let weights = [0.36, 0.6, 1.0].map(|w| w / 1.96);
        let each = || {
            let weighed = |(costs, w): (&&'static [f64], f64)| {
                let count = costs.len() as f64;
                costs.iter().map(move |&c| (c, w / count)).collect::<Vec<_>>()
            };
            calls.iter().zip(weights).flat_map(weighed)
        };
        let mean: f64 = each().map(|(c, w)| c * w).sum();
        let variance: f64 = each().map(|(c, w)| w * (c - mean).powi(2)).sum();
        assert!((state.mean - mean).abs() < 1e-14 && (state.variance - variance).abs() < 1e-13, "{state:?}");
        assert_eq!(state.after(&[f64::NAN], memory), state);
    }
}
