//! Selection: which k of n.

mod lapsum_top_k;
mod soft_top_k;

supple_core::family! { "select":
    soft_top_k::{SoftTopK, Regularization, soft_top_k};
    lapsum_top_k::{LapsumTopK, lapsum_top_k};
}
