//! Soft ranks, by projection onto the permutahedron.
//!
//! With the permutahedron $\mathcal P(\rho)$, the convex hull of all permutations of $\rho = (1, \dots, n)$,
//!
//! $$ r(x) = \operatorname*{argmin}_{p \in \mathcal P(\rho)} \tfrac12 \lVert p - x / \varepsilon \rVert^2
//! \qquad\text{or}\qquad
//! r(x) = \operatorname*{argmin}_{p \in \mathcal P(\rho)} \operatorname{KL}(p, e^{x / \varepsilon}), $$
//!
//! `"l2"` and `"entropic"`. Ranks count from 1 and ascend; descending ranks are $r(-x)$.
//!
//! On the sorted values, this is an isotonic regression, and its blocks $B$ of neighbouring positions give
//!
//! $$ r_i = \frac{x_i - \bar x_B}{\varepsilon} + \bar \rho_B \qquad\text{or}\qquad
//! r_i = \frac{e^{x_i / \varepsilon}}{\sum_{j \in B} e^{x_j / \varepsilon}} \sum_{j \in B} \rho_j. $$
//!
//! * Softness: the unit of `x`; the paper's ε. L2 ranks of values that are ε or more apart are hard.
//! * Hard limit: ranks in which equal values share the mean of their places (`average` in SciPy).
//! * Gradient: that of the blocks. Where two blocks just touch (a kink), they count as one.
//!   The second derivative of the L2 form is zero almost everywhere.
//! * ±∞ ranks first or last; equal infinities share. A NaN makes its whole item NaN.
//! * Cost: O(n log n) for short items, O(n) for long ones by radix sort; backward O(n), without random
//!   access but for one sum for each block.
//! * Precision: ranks are right to the last place of the type at any scale and length; an `f32` near 10⁶
//!   has steps of 0.06.
//!
//! Paper: Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
//! <https://arxiv.org/abs/2002.08871>.

pub use super::permutahedron::Regularization;
use super::permutahedron::{
    average_ranks, block_means, blocks, check_length, finite, for_each_position, log_sum_exp, middle,
    minimax, real, sorted, spoilt,
};
use super::scatter::Scatter;
use ndarray::{Array, ArrayView, Dimension};
use std::ops::Range;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};
use supple_numerics::isotonic::{self, Partition, Trend};

params! {
    /// Soft ranks.
    pub struct SoftRank {
        /// Distance at which values stop to share ranks; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// What the projection minimises.
        regularization: Regularization = Regularization::L2, Any;
        /// Whether the largest value gets rank 1.
        descending: bool = false, Any;
    }
}

/// The partition, told from the side of `x`: what lets the backward pass read in order.
#[derive(Debug, Default)]
pub struct Saved {
    /// For each element, the number of its block; 0 for elements that are alone, whose rank is constant.
    block: Vec<u32>,
    /// The weight of each block: its length, or the sum of its ranks. Empty for an item with a NaN.
    weights: Vec<f64>,
}

impl Operator for SoftRank {
    const NAME: &'static str = "soft_rank";
    const SIGNATURE: &'static str = "x(n) -> ranks(n)";
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
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if spoilt(&z) {
            y.fill(T::nan());
        } else {
            saved.block.resize(z.len(), 0);
            saved.weights.push(1.0);
            let finite = finite(&z);
            self.share(&order[..finite.start], 0, y, saved);
            self.project(&z[finite.clone()], &order[finite.clone()], finite.start, y, saved, scratch);
            self.share(&order[finite.end..], finite.end, y, saved);
        }
        scratch.indices.give(order);
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
        let Saved { block, weights } = at.saved;
        if weights.is_empty() {
            return dx.fill(T::nan());
        }
        let entropic = self.regularization == Regularization::Entropic;
        let weight = |y: T| if entropic { y } else { T::one() };
        let weighted = dy.iter().zip(at.y[0]).map(|(&dy, &y)| (weight(y) * dy).widen());
        let means = block_means(block, weights, weighted, scratch);
        // One rate for each block, because a choice between two would become a branch.
        let mut rates = scratch.reals.empty();
        let rate = if self.descending { -1.0 } else { 1.0 } / self.softness;
        rates.resize(means.len(), T::of(rate));
        rates[0] = T::zero();
        for (((dx, &b), &dy), &y) in dx.iter_mut().zip(block).zip(dy).zip(at.y[0]) {
            *dx = rates[b as usize] * (weight(y) * (dy - T::narrow(means[b as usize])));
        }
        scratch.wide.give(means);
        scratch.reals.give(rates);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        average_ranks(at.x[0], self.descending, y, scratch);
        Ok(())
    }
}

impl SoftRank {
    /// The weight of the block of the ranks `start + 1 ..= end`.
    fn weight(&self, start: usize, end: usize) -> f64 {
        let len = real(end - start);
        match self.regularization {
            Regularization::L2 => len,
            Regularization::Entropic => len * middle(start, end),
        }
    }

