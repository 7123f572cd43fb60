//! NeuralSort's relaxed permutation matrix.
//!
//! With $A_{jk} = \lvert x_j - x_k \rvert$,
//!
//! $$ P_i = \operatorname{softmax}\left(\frac{(2 i - n - 1) x - A 1}{\varepsilon}\right) . $$
//!
//! The matrix acts from the left: $P x$ is [`neural_sort`](super::neural_sort()), its rows are output
//! positions. Each row sums to one, columns do not. The largest entries of the rows are at different places
//! unless values are equal: taken from each row, they are the sorting permutation. The paper sorts in
//! descending order, $(n + 1 - 2 i) x$ in the softmax; that is `descending`.
//!
//! `projection` puts another projection onto the simplex in the place of softmax: of scores $z$,
//! $\max(z - \tau, 0)^a$ with the $\tau$ that makes the row sum to one, and $a = 1$ (`"l2"`), 2 (`"p3/2"`) or
//! 3 (`"p4/3"`). These rows are sparse: no entry whose score is lower than the largest by 1 is above zero.
//!
//! * Softness: the unit of `x`; the paper's τ.
//! * Hard limit: the permutation matrix that sorts. Equal values share in the limit; the hard form takes them
//!   in order of their position. The sparse rows reach it at a finite softness.
//! * Gradient: exact but for the kink of $\lvert x_j - x_k \rvert$ at equal values, where its derivative
//!   counts as zero: halfway between the two sides. `"l2"` also has kinks where an entry leaves zero; one that
//!   is just zero counts as outside. The second derivative of `"p3/2"` jumps there.
//! * A NaN makes its whole item NaN. The row of ±∞ is one-hot, without a gradient; equal infinities share
//!   theirs. The finite values are placed as if infinities were very large numbers.
//! * Cost: O(n w) for rows with w entries above 1e-304, at most O(n²), forward and backward, beside the n²
//!   zeros of the output; O(n) memory.
//!
//! Papers: Grover, Wang, Zweig, Ermon, *Stochastic optimization of sorting networks via continuous
//! relaxations*, ICLR 2019, <https://arxiv.org/abs/1903.08850>; Martins and Astudillo, *From softmax to
//! sparsemax*, ICML 2016, <https://arxiv.org/abs/1602.02068>, for sparse rows.

pub use super::rows::Projection;

use super::neural_rows::{NeuralRows, naive};
use super::permutahedron::check_length;
use super::rows::{RowMatrix, permutation, rows_sum_to_one, to_matrix};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    params,
};

params! {
    /// NeuralSort's matrix.
    pub struct NeuralSortPermutation {
        /// Gap at which neighbours mix; the unit of `x`.
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

impl Operator for NeuralSortPermutation {
    const NAME: &'static str = "neural_sort_permutation";
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
        saved.order = self.matrix().forward::<NeuralRows<_>, _>(at.x[0], p, scratch);
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
        self.matrix().vjp::<NeuralRows<_>, _>(at.x[0], order, both, dx, scratch);
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

impl NeuralSortPermutation {
    fn matrix(&self) -> RowMatrix {
        let Self { softness, descending, projection } = *self;
        RowMatrix { softness, descending, projection }
    }
}

impl Contract for NeuralSortPermutation {
    const SUMMARY: &'static str = "permutation matrix that sorts, by a softmax for each row";
    const PAPER: &'static str = "Grover et al., ICLR 2019, arXiv:1903.08850";
    const COST: &'static str = "at most O(n²) time, O(n) memory beside the output";

    fn cases() -> Vec<Self> {
        let case = |softness, descending, projection| Self { softness, descending, projection };
        vec![
            case(0.1, false, Projection::Softmax),
            case(1.0, true, Projection::Softmax),
            case(20.0, false, Projection::Softmax),
            case(3.0, true, Projection::L2),
            case(2.0, false, Projection::ThreeHalves),
            case(5.0, true, Projection::FourThirds),
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

/// NeuralSort's relaxed permutation matrix along the last axis, for ascending order.
///
/// $$ P_i = \operatorname{softmax}\left(\frac{(2 i - n - 1) x - A 1}{\varepsilon}\right), \qquad
/// A_{jk} = \lvert x_j - x_k \rvert $$
///
/// * Shapes: `(…, n)` to `(…, n, n)`. Rows are output positions: `P x` is
///   [`neural_sort`](super::neural_sort()), which does not form the matrix.
/// * Softness: the paper's τ, in the unit of `x`.
/// * Hard limit: the permutation matrix that sorts.
/// * Gradient: exact but at equal values, where the derivative of their distance counts as zero.
/// * A NaN makes its item NaN; the row of ±∞ is one-hot.
/// * Cost: at most O(n²) forward and backward, less where rows are narrow.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order, [sparse rows](Projection) or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`NeuralSortPermutation`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::order::neural_sort_permutation;
/// let p = neural_sort_permutation(&[3.0f64, 1.0], 1.0)?;
/// assert_eq!(p.shape(), [2, 2]);
/// // The first row is that of the smallest value: softmax of −x, as all distances are equal.
/// assert!((p[[0, 1]] - 1.0 / (1.0 + (-2.0f64).exp())).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Grover, Wang, Zweig, Ermon, *Stochastic optimization of sorting networks via continuous relaxations*,
/// ICLR 2019, <https://arxiv.org/abs/1903.08850>.
pub fn neural_sort_permutation<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Larger>, Error> {
    to_matrix(&NeuralSortPermutation { softness, ..NeuralSortPermutation::default() }, x.into())
}
