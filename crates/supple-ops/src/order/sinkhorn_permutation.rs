//! The relaxed permutation matrix of sorting, by entropic optimal transport.
//!
//! The plan between n values and n places, both of equal masses, as a doubly stochastic matrix: with
//! $y_j = (j - 1)/(n - 1)$,
//!
//! $$ Q = \operatorname*{argmin}_{Q 1 = 1,\ Q^\top 1 = 1} \sum_{ij} Q_{ji} (x_i - y_j)^2
//! + \varepsilon \sum_{ij} Q_{ji} (\ln Q_{ji} - 1) . $$
//!
//! The matrix acts from the left: $Q x$ is [`sinkhorn_sort`](super::sinkhorn_sort()) with equal weights, its
//! rows are output positions, and $Q^\top (1, \dots, n)$ are the ranks. Rows and columns both sum to one, to
//! round-off. The first row is that of the smallest value unless `descending`.
//!
//! * Softness: the unit of `x`; ε. See [`sinkhorn_sort`](super::sinkhorn_sort()) for what it blurs. As it
//!   grows, all entries approach 1/n.
//! * Hard limit: the permutation matrix that sorts. Equal values share in the limit; the hard form takes them
//!   in order of their position.
//! * Gradient: exact, by the implicit function theorem. Smooth to any order.
//! * ±∞ goes first or last, and equal infinities share their rows. A NaN makes its whole item NaN.
//! * Cost: O(n²) for the entries; the plan is found in about O(n log n). Entries less than 1e-304 of
//!   the largest in their column come out as zero.
//!
//! Paper: Cuturi, Teboul, Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
//! <https://arxiv.org/abs/1905.11885>.

use super::permutahedron::check_length;
use super::plan_products::Transport;
use super::rows::{columns_sum_to_one, permutation, rows_sum_to_one, to_matrix};
use super::sinkhorn::{places, scatter, work};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, params,
};
use supple_numerics::line_transport::{Line, Saved};

params! {
    /// Relaxed permutation matrix by entropic transport.
    pub struct SinkhornPermutation {
        /// Strength ε of the entropy; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the first row is that of the largest value.
        descending: bool = false, Any;
    }
}

/// Entries below `exp(−700)` of the largest are left out.
const DEPTH: f64 = 700.0;

impl Operator for SinkhornPermutation {
    const NAME: &'static str = "sinkhorn_permutation";
    const SIGNATURE: &'static str = "x(n>=1) -> permutation(n,n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        work(sizes) + sizes.first().map_or(0, |n| 4 * n * n)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [q]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let line = places(x.len(), self.softness, self.descending).solve(x, None, saved, scratch)?;
        write(line, &saved.order, q);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Saved<F>>,
        [q]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let line = places(x.len(), self.softness, self.descending).lift(x, None, values.saved, saved);
        write(line, &saved.order, q);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dq]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let (n, order) = (dx.len(), &at.saved.order);
        let line = places(n, self.softness, self.descending).at(at.x[0], None, at.saved);
        let Some(line) = line else { return dx.fill(T::nan()) };
        let changes = line.plan.pull(DEPTH, |i, j| dq[j * n + order[i] as usize].widen());
        let sign = if self.descending { -T::Acc::one() } else { T::Acc::one() };
        scatter(order, &line, changes.into_iter().map(|change| sign * change), dx);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [q]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        permutation(at.x[0], self.descending, q, scratch);
        Ok(())
    }
}

fn write<T: Real>(line: Option<Line<T::Acc>>, order: &[u32], q: &mut [T]) {
    let Some(line) = line else { return q.fill(T::nan()) };
    let n = order.len();
    line.plan.for_each_row(DEPTH, |i, places, row| {
        places.zip(row).for_each(|(j, &share)| q[j * n + order[i] as usize] = T::narrow(share));
    });
}

impl Contract for SinkhornPermutation {
    const SUMMARY: &'static str = "permutation matrix that sorts, doubly stochastic, by entropic transport";
    const PAPER: &'static str = "Cuturi, Teboul and Vert, NeurIPS 2019, arXiv:1905.11885";
    const COST: &'static str = "O(n²) for the entries, about O(n log n) for the plan, forward and backward";

    fn cases() -> Vec<Self> {
        [(0.3, false), (1.0, true), (20.0, false)]
            .map(|(softness, descending)| Self { softness, descending })
            .to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::SumsTo(Box::new(|sizes| sizes[0] as f64)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
            rows_sum_to_one(),
            columns_sum_to_one(),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let Self { softness, descending } = *self;
        let transport = Transport { softness, descending, transposed: false };
        Some([transport.naive(at.x[0]).concat()])
    }
}

/// The relaxed permutation matrix that sorts along the last axis, ascending, by entropic optimal transport: a
/// doubly stochastic matrix.
///
/// $$ Q = \operatorname*{argmin}_{Q 1 = 1,\ Q^\top 1 = 1}
/// \sum_{ij} Q_{ji} \Bigl(x_i - \frac{j - 1}{n - 1}\Bigr)^2
/// + \varepsilon \sum_{ij} Q_{ji} (\ln Q_{ji} - 1) $$
///
/// * Shapes: `(…, n)` to `(…, n, n)`, n ≥ 1. Rows are output positions: `Q x` is
///   [`sinkhorn_sort`](super::sinkhorn_sort()), which does not form the matrix.
/// * Softness: ε, in the unit of `x`. As it grows, all entries approach 1/n.
/// * Hard limit: the permutation matrix that sorts.
/// * Gradient: exact, by the implicit function theorem.
/// * A NaN makes its item NaN; ±∞ goes first or last.
/// * Cost: O(n²) forward and backward.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order or ragged batches, call [`evaluate`](supple_core::evaluate) with a [`SinkhornPermutation`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::order::sinkhorn_permutation;
/// let q = sinkhorn_permutation(&[f64::ln(3.0), 0.0], 1.0)?;
/// // Of two values the odds of the right place are e^{gap / ε}.
/// let expected = [0.25, 0.75, 0.75, 0.25];
/// assert!(q.iter().zip(expected).all(|(q, e)| (q - e).abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Cuturi, Teboul, Vert, *Differentiable ranks and sorting using optimal transport*, NeurIPS 2019,
/// <https://arxiv.org/abs/1905.11885>.
pub fn sinkhorn_permutation<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Larger>, Error> {
    let operator = SinkhornPermutation { softness, ..SinkhornPermutation::default() };
    to_matrix(&operator, x.into())
}
