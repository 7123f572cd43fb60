//! Perturbation: any solver, any function, smoothed by noise.
//!
//! [`PerturbedArgmax`] and its loss [`FenchelYoung`] take any [`Oracle`], [`Smoothed`] takes any function.
//! The catalogue has them with the oracle [`TopK`](oracles::TopK); [`oracles`] has more.

mod exact;
mod fenchel_young;
mod oracle;
pub mod oracles;
mod perturbed_argmax;
mod perturbed_top_k;
mod perturbed_top_k_loss;
mod sampling;
mod smoothed;

pub use fenchel_young::FenchelYoung;
pub use oracle::Oracle;
pub use perturbed_argmax::PerturbedArgmax;
pub use smoothed::Smoothed;
pub use supple_numerics::noise::Noise;

supple_core::family! { "perturb":
    perturbed_top_k::{PerturbedTopK, perturbed_top_k};
    perturbed_top_k_loss::{PerturbedTopKLoss, perturbed_top_k_loss};
}
