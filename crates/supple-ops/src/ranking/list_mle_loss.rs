//! ListMLE: the likelihood of the right order under a Plackett-Luce model.
//!
//! $$ L(s, t) = \sum_{i=1}^n \Bigl( \ln \sum_{j \ge i} e^{s_{\pi(j)} / \varepsilon} - \frac{s_{\pi(i)}}{\varepsilon} \Bigr) $$
//!
//! for scores $s$ and the order π by falling relevance $t$: items are drawn one after the other, each with
//! the softmax of those that are left.
//!
//! * Softness: the unit of the scores; ε. The paper has ε = 1, which is the default.
//! * Only the order of the relevances counts; equal ones keep their places (−0 counts as less than 0).
//! * As ε → 0 it has no limit: the loss grows as $1/\varepsilon$ where the order is wrong. There is no hard
//!   form.
//! * Gradient: exact in the scores, in which the loss is convex; zero in the relevances, at which the loss
//!   jumps where two are equal.
//! * An entry of relevance −∞ is ignored; a list with nothing left has the loss 0. A list with NaN, or with a
//!   score that is not finite, is NaN.
//! * Cost: O(n log n) forward and backward, for the order.
//!
//! Paper: Xia, Liu, Wang, Zhang and Li, *Listwise approach to learning to rank: theory and algorithm*, ICML
//! 2008.

use super::lists::{self, below, of_lists};
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    params,
};
use supple_numerics::argsort::argsort;
use supple_numerics::simplex::largest;

params! {
    /// The loss of ListMLE.
    pub struct ListMleLoss {
        /// Temperature; the unit of the scores.
        softness: f64 = 1.0, Positive;
    }
}

/// The order by falling relevance, and the logarithms of the sums from each place on, relative to the largest
/// score. Empty where there is nothing to rank, and for a list without an answer.
#[derive(Debug)]
pub struct Saved<A> {
    order: Vec<u32>,
    tails: Vec<A>,
}

impl<A> Default for Saved<A> {
    fn default() -> Self {
        Self { order: vec![], tails: vec![] }
    }
}

impl Operator<2> for ListMleLoss {
    const NAME: &'static str = "list_mle_loss";
    const SIGNATURE: &'static str = "scores(n), relevance(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T::Acc>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        20 * sizes[0]
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            if scores.iter().any(|s| !s.is_finite()) {
                return Ok(T::Acc::nan());
            }
            let (order, sorted) = argsort(relevance, true, scratch);
            scratch.reals.give(sorted);
            let (top, rate) = (largest(scores), 1.0 / self.softness);
            let (mut tail, mut sum) = (-T::Acc::infinity(), T::Acc::zero());
            saved.tails.resize(order.len(), T::Acc::zero());
            for (&i, place) in order.iter().zip(&mut saved.tails).rev() {
                let z = below(scores[i as usize], top, rate);
                tail = log_add(tail, z);
                *place = tail;
                sum += tail - z;
            }
            saved.order = order;
            Ok(sum)
        })
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T::Acc>, 2>,
        [dloss]: [&[T]; 1],
        dx: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let (Saved { order, tails }, dloss) = (at.saved, dloss[0].widen());
        lists::backward(&at, dx, scratch, |[scores, _], [dscores, _], _| {
            let (top, rate) = (largest(scores), 1.0 / self.softness);
            let mut before = -T::Acc::infinity();
            for (&i, &tail) in order.iter().zip(tails) {
                let i = i as usize;
                // Σ over the places so far of the probability that the item is drawn there.
                before = log_add(before, -tail);
                let drawn = (below(scores[i], top, rate) + before).exp();
                dscores[i] = T::narrow(dloss * T::Acc::of(rate) * (drawn - T::Acc::one()));
            }
        });
    }
}

/// `ln(eᵃ + eᵇ)` for a finite b.
fn log_add<A: Real>(a: A, b: A) -> A {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low.is_finite() { high + (low - high).exp().ln_1p() } else { high }
}

impl Contract<2> for ListMleLoss {
    const SUMMARY: &'static str = "likelihood of the right order (ListMLE)";
    const PAPER: &'static str = "Xia et al., ICML 2008";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [1.0, 0.3, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, relevance] = at.x;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&i, &j| relevance[j].total_cmp(&relevance[i]));
        let weight = |&i: &usize| (scores[i] / self.softness).exp();
        let term = |k: usize| (order[k..].iter().map(weight).sum::<f64>() / weight(&order[k])).ln();
        Some([vec![(0..order.len()).map(term).sum()]])
    }
}

/// The loss of ListMLE of `scores` `(…, n)` against relevances of the same shape: minus the logarithm of the
/// probability of the right order under a Plackett-Luce model.
///
/// $$ L(s, t) = \sum_{i=1}^n \Bigl( \ln \sum_{j \ge i} e^{s_{\pi(j)} / \varepsilon} - \frac{s_{\pi(i)}}{\varepsilon} \Bigr), \qquad
/// t_{\pi(1)} \ge t_{\pi(2)} \ge \dots $$
///
/// * Shapes: `(…, n)` twice to `(…)`. An entry of relevance −∞ is ignored.
/// * Softness: ε, in the unit of the scores; 1 in the paper. It has no hard limit.
/// * Only the order of the relevances counts; equal ones keep their places.
/// * Gradient: exact in the scores, in which the loss is convex; zero in the relevances.
/// * A list with NaN, or with a score that is not finite, is NaN.
/// * Cost: O(n log n) forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::list_mle_loss;
/// let relevance = array![2.0, 1.0, 0.0];
/// let loss = list_mle_loss(&array![0.0, 0.0, 0.0], &relevance, 1.0)?.into_scalar();
/// assert!((loss - 6f64.ln()).abs() < 1e-15); // one of 3! orders
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Xia, Liu, Wang, Zhang and Li, *Listwise approach to learning to rank: theory and algorithm*, ICML 2008.
pub fn list_mle_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    relevance: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&ListMleLoss { softness }, scores, relevance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::aview1;
    use supple_core::linearize;

    fn loss_and_gradient(scores: [f64; 4], softness: f64) -> (f64, Vec<f64>) {
        let (operator, relevance) = (ListMleLoss { softness }, [2.0, 3.0, 0.0, 1.0]);
        let inputs = [&scores, &relevance].map(|x| aview1(x).into_dyn());
        let at = linearize(&operator, inputs).unwrap();
        let [dscores, _] = at.vjp([at.outputs()[0].mapv(|_| 1.0).view()]).unwrap();
        (at.outputs()[0].sum(), dscores.iter().copied().collect())
    }

    #[test]
    fn an_offset_changes_nothing() {
        let scores = [1.0, 0.0, 2.0, 0.5];
        for softness in [1.0, 0.01] {
            let expected = loss_and_gradient(scores, softness);
            assert_eq!(loss_and_gradient(scores.map(|s| s + 2f64.powi(40)), softness), expected);
        }
    }

    #[test]
    fn scores_further_apart_than_the_largest_number() {
        // In the right order, so that nothing is lost.
        assert_eq!(loss_and_gradient([0.0, 1.5e308, -1.5e308, -1e308], 1.0), (0.0, vec![0.0; 4]));
    }
}
