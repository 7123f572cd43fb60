//! ApproxNDCG: one minus the normalised discounted cumulative gain at smooth ranks.
//!
//! $$ L(s, t) = 1 - \frac{1}{Z} \sum_i \frac{2^{t_i} - 1}{\log_2(1 + r_i)}, \qquad
//! r_i = 1 + \sum_{j \ne i} \sigma\left(\frac{s_j - s_i}{\varepsilon}\right) $$
//!
//! for scores $s$ and relevances $t \ge 0$, with the logistic function σ and $Z$ the sum of the best order.
//! The largest score has rank 1.
//!
//! * Softness: the unit of the scores; ε, the paper's $1 / \alpha$.
//! * Hard limit: one minus the NDCG; equal scores share their ranks.
//! * There is no cut-off: ranks that are smooth have no first k places. For NDCG@k, see
//!   [`neural_ndcg_loss`](super::neural_ndcg_loss()).
//! * An entry of relevance −∞ is ignored. Where no other has one above 0 there is no order to find: the loss
//!   is 0, and so is the gradient.
//! * Gradient: exact in the scores; in the relevances almost everywhere, at equal ones as if they kept their
//!   places.
//! * A list with NaN, a score that is not finite or a relevance of ∞ is NaN; a negative relevance is a fault.
//! * Cost: at most O(n²) time, forward and backward: an exponential for each pair that is less than 50 ε
//!   apart. O(n) memory.
//!
//! Paper: Qin, Liu and Li, *A general approximation framework for direct optimization of information
//! retrieval measures*, Information Retrieval 13(4), 2010.

use super::gains::{self, Gains, discount};
use super::lists::{self, of_lists};
use super::pairs::Descending;
use crate::order::average_ranks;
use ndarray::{Array, ArrayView, RemoveAxis};
use std::f64::consts::LN_2;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, params,
};
use supple_numerics::elementary::sum_by;

params! {
    /// One minus the NDCG at smooth ranks.
    pub struct ApproxNdcgLoss {
        /// Distance at which two scores are told apart; the unit of the scores.
        softness: f64 = 0.1, Positive;
    }
}

impl Operator<2> for ApproxNdcgLoss {
    const NAME: &'static str = "approx_ndcg_loss";
    const SIGNATURE: &'static str = "scores(n), relevance(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// The smooth ranks of the entries that count. Empty where there is nothing to gain.
    type Saved<T: Real> = Vec<T::Acc>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        4 * sizes[0] * sizes[0]
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        ranks: &mut Vec<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            let Some(gains) = Gains::of(relevance, scores.len(), scratch)? else {
                return Ok(T::Acc::zero());
            };
            let Some(descending) = Descending::new(scores, scratch) else { return Ok(T::Acc::nan()) };
            let by_place = descending.ranks(self.softness, scratch);
            ranks.resize(scores.len(), T::Acc::zero());
            descending.order.iter().zip(&by_place).for_each(|(&i, &rank)| ranks[i as usize] = rank);
            let loss = T::Acc::one() - ndcg(&gains, ranks);
            scratch.wide.give(by_place);
            descending.give(scratch);
            gains.give(scratch);
            Ok(loss)
        })
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<T::Acc>, 2>,
        [dloss]: [&[T]; 1],
        dx: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let (ranks, dloss) = (at.saved, dloss[0].widen());
        lists::backward(&at, dx, scratch, |[scores, relevance], [dscores, drelevance], scratch| {
            if ranks.is_empty() {
                return;
            }
            let gains = Gains::new(relevance, relevance.len(), scratch);
            let rate = dloss / gains.ideal;
            let quotient = ndcg(&gains, ranks);
            for (i, (d, &rank)) in drelevance.iter_mut().zip(ranks).enumerate() {
                *d = T::narrow(gains.to_relevance(i, -rate * discount(rank), rate * quotient));
            }
            // The derivative in the ranks, then through the logistic functions.
            let Some(descending) = Descending::new(scores, scratch) else { return };
            let mut dranks = scratch.wide.empty();
            dranks.extend(descending.order.iter().map(|&i| {
                let (gain, next) = (gains.each[i as usize], T::Acc::one() + ranks[i as usize]);
                rate * gain * T::Acc::of(LN_2) / (next * next.ln().square())
            }));
            let mut ds = scratch.wide.zeros(ranks.len());
            descending.ranks_adjoint(&dranks, self.softness, &mut ds, scratch);
            descending.order.iter().zip(&ds).for_each(|(&i, &d)| dscores[i as usize] = T::narrow(d));
            scratch.wide.give(ds);
            scratch.wide.give(dranks);
            descending.give(scratch);
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
            let Some(gains) = Gains::of(relevance, scores.len(), scratch)? else {
                return Ok(T::Acc::zero());
            };
            if !lists::all_finite(scores) {
                return Ok(T::Acc::nan());
            }
            let mut ranks = scratch.reals.zeros(scores.len());
            average_ranks(scores, true, &mut ranks, scratch);
            let mut wide = scratch.wide.empty();
            wide.extend(ranks.iter().map(|r| r.widen()));
            let loss = T::Acc::one() - ndcg(&gains, &wide);
            scratch.wide.give(wide);
            scratch.reals.give(ranks);
            gains.give(scratch);
            Ok(loss)
        })
    }
}

