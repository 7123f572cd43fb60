//! Selection: which k of n.

mod soft_top_k;

supple_core::family! { "select":
    soft_top_k::{SoftTopK, Regularization, soft_top_k};
}
