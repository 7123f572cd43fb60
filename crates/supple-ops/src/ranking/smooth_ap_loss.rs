//! Smooth-AP: one minus the average precision at smooth ranks.
//!
//! $$ L(s, t) = 1 - \frac{1}{\lvert P \rvert} \sum_{i \in P} \frac{r_i(P)}{r_i}, \qquad
//! r_i(S) = 1 + \sum_{j \in S, j \ne i} \sigma\left(\frac{s_j - s_i}{\varepsilon}\right) $$
//!
//! for scores $s$ and the relevant items $P$, those of relevance $t > 0$, with the logistic function σ; $r_i$
//! is the rank among all. The largest score has rank 1.
//!
//! * Softness: the unit of the scores; the paper's τ, which is 0.01 there for cosines. That is the default.
//! * Hard limit: one minus the average precision; equal scores share their ranks.
//! * An entry of relevance −∞ is ignored, such as the query itself in its own list. Where nothing is
//!   relevant, the loss is 0, and so is the gradient.
//! * Gradient: exact in the scores; zero in the relevances.
//! * A list with NaN, or with a score that is not finite, is NaN.
//! * Cost: O(n log n + |P| n) time, forward and backward: an exponential for each relevant item and each
//!   other that is less than 50 ε away. O(n) memory.
//!
//! Paper: Brown, Xie, Kalogeiton and Zisserman, *Smooth-AP: smoothing the path towards large-scale image
//! retrieval*, ECCV 2020, <https://arxiv.org/abs/2007.12163>.

use super::lists::{self, is_relevant, of_lists, relevant};
use super::pairs::Descending;
use crate::order::average_ranks;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    params,
};
use supple_numerics::elementary::sum_by;

params! {
    /// One minus the average precision.
    pub struct SmoothApLoss {
        /// Distance at which two scores are told apart; the unit of the scores.
        softness: f64 = 0.01, Positive;
    }
}

/// The smooth ranks of the relevant items, from the top: among themselves, and among all.
#[derive(Debug)]
pub struct Saved<A> {
    own: Vec<A>,
    all: Vec<A>,
}

impl<A> Default for Saved<A> {
    fn default() -> Self {
        Self { own: vec![], all: vec![] }
    }
}

impl Operator<2> for SmoothApLoss {
    const NAME: &'static str = "smooth_ap_loss";
    const SIGNATURE: &'static str = "scores(n), relevance(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T::Acc>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
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
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            if !relevance.iter().any(is_relevant) {
                return Ok(T::Acc::zero());
            }
            let Some(descending) = Descending::new(scores, scratch) else { return Ok(T::Acc::nan()) };
            let places = relevant(relevance, &descending.order, scratch);
            let only = descending.only(&places, scratch);
            let (own, all) =
                (only.ranks(self.softness, scratch), descending.ranks_of(&places, self.softness, scratch));
            saved.own.extend_from_slice(&own);
            saved.all.extend_from_slice(&all);
            let sum = sum_by(&own, &all, |own, all| own / all);
            scratch.wide.give(own);
            scratch.wide.give(all);
            only.give(scratch);
            scratch.indices.give(places);
            descending.give(scratch);
            Ok(T::Acc::one() - sum / T::Acc::of(saved.all.len() as f64))
        })
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T::Acc>, 2>,
        [dloss]: [&[T]; 1],
        dx: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let (Saved { own, all }, dloss) = (at.saved, dloss[0].widen());
        lists::backward(&at, dx, scratch, |[scores, relevance], [dscores, _], scratch| {
            if all.is_empty() {
                return;
            }
            let Some(descending) = Descending::new(scores, scratch) else { return };
            let places = relevant(relevance, &descending.order, scratch);
            let only = descending.only(&places, scratch);
            let rate = dloss / T::Acc::of(all.len() as f64);
            let [mut down, mut dall] = [(); 2].map(|()| scratch.wide.empty());
            down.extend(all.iter().map(|&all| -rate / all));
            dall.extend(own.iter().zip(all).map(|(&own, &all)| rate * own / all.square()));
            let (mut ds, mut donly) = (scratch.wide.zeros(scores.len()), scratch.wide.zeros(all.len()));
            descending.ranks_of_adjoint(&places, &dall, self.softness, &mut ds, scratch);
            only.ranks_adjoint(&down, self.softness, &mut donly, scratch);
            places.iter().zip(&donly).for_each(|(&place, &d)| ds[place as usize] += d);
            descending.order.iter().zip(&ds).for_each(|(&i, &d)| dscores[i as usize] = T::narrow(d));
            [down, dall, ds, donly].into_iter().for_each(|buffer| scratch.wide.give(buffer));
            only.give(scratch);
            scratch.indices.give(places);
            descending.give(scratch);
        });
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            if !relevance.iter().any(is_relevant) {
                return Ok(T::Acc::zero());
            }
            if !lists::all_finite(scores) {
                return Ok(T::Acc::nan());
            }
            let mut all = scratch.reals.zeros(scores.len());
            average_ranks(scores, true, &mut all, scratch);
            let [mut only, mut ranks] = [(); 2].map(|()| scratch.reals.empty());
            let chosen = || (0..scores.len()).filter(|&i| is_relevant(&relevance[i]));
            only.extend(chosen().map(|i| scores[i]));
            ranks.extend(chosen().map(|i| all[i]));
            let mut own = scratch.reals.zeros(only.len());
            average_ranks(&only, true, &mut own, scratch);
            let sum = sum_by(&own, &ranks, |own, all| own.widen() / all.widen());
            let loss = T::Acc::one() - sum / T::Acc::of(own.len() as f64);
            [all, only, ranks, own].into_iter().for_each(|buffer| scratch.reals.give(buffer));
            Ok(loss)
        })
    }
}

