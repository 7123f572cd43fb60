//! One operator for each discrete function, with the relaxation as a parameter: change one word and compare.
//!
//! | function | hard form | methods |
//! |---|---|---|
//! | [`sort()`] | sorted values | [`SortMethod`] |
//! | [`rank()`] | ranks from 1 | [`RankMethod`] |
//! | [`argsort()`] | permutation matrix | [`ArgsortMethod`] |
//! | [`top_k()`] | mask of the k largest | [`TopKMethod`] |
//! | [`argmax()`] | one-hot | [`ArgmaxMethod`] |
//! | [`max()`], [`min()`] | largest, smallest value | [`MaxMethod`] |
//! | [`quantile()`], [`median()`] | quantile | [`QuantileMethod`] |
//!
//! Each function takes a [`Mode`]: soft, hard, or straight-through, which is the hard value with the soft
//! gradient. A method with its own parameters has them at their defaults here; the operator of that name has
//! them all. The hard form is the same for all methods, to the last digit, but for `gumbel_softmax`, whose is
//! a sample. The softness means what it means there: the same number is not the same blur, nor always the same
//! unit, and the book has a table of the softness at which each method blurs as much as the others.
//!
//! To make the softness relative to the data, wrap the operator:
//! [`Standardized`](supple_core::Standardized)`(Sort { .. })`. To work on groups within one array:
//! [`Segmented`](supple_core::Segmented)`(Sort { .. })`.

mod adapters;
mod argmax;
mod argsort;
mod max;
mod median;
mod methods;
mod min;
mod quantile;
mod rank;
mod sort;
mod top_k;

use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{Error, Float, Inputs, Mode, Operator, evaluate};

supple_core::family! { "front":
    sort::{Sort, SortMethod, sort};
    rank::{Rank, RankMethod, rank};
    argsort::{Argsort, ArgsortMethod, argsort};
    top_k::{TopK, TopKMethod, top_k};
    argmax::{Argmax, ArgmaxMethod, argmax};
    max::{Max, MaxMethod, max};
    min::{Min, min};
    quantile::{Quantile, QuantileMethod, quantile};
    median::{Median, median};
}

/// An output of the input's shape.
fn alike<'a, T: Float, D: Dimension>(
    operator: &impl Operator,
    x: impl Into<ArrayView<'a, T, D>>,
    mode: Mode,
) -> Result<Array<T, D>, Error> {
    shaped(operator, x.into(), mode)
}

/// An output without the last axis.
fn reduced<'a, T: Float, D: RemoveAxis>(
    operator: &impl Operator,
    x: impl Into<ArrayView<'a, T, D>>,
    mode: Mode,
) -> Result<Array<T, D::Smaller>, Error> {
    shaped(operator, x.into(), mode)
}

fn shaped<'a, T: Float, P: Operator, D: Dimension, E: Dimension>(
    operator: &P,
    x: ArrayView<'a, T, D>,
    mode: Mode,
) -> Result<Array<T, E>, Error> {
    let [y] = evaluate(operator, Inputs::from([x.into_dyn()]).mode(mode))?;
    y.into_dimensionality().map_err(|e| Error::unsupported(P::NAME, "an output of another rank", e))
}
