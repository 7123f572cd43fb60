//! Ranking: losses of a list of scores against what its order should be.

mod approx_ndcg_loss;
mod list_mle_loss;
mod list_net_loss;
mod spearman_loss;

supple_core::family! { "ranking":
    spearman_loss::{SpearmanLoss, spearman_loss};
    approx_ndcg_loss::{ApproxNdcgLoss, approx_ndcg_loss};
    list_net_loss::{ListNetLoss, list_net_loss};
    list_mle_loss::{ListMleLoss, list_mle_loss};
}

use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{Error, Float, Operator, evaluate};

/// One loss for each list of `scores` with its `target`: what the plain functions are made of.
fn of_lists<'a, T: Float, P: Operator<2>, D: RemoveAxis>(
    operator: &P,
    scores: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
) -> Result<Array<T, D::Smaller>, Error> {
    let [loss] = evaluate(operator, [scores.into().into_dyn(), target.into().into_dyn()])?;
    let mismatch = |e| Error::unsupported(P::NAME, "a loss of the input's rank less one", e);
    loss.into_dimensionality().map_err(mismatch)
}
