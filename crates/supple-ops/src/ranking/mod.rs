//! Ranking: losses of a list of scores against what its order should be.

mod approx_ndcg_loss;
mod gains;
mod kendall_loss;
mod lambda_loss;
mod list_mle_loss;
mod list_net_loss;
mod lists;
mod neural_ndcg_loss;
mod pairs;
mod recall_at_k_loss;
mod smooth_ap_loss;
mod spearman_loss;

supple_core::family! { "ranking":
    spearman_loss::{SpearmanLoss, spearman_loss};
    kendall_loss::{KendallLoss, kendall_loss};
    approx_ndcg_loss::{ApproxNdcgLoss, approx_ndcg_loss};
    neural_ndcg_loss::{NeuralNdcgLoss, neural_ndcg_loss};
    lambda_loss::{LambdaLoss, lambda_loss};
    smooth_ap_loss::{SmoothApLoss, smooth_ap_loss};
    recall_at_k_loss::{RecallAtKLoss, recall_at_k_loss};
    list_net_loss::{ListNetLoss, list_net_loss};
    list_mle_loss::{ListMleLoss, list_mle_loss};
}
