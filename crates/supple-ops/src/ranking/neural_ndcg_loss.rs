//! One minus the NDCG of gains that NeuralSort puts in order: NeuralNDCG, and PiRank.
//!
//! $$ L(s, t) = 1 - \frac1Z \sum_{i=1}^k \frac{1}{\log_2(1 + i)} \sum_j P_{ij} (2^{t_j} - 1), \qquad
//! P_i = \operatorname{softmax}\left(\frac{(n + 1 - 2 i) s - A 1}{\varepsilon}\right), \quad
//! A_{jk} = \lvert s_j - s_k \rvert $$
//!
//! for scores $s$ and relevances $t \ge 0$, with [NeuralSort](crate::order::neural_sort())'s relaxed
//! permutation matrix $P$ for descending order, and $Z$ the sum of the best order. It is the NDCG of the
//! first k places, or of all if there is no k or fewer items.
//!
//! * This is PiRank without its division of long lists (depth 1). NeuralNDCG goes on to scale $P$ by
//!   Sinkhorn's iterations until its columns sum to one too; that is left out here. So an item with much to
//!   gain may be counted more than once, and the loss can be negative where the scores are close. PiRank's
//!   straight-through estimator is [`Mode::StraightThrough`](supple_core::Mode).
//! * Softness: the unit of the scores; the papers' τ. Neighbours mix if their gap is about that or less.
//! * Hard limit: one minus the NDCG; items of equal scores share what they gain.
//! * Gradient: exact in the scores, but for the kink of $\lvert s_j - s_k \rvert$ at equal ones, where its
//!   derivative counts as zero; in the relevances almost everywhere, at equal ones as if they kept their
//!   places.
//! * An entry of relevance −∞ is ignored. Where no other has one above 0 there is no order to find: the loss
//!   is 0, and so is the gradient.
//! * A list with NaN, a score that is not finite or a relevance of ∞ is NaN; a negative relevance is a fault.
//! * Cost: O(n log n + k n) time, which is O(n²) without a cut-off and less where rows are narrow; O(n)
//!   memory.
//!
//! Papers: Pobrotyn and Białobrzeski, *NeuralNDCG: direct optimisation of a ranking metric via differentiable
//! relaxation of sorting*, 2021, <https://arxiv.org/abs/2102.07831>; Swezey, Grover, Charron and
//! Ermon, *PiRank: scalable learning to rank via differentiable sorting*, NeurIPS 2021,
//! <https://arxiv.org/abs/2012.06731>.

use super::gains::{self, Gains, cut_off, discounts};
use super::lists::{self, of_lists};
use crate::order::{NeuralRows, Projection, Pulled, Scores, for_each_row, naive_neural_rows};
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, params,
};
use supple_numerics::argsort::argsort;
use supple_numerics::elementary::dot;

params! {
    /// One minus the NDCG of NeuralSort's rows.
    pub struct NeuralNdcgLoss {
        /// How many places count; all if there is none.
        k: Option<u64> = None, AtLeast(1.0);
        /// Gap at which neighbours mix; the unit of the scores.
        softness: f64 = 1.0, Positive;
    }
}

/// Weights below `exp(−60)` of a row's largest are left out.
const REACH: f64 = 60.0;

/// The rows that count, and what they are multiplied with.
struct Sorted<A> {
    order: Vec<u32>,
    rows: NeuralRows<A>,
    /// What the items gain, in the order of their scores.
    gain: Vec<A>,
    discounts: Vec<A>,
}

impl<A: Real<Acc = A, Value = f64>> Sorted<A> {
    /// Nothing where a score is infinite.
    fn new<T: Real<Acc = A>>(
        scores: &[T],
        gains: &Gains<A>,
        operator: &NeuralNdcgLoss,
        scratch: &mut Scratch<T>,
    ) -> Option<Self> {
        let (order, mut z) = argsort(scores, true, scratch);
        let finite = z.iter().all(|z| z.is_finite());
        // The rows are those of ascending values.
        z.iter_mut().for_each(|z| *z = -*z);
        let rows = finite.then(|| NeuralRows::new(&z, operator.softness, scratch));
        scratch.reals.give(z);
        let mut gain = scratch.wide.empty();
        gain.extend(order.iter().map(|&i| gains.each[i as usize]));
        let discounts = discounts(cut_off(operator.k, scores.len()), scratch);
        rows.map(|rows| Self { order, rows, gain, discounts })
    }

    fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        self.rows.give(scratch);
        scratch.indices.give(self.order);
        scratch.wide.give(self.gain);
        scratch.wide.give(self.discounts);
    }
}

impl Operator<2> for NeuralNdcgLoss {
    const NAME: &'static str = "neural_ndcg_loss";
    const SIGNATURE: &'static str = "scores(n), relevance(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        4 * sizes[0] * cut_off(self.k, sizes[0])
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            let k = cut_off(self.k, scores.len());
            let Some(gains) = Gains::of(relevance, k, scratch)? else { return Ok(T::Acc::zero()) };
            let Some(sorted) = Sorted::new(scores, &gains, self, scratch) else { return Ok(T::Acc::nan()) };
            let mut sum = T::Acc::zero();
            for_each_row(&sorted.rows, k, Projection::Softmax, REACH, scratch, |row| {
                let gain = dot(row.weights, &sorted.gain[row.places]) / row.sum;
                sum += sorted.discounts[row.number] * gain;
            });
            let loss = T::Acc::one() - sum / gains.ideal;
            sorted.give(scratch);
            gains.give(scratch);
            Ok(loss)
        })
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2>,
        [dloss]: [&[T]; 1],
        dx: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let (loss, dloss) = (at.y[0][0].widen(), dloss[0].widen());
        lists::backward(&at, dx, scratch, |[scores, relevance], [dscores, drelevance], scratch| {
            let k = cut_off(self.k, scores.len());
            let Ok(Some(gains)) = Gains::of(relevance, k, scratch) else { return };
            let Some(sorted) = Sorted::new(scores, &gains, self, scratch) else { return };
            let rate = dloss / gains.ideal;
            let mut sums =
                Pulled { z: scratch.wide.zeros(scores.len()), b: scratch.wide.zeros(scores.len()) };
            let (mut to_gain, mut changes) = (scratch.wide.zeros(scores.len()), scratch.wide.empty());
            for_each_row(&sorted.rows, k, Projection::Softmax, REACH, scratch, |row| {
                let gain = &sorted.gain[row.places.clone()];
                let mean = dot(row.weights, gain) / row.sum;
                let share = -rate * sorted.discounts[row.number] / row.sum;
                changes.clear();
                changes.extend(row.weights.iter().zip(gain).map(|(&w, &gain)| share * w * (gain - mean)));
                let to_gain = to_gain[row.places.clone()].iter_mut();
                to_gain.zip(row.weights).for_each(|(to_gain, &w)| *to_gain += share * w);
                sorted.rows.pull(row.number, row.places, &changes, &mut sums);
            });
            sorted.rows.finish(&mut sums);
            let to_ideal = rate * (T::Acc::one() - loss);
            for ((&i, &dz), &to_gain) in sorted.order.iter().zip(&sums.z).zip(&to_gain) {
                let i = i as usize;
                dscores[i] = T::narrow(-dz);
                drelevance[i] = T::narrow(gains.to_relevance(i, to_gain, to_ideal));
            }
            [sums.z, sums.b, to_gain, changes].into_iter().for_each(|buffer| scratch.wide.give(buffer));
            sorted.give(scratch);
            gains.give(scratch);
        });
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            let k = cut_off(self.k, scores.len());
            let Some(gains) = Gains::of(relevance, k, scratch)? else { return Ok(T::Acc::zero()) };
            if !lists::all_finite(scores) {
                return Ok(T::Acc::nan());
            }
            let (order, sorted) = argsort(scores, true, scratch);
            let discounts: Vec<T::Acc> = discounts(k, scratch);
            let (mut sum, mut start) = (T::Acc::zero(), 0);
            for ties in sorted.chunk_by(|a, b| a == b) {
                let places = start..start + ties.len();
                start = places.end;
                let gain: T::Acc = order[places.clone()].iter().map(|&i| gains.each[i as usize]).sum();
                let own = &discounts[places.start.min(k)..places.end.min(k)];
                sum += gain * own.iter().copied().sum::<T::Acc>() / T::Acc::of(ties.len() as f64);
            }
            let loss = T::Acc::one() - sum / gains.ideal;
            scratch.wide.give(discounts);
            scratch.indices.give(order);
            scratch.reals.give(sorted);
            gains.give(scratch);
            Ok(loss)
        })
    }
}

