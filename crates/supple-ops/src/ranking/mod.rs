//! Ranking: losses of a list of scores against what its order should be.

mod approx_ndcg_loss;
mod list_mle_loss;
mod list_net_loss;
mod lists;
mod spearman_loss;

supple_core::family! { "ranking":
    spearman_loss::{SpearmanLoss, spearman_loss};
    approx_ndcg_loss::{ApproxNdcgLoss, approx_ndcg_loss};
    list_net_loss::{ListNetLoss, list_net_loss};
    list_mle_loss::{ListMleLoss, list_mle_loss};
}
