//! Soft ranks by the Laplace distribution (LapSum).
//!
//! $$ r_i = \tfrac12 + \sum_j F\left(\frac{x_i - x_j}{\varepsilon}\right), \qquad
//! F(t) = \begin{cases} \tfrac12 e^{t} & t < 0 \cr 1 - \tfrac12 e^{-t} & t \ge 0 \end{cases} $$
//!
//! Each pair compares softly, by the Laplace distribution function, and a rank is 1 and the wins against the
//! others. Ranks count from 1 and ascend; descending ranks are $r(-x)$.
//!
//! * Softness: the unit of `x`; the paper's α.
//! * Hard limit: ranks in which equal values share the mean of their places.
//! * Gradient: exact everywhere, and never exactly zero before round-off. The second derivative jumps where two
//!   values are equal; it is then that of the side on which they are in the order of their positions.
//! * ±∞ ranks first or last; equal infinities share. A NaN makes its whole item NaN.
//! * Cost: O(n log n) forward, for the sort; O(n) backward. Among sorted values, the sums over pairs are two
//!   running sums.
//!
//! Paper: Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking,
//! Sorting and Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>. Its ranks count from 0.

use super::permutahedron::{arranged, check_length, sorted, spoilt};
use super::soft_rank::SoftRank;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};
use supple_numerics::laplace::Line;

params! {
    /// Soft ranks by the Laplace distribution.
    pub struct LapsumRank {
        /// Distance at which two values share their ranks; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value gets rank 1.
        descending: bool = false, Any;
    }
}

/// The sorting permutation. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved {
    order: Vec<u32>,
}

impl Operator for LapsumRank {
    const NAME: &'static str = "lapsum_rank";
    const SIGNATURE: &'static str = "x(n) -> ranks(n)";
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
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if spoilt(&z) {
            y.fill(T::nan());
            scratch.indices.give(order);
        } else {
            let line = Line::new(&z, self.softness, scratch);
            let mut excess = scratch.wide.zeros(z.len());
            line.shares(|_| [T::Acc::one()], |k, side, [share]| excess[k] += side.sign(share.sum));
            for ((place, &i), &excess) in (1..).zip(&order).zip(&excess) {
                y[i as usize] = T::narrow(T::Acc::of(f64::from(place)) + T::Acc::of(0.5) * excess);
            }
            scratch.wide.give(excess);
            line.give(scratch);
            saved.order = order;
        }
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let order = &at.saved.order;
        if order.len() < dx.len() {
            return dx.fill(T::nan());
        }
        let z = arranged(at.x[0], self.descending, order, scratch);
        let line = Line::new(&z, self.softness, scratch);
        let mut bars = scratch.wide.empty();
        bars.extend(order.iter().map(|&i| dy[i as usize].widen()));
        let mut sums = scratch.wide.zeros(order.len());
        line.shares(
            |k| [T::Acc::one(), bars[k]],
            |k, _, [all, barred]| sums[k] += bars[k] * all.sum - barred.sum,
        );
        let rate = T::Acc::of(if self.descending { -0.5 } else { 0.5 } / self.softness);
        for ((&i, &sum), z) in order.iter().zip(&sums).zip(&z) {
            // Infinities do not move.
            dx[i as usize] = if z.is_finite() { T::narrow(rate * sum) } else { T::zero() };
        }
        scratch.reals.give(z);
        scratch.wide.give(bars);
        scratch.wide.give(sums);
        line.give(scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        SoftRank { descending: self.descending, ..SoftRank::default() }.hard(at, y, scratch)
    }
}

