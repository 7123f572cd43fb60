//! Functions of perturbed parameters.
//!
//! $$ f_\sigma(x) = \mathrm{E} f(x + \sigma Z) $$
//!
//! | estimator | needs | gradient of $f_\sigma$ |
//! |---|---|---|
//! | [`Smoothing`] | values | score function, or differences across faces for uniform noise |
//! | [`ScaledSmoothing`] | values | the same with a matrix for σ, and the gradient to that matrix |
//! | [`Pathwise`] | gradients | mean of gradients; nothing of what jumps |
//! | [`Mixture`] | gradients | a mixture of the two |
//! | [`EvolutionStrategy`] | values | of the ranks of the costs, not of the costs |
//! | [`Spsa`] | values | differences along random signs; of another smoothing than the rest |
//!
//! [`Diagonalisation`] lets the softness of a function's branches shrink while a descent goes on.

mod diagonalisation;
mod evolution_strategy;
mod faces;
mod mixture;
mod pathwise;
mod points;
mod scaled;
mod smooth;
mod spsa;
#[cfg(test)]
mod tests;

pub use crate::baseline::Baseline;
pub use diagonalisation::Diagonalisation;
pub use evolution_strategy::{EvolutionStrategy, Utilities};
pub use mixture::Mixture;
pub use pathwise::Pathwise;
pub use scaled::ScaledSmoothing;
pub use smooth::Smoothing;
pub use spsa::Spsa;
pub use supple_numerics::noise::Noise;
pub use supple_numerics::quasi::Design;
