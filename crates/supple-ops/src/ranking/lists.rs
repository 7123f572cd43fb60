//! What the plain functions share.

use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{Error, Float, Operator, evaluate};

/// One loss for each list of `scores` with its `target`: what the plain functions are made of.
pub(super) fn of_lists<'a, T: Float, P: Operator<2>, D: RemoveAxis>(
    operator: &P,
    scores: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
) -> Result<Array<T, D::Smaller>, Error> {
    let [loss] = evaluate(operator, [scores.into().into_dyn(), target.into().into_dyn()])?;
    let mismatch = |e| Error::unsupported(P::NAME, "a loss of the input's rank less one", e);
    loss.into_dimensionality().map_err(mismatch)
}