impl Contract for LapsumRank {
    const SUMMARY: &'static str = "ranks, each pair compared by the Laplace distribution";
    const PAPER: &'static str = "Struski et al., ICML 2025, arXiv:2503.06242";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [(0.1, false), (1.0, true), (20.0, false)]
            .map(|(softness, descending)| Self { softness, descending })
            .to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::SumsTo(Box::new(|sizes| (sizes[0] * (sizes[0] + 1)) as f64 / 2.0)),
            Law::Within(Box::new(|sizes| (1.0, sizes[0] as f64))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            Law::Reversal(Box::new(|rank, sizes| (sizes[0] + 1) as f64 - rank)),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let rate = if self.descending { -1.0 } else { 1.0 } / self.softness;
        let win = |t: f64| if t < 0.0 { 0.5 * t.exp() } else { 1.0 - 0.5 * (-t).exp() };
        let rank = |a: &f64| 0.5 + x.iter().map(|b| win((a - b) * rate)).sum::<f64>();
        Some([x.iter().map(rank).collect()])
    }
}

/// Soft ranks along the last axis, from 1 for the smallest to n for the largest: each pair compares by the
/// Laplace distribution function $F$ (LapSum).
///
/// $$ r_i = \tfrac12 + \sum_j F\left(\frac{x_i - x_j}{\varepsilon}\right) $$
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, in the unit of `x`. Values that are many ε apart have almost hard ranks; as it grows, all
///   ranks approach (n + 1) / 2.
/// * Hard limit: ranks in which equal values share the mean of their places.
/// * Gradient: exact everywhere; every pair contributes. The second derivative jumps at equal values.
/// * ±∞ ranks first or last. NaN makes its item NaN.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending ranks, another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`LapsumRank`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::lapsum_rank;
/// let ranks = lapsum_rank(&array![0.0, 2.0, f64::ln(2.0)], 1.0)?;
/// // Of two values that are ln 2 apart, the larger wins by 3/4.
/// let wins = [0.25 + 0.5 * f64::exp(-2.0), 2.0 - 1.5 * f64::exp(-2.0), 0.75 + f64::exp(-2.0)];
/// assert!(ranks.iter().zip(wins).all(|(rank, wins)| (rank - (1.0 + wins)).abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Struski, Bednarczyk, Podolak, Tabor, *LapSum: One Method to Differentiate Them All: Ranking, Sorting and
/// Top-k Selection*, ICML 2025, <https://arxiv.org/abs/2503.06242>.
pub fn lapsum_rank<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&LapsumRank { softness, ..LapsumRank::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, aview1};
    use supple_core::{Stream, evaluate, linearize};

    #[test]
    fn infinities_have_ranks_and_nan_spoils() {
        let inf = f64::INFINITY;
        let x = array![[-inf, 3.0, inf, -inf, 7.0], [1.0, f64::NAN, 0.0, 2.0, inf]].into_dyn();
        let op = LapsumRank::default();
        let at = linearize(&op, [x.view()]).unwrap();
        let dy = array![[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]].into_dyn();
        let [dx] = at.vjp([dy.view()]).unwrap();
        let ranks = &at.outputs()[0];
        for (rank, expected) in ranks.iter().zip([1.5, 3.0, 5.0, 1.5, 4.0]) {
            assert!((rank - expected).abs() < 1e-12, "{ranks}");
        }
        assert!(dx.iter().take(5).all(|dx| dx.is_finite()), "{dx}");
        assert_eq!((dx[[0, 0]], dx[[0, 2]], dx[[0, 3]]), (0.0, 0.0, 0.0));
        assert!(ranks.iter().chain(&dx).enumerate().all(|(i, v)| v.is_nan() == (i % 10 >= 5)));
    }

    #[test]
    fn neither_length_nor_offset_costs_digits() {
        let mut random = Stream::new(1, 0, 0);
        let x: Vec<f32> = (0..100_000).map(|_| (random.normal() * 64.0).round() as f32).collect();
        let moved: Vec<f32> = x.iter().map(|x| x + 65536.0).collect();
        let op = LapsumRank { softness: 300.0, descending: false };
        let rank = |x: &[f32]| evaluate(&op, [aview1(x).into_dyn()]).unwrap()[0].clone();
        assert_eq!(rank(&x), rank(&moved));
        let total: f64 = rank(&x).iter().map(|&rank| f64::from(rank)).sum();
        assert!((total / 5_000_050_000.0 - 1.0).abs() < 1e-9, "{total}");
    }
}