impl Contract<2> for NeuralNdcgLoss {
    const SUMMARY: &'static str = "one minus the NDCG of NeuralSort's rows (NeuralNDCG, PiRank)";
    const PAPER: &'static str = "Pobrotyn and Białobrzeski, arXiv:2102.07831; Swezey et al., NeurIPS 2021";
    const COST: &'static str = "O(n log n + k n) time, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |k, softness| Self { k, softness };
        vec![case(None, 1.0), case(Some(3), 0.2), case(Some(1), 20.0)]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (f64::NEG_INFINITY, 1.0))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, relevance] = at.x;
        let k = cut_off(self.k, scores.len());
        let gain = |t: &f64| t.exp2() - 1.0;
        let rows = naive_neural_rows(scores, self.softness, true, Projection::Softmax);
        let sorted = rows.iter().map(|row| row.iter().zip(relevance).map(|(p, t)| p * gain(t)).sum::<f64>());
        let discounted = |(rank, gain): (usize, f64)| gain / (1.0 + rank as f64).log2();
        let found: f64 = (1..=k).zip(sorted).map(discounted).sum();
        let mut best: Vec<f64> = relevance.iter().map(gain).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        Some([vec![1.0 - found / (1..=k).zip(best).map(discounted).sum::<f64>()]])
    }

    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        gains::sample(n, random)
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// One minus the NDCG of `scores` `(…, n)` for relevances of the same shape, with the gains put in order by
/// NeuralSort: NeuralNDCG without Sinkhorn scaling, PiRank at depth 1.
///
/// $$ L(s, t) = 1 - \frac1Z \sum_{i=1}^k \frac{1}{\log_2(1 + i)} \sum_j P_{ij} (2^{t_j} - 1) $$
///
/// with [NeuralSort](crate::order::neural_sort())'s matrix $P$ for descending order.
///
/// * Shapes: `(…, n)` twice to `(…)`. Relevances are at least 0; an entry of relevance −∞ is ignored.
/// * `k`: how many places count. `None`, or more than there are: all.
/// * Softness: the papers' τ, in the unit of the scores.
/// * Hard limit: one minus the NDCG. Where no relevance is above 0, the loss and its gradient are 0. Where
///   scores are close, it can be negative.
/// * Gradient: exact but at equal scores, where the derivative of their distance counts as zero.
/// * A list with NaN, a score that is not finite or a relevance of ∞ is NaN.
/// * Cost: O(n log n + k n) time, O(n) memory.
/// * Errors: k = 0; a softness that is not finite and above zero; a negative relevance.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::neural_ndcg_loss;
/// let relevance = array![3.0, 0.0, 1.0];
/// let right = neural_ndcg_loss(&array![4.0, 0.0, 2.0], &relevance, Some(2), 0.1)?;
/// let wrong = neural_ndcg_loss(&array![0.0, 4.0, 2.0], &relevance, Some(2), 0.1)?;
/// assert!(right.into_scalar() < 1e-6 && wrong.into_scalar() > 0.9);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Pobrotyn and Białobrzeski, *NeuralNDCG: direct optimisation of a ranking metric via differentiable
/// relaxation of sorting*, 2021, <https://arxiv.org/abs/2102.07831>; Swezey, Grover, Charron and
/// Ermon, *PiRank: scalable learning to rank via differentiable sorting*, NeurIPS 2021,
/// <https://arxiv.org/abs/2012.06731>.
pub fn neural_ndcg_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    relevance: impl Into<ArrayView<'a, T, D>>,
    k: Option<u64>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&NeuralNdcgLoss { k, softness }, scores, relevance)
}
