//! Gradient estimators: the gradient of a mean, from evaluations of what is averaged.
//!
//! An [`Estimator`] chooses points, is told the costs there, and makes a gradient of them. There are three
//! ways to use one:
//!
//! * [`estimate`](estimate()) at one point, with a budget and a standard error;
//! * [`Estimated`] is an operator like every other: batches, threads, LibTorch;
//! * [`ask`](Estimator::ask) and [`tell`](Estimator::tell), to evaluate in between whatever way you like.
//!
//! What is averaged is either a function of **perturbed parameters**, $\mathrm{E} f(x + \sigma Z)$
//! ([`smoothing`]), or a function of a **discrete sample** whose probabilities the parameters are logits of,
//! $\mathrm{E}_{b \sim p_x} f(b)$ ([`discrete`]). [`Through`] makes an estimator of any operator with a
//! gradient of its own, such as a relaxed sample or a solver.
//!
//! Random numbers are a function of the seed, the item and the sample; results do not depend on the number of
//! threads.

mod baseline;
pub mod discrete;
mod estimate;
mod estimated;
mod estimator;
mod function;
pub mod smoothing;
mod through;

pub use baseline::Baseline;
pub use estimate::{Budget, Estimate, estimate};
pub use estimated::Estimated;
pub use estimator::{Asked, Draws, Estimator, Told};
pub use function::{Differentiable, Function, Gradients, Supplies, Values, WithGradient};
pub use smoothing::Smoothing;
pub use through::Through;
