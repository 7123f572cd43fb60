//! The mask of the k largest, by any method.

use super::adapters::{Given, Second, Summed};
use super::alike;
use super::methods::front;
use crate::select::{
    LapsumTopK, Regularization, RowMethod, RowTopK, SoftTopK, SubsetMarginals, SuccessiveSoftmax,
    TransportTopK,
};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{Contract, Error, Float, Law, Mode};

front! {
    /// The mask of the k largest.
    pub struct TopK("top_k", "x(n>=1) -> mask(n)", 1) {
        /// How many to choose; at most n.
        k: usize = 1, AtLeast(1.0);
        /// What the method's own operator calls so; the unit of `x`.
        softness: f64 = 0.1, Positive;
    }
    /// How to relax the choice of k.
    pub enum TopKMethod {
        /// Euclidean projection onto the capped simplex: sparse.
        L2 = "l2", SoftTopK: |front| capped_simplex(front, Regularization::L2);
        /// Binary entropy of each entry (LML).
        Entropic = "entropic", SoftTopK: |front| capped_simplex(front, Regularization::Entropic);
        /// Shannon's entropy on the capped simplex.
        Shannon = "shannon", SoftTopK: |front| capped_simplex(front, Regularization::Shannon);
        /// The 3/2-norm on the capped simplex.
        ThreeHalves = "p3/2", SoftTopK: |front| capped_simplex(front, Regularization::ThreeHalves);
        /// The 4/3-norm on the capped simplex.
        FourThirds = "p4/3", SoftTopK: |front| capped_simplex(front, Regularization::FourThirds);
        /// A threshold under Laplace distributions.
        Lapsum = "lapsum", Given<LapsumTopK>: |front| Given {
            operator: LapsumTopK { softness: front.softness },
            second: Second::Number(front.k as f64),
        };
        /// How likely each is in a random subset of k (SIMPLE's marginals).
        Subset = "subset", SubsetMarginals:
            |front| SubsetMarginals { k: front.k, softness: front.softness };
        /// A softmax k times over, each without what was chosen before; `x` is the logarithm of weights.
        SuccessiveSoftmax = "successive_softmax", SuccessiveSoftmax: |front| SuccessiveSoftmax {
            k: front.k,
            softness: front.softness,
            ..SuccessiveSoftmax::default()
        };
        /// Entropic transport to k + 1 sorted anchors.
        Transport = "transport", Summed<TransportTopK>: |front| Summed {
            rows: TransportTopK { k: front.k, softness: front.softness },
            k: front.k,
        };
        /// The first k rows of NeuralSort's matrix.
        NeuralSort = "neural_sort", Summed<RowTopK>: |front| rows(front, RowMethod::NeuralSort);
        /// The first k rows of SoftSort's matrix.
        SoftSortPrillo = "soft_sort_prillo", Summed<RowTopK>:
            |front| rows(front, RowMethod::SoftSortPrillo);
        /// The first k rows of a bitonic network's matrix.
        SortingNetwork = "sorting_network", Summed<RowTopK>:
            |front| rows(front, RowMethod::SortingNetwork);
    }
    hard SoftTopK: |front| capped_simplex(front, Regularization::L2);
}

fn capped_simplex(front: &TopK, regularization: Regularization) -> SoftTopK {
    SoftTopK { k: front.k, softness: front.softness, regularization }
}

fn rows(front: &TopK, method: RowMethod) -> Summed<RowTopK> {
    let &TopK { k, softness, .. } = front;
    Summed { rows: RowTopK { method, k, softness, ..RowTopK::default() }, k }
}

impl Contract for TopK {
    const SUMMARY: &'static str = "mask of the k largest, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "k", "softness"];

    fn cases() -> Vec<Self> {
        use TopKMethod::*;
        let methods = [
            L2,
            Entropic,
            Shannon,
            ThreeHalves,
            FourThirds,
            Lapsum,
            Subset,
            SuccessiveSoftmax,
            Transport,
            NeuralSort,
            SoftSortPrillo,
            SortingNetwork,
        ];
        methods.map(|method| Self { method, k: 2, softness: 0.5 }).to_vec()
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 6].map(|more| vec![self.k + more]).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        vec![Law::SumsTo(Box::new(move |_| k)), Law::ShiftInvariant]
    }
}

/// The mask of the `k` largest along the last axis, by the method of your choice.
///
/// * Shapes: `(…, n)` to `(…, n)`, 1 ≤ k ≤ n.
/// * Softness: as the [method](TopKMethod) has it; the unit of `x`.
/// * Hard form and limit: the 0/1 mask of the k largest; in the hard form, the first of equal values. The
///   entries sum to k in every method; those summed from rows may exceed 1.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; k = 0 or k > n.
///
/// For another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a [`TopK`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_core::Mode;
/// use supple_ops::front::{TopKMethod, top_k};
/// let x = [3.0, 1.0, 2.5, 2.0];
/// let mask = top_k(&x, TopKMethod::L2, 2, 1.0, Mode::Soft)?;
/// assert_eq!(mask.to_vec(), [1.0, 0.0, 0.75, 0.25]);
/// assert_eq!(top_k(&x, TopKMethod::Subset, 2, 1.0, Mode::Hard)?.to_vec(), [1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn top_k<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: TopKMethod,
    k: usize,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D>, Error> {
    alike(&TopK { method, k, softness }, x, mode)
}
