//! Sorted values, by any method.

use super::adapters::{Given, Second};
use super::alike;
use super::methods::front;
use crate::order::{
    LapsumSort, NeuralSort, Regularization, SinkhornSort, SoftSort, SoftSortPrillo, SortingNetwork,
};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{Contract, Error, Float, Law, Mode};

front! {
    /// Sorted values.
    pub struct Sort("sort", "x(n>=1) -> sorted(n)", 1) {
        /// What the method's own operator calls so, which has the unit.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
    /// How to relax sorting.
    pub enum SortMethod {
        /// Projection onto the permutahedron; softness in one over the unit of `x`.
        L2 = "l2", SoftSort: |front| permutahedron(front, Regularization::L2);
        /// The same with entropy; `x` and softness without a unit.
        Entropic = "entropic", SoftSort: |front| permutahedron(front, Regularization::Entropic);
        /// The same with the 3/2-norm; softness in one over the square root of the unit of `x`.
        ThreeHalves = "p3/2", SoftSort: |front| permutahedron(front, Regularization::ThreeHalves);
        /// The same with the 4/3-norm; softness in one over the cube root of the unit of `x`.
        FourThirds = "p4/3", SoftSort: |front| permutahedron(front, Regularization::FourThirds);
        /// A softmax for each place; softness in the unit of `x`.
        NeuralSort = "neural_sort", NeuralSort:
            |front| NeuralSort { softness: front.softness, descending: front.descending };
        /// Averages by distance (SoftSort); softness in the unit of `x`.
        SoftSortPrillo = "soft_sort_prillo", SoftSortPrillo:
            |front| SoftSortPrillo { softness: front.softness, descending: front.descending };
        /// Entropic transport to sorted anchors; softness in the unit of `x`.
        Sinkhorn = "sinkhorn", Given<SinkhornSort>: |front| Given {
            operator: SinkhornSort {
                softness: front.softness,
                descending: front.descending,
            },
            second: Second::Uniform,
        };
        /// A bitonic network of Cauchy comparators; softness in the unit of `x`.
        SortingNetwork = "sorting_network", SortingNetwork: |front| SortingNetwork {
            softness: front.softness,
            descending: front.descending,
            ..SortingNetwork::default()
        };
        /// Quantiles of Laplace distributions; softness in the unit of `x`.
        Lapsum = "lapsum", LapsumSort:
            |front| LapsumSort { softness: front.softness, descending: front.descending };
    }
    hard SoftSort: |front| permutahedron(front, Regularization::L2);
}

fn permutahedron(front: &Sort, regularization: Regularization) -> SoftSort {
    SoftSort { softness: front.softness, descending: front.descending, regularization }
}

impl Contract for Sort {
    const SUMMARY: &'static str = "sorted values, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        use SortMethod::*;
        let case = |(method, softness, descending)| Self { method, softness, descending };
        let cases = [
            (L2, 2.0, true),
            (Entropic, 0.5, false),
            (ThreeHalves, 2.0, false),
            (FourThirds, 2.0, true),
            (NeuralSort, 0.5, true),
            (SoftSortPrillo, 0.5, true),
            (Sinkhorn, 0.5, false),
            (SortingNetwork, 0.5, true),
            (Lapsum, 0.5, false),
        ];
        cases.map(case).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        // Which wires of a network meet depends on where the values stand.
        if self.method == SortMethod::SortingNetwork { vec![] } else { vec![Law::PermutationInvariant] }
    }
}

/// Sorted values along the last axis, ascending, by the method of your choice.
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: as the [method](SortMethod) has it; its unit differs.
/// * Hard form and limit: the sorted values.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For descending order, another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`Sort`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_core::Mode;
/// use supple_ops::front::{SortMethod, sort};
/// let x = [5.0, 1.0, 2.0];
/// for method in [SortMethod::L2, SortMethod::NeuralSort, SortMethod::Lapsum] {
///     let soft = sort(&x, method, 0.01, Mode::Soft)?;
///     let hard = sort(&x, method, 0.01, Mode::Hard)?;
///     assert!((&soft - &hard).iter().all(|d: &f64| d.abs() < 0.05), "{method:?}: {soft}");
///     assert_eq!(hard.to_vec(), [1.0, 2.0, 5.0]);
/// }
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn sort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: SortMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D>, Error> {
    alike(&Sort { method, softness, ..Sort::default() }, x, mode)
}
