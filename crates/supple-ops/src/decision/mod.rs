//! Decision-focused learning: a solver in the loop of training.
//!
//! A model predicts the scores of a decision, a solver decides, and what counts is how good the decision is.
//! The solver's answer jumps, so its own gradient is zero. There are two ways on:
//!
//! * **A gradient for the solver**, whatever loss comes behind it: [`BlackboxInterpolation`],
//!   [`IdentityGradient`], [`Imle`] and [`AdaptiveImle`], and, with another trade of bias for variance,
//!   [`PerturbedArgmax`](crate::perturb::PerturbedArgmax).
//! * **A loss in place of solver and loss**: [`SpoPlus`] and [`PerturbationGradient`] where the true scores
//!   are known, [`StructuredSvm`] and [`FenchelYoung`](crate::perturb::FenchelYoung) where only true
//!   solutions are; and, over a pool of solutions without a call of the solver, the entries of the catalogue.
//!   A [`SolutionCache`] keeps such pools.
//!
//! All hold or assume an [`Oracle`](crate::perturb::Oracle), which *maximises* $\langle\theta, y\rangle$:
//! give the negative of costs. Losses are to be minimised.

mod adaptive_imle;
mod blackbox_interpolation;
mod contrastive_map_loss;
mod identity;
mod imle;
mod imle_noise;
mod listwise_pool_loss;
mod nce_loss;
mod pairwise_pool_loss;
mod perturbation_gradient;
mod pointwise_pool_loss;
mod pools;
mod solution_cache;
mod solving;
mod spo_plus;
mod structured_svm;

pub use adaptive_imle::{AdaptiveImle, AdaptiveState};
pub use blackbox_interpolation::BlackboxInterpolation;
pub use identity::{IdentityGradient, Projection};
pub use imle::Imle;
pub use imle_noise::ImleNoise;
pub use perturbation_gradient::PerturbationGradient;
pub use solution_cache::{SolutionCache, SolutionPool};
pub use spo_plus::SpoPlus;
pub use structured_svm::StructuredSvm;

supple_core::family! { "decision":
    nce_loss::{NceLoss, nce_loss};
    contrastive_map_loss::{ContrastiveMapLoss, contrastive_map_loss};
    pointwise_pool_loss::{PointwisePoolLoss, pointwise_pool_loss};
    pairwise_pool_loss::{PairwisePoolLoss, pairwise_pool_loss};
    listwise_pool_loss::{ListwisePoolLoss, listwise_pool_loss};
}
