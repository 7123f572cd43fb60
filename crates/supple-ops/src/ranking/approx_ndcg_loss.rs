//! ApproxNDCG: one minus the normalised discounted cumulative gain at smooth ranks.
//!
//! $$ L(s, t) = 1 - \frac{1}{Z} \sum_i \frac{2^{t_i} - 1}{\log_2(1 + r_i)}, \qquad
//! r_i = 1 + \sum_{j \ne i} \sigma\!\left(\frac{s_j - s_i}{\varepsilon}\right) $$
//!
//! for scores $s$ and relevances $t \ge 0$, with the logistic function σ and $Z$ the sum of the best order. The
//! largest score has rank 1.
//!
//! * Softness: the unit of the scores; ε, the paper's $1 / \alpha$.
//! * Hard limit: one minus the NDCG; equal scores share their ranks.
//! * Where all relevances are zero there is no order to find: the loss is 0, and so is the gradient.
//! * Gradient: exact in the scores; in the relevances almost everywhere, at equal ones as if they kept their
//!   places.
//! * An item with NaN, a score that is not finite or a relevance of ∞ is NaN; a negative relevance is a fault.
//! * Cost: O(n²) time, O(n) memory, forward and backward.
//!
//! Paper: Qin, Liu and Li, *A general approximation framework for direct optimization of information
//! retrieval measures*, Information Retrieval 13(4), 2010.

use super::lists::of_lists;
use crate::order::average_ranks;
use ndarray::{Array, ArrayView, RemoveAxis};
use std::f64::consts::LN_2;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, params,
};
use supple_numerics::argsort::argsort;

params! {
    /// One minus the NDCG at smooth ranks.
    pub struct ApproxNdcgLoss {
        /// Distance at which two scores are told apart; the unit of the scores.
        softness: f64 = 0.1, Positive;
    }
}

impl Operator<2> for ApproxNdcgLoss {
    const NAME: &'static str = "approx_ndcg_loss";
    const SIGNATURE: &'static str = "scores(n>=1), relevance(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// The smooth ranks.
    type Saved<T: Real> = Vec<T::Acc>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        20 * sizes[0] * sizes[0]
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        ranks: &mut Vec<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [scores, relevance] = at.x;
        check(relevance)?;
        let rate = T::Acc::of(1.0 / self.softness);
        ranks.extend(scores.iter().map(|&s| {
            let above = |other: &T| logistic((other.widen() - s.widen()) * rate);
            // The item itself counts for one half.
            scores.iter().map(above).sum::<T::Acc>() + T::Acc::of(0.5)
        }));
        loss[0] = T::narrow(T::Acc::one() - Gains::new(relevance, scratch).quotient(ranks));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<T::Acc>, 2>,
        [dloss]: [&[T]; 1],
        [dscores, drelevance]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let ([scores, relevance], ranks) = (at.x, at.saved);
        let gains = Gains::new(relevance, scratch);
        if gains.is_empty() || at.y[0][0].is_nan() {
            let nothing = if at.y[0][0].is_nan() { T::nan() } else { T::zero() };
            dscores.fill(nothing);
            return drelevance.fill(nothing);
        }
        let quotient = gains.quotient(ranks);
        let rate = dloss[0].widen() / gains.best;
        for (i, d) in drelevance.iter_mut().enumerate() {
            let slope = T::Acc::of(LN_2) * (gains.each[i] + T::Acc::one());
            let best = discount(T::Acc::of(gains.places[i] as f64));
            *d = T::narrow(rate * slope * (quotient * best - discount(ranks[i])));
        }
        // The derivative in the ranks, then through the logistic functions, whose slope is even.
        let by_rank = |i: usize| {
            let ln = (T::Acc::one() + ranks[i]).ln();
            rate * gains.each[i] * T::Acc::of(LN_2) / ((T::Acc::one() + ranks[i]) * ln.square())
        };
        let by_rank: Vec<T::Acc> = (0..ranks.len()).map(by_rank).collect();
        let rate = T::Acc::of(1.0 / self.softness);
        for (j, d) in dscores.iter_mut().enumerate() {
            let terms = by_rank.iter().zip(scores).map(|(&c, s)| {
                let p = logistic((scores[j].widen() - s.widen()) * rate);
                p * (T::Acc::one() - p) * (c - by_rank[j])
            });
            *d = T::narrow(rate * terms.sum::<T::Acc>());
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [scores, relevance] = at.x;
        check(relevance)?;
        let mut ranks = scratch.reals.zeros(scores.len());
        average_ranks(scores, true, &mut ranks, scratch);
        let wide: Vec<T::Acc> = ranks.iter().map(|r| r.widen()).collect();
        scratch.reals.give(ranks);
        loss[0] = T::narrow(T::Acc::one() - Gains::new(relevance, scratch).quotient(&wide));
        Ok(())
    }
}

