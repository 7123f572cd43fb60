//! Permutation matrices, by any method.

use super::methods::front;
use super::shaped;
use crate::order::{
    LapsumPermutation, NeuralSortPermutation, SinkhornPermutation, SoftSortPrilloPermutation,
    SortingNetworkPermutation,
};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{Contract, Error, Float, Law, Mode};

front! {
    /// The permutation that sorts, as a matrix.
    pub struct Argsort("argsort", "x(n>=1) -> permutation(n,n)", 1) {
        /// What the method's own operator calls so; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
    /// How to relax a permutation matrix.
    pub enum ArgsortMethod {
        /// A softmax for each row: rows sum to one.
        NeuralSort = "neural_sort", NeuralSortPermutation: |front| NeuralSortPermutation {
            softness: front.softness,
            descending: front.descending,
            ..NeuralSortPermutation::default()
        };
        /// A softmax of distances for each row (SoftSort): rows sum to one.
        SoftSortPrillo = "soft_sort_prillo", SoftSortPrilloPermutation: |front| SoftSortPrilloPermutation {
            softness: front.softness,
            descending: front.descending,
            ..SoftSortPrilloPermutation::default()
        };
        /// Entropic transport to sorted anchors: rows and columns sum to one.
        Sinkhorn = "sinkhorn", SinkhornPermutation: |front| SinkhornPermutation {
            softness: front.softness,
            descending: front.descending,
        };
        /// A bitonic network of Cauchy comparators: rows and columns sum to one.
        SortingNetwork = "sorting_network", SortingNetworkPermutation: |front| SortingNetworkPermutation {
            softness: front.softness,
            descending: front.descending,
            ..SortingNetworkPermutation::default()
        };
        /// Laplace distributions cut at thresholds: rows and columns sum to one.
        Lapsum = "lapsum", LapsumPermutation: |front| LapsumPermutation {
            softness: front.softness,
            descending: front.descending,
        };
    }
    hard NeuralSortPermutation: |front| NeuralSortPermutation {
        descending: front.descending,
        ..NeuralSortPermutation::default()
    };
}

impl Contract for Argsort {
    const SUMMARY: &'static str = "permutation matrix that sorts, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        use ArgsortMethod::*;
        let case = |(method, softness, descending)| Self { method, softness, descending };
        let cases = [
            (NeuralSort, 0.5, true),
            (SoftSortPrillo, 0.5, false),
            (Sinkhorn, 0.5, true),
            (SortingNetwork, 0.5, false),
            (Lapsum, 0.5, true),
        ];
        cases.map(case).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::SumsTo(Box::new(|sizes| sizes[0] as f64)), Law::ShiftInvariant]
    }
}

/// The permutation matrix that sorts the last axis in ascending order, by the method of your choice: row $i$
/// says who comes at place $i$, so that the matrix times `x` is sorted.
///
/// For the order as integers, which has no gradient, see [`hard_argsort`](crate::order::hard_argsort()); to
/// multiply by the matrix without forming it, [`SortWith`](crate::order::SortWith).
///
/// * Shapes: `(…, n)` to `(…, n, n)`, n ≥ 1.
/// * Softness: as the [method](ArgsortMethod) has it; the unit of `x`.
/// * Hard form and limit: the permutation matrix, which leaves equal values in their order.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For descending order or ragged batches, call [`evaluate`](supple_core::evaluate) with an [`Argsort`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_core::Mode;
/// use supple_ops::front::{ArgsortMethod, argsort};
/// let hard = argsort(&array![5.0, 1.0, 2.0], ArgsortMethod::NeuralSort, 0.1, Mode::Hard)?;
/// assert_eq!(hard, array![[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn argsort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: ArgsortMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D::Larger>, Error> {
    shaped(&Argsort { method, softness, ..Argsort::default() }, x.into(), mode)
}
