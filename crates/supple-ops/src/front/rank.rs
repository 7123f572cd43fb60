//! Ranks, by any method.

use super::adapters::{Given, Second};
use super::alike;
use super::methods::front;
use crate::order::{
    LapsumRank, PairwiseRank, PermutationMethod, Regularization, SinkhornRank, SoftRank, SortWith,
};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{Contract, Error, Float, Law, Mode};

front! {
    /// Ranks from 1.
    pub struct Rank("rank", "x(n>=1) -> ranks(n)", 1) {
        /// What the method's own operator calls so; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value has rank 1.
        descending: bool = false, Any;
    }
    /// How to relax ranks.
    pub enum RankMethod {
        /// Projection onto the permutahedron.
        L2 = "l2", SoftRank: |front| permutahedron(front, Regularization::L2);
        /// The same with entropy.
        Entropic = "entropic", SoftRank: |front| permutahedron(front, Regularization::Entropic);
        /// The same with the 3/2-norm.
        ThreeHalves = "p3/2", SoftRank: |front| permutahedron(front, Regularization::ThreeHalves);
        /// The same with the 4/3-norm.
        FourThirds = "p4/3", SoftRank: |front| permutahedron(front, Regularization::FourThirds);
        /// Each pair compared by the logistic distribution.
        Pairwise = "pairwise", PairwiseRank: |front| PairwiseRank {
            softness: front.softness,
            descending: front.descending,
            ..PairwiseRank::default()
        };
        /// Each pair compared by the Laplace distribution, in O(n log n).
        Lapsum = "lapsum", LapsumRank:
            |front| LapsumRank { softness: front.softness, descending: front.descending };
        /// Entropic transport to sorted anchors.
        Sinkhorn = "sinkhorn", Given<SinkhornRank>: |front| Given {
            operator: SinkhornRank {
                softness: front.softness,
                descending: front.descending,
            },
            second: Second::Uniform,
        };
        /// The mean place under NeuralSort's matrix.
        NeuralSort = "neural_sort", Given<SortWith>: |front| places(front, PermutationMethod::NeuralSort);
        /// The mean place under SoftSort's matrix.
        SoftSortPrillo = "soft_sort_prillo", Given<SortWith>:
            |front| places(front, PermutationMethod::SoftSortPrillo);
        /// The mean place in a bitonic network.
        SortingNetwork = "sorting_network", Given<SortWith>:
            |front| places(front, PermutationMethod::SortingNetwork);
    }
    hard SoftRank: |front| permutahedron(front, Regularization::L2);
}

fn permutahedron(front: &Rank, regularization: Regularization) -> SoftRank {
    SoftRank { softness: front.softness, descending: front.descending, regularization }
}

/// The transposed permutation matrix times the places: where each element goes.
fn places(front: &Rank, method: PermutationMethod) -> Given<SortWith> {
    let Rank { softness, descending, .. } = *front;
    let operator = SortWith { method, softness, descending, transposed: true, ..SortWith::default() };
    Given { operator, second: Second::Places }
}

impl Contract for Rank {
    const SUMMARY: &'static str = "ranks, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        use RankMethod::*;
        let case = |(method, softness, descending)| Self { method, softness, descending };
        let cases = [
            (L2, 0.5, true),
            (Entropic, 0.5, false),
            (ThreeHalves, 0.5, false),
            (FourThirds, 0.5, true),
            (Pairwise, 0.5, true),
            (Lapsum, 0.5, false),
            (Sinkhorn, 0.5, true),
            (NeuralSort, 0.5, true),
            (SoftSortPrillo, 0.5, false),
            (SortingNetwork, 0.5, true),
        ];
        cases.map(case).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        // Which wires of a network meet depends on where the values stand.
        if self.method == RankMethod::SortingNetwork { vec![] } else { vec![Law::PermutationEquivariant] }
    }
}

/// Ranks along the last axis, 1 for the smallest, by the method of your choice.
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: as the [method](RankMethod) has it; the unit of `x`.
/// * Hard form: the ranks, of which equal values share the mean, whatever the method. It is the limit too,
///   but how equal values share there is the method's.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For descending order, another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`Rank`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_core::Mode;
/// use supple_ops::front::{RankMethod, rank};
/// let x = [5.0, 1.0, 2.0];
/// for method in [RankMethod::L2, RankMethod::Pairwise, RankMethod::NeuralSort] {
///     let soft = rank(&x, method, 0.01, Mode::Soft)?;
///     assert!((&soft - &rank(&x, method, 0.01, Mode::Hard)?).iter().all(|d: &f64| d.abs() < 0.05));
/// }
/// assert_eq!(rank(&x, RankMethod::L2, 0.01, Mode::Soft)?.to_vec(), [3.0, 1.0, 2.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn rank<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: RankMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D>, Error> {
    alike(&Rank { method, softness, ..Rank::default() }, x, mode)
}
