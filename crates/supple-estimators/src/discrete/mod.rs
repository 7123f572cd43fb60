//! Functions of a discrete sample, by the gradient of their mean in the logits.
//!
//! $$ \nabla_x \mathrm{E}_{b \sim p_x} f(b) = \mathrm{E}\bigl[ (f(b) - a) \nabla_x \ln p_x(b) \bigr] $$
//!
//! | estimator | distribution | needs | evaluations | variance is taken away by |
//! |---|---|---|---|---|
//! | [`Reinforce`] | any | values | 1 a sample | the mean of other costs, or the cost at the mode |
//! | [`Nvil`] | any | values | 1 a sample | a running mean of costs: learned |
//! | [`WithoutReplacement`] | independent | values | 1 a value | no value twice; exact if all are drawn |
//! | [`Arm`] | Bernoulli | values | 2 a pair | opposite samples |
//! | [`DisArm`] | Bernoulli | values | 2 a pair | opposite samples, their noise averaged out |
//! | [`Relax`] | independent | values | 1 a sample | a function of a relaxed sample: learned |
//! | [`Rebar`] | independent | gradients | 2 a sample | $f$ of a relaxed sample, times a factor: learned |
//! | [`MuProp`] | independent | gradients | 1 a sample, 1 more | a first-order expansion about the mean |
//!
//! All of them are right in expectation, for any function; but [`Rebar`] asks for one that is continuous between the
//! values of $b$, and [`MuProp`] for one with a value and a gradient at the mean. [`Nvil`] may be asked to scale. Independent are
//! [`Bernoulli`] and [`Categorical`]. Estimators that learn take what they have learned and return it.

mod arm;
mod disarm;
mod independent;
mod mu_prop;
mod nvil;
mod rebar;
mod reinforce;
mod relax;
#[cfg(test)]
mod tests;
mod without_replacement;

pub use arm::Arm;
pub use disarm::DisArm;
pub use independent::{Independent, Relaxed};
pub use mu_prop::MuProp;
pub use nvil::{Nvil, NvilState};
pub use rebar::{Rebar, RebarState};
pub use reinforce::Reinforce;
pub use relax::Relax;
pub use supple_numerics::discrete::{Bernoulli, Categorical, Discrete, PlackettLuce, Subset};
pub use without_replacement::WithoutReplacement;

use crate::Draws;
use supple_core::Fault;

/// Refuses logits without a distribution, of which samples are NaN.
fn check_samples(points: &[f64]) -> Result<(), Fault> {
    match points.iter().any(|b| b.is_nan()) {
        true => {
            let requirement = "logits with a distribution";
            Err(Fault::Domain { argument: "x", requirement, value: f64::NAN })
        }
        false => Ok(()),
    }
}

/// Rows of independent samples.
fn samples(distribution: &impl Discrete, x: &[f64], draws: Draws, count: usize) -> Vec<f64> {
    let mut rows = vec![0.0; count * x.len()];
    let each = rows.chunks_exact_mut(x.len().max(1)).enumerate();
    each.for_each(|(s, b)| distribution.sample(x, &mut draws.stream(s), b));
    rows
}

/// The score of each row of samples.
fn scores(distribution: &impl Discrete, x: &[f64], samples: &[f64]) -> Vec<f64> {
    let mut scores = vec![0.0; samples.len()];
    let n = x.len().max(1);
    let rows = samples.chunks_exact(n).zip(scores.chunks_exact_mut(n));
    rows.for_each(|(b, score)| distribution.score(x, b, score));
    scores
}

/// The most probable value.
fn mode(distribution: &impl Discrete, x: &[f64]) -> Vec<f64> {
    let mut mode = vec![0.0; x.len()];
    distribution.mode(x, &mut mode);
    mode
}

/// The mean of a value.
fn mean(distribution: &impl Discrete, x: &[f64]) -> Vec<f64> {
    let mut mean = vec![0.0; x.len()];
    distribution.mean(x, &mut mean);
    mean
}
