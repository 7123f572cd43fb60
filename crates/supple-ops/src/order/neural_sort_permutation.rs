//! NeuralSort's relaxed permutation matrix.
//!
//! With $A_{jk} = \lvert x_j - x_k \rvert$,
//!
//! $$ P_i = \operatorname{softmax}\!\left(\frac{(2 i - n - 1)\, x - A 1}{\varepsilon}\right) . $$
//!
//! The matrix acts from the left: $P x$ is [`neural_sort`](super::neural_sort()), its rows are output
//! positions. Each row sums to one, columns do not. The largest entries of the rows are at different places
//! unless values are equal: taken from each row, they are the sorting permutation. The paper sorts in
//! descending order, $(n + 1 - 2 i)\, x$ in the softmax; that is `descending`.
//!
//! * Softness: the unit of `x`; the paper's τ.
//! * Hard limit: the permutation matrix that sorts. Equal values share in the limit; the hard form takes them
//!   in order of their position.
//! * Gradient: exact but for the kink of $\lvert x_j - x_k \rvert$ at equal values, where its derivative
//!   counts as zero: halfway between the two sides.
//! * A NaN makes its whole item NaN. The row of ±∞ is one-hot, without a gradient; equal infinities share
//!   theirs. The finite values are placed as if infinities were very large numbers.
//! * Cost: O(n²) time, forward and backward: one exponential for each entry above 1e-304. O(n) memory beside
//!   the output.
//!
//! Paper: Grover, Wang, Zweig, Ermon, *Stochastic optimization of sorting networks via continuous
//! relaxations*, ICLR 2019, <https://arxiv.org/abs/1903.08850>.

use super::neural_rows::{Rows, naive};
use super::permutahedron::{check_length, sorted, spoilt};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    evaluate, params,
};
use supple_numerics::elementary::dot;

params! {
    /// NeuralSort's matrix.
    pub struct NeuralSortPermutation {
        /// Gap at which neighbours mix; the unit of `x`.
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

/// Weights below `exp(−700)` of the largest are left out.
const WINDOW: f64 = 700.0;

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
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if spoilt(&z) {
            p.fill(T::nan());
            scratch.indices.give(order);
        } else {
            let (n, rows) = (z.len(), Rows::new(&z, self.softness, scratch));
            let columns = &order[rows.finite.clone()];
            rows.for_each(WINDOW, scratch, |row| {
                let p = &mut p[(rows.finite.start + row.number) * n..][..n];
                let factor = T::Acc::one() / row.sum;
                for (&column, &weight) in columns[row.places].iter().zip(row.weights) {
                    p[column as usize] = T::narrow(factor * weight);
                }
            });
            for infinite in [0..rows.finite.start, rows.finite.end..n] {
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
        let (order, n) = (&at.saved.order[..], dx.len());
        if order.len() < n {
            return dx.fill(T::nan());
        }
        let mut sorted = scratch.reals.empty();
        sorted.extend(order.iter().map(|&place| self.signed(at.x[0][place as usize])));
        let rows = Rows::new(&sorted, self.softness, scratch);
        scratch.reals.give(sorted);
        // In the order of `x` first, as the matrices are.
        let [mut dz, mut db] = [(); 2].map(|()| scratch.wide.zeros(n));
        let finite = rows.finite.clone();
        for (number, start) in (finite.start * n..finite.end * n).step_by(n.max(1)).enumerate() {
            let (p, dp) = (&at.y[0][start..start + n], &dp[start..start + n]);
            let (mean, slope) = (dot(p, dp), rows.slope(number));
            for (((dz, db), &p), &dp) in dz.iter_mut().zip(&mut db).zip(p).zip(dp) {
                let to_score = p.widen() * (dp.widen() - mean) * rows.rate;
                *dz += slope * to_score;
                *db += to_score;
            }
        }
        let mut change = |values: &[T::Acc]| {
            let mut sorted = scratch.wide.empty();
            sorted.extend(order[finite.clone()].iter().map(|&place| values[place as usize]));
            sorted
        };
        let (mut to_z, to_b) = (change(&dz), change(&db));
        rows.subtract_adjoint(&to_b, &mut to_z);
        for (&place, &dz) in order[finite.clone()].iter().zip(&to_z) {
            dx[place as usize] = self.signed(T::narrow(dz));
        }
        rows.give(scratch);
        [dz, db, to_z, to_b].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        match spoilt(&z) {
            true => p.fill(T::nan()),
            false => order.iter().enumerate().for_each(|(i, &j)| p[i * z.len() + j as usize] = T::one()),
        }
        scratch.indices.give(order);
        scratch.reals.give(z);
        Ok(())
    }
}

impl NeuralSortPermutation {
    fn signed<T: Real>(&self, x: T) -> T {
        if self.descending { -x } else { x }
    }
}

impl Contract for NeuralSortPermutation {
    const SUMMARY: &'static str = "permutation matrix that sorts, by a softmax for each row";
    const PAPER: &'static str = "Grover et al., ICLR 2019, arXiv:1903.08850";
    const COST: &'static str = "O(n²) time, O(n) memory beside the output";

    fn cases() -> Vec<Self> {
        let case = |softness, descending| Self { softness, descending };
        vec![case(0.1, false), case(1.0, true), case(20.0, false)]
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::SumsTo(Box::new(|sizes| sizes[0] as f64)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::ShiftInvariant,
            Law::Vanishes(
                "rows_sum_to_one",
                Box::new(|at| {
                    let rows = at.y[0].chunks(at.sizes[0].max(1));
                    rows.map(|row| (row.iter().sum::<f64>() - 1.0).abs()).sum()
                }),
            ),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        Some([naive(at.x[0], self.softness, self.descending).concat()])
    }
}

/// NeuralSort's relaxed permutation matrix along the last axis, for ascending order.
///
/// $$ P_i = \operatorname{softmax}\!\left(\frac{(2 i - n - 1)\, x - A 1}{\varepsilon}\right), \qquad
/// A_{jk} = \lvert x_j - x_k \rvert $$
///
/// * Shapes: `(…, n)` to `(…, n, n)`. Rows are output positions: `P x` is
///   [`neural_sort`](super::neural_sort()), which does not form the matrix.
/// * Softness: the paper's τ, in the unit of `x`.
/// * Hard limit: the permutation matrix that sorts.
/// * Gradient: exact but at equal values, where the derivative of their distance counts as zero.
/// * A NaN makes its item NaN; the row of ±∞ is one-hot.
/// * Cost: O(n²) forward and backward.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`NeuralSortPermutation`]; for gradients, [`linearize`](supple_core::linearize).
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
    let operator = NeuralSortPermutation { softness, ..NeuralSortPermutation::default() };
    let [permutation] = evaluate(&operator, [x.into().into_dyn()])?;
    let wider = |e| Error::unsupported(NeuralSortPermutation::NAME, "an output of one more axis", e);
    permutation.into_dimensionality().map_err(wider)
}