impl Contract<2> for SmoothApLoss {
    const SUMMARY: &'static str = "one minus the average precision, at pairwise logistic ranks (Smooth-AP)";
    const PAPER: &'static str = "Brown et al., ECCV 2020, arXiv:2007.12163";
    const COST: &'static str = "O(n log n + p n) time for p relevant items, O(n) memory";

    fn cases() -> Vec<Self> {
        [0.01, 0.3, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, 1.0))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, relevance] = at.x;
        let rank = |i: usize, among: &[usize]| {
            let others = among.iter().filter(|&&j| j != i);
            1.0 + others.map(|&j| 1.0 / (1.0 + ((scores[i] - scores[j]) / self.softness).exp())).sum::<f64>()
        };
        let all: Vec<usize> = (0..scores.len()).collect();
        let relevant: Vec<usize> = (0..scores.len()).filter(|&i| relevance[i] > 0.0).collect();
        let precision: f64 = relevant.iter().map(|&i| rank(i, &relevant) / rank(i, &all)).sum();
        Some([vec![if relevant.is_empty() { 0.0 } else { 1.0 - precision / relevant.len() as f64 }]])
    }
}

/// One minus the average precision of `scores` `(…, n)` for relevances of the same shape, at pairwise
/// logistic ranks.
///
/// $$ L(s, t) = 1 - \frac{1}{\lvert P \rvert} \sum_{i \in P} \frac{r_i(P)}{r_i}, \qquad
/// r_i(S) = 1 + \sum_{j \in S, j \ne i} \sigma\left(\frac{s_j - s_i}{\varepsilon}\right) $$
///
/// with the relevant items $P$, those of relevance $t > 0$, and the ranks $r_i$ among all.
///
/// * Shapes: `(…, n)` twice to `(…)`. An entry of relevance −∞ is ignored.
/// * Softness: ε, in the unit of the scores; the paper's τ, 0.01 for cosines.
/// * Hard limit: one minus the average precision. Where nothing is relevant, the loss and its gradient are 0.
/// * Gradient: exact in the scores; zero in the relevances.
/// * A list with NaN, or with a score that is not finite, is NaN.
/// * Cost: O(n log n + |P| n) time, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::smooth_ap_loss;
/// let relevance = array![1.0_f64, 0.0, 1.0];
/// let right = smooth_ap_loss(&array![0.9, 0.2, 0.6], &relevance, 0.01)?;
/// assert!(right.into_scalar() < 1e-12);
/// // The second relevant item is third: (1/1 + 2/3) / 2.
/// let wrong = smooth_ap_loss(&array![0.9, 0.6, 0.2], &relevance, 0.01)?;
/// assert!((wrong.into_scalar() - 1.0 / 6.0).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Brown, Xie, Kalogeiton and Zisserman, *Smooth-AP: smoothing the path towards large-scale image retrieval*,
/// ECCV 2020, <https://arxiv.org/abs/2007.12163>.
pub fn smooth_ap_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    relevance: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&SmoothApLoss { softness }, scores, relevance)
}