fn ndcg<A: Real<Acc = A>>(gains: &Gains<A>, ranks: &[A]) -> A {
    sum_by(&gains.each, ranks, |gain, rank| gain * discount(rank)) / gains.ideal
}

impl Contract<2> for ApproxNdcgLoss {
    const SUMMARY: &'static str = "one minus the NDCG at pairwise logistic ranks";
    const PAPER: &'static str = "Qin et al., Information Retrieval 2010";
    const COST: &'static str = "at most O(n²) time, O(n) memory";

    fn cases() -> Vec<Self> {
        [0.1, 1.0, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, 1.0))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, relevance] = at.x;
        let rank = |i: usize| {
            let others = (0..scores.len()).filter(|&j| j != i);
            1.0 + others.map(|j| 1.0 / (1.0 + ((scores[i] - scores[j]) / self.softness).exp())).sum::<f64>()
        };
        let gain = |t: f64, rank: f64| (t.exp2() - 1.0) / (1.0 + rank).log2();
        let mut best = relevance.to_vec();
        best.sort_by(|a, b| b.total_cmp(a));
        let best: f64 = (1..).zip(&best).map(|(place, &t)| gain(t, place as f64)).sum();
        let found: f64 = (0..scores.len()).map(|i| gain(relevance[i], rank(i))).sum();
        Some([vec![1.0 - found / best]])
    }

    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        gains::sample(n, random)
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// One minus the NDCG of `scores` `(…, n)` for relevances of the same shape, at pairwise logistic ranks.
///
/// $$ L(s, t) = 1 - \frac{1}{Z} \sum_i \frac{2^{t_i} - 1}{\log_2(1 + r_i)}, \qquad
/// r_i = 1 + \sum_{j \ne i} \sigma\left(\frac{s_j - s_i}{\varepsilon}\right) $$
///
/// * Shapes: `(…, n)` twice to `(…)`. Relevances are at least 0; an entry of relevance −∞ is ignored.
/// * Softness: ε, in the unit of the scores; the paper's $1 / \alpha$.
/// * Hard limit: one minus the NDCG. Where no relevance is above 0, the loss and its gradient are 0.
/// * Gradient: exact in the scores; almost everywhere in the relevances.
/// * A list with NaN, a score that is not finite or a relevance of ∞ is NaN.
/// * Cost: at most O(n²) time, O(n) memory.
/// * Errors: a softness that is not finite and above zero; a negative relevance.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::approx_ndcg_loss;
/// let relevance = array![3.0, 0.0, 1.0];
/// let right = approx_ndcg_loss(&array![4.0, 0.0, 2.0], &relevance, 0.1)?;
/// let wrong = approx_ndcg_loss(&array![0.0, 4.0, 2.0], &relevance, 0.1)?;
/// assert!(right.into_scalar() < 1e-6 && wrong.into_scalar() > 0.3);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Qin, Liu and Li, *A general approximation framework for direct optimization of information retrieval
/// measures*, Information Retrieval 13(4), 2010.
pub fn approx_ndcg_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    relevance: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&ApproxNdcgLoss { softness }, scores, relevance)
}
