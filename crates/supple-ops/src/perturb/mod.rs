//! Perturbation: any solver of a linear objective, smoothed by noise or by a regularizer.
//!
//! [`PerturbedArgmax`] and its loss [`FenchelYoung`] average over noise; [`RegularizedArgmax`] and its loss
//! [`RegularizedFenchelYoung`] (SparseMAP) project. All take any [`Oracle`]; [`oracles`] has many. The catalogue
//! has the first two with the oracle [`TopK`](oracles::TopK), and [`perturbed_softmax`](perturbed_softmax()).
//! Functions that are no solvers are smoothed by the estimators of `supple-estimators`.

mod exact;
mod fenchel_young;
mod oracle;
pub mod oracles;
mod perturbation;
mod perturbed_argmax;
mod perturbed_softmax;
mod perturbed_top_k;
mod perturbed_top_k_loss;
mod regularized_argmax;
mod regularized_fenchel_young;
pub(crate) mod sampling;

pub use fenchel_young::FenchelYoung;
pub use oracle::{Batched, Oracle};
pub use perturbation::Perturbation;
pub use perturbed_argmax::PerturbedArgmax;
pub use regularized_argmax::RegularizedArgmax;
pub use regularized_fenchel_young::RegularizedFenchelYoung;
pub use supple_numerics::noise::Noise;

supple_core::family! { "perturb":
    perturbed_top_k::{PerturbedTopK, perturbed_top_k};
    perturbed_top_k_loss::{PerturbedTopKLoss, perturbed_top_k_loss};
    perturbed_softmax::{PerturbedSoftmax, perturbed_softmax};
}
