//! The relaxed permutation matrix of sorting, by Laplace distributions (LapSum).
//!
//! With a Laplace distribution of scale ε about each value, the threshold $b_k$ has k of them, in expectation,
//! below it. Row k says how much of each distribution lies between two thresholds:
//!
//! $$ P_{kj} = F\left(\frac{b_k - x_j}{\varepsilon}\right) - F\left(\frac{b_{k-1} - x_j}{\varepsilon}\right),
//! \qquad \sum_j F\left(\frac{b_k - x_j}{\varepsilon}\right) = k, \qquad
//! F(t) = \begin{cases} \tfrac12 e^{t} & t < 0 \cr 1 - \tfrac12 e^{-t} & t \ge 0 \end{cases} $$
//!
//! for k from 1 to n, with $b_0 = -\infty$ and $b_n = \infty$. The matrix acts from the left: its rows are output
//! positions. Rows sum to one by the choice of the thresholds, columns because the differences add up to 1. The
//! first k rows together are the mask of the k smallest, or of the k largest if `descending`: that of
//! [`lapsum_top_k`](crate::select::lapsum_top_k()). But $P x$ is not [`lapsum_sort`](super::lapsum_sort()), whose
//! values are thresholds too, at $k - \tfrac12$; and $P^\top (1, \dots, n)$, which are ranks among the thresholds,
//! are not [`lapsum_rank`](super::lapsum_rank()), which ranks among the values.
//!
//! * Softness: the unit of `x`; the paper's α. As it grows, all entries approach 1/n.
//! * Hard limit: the permutation matrix that sorts. Equal values share in the limit; the hard form takes them
//!   in order of their position.
//! * Gradient: exact everywhere, by the implicit function theorem. Equal values have equal columns. The second
//!   derivative jumps where a threshold meets a value; it is then that of one side. Rows whose values lead
//!   their neighbours by more than about 745 ε are hard to the last digit, with a gradient of zero.
//! * ±∞ goes first or last, without a gradient, and equal infinities share their rows. A NaN makes its whole item
//!   NaN.
//! * Cost: O(n log n), and O(n w) for rows with w entries above 1e-304, at most O(n²), forward and backward,
//!   beside the n² zeros of the output; O(n) memory. Each entry is a product: the exponentials are those of the
//!   n − 1 gaps.
//!
//! Paper: Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking,
//! Sorting and Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>. The authors' code has the
//! transposed matrix.

use super::laplace_rows::{LaplaceRows, naive};
use super::permutahedron::{arranged, check_length, finite, sorted, spoilt};
use super::rows::{columns_sum_to_one, infinite, permutation, rows_sum_to_one, to_matrix};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, params,
};

params! {
    /// Relaxed permutation matrix by Laplace distributions.
    pub struct LapsumPermutation {
        /// Scale of the distribution about each value; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the first row is that of the largest value.
        descending: bool = false, Any;
    }
}

/// The sorting permutation. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved {
    order: Vec<u32>,
}

impl Operator for LapsumPermutation {
    const NAME: &'static str = "lapsum_permutation";
    const SIGNATURE: &'static str = "x(n) -> permutation(n,n)";
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
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if spoilt(&z) {
            p.fill(T::nan());
            scratch.indices.give(order);
        } else {
            let (n, finite) = (z.len(), finite(&z));
            let rows = LaplaceRows::new(&z[finite.clone()], self.softness, scratch);
            let columns = &order[finite.clone()];
            rows.for_each_entry(scratch, |k, j, entry| {
                p[(finite.start + k) * n + columns[j] as usize] = T::narrow(entry);
            });
            for infinite in infinite(&finite, n) {
                let share = T::of(1.0 / infinite.len() as f64);
                for place in infinite.clone() {
                    order[infinite.clone()].iter().for_each(|&column| p[place * n + column as usize] = share);
                }
            }
            rows.give(scratch);
            saved.order = order;
        }
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let (n, order) = (dx.len(), &at.saved.order);
        if order.len() < n {
            return dx.fill(T::nan());
        }
        let z = arranged(at.x[0], self.descending, order, scratch);
        let finite = finite(&z);
        let rows = LaplaceRows::new(&z[finite.clone()], self.softness, scratch);
        let (first, columns) = (finite.start, &order[finite]);
        let mut dz = scratch.wide.zeros(columns.len());
        rows.pull(|k, j| dp[(first + k) * n + columns[j] as usize].widen(), &mut dz, scratch);
        for (&column, &dz) in columns.iter().zip(&dz) {
            dx[column as usize] = T::narrow(if self.descending { -dz } else { dz });
        }
        rows.give(scratch);
        scratch.wide.give(dz);
        scratch.reals.give(z);
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

impl Contract for LapsumPermutation {
    const SUMMARY: &'static str =
        "permutation matrix that sorts, doubly stochastic, by Laplace distributions";
    const PAPER: &'static str = "Struski et al., ICML 2025, arXiv:2503.06242";
    const COST: &'static str = "at most O(n²) time, O(n) memory beside the output";