    /// Gives equal infinities their common rank.
    fn share<T: Real>(&self, order: &[u32], start: usize, y: &mut [T], saved: &mut Saved) {
        let end = start + order.len();
        let number = if order.len() > 1 { saved.weights.len() as u32 } else { 0 };
        if number > 0 {
            saved.weights.push(self.weight(start, end));
        }
        for &i in order {
            y[i as usize] = T::of(middle(start, end));
            saved.block[i as usize] = number;
        }
    }

    /// Projects finite sorted values, `before` of which are smaller infinities.
    fn project<T: Real>(
        &self,
        z: &[T],
        order: &[u32],
        before: usize,
        y: &mut [T],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) {
        let Partition { starts, sums: mut levels } = match self.regularization {
            Regularization::L2 => isotonic::l2(z, self.softness, Trend::Increasing, scratch),
            Regularization::Entropic => isotonic::entropic_ranks(z, before, self.softness, scratch),
        };
        let rate = T::Acc::of(1.0 / self.softness);
        // Written for every block, kept for those of two and more: no branch that could not be predicted.
        let mut kept = saved.weights.len();
        saved.weights.resize(kept + shared(&starts) + 1, 0.0);
        let mut numbers = scratch.indices.stale(levels.len());
        for ((level, number), block) in levels.iter_mut().zip(&mut numbers).zip(blocks(&starts)) {
            let (start, end) = (before + block.start, before + block.end);
            let weight = T::Acc::of(self.weight(start, end));
            *level = match self.regularization {
                Regularization::L2 => T::Acc::of(middle(start, end)) - *level / weight * rate,
                Regularization::Entropic => weight / *level,
            };
            saved.weights[kept] = weight.as_f64();
            let is_shared = usize::from(block.len() > 1);
            *number = (kept * is_shared) as u32;
            kept += is_shared;
        }
        saved.weights.truncate(kept);
        let n = saved.block.len();
        let mut write = |i: u32, rank, number| (y[i as usize], saved.block[i as usize]) = (rank, number);
        let mut ranks = Scatter::new(n, scratch);
        for_each_position(&starts, scratch, |k, b, block| {
            let z_k = z[k].widen();
            let rank = match self.regularization {
                Regularization::L2 => levels[b] + (z_k - z[block.start].widen()) * rate,
                Regularization::Entropic => levels[b] * ((z_k - z[block.end - 1].widen()) * rate).exp(),
            };
            ranks.put(order[k], T::narrow(rank), numbers[b], &mut write);
        });
        ranks.finish(scratch, write);
        scratch.wide.give(levels);
        scratch.indices.give(starts);
        scratch.indices.give(numbers);
    }
}

/// How many blocks have more than one position.
fn shared(starts: &[u32]) -> usize {
    starts.windows(2).map(|ends| usize::from(ends[1] - ends[0] > 1)).sum()
}

impl Contract for SoftRank {
    const SUMMARY: &'static str = "ranks, by projection onto the permutahedron";
    const PAPER: &'static str = "Blondel et al., ICML 2020, arXiv:2002.08871";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        let l2 = |softness, descending| Self { softness, descending, ..Self::default() };
        let entropic = |softness, descending| Self {
            regularization: Regularization::Entropic,
            ..l2(softness, descending)
        };
        vec![l2(0.1, false), l2(1.0, true), l2(30.0, false), entropic(0.1, true), entropic(1.0, false)]
    }

    fn laws(&self) -> Vec<Law> {
        let mut laws = vec![
            Law::SumsTo(Box::new(|sizes| (sizes[0] * (sizes[0] + 1)) as f64 / 2.0)),
            Law::Within(Box::new(|sizes| (1.0, sizes[0] as f64))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
        ];
        if self.regularization == Regularization::L2 {
            laws.push(Law::Reversal(Box::new(|rank, sizes| (sizes[0] + 1) as f64 - rank)));
        }
        laws
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let sign = if self.descending { -1.0 } else { 1.0 };
        let z: Vec<f64> = at.x[0].iter().map(|x| sign * x / self.softness).collect();
        let mut order: Vec<usize> = (0..z.len()).collect();
        order.sort_by(|&i, &j| z[i].total_cmp(&z[j]));
        let value = |block: Range<usize>| {
            let z: Vec<f64> = order[block.clone()].iter().map(|&i| z[i]).collect();
            let places: f64 = block.map(|k| (k + 1) as f64).sum();
            match self.regularization {
                Regularization::L2 => (z.iter().sum::<f64>() - places) / z.len() as f64,
                Regularization::Entropic => log_sum_exp(&z) - places.ln(),
            }
        };
        let mut y = vec![0.0; z.len()];
        for (v, &i) in minimax(z.len(), value).into_iter().zip(&order) {
            y[i] = match self.regularization {
                Regularization::L2 => z[i] - v,
                Regularization::Entropic => (z[i] - v).exp(),
            };
        }
        Some([y])
    }
}