/// Refuses negative relevances.
fn check<T: Real>(relevance: &[T]) -> Result<(), Fault> {
    match relevance.iter().map(|r| r.as_f64()).find(|&r| r < 0.0) {
        Some(value) => Err(Fault::Domain { argument: "relevance", requirement: "at least 0", value }),
        None => Ok(()),
    }
}

/// `1 / (1 + e^−u)`, without overflow.
fn logistic<A: Real>(u: A) -> A {
    let e = (-u.abs()).exp();
    let p = A::one() / (A::one() + e);
    if u < A::zero() { e * p } else { p }
}

/// `1 / log₂(1 + rank)`.
fn discount<A: Real>(rank: A) -> A {
    A::of(LN_2) / (A::one() + rank).ln()
}

/// What the items contribute.
struct Gains<A> {
    /// `2^relevance − 1`.
    each: Vec<A>,
    /// The place of each item in the best order, from 1 on.
    places: Vec<u32>,
    /// The sum of the best order.
    best: A,
}

impl<A: Real<Acc = A>> Gains<A> {
    fn new<T: Real<Acc = A>>(relevance: &[T], scratch: &mut Scratch<T>) -> Self {
        let each: Vec<A> = relevance.iter().map(|r| (r.widen() * A::of(LN_2)).exp_m1()).collect();
        let (order, sorted) = argsort(relevance, true, scratch);
        scratch.reals.give(sorted);
        let mut places = vec![0; each.len()];
        (1..).zip(&order).for_each(|(place, &i)| places[i as usize] = place);
        scratch.indices.give(order);
        let best = each.iter().zip(&places).map(|(&g, &place)| g * discount(A::of(place as f64))).sum();
        Self { each, places, best }
    }

    /// Whether there is nothing to gain.
    fn is_empty(&self) -> bool {
        self.best.as_f64() == 0.0
    }

    /// The NDCG; 1 where there is nothing to gain.
    fn quotient(&self, ranks: &[A]) -> A {
        if self.is_empty() {
            return if ranks.iter().any(|rank| rank.is_nan()) { A::nan() } else { A::one() };
        }
        self.each.iter().zip(ranks).map(|(&g, &rank)| g * discount(rank)).sum::<A>() / self.best
    }
}

impl Contract<2> for ApproxNdcgLoss {
    const SUMMARY: &'static str = "one minus the NDCG at pairwise logistic ranks";
    const PAPER: &'static str = "Qin et al., Information Retrieval 2010";
    const COST: &'static str = "O(n²) time, O(n) memory";

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
        let relevance = (0..n).map(|_| 0.1 + 3.0 * random.uniform()).collect();
        Sample { x: [random.normals(n), relevance], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// One minus the NDCG of `scores` `(…, n)` for relevances of the same shape, at pairwise logistic ranks.
///
/// $$ L(s, t) = 1 - \frac{1}{Z} \sum_i \frac{2^{t_i} - 1}{\log_2(1 + r_i)}, \qquad
/// r_i = 1 + \sum_{j \ne i} \sigma\!\left(\frac{s_j - s_i}{\varepsilon}\right) $$
///
/// * Shapes: `(…, n)` twice to `(…)`, n ≥ 1. Relevances are at least 0.
/// * Softness: ε, in the unit of the scores; the paper's $1 / \alpha$.
/// * Hard limit: one minus the NDCG. Where all relevances are zero, the loss and its gradient are.
/// * Gradient: exact in the scores; almost everywhere in the relevances.
/// * An item with NaN, a score that is not finite or a relevance of ∞ is NaN.
/// * Cost: O(n²) time, O(n) memory.
/// * Errors: a softness that is not finite and above zero; a negative relevance; n = 0.
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
