//! SoftSort's relaxed permutation matrix.
//!
//! With $x_{(i)}$ the $i$-th smallest value,
//!
//! $$ P_i = \operatorname{softmax}\left(-\frac{\lvert x_{(i)} - x \rvert}{\varepsilon}\right) . $$
//!
//! The matrix acts from the left: $P x$ is [`soft_sort_prillo`](super::soft_sort_prillo()), its rows are
//! output positions. Each row sums to one, columns do not. The largest entry of a row is that of the value
//! that belongs there: taken from each row, they are the sorting permutation. The paper sorts in descending
//! order; that is `descending`.
//!
//! `projection` puts another projection onto the simplex in the place of softmax: of scores $z$,
//! $\max(z - \tau, 0)^a$ with the $\tau$ that makes the row sum to one, and $a = 1$ (`"l2"`), 2 (`"p3/2"`) or
//! 3 (`"p4/3"`). These rows are sparse: only values nearer than ε have weight.
//!
//! * Softness: the unit of `x`; the paper's τ.
//! * Hard limit: the permutation matrix that sorts. Equal values share in the limit; the hard form takes them
//!   in order of their position. The sparse rows reach it where all gaps are ε or more.
//! * Gradient: that of the order found. At equal values (a kink), it is that of the side on which they are in
//!   the order of their positions. `"l2"` also has kinks where an entry leaves zero; one that is just zero
//!   counts as outside. The second derivative of `"p3/2"` jumps there.
//! * A NaN makes its whole item NaN. The row of ±∞ is one-hot, without a gradient; equal infinities share
//!   theirs.
//! * Cost: O(n log n), and O(n w) for rows with w entries above 1e-304, at most O(n²), forward and backward,
//!   beside the n² zeros of the output; O(n) memory.
//!
//! Papers: Prillo and Eisenschlos, *SoftSort: A Continuous Relaxation for the argsort Operator*, ICML 2020,
//! <https://arxiv.org/abs/2006.16038>; Martins and Astudillo, *From softmax to sparsemax*, ICML 2016,
//! <https://arxiv.org/abs/1602.02068>, for sparse rows.

use super::permutahedron::check_length;
use super::rows::{Projection, RowMatrix, permutation, rows_sum_to_one, to_matrix};
use super::soft_rows::{SoftRows, naive};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    params,
};

params! {
    /// SoftSort's matrix.
    pub struct SoftSortPrilloPermutation {
        /// Distance at which values mix; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the first row is that of the largest value.
        descending: bool = false, Any;
        /// What makes the weights of a row.
        projection: Projection = Projection::Softmax, Any;
    }
}

/// The sorting permutation. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved {
    order: Vec<u32>,
}

impl Operator for SoftSortPrilloPermutation {
    const NAME: &'static str = "soft_sort_prillo_permutation";
    const SIGNATURE: &'static str = "x(n) -> permutation(n,n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        saved.order = self.matrix().forward::<SoftRows<_>, _>(at.x[0], p, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let (order, both) = (&at.saved.order, (at.y[0], dp));
        self.matrix().vjp::<SoftRows<_>, _>(at.x[0], order, both, dx, scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        permutation(at.x[0], self.descending, p, scratch);
        Ok(())
    }
}

impl SoftSortPrilloPermutation {
    fn matrix(&self) -> RowMatrix {
        let Self { softness, descending, projection } = *self;
        RowMatrix { softness, descending, projection }
    }
}

impl Contract for SoftSortPrilloPermutation {
    const SUMMARY: &'static str = "permutation matrix that sorts, by distances (SoftSort)";
    const PAPER: &'static str = "Prillo and Eisenschlos, ICML 2020, arXiv:2006.16038";
    const COST: &'static str = "at most O(n²) time, O(n) memory beside the output";

    fn cases() -> Vec<Self> {
        let case = |softness, descending, projection| Self { softness, descending, projection };
        vec![
            case(0.1, false, Projection::Softmax),
            case(1.0, true, Projection::Softmax),
            case(20.0, false, Projection::Softmax),
            case(1.5, true, Projection::L2),
            case(0.8, false, Projection::ThreeHalves),
            case(3.0, true, Projection::FourThirds),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::SumsTo(Box::new(|sizes| sizes[0] as f64)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
            rows_sum_to_one(),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        Some([naive(at.x[0], self.softness, self.descending, self.projection).concat()])
    }
}

/// SoftSort's relaxed permutation matrix along the last axis, for ascending order.
///
/// $$ P_i = \operatorname{softmax}\left(-\frac{\lvert x_{(i)} - x \rvert}{\varepsilon}\right) $$
///
/// * Shapes: `(…, n)` to `(…, n, n)`. Rows are output positions: `P x` is
///   [`soft_sort_prillo`](super::soft_sort_prillo()), which does not form the matrix.
/// * Softness: the paper's τ, in the unit of `x`.
/// * Hard limit: the permutation matrix that sorts.
/// * Gradient: that of the order found. Equal values are told apart by their position.
/// * A NaN makes its item NaN; the row of ±∞ is one-hot.
/// * Cost: at most O(n²) forward and backward, less where rows are narrow.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order, [sparse rows](Projection) or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`SoftSortPrilloPermutation`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::order::soft_sort_prillo_permutation;
/// // Values ln 2 apart: the weights are 1, 1/2 and 1/4.
/// let p = soft_sort_prillo_permutation(&[0.0, 2.0 * f64::ln(2.0), f64::ln(2.0)], 1.0)?;
/// assert_eq!(p.shape(), [3, 3]);
/// assert!((p[[0, 0]] - 4.0 / 7.0).abs() < 1e-12 && (p[[0, 1]] - 1.0 / 7.0).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Prillo and Eisenschlos, *SoftSort: A Continuous Relaxation for the argsort Operator*, ICML 2020,
/// <https://arxiv.org/abs/2006.16038>.
pub fn soft_sort_prillo_permutation<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Larger>, Error> {
    to_matrix(&SoftSortPrilloPermutation { softness, ..SoftSortPrilloPermutation::default() }, x.into())
}
