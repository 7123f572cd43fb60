//! One minus the recall among the first k, at smooth ranks.
//!
//! $$ L(s, t) = 1 - \frac{1}{\lvert P \rvert} \sum_{i \in P} \sigma\left(\frac{k - r_i}{\rho}\right), \qquad
//! r_i = 1 + \sum_{j \ne i} \sigma\left(\frac{s_j - s_i}{\varepsilon}\right) $$
//!
//! for scores $s$ and the relevant items $P$, those of relevance $t > 0$, with the logistic function σ. The
//! largest score has rank 1. The paper takes the mean over several $k$.
//!
//! * Softness: ε, the unit of the scores; the paper's $\tau_2$, which is 0.01 there for cosines. That is the
//!   default. `rank_softness` is ρ, in ranks; the paper's $\tau_1$, which is 1.
//! * Limit for ε → 0: the same at the ranks themselves. If then ρ → 0, one minus the recall, but that an item
//!   whose rank is just $k$ counts one half. There is no hard form.
//! * The recall has $\lvert P \rvert$ below the line, as in the paper; more than k relevant items cannot all
//!   be found. To count the share of what can be, multiply $1 - L$ by
//!   $\lvert P \rvert / \min(k, \lvert P \rvert)$.
//! * An entry of relevance −∞ is ignored, such as the query itself in its own list. Where nothing is
//!   relevant, the loss is 0, and so is the gradient. A k beyond the end of a list is legal.
//! * Gradient: exact in the scores; zero in the relevances.
//! * A list with NaN, or with a score that is not finite, is NaN.
//! * Cost: O(n log n + |P| n) time, forward and backward: an exponential for each relevant item and each
//!   other that is less than 50 ε away. O(n) memory.
//!
//! Paper: Patel, Tolias and Matas, *Recall@k surrogate loss with large batches and similarity mixup*, CVPR
//! 2022, <https://arxiv.org/abs/2108.11179>.

use super::lists::{self, is_relevant, of_lists, relevant};
use super::pairs::{Descending, logistic};
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    Value, params,
};

params! {
    /// One minus the recall among the first k.
    pub struct RecallAtKLoss {
        /// How many places count as found.
        k: usize = 1, AtLeast(1.0);
        /// Distance at which two scores are told apart; the unit of the scores.
        softness: f64 = 0.01, Positive;
        /// Distance from k at which a rank counts as inside or outside; in ranks.
        rank_softness: f64 = 1.0, Positive;
    }
}

impl RecallAtKLoss {
    /// How much an item at a smooth rank is among the first k.
    fn found<A: Real>(&self, rank: A) -> A {
        logistic((A::of(self.k as f64) - rank) * A::of(1.0 / self.rank_softness))
    }

    /// How much it is not: the rest to one.
    fn missed<A: Real>(&self, rank: A) -> A {
        logistic((rank - A::of(self.k as f64)) * A::of(1.0 / self.rank_softness))
    }
}

impl Operator<2> for RecallAtKLoss {
    const NAME: &'static str = "recall_at_k_loss";
    const SIGNATURE: &'static str = "scores(n), relevance(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// The smooth ranks of the relevant items, from the top.
    type Saved<T: Real> = Vec<T::Acc>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        match (1.0 / self.rank_softness).is_finite() {
            true => Ok(()),
            false => {
                let (requirement, value) = ("finite, and its inverse too", Value::Float(self.rank_softness));
                Err(Error::argument(Self::NAME, "rank_softness", requirement, value))
            }
        }
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes[0] * sizes[0]
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        saved: &mut Vec<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            if !relevance.iter().any(is_relevant) {
                return Ok(T::Acc::zero());
            }
            let Some(descending) = Descending::new(scores, scratch) else { return Ok(T::Acc::nan()) };
            let places = relevant(relevance, &descending.order, scratch);
            let ranks = descending.ranks_of(&places, self.softness, scratch);
            saved.extend_from_slice(&ranks);
            scratch.wide.give(ranks);
            scratch.indices.give(places);
            descending.give(scratch);
            let found: T::Acc = saved.iter().map(|&rank| self.found(rank)).sum();
            Ok(T::Acc::one() - found / T::Acc::of(saved.len() as f64))
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
        lists::backward(&at, dx, scratch, |[scores, relevance], [dscores, _], scratch| {
            if ranks.is_empty() {
                return;
            }
            let Some(descending) = Descending::new(scores, scratch) else { return };
            let places = relevant(relevance, &descending.order, scratch);
            let rate = dloss * T::Acc::of(1.0 / (self.rank_softness * ranks.len() as f64));
            let mut dranks = scratch.wide.empty();
            dranks.extend(ranks.iter().map(|&rank| rate * self.found(rank) * self.missed(rank)));
            let mut ds = scratch.wide.zeros(scores.len());
            descending.ranks_of_adjoint(&places, &dranks, self.softness, &mut ds, scratch);
            descending.order.iter().zip(&ds).for_each(|(&i, &d)| dscores[i as usize] = T::narrow(d));
            scratch.wide.give(ds);
            scratch.wide.give(dranks);
            scratch.indices.give(places);
            descending.give(scratch);
        });
    }
}

