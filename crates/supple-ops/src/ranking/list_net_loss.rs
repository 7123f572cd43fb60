//! ListNet: the cross entropy between two distributions over who comes first.
//!
//! $$ L(s, t) = -\sum_i p_i \ln q_i, \qquad p = \mathrm{softmax}(t / \varepsilon), \quad
//! q = \mathrm{softmax}(s / \varepsilon) $$
//!
//! for scores $s$ and relevances $t$: the probabilities of a Plackett-Luce model that each item is first.
//!
//! * Softness: the common unit of scores and relevances; ε. The paper has ε = 1, which is the default.
//! * The least value over $s$, at $s = t$ up to a constant, is the entropy of $p$, not 0.
//! * As ε → 0 it has no limit: the loss grows as $1/\varepsilon$ where the best items differ. There is no
//!   hard form.
//! * Gradient: exact everywhere, to scores and relevances.
//! * An entry of relevance −∞ is ignored: it has no part in either distribution, so that its score does not
//!   matter. A list with nothing left has the loss 0. A list with NaN, +∞ or a score of −∞ is NaN.
//! * Cost: O(n) forward and backward.
//!
//! Paper: Cao, Qin, Liu, Tsai and Li, *Learning to rank: from pairwise approach to listwise approach*, ICML
//! 2007.

use super::lists::{self, below, of_lists};
use crate::choice::Softmax;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, params,
};
use supple_numerics::elementary::{exp_sum, sum_by};
use supple_numerics::simplex::largest;

params! {
    /// The loss of ListNet, for the item in front.
    pub struct ListNetLoss {
        /// Temperature; the common unit of scores and relevances.
        softness: f64 = 1.0, Positive;
    }
}

impl ListNetLoss {
    /// The softmax of `x`, in a buffer to be given back.
    fn softmax<T: Real>(&self, x: &[T], scratch: &mut Scratch<T>) -> Vec<T> {
        let mut p = scratch.reals.zeros(x.len());
        let args = Args { x: [x], k: [], sizes: &[x.len()], item: 0 };
        let operator = Softmax { softness: self.softness };
        operator.forward(args, [&mut p], &mut (), scratch).expect("softmax has no faults");
        p
    }
}

impl Operator<2> for ListNetLoss {
    const NAME: &'static str = "list_net_loss";
    const SIGNATURE: &'static str = "scores(n), relevance(n) -> loss()";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            if scores.iter().any(|s| !s.is_finite()) {
                return Ok(T::Acc::nan());
            }
            let p = self.softmax(relevance, scratch);
            let (top, rate) = (largest(scores), 1.0 / self.softness);
            let mean = sum_by(&p, scores, |p, s| p.widen() * below(s, top, rate));
            let mut z = scratch.wide.empty();
            z.extend(scores.iter().map(|&s| below(s, top, rate)));
            let loss = exp_sum(&mut z, T::Acc::zero()).ln() - mean;
            scratch.wide.give(z);
            scratch.reals.give(p);
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
        let dloss = dloss[0].widen();
        lists::backward(&at, dx, scratch, |[scores, relevance], [dscores, drelevance], scratch| {
            let p = self.softmax(relevance, scratch);
            let q = self.softmax(scores, scratch);
            let (top, rate) = (largest(scores), 1.0 / self.softness);
            let mean = sum_by(&p, scores, |p, s| p.widen() * below(s, top, rate));
            let slope = dloss * T::Acc::of(rate);
            for (i, (ds, dr)) in dscores.iter_mut().zip(drelevance).enumerate() {
                let (p, q) = (p[i].widen(), q[i].widen());
                *ds = T::narrow(slope * (q - p));
                *dr = T::narrow(slope * p * (mean - below(scores[i], top, rate)));
            }
            scratch.reals.give(q);
            scratch.reals.give(p);
        });
    }
}

impl Contract<2> for ListNetLoss {
    const SUMMARY: &'static str = "cross entropy of who comes first (ListNet)";
    const PAPER: &'static str = "Cao et al., ICML 2007";
    const COST: &'static str = "O(n) forward and backward";

    fn cases() -> Vec<Self> {
        [1.0, 0.3, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let softmax = |x: &[f64]| -> Vec<f64> {
            let e: Vec<f64> = x.iter().map(|x| (x / self.softness).exp()).collect();
            let sum: f64 = e.iter().sum();
            e.into_iter().map(|e| e / sum).collect()
        };
        let [q, p] = at.x.map(softmax);
        Some([vec![-p.iter().zip(&q).map(|(p, q)| p * q.ln()).sum::<f64>()]])
    }
}

/// The loss of ListNet of `scores` `(…, n)` against relevances of the same shape: the cross entropy between
/// two distributions over who comes first.
///
/// $$ L(s, t) = -\sum_i p_i \ln q_i, \qquad p = \mathrm{softmax}(t / \varepsilon), \quad
/// q = \mathrm{softmax}(s / \varepsilon) $$
///
/// * Shapes: `(…, n)` twice to `(…)`. An entry of relevance −∞ is ignored: it is in neither distribution.
/// * Softness: ε, in the common unit of scores and relevances; 1 in the paper.
/// * Its least value over the scores is the entropy of $p$. It has no hard limit.
/// * Gradient: exact everywhere, to scores and relevances.
/// * NaN, +∞ or a score of −∞ make the loss of their list NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::list_net_loss;
/// let relevance = array![2.0, 0.0, 1.0];
/// let right = list_net_loss(&array![4.0, 0.0, 2.0], &relevance, 1.0)?;
/// let wrong = list_net_loss(&array![0.0, 4.0, 2.0], &relevance, 1.0)?;
/// assert!(right.into_scalar() < wrong.into_scalar());
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Cao, Qin, Liu, Tsai and Li, *Learning to rank: from pairwise approach to listwise approach*, ICML 2007.
pub fn list_net_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    relevance: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&ListNetLoss { softness }, scores, relevance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr0, aview1};
    use supple_core::linearize;

    #[test]
    fn a_probability_of_zero_makes_nothing_of_a_score_far_below() {
        fn check<T: Float>(scale: f64, softness: f64) {
            let (scores, relevance) = ([scale, -scale, scale].map(T::of), [1.0, -1e30, 1.0].map(T::of));
            let (operator, inputs) =
                (ListNetLoss { softness }, [&scores, &relevance].map(|x| aview1(x).into_dyn()));
            let at = linearize(&operator, inputs).unwrap();
            assert!(at.outputs()[0].iter().all(|loss| (loss.as_f64() - f64::ln(2.0)).abs() < 1e-6));
            let gradients = at.vjp([arr0(T::one()).into_dyn().view()]).unwrap();
            assert!(gradients.iter().flatten().all(|d| *d == T::zero()), "{gradients:?}");
        }
        check::<f32>(1e35, 1e-4);
        check::<f64>(1e305, 1e-4);
    }
}
