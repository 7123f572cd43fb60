//! Selection: which k of n.

mod cut;
mod lapsum_top_k;
mod row_top_k;
mod shares;
mod smooth_top_k_svm_loss;
mod soft_top_k;
mod subset_marginals;
mod subset_sample;
mod successive_softmax;
mod top_k_cross_entropy_loss;
mod top_k_magnitude;
mod transport_top_k;

pub use shares::Norm;

supple_core::family! { "select":
    soft_top_k::{SoftTopK, Regularization, soft_top_k};
    top_k_magnitude::{TopKMagnitude, top_k_magnitude};
    lapsum_top_k::{LapsumTopK, lapsum_top_k};
    transport_top_k::{TransportTopK, transport_top_k};
    row_top_k::{RowTopK, RowMethod, row_top_k};
    successive_softmax::{SuccessiveSoftmax, successive_softmax};
    subset_marginals::{SubsetMarginals, subset_marginals};
    subset_sample::{SubsetSample, subset_sample};
    top_k_cross_entropy_loss::{TopKCrossEntropyLoss, top_k_cross_entropy_loss};
    smooth_top_k_svm_loss::{SmoothTopKSvmLoss, smooth_top_k_svm_loss};
}