impl Contract<2> for RecallAtKLoss {
    const SUMMARY: &'static str = "one minus the recall among the first k, at pairwise logistic ranks";
    const PAPER: &'static str = "Patel et al., CVPR 2022, arXiv:2108.11179";
    const COST: &'static str = "O(n log n + p n) time for p relevant items, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |k, softness, rank_softness| Self { k, softness, rank_softness };
        vec![case(1, 0.01, 1.0), case(3, 0.5, 0.4), case(20, 20.0, 5.0)]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, 1.0))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, relevance] = at.x;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let rank = |i: usize| {
            let others = (0..scores.len()).filter(|&j| j != i);
            1.0 + others.map(|j| sigmoid((scores[j] - scores[i]) / self.softness)).sum::<f64>()
        };
        let relevant: Vec<usize> = (0..scores.len()).filter(|&i| relevance[i] > 0.0).collect();
        let found = relevant.iter().map(|&i| sigmoid((self.k as f64 - rank(i)) / self.rank_softness));
        let recall = found.sum::<f64>() / relevant.len() as f64;
        Some([vec![if relevant.is_empty() { 0.0 } else { 1.0 - recall }]])
    }
}

/// One minus the recall of `scores` `(…, n)` for relevances of the same shape among the first k, at pairwise
/// logistic ranks.
///
/// $$ L(s, t) = 1 - \frac{1}{\lvert P \rvert} \sum_{i \in P} \sigma(k - r_i), \qquad
/// r_i = 1 + \sum_{j \ne i} \sigma\left(\frac{s_j - s_i}{\varepsilon}\right) $$
///
/// with the relevant items $P$, those of relevance $t > 0$.
///
/// * Shapes: `(…, n)` twice to `(…)`. An entry of relevance −∞ is ignored.
/// * `k` ≥ 1: how many places count; it may be more than n.
/// * Softness: ε, in the unit of the scores; the paper's $\tau_2$, 0.01 for cosines. That of the outer
///   logistic function is 1; [`RecallAtKLoss`] has it as a parameter.
/// * Where nothing is relevant, the loss and its gradient are 0.
/// * Gradient: exact in the scores; zero in the relevances.
/// * A list with NaN, or with a score that is not finite, is NaN.
/// * Cost: O(n log n + |P| n) time, O(n) memory.
/// * Errors: k = 0; a softness that is not finite and above zero.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::recall_at_k_loss;
/// let relevance = array![1.0, 0.0, 0.0, 0.0];
/// let found = recall_at_k_loss(&array![0.9, 0.2, 0.6, 0.4], &relevance, 2, 0.01)?;
/// let missed = recall_at_k_loss(&array![0.3, 0.2, 0.6, 0.4], &relevance, 2, 0.01)?;
/// assert!(found.into_scalar() < 0.3 && missed.into_scalar() > 0.7);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Patel, Tolias and Matas, *Recall@k surrogate loss with large batches and similarity mixup*, CVPR 2022,
/// <https://arxiv.org/abs/2108.11179>.
pub fn recall_at_k_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    relevance: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&RecallAtKLoss { k, softness, ..RecallAtKLoss::default() }, scores, relevance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, aview1};
    use supple_core::evaluate;

    #[test]
    fn a_rank_softness_without_an_inverse_is_refused() {
        let loss = |rank_softness| {
            let operator = RecallAtKLoss { rank_softness, ..RecallAtKLoss::default() };
            // The first has rank 1 = k, to the last bit.
            evaluate(&operator, [&[900.0, 0.0], &[1.0, 0.0]].map(|x| aview1(x).into_dyn()))
        };
        assert_eq!(
            loss(1e-310).unwrap_err().to_string(),
            "recall_at_k_loss: `rank_softness` must be finite, and its inverse too, got 1e-310"
        );
        assert_eq!(loss(1e-300), Ok([arr0(0.5).into_dyn()]));
    }
}