/// Soft ranks along the last axis, from 1 for the smallest to n for the largest: the projection of
/// $x / \varepsilon$ onto the permutahedron, with L2 regularization.
///
/// $$ r_i = \frac{x_i - \bar x_B}{\varepsilon} + \bar \rho_B $$
///
/// on blocks $B$ of neighbours that are close to each other, where $\rho$ are the hard ranks.
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, in the unit of `x`. Values that are ε or more apart from their neighbours have hard ranks;
///   as it grows, all ranks approach (n + 1) / 2.
/// * Hard limit: ranks in which equal values share the mean of their places.
/// * Gradient: that of the blocks. Blocks that just touch count as one. Second derivatives are zero almost
///   everywhere; the [entropic form](Regularization::Entropic) of [`SoftRank`] has curvature.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending ranks, the entropic form, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`SoftRank`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::soft_rank;
/// let ranks = soft_rank(&array![[5.0, 1.0, 2.0], [2.0, 1.0, 5.0]], 2.0)?;
/// assert_eq!(ranks, array![[3.0, 1.25, 1.75], [1.75, 1.25, 3.0]]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Teboul, Berthet, Djolonga, *Fast Differentiable Sorting and Ranking*, ICML 2020,
/// <https://arxiv.org/abs/2002.08871>.
pub fn soft_rank<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftRank { softness, ..SoftRank::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::{Inputs, Mode, Stream, evaluate, linearize};

    fn both(softness: f64) -> [SoftRank; 2] {
        [Regularization::L2, Regularization::Entropic].map(|regularization| SoftRank {
            softness,
            regularization,
            descending: false,
        })
    }

    #[test]
    fn single_precision_is_right_at_a_million() {
        let mut random = Stream::new(0, 0, 0);
        let x: Vec<f32> = (0..1_000_000).map(|_| random.normal() as f32).collect();
        let wide: Vec<f64> = x.iter().map(|&x| x.into()).collect();
        for softness in [1e-6, 1e-3, 1.0] {
            let single = soft_rank(&x[..], softness).unwrap();
            let double = soft_rank(&wide[..], softness).unwrap();
            for (&single, &double) in single.iter().zip(&double) {
                let half_step = 0.5 * (single.next_up() - single) as f64;
                assert!((single as f64 - double).abs() <= half_step + 1e-4, "{single} {double}");
            }
        }
    }

    #[test]
    fn neither_scale_nor_offset_changes_ranks() {
        let x: Vec<f32> =
            Stream::new(1, 0, 0).normals(200).iter().map(|&x| (x * 64.0).round() as f32).collect();
        for op in both(3.0) {
            let [expected] = evaluate(&op, [ndarray::aview1(&x).into_dyn()]).unwrap();
            for (scale, offset) in [(f32::exp2(-33.0), 0.0), (f32::exp2(30.0), 0.0), (1.0, 65536.0)] {
                let moved: Vec<f32> = x.iter().map(|x| x * scale + offset).collect();
                let op = SoftRank { softness: 3.0 * scale as f64, ..op.clone() };
                let [ranks] = evaluate(&op, [ndarray::aview1(&moved).into_dyn()]).unwrap();
                assert!(ranks.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5 * b), "{op:?}");
            }
        }
    }

    #[test]
    fn infinities_have_ranks_and_nan_spoils() {
        let inf = f64::INFINITY;
        let x = array![-inf, 3.0, inf, -inf, 7.0].into_dyn();
        for op in both(0.1) {
            let at = linearize(&op, [x.view()]).unwrap();
            let ranks = at.outputs()[0].mapv(|rank: f64| (rank * 1e12).round() / 1e12);
            assert_eq!(ranks, array![1.5, 3.0, 5.0, 1.5, 4.0].into_dyn());
            let [dx] = at.vjp([array![1.0, 2.0, 3.0, 4.0, 5.0].into_dyn().view()]).unwrap();
            assert!(dx.iter().all(|dx| dx.is_finite()), "{dx}");
            let hard = Inputs::from([x.view()]).mode(Mode::Hard);
            let [hard] = evaluate(&op, hard).unwrap();
            assert_eq!(hard, array![1.5, 3.0, 5.0, 1.5, 4.0].into_dyn());

            let rows = array![[1.0, f64::NAN, 0.0], [1.0, 2.0, 0.0]].into_dyn();
            let at = linearize(&op, [rows.view()]).unwrap();
            let [dx] = at.vjp([rows.view()]).unwrap();
            for result in [&at.outputs()[0], &dx] {
                assert_eq!(
                    result.mapv(f64::is_nan),
                    array![[true, true, true], [false, false, false]].into_dyn()
                );
            }
        }
    }

    #[test]
    fn ties_share_the_mean_of_their_places() {
        let x = array![2.0, 1.0, 2.0, 3.0, 1.0, 2.0];
        let expected = array![4.0, 1.5, 4.0, 6.0, 1.5, 4.0];
        assert_eq!(soft_rank(&x, 1e-9).unwrap(), expected);
        let hard = Inputs::from([x.view().into_dyn()]).mode(Mode::Hard);
        assert_eq!(evaluate(&SoftRank::default(), hard).unwrap(), [expected.into_dyn()]);
    }
}