    fn cases() -> Vec<Self> {
        [(0.1, false), (1.0, true), (20.0, false)]
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
        Some([naive(at.x[0], self.softness, self.descending).concat()])
    }
}

/// The relaxed permutation matrix that sorts along the last axis, ascending, by Laplace distributions of scale ε
/// about the values (LapSum): a doubly stochastic matrix.
///
/// $$ P_{kj} = F\left(\frac{b_k - x_j}{\varepsilon}\right) - F\left(\frac{b_{k-1} - x_j}{\varepsilon}\right),
/// \qquad \sum_j F\left(\frac{b_k - x_j}{\varepsilon}\right) = k $$
///
/// * Shapes: `(…, n)` to `(…, n, n)`. Rows are output positions. The first k of them sum to the mask of the k
///   smallest. To multiply by the matrix without forming it, there is [`SortWith`](super::SortWith).
/// * Softness: ε, in the unit of `x`. As it grows, all entries approach 1/n.
/// * Hard limit: the permutation matrix that sorts.
/// * Gradient: exact everywhere. The second derivative jumps where a threshold $b_k$ meets a value.
/// * A NaN makes its item NaN; ±∞ goes first or last.
/// * Cost: at most O(n²) forward and backward, less where rows are narrow.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`LapsumPermutation`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::order::lapsum_permutation;
/// let p = lapsum_permutation(&[2.0 * f64::ln(3.0), 0.0], 1.0)?;
/// // The threshold is in the middle, ln 3 from either: a sixth of each distribution lies beyond it.
/// let expected = [1.0 / 6.0, 5.0 / 6.0, 5.0 / 6.0, 1.0 / 6.0];
/// assert!(p.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking, Sorting and
/// Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>.
pub fn lapsum_permutation<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Larger>, Error> {
    to_matrix(&LapsumPermutation { softness, ..LapsumPermutation::default() }, x.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, Axis, array, aview1};
    use supple_core::{Stream, evaluate, linearize};

    #[test]
    fn infinities_are_placed_exactly_and_nan_spoils() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x = array![[2.0, inf, 1.5, -inf, inf], [1.0, nan, 2.0, 0.0, 3.0]].into_dyn();
        let at = linearize(&LapsumPermutation { softness: 2.0, descending: false }, [x.view()]).unwrap();
        let p: Vec<f64> = at.outputs()[0].iter().copied().collect();
        let tail = 0.5 * f64::exp(-0.125);
        let expected = [tail, 0.0, 1.0 - tail, 0.0, 0.0, 1.0 - tail, 0.0, tail, 0.0, 0.0];
        assert_eq!(p[..5], [0.0, 0.0, 0.0, 1.0, 0.0]);
        assert!(p[5..15].iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-15), "{p:?}");
        assert_eq!((&p[15..20], &p[20..25]), (&[0.0, 0.5, 0.0, 0.0, 0.5][..], &p[15..20]));
        let dp = ndarray::ArrayD::from_shape_fn(vec![2, 5, 5], |i| (i[1] * i[2]) as f64);
        let [dx] = at.vjp([dp.view()]).unwrap();
        assert!(dx.iter().take(5).all(|d| d.is_finite()) && dx[[0, 0]] != 0.0 && dx[[0, 1]] == 0.0, "{dx}");
        assert!(p[25..].iter().chain(dx.iter().skip(5)).all(|p| p.is_nan()));
    }

    /// Ties, thresholds among them and before them, gaps that the kernel does not cross, and data far off.
    #[test]
    fn rows_and_columns_sum_to_one_and_gradients_to_zero_anywhere() {
        let mut random = Stream::new(5, 0, 0);
        let mut x = random.normals(300);
        x.extend([0.25; 40]);
        x.extend([7.0, 7.0, 7.0, 2e4, 2e4, 2e4, 2e4, 1e9, 1e9 + 1.0]);
        let n = x.len();
        let dp = Array2::from_shape_vec((n, n), random.normals(n * n)).unwrap().into_dyn();
        for softness in [1e-9, 1e-3, 0.3, 1e3, 1e12] {
            for offset in [0.0, 1048576.0] {
                let x = Array1::from_iter(x.iter().map(|x| x + offset)).into_dyn();
                let operator = LapsumPermutation { softness, descending: true };
                let at = linearize(&operator, [x.view()]).unwrap();
                let p = &at.outputs()[0];
                assert!(p.iter().all(|&p: &f64| (0.0..=1.0).contains(&p)), "softness {softness}");
                for axis in 0..2 {
                    let off = (p.sum_axis(Axis(axis)) - 1.0).iter().fold(0.0, |m: f64, d| m.max(d.abs()));
                    assert!(off < 1e-13 * n as f64, "softness {softness}, axis {axis}: {off:e}");
                }
                // A shift of all values changes nothing.
                let [dx] = at.vjp([dp.view()]).unwrap();
                let size: f64 = dx.iter().map(|d: &f64| d.abs()).sum();
                assert!(dx.sum().abs() <= 1e-12 * size, "softness {softness}: {:e} of {size:e}", dx.sum());
            }
        }
    }

    #[test]
    fn far_entries_keep_their_digits() {
        // Three values share a place that is 40 ε below the last: its share of the first rows is tiny.
        let x = [0.0, 0.0, 0.0, 40.0];
        let [p] = evaluate(&LapsumPermutation { softness: 1.0, descending: false }, [aview1(&x).into_dyn()])
            .unwrap();
        // The first threshold has a third of each of the three, and b₁ = ln(2/3); b₂ = −b₁.
        let expected = [2.0 / 3.0, 3.0 / 2.0 - 2.0 / 3.0].map(|e: f64| 0.5 * e * f64::exp(-40.0));
        for (row, expected) in expected.into_iter().enumerate() {
            let relative: f64 = p[[row, 3]] / expected - 1.0;
            assert!(relative.abs() < 1e-13, "row {row}: {:e} for {expected:e}", p[[row, 3]]);
        }
    }
}
