//! LambdaLoss: a logistic loss for each pair, weighted by what the pair means for the NDCG.
//!
//! $$ L(s, t) = \frac1Z \sum_{t_i > t_j} w_{ij} (2^{t_i} - 2^{t_j}) \log_2 \bigl( 1 + e^{-(s_i - s_j) / \varepsilon} \bigr),
//! \qquad w_{ij} = \lvert d(r_i) - d(r_j) \rvert + \mu \bigl( d(m) - d(m + 1) \bigr), \quad m = \lvert r_i - r_j \rvert $$
//!
//! for scores $s$ and relevances $t \ge 0$, with the ranks $r$ of the scores, the largest of which has rank
//! 1, the discount $d(r) = 1 / \log_2(1 + r)$, and $Z$ the discounted sum of $2^t - 1$ in the best order.
//! This is NDCG-Loss2++; at μ = 0 it is LambdaRank, whose weights are what the NDCG would change by if the
//! two changed places.
//!
//! * Softness: the unit of the scores; $1 / \sigma$ in the paper, where σ = 1. That is the default.
//! * μ ≥ 0; 10 as peers have it.
//! * k cuts off: the discount of later ranks is 0, $Z$ is that of the first k places, and pairs of which both
//!   are later do not count. All places count if there is no k, or fewer items.
//! * As ε → 0 it has no limit: the loss grows as $1/\varepsilon$ where the order is wrong. There is no hard
//!   form.
//! * Gradient: the ranks, and with them the weights, are constant between two orders of the scores. So the
//!   gradient at fixed weights, which the paper takes, is that of the loss itself: exact but at equal scores,
//!   where the loss jumps; they rank in the order of their positions. In the relevances it is exact but at
//!   equal ones.
//! * An entry of relevance −∞ is ignored. Where no other has one above 0 there is no order to find: the loss
//!   is 0, and so is the gradient.
//! * A list with NaN, a score that is not finite or a relevance of ∞ is NaN; a negative relevance is a fault.
//! * Cost: O(n log n + k n) time, which is O(n²) without a cut-off; O(n) memory.
//!
//! Papers: Wang, Li, Golbandi, Bendersky and Najork, *The LambdaLoss framework for ranking metric
//! optimization*, CIKM 2018; Burges, Ragno and Le, *Learning to rank with nonsmooth cost functions*, NeurIPS
//! 2006 (LambdaRank).

use super::gains::{self, Gains, cut_off, discounts};
use super::lists::{self, of_lists};
use super::pairs::Descending;
use ndarray::{Array, ArrayView, RemoveAxis};
use std::f64::consts::LN_2;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, params,
};
use supple_numerics::elementary::{exp_slice, ln_slice};

params! {
    /// The loss of LambdaLoss.
    pub struct LambdaLoss {
        /// How many places count; all if there is none.
        k: Option<u64> = None, AtLeast(1.0);
        /// Distance at which a pair is told apart; the unit of the scores.
        softness: f64 = 1.0, Positive;
        /// Weight of the distance in ranks, beside the change of the NDCG; 0 for LambdaRank.
        mu: f64 = 10.0, AtLeast(0.0);
    }
}

/// What the pairs of a list are made of. All but `gains` are by place.
struct Pairs<A> {
    descending: Descending<A>,
    gains: Gains<A>,
    gain: Vec<A>,
    /// The discounts, 0 past the cut-off.
    discounts: Vec<A>,
    /// What a distance in ranks weighs, from 1 on.
    distances: Vec<A>,
    /// How many places count.
    k: usize,
}

/// The pairs of one item with those at later places.
struct Row<'a, A> {
    place: usize,
    /// The weights; negative where the item gains less than the other, 0 where both gain the same.
    weights: &'a [A],
    /// Its lead in units of the softness.
    leads: &'a [A],
    /// `exp(−lead)`.
    exps: &'a [A],
}

impl<A: Real<Acc = A>> Pairs<A> {
    fn new<T: Real<Acc = A>>(
        descending: Descending<A>,
        gains: Gains<A>,
        operator: &LambdaLoss,
        scratch: &mut Scratch<T>,
    ) -> Self {
        let n = descending.s.len();
        let k = cut_off(operator.k, n);
        let mut distances = discounts(n, scratch);
        let mu = A::of(operator.mu);
        for m in 1..n {
            distances[m - 1] = mu * (distances[m - 1] - distances[m]);
        }
        let mut discounts = discounts(k, scratch);
        discounts.resize(n, A::zero());
        let mut gain = scratch.wide.empty();
        gain.extend(descending.order.iter().map(|&i| gains.each[i as usize]));
        Self { descending, gains, gain, discounts, distances, k }
    }

    fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        self.descending.give(scratch);
        self.gains.give(scratch);
        [self.gain, self.discounts, self.distances].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    /// Visits every pair that counts once.
    fn for_each_row<T: Real<Acc = A>>(
        &self,
        softness: f64,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(Row<'_, A>),
    ) {
        let rate = A::of(1.0 / softness);
        let [mut weights, mut leads, mut exps] = [(); 3].map(|()| scratch.wide.empty());
        for place in 0..self.k {
            let next = place + 1;
            [&mut weights, &mut leads, &mut exps].into_iter().for_each(Vec::clear);
            leads.extend(self.descending.s[next..].iter().map(|&s| (self.descending.s[place] - s) * rate));
            exps.extend(leads.iter().map(|&lead| -lead));
            exp_slice(&mut exps);
            let (gain, discount) = (self.gain[place], self.discounts[place]);
            let others = self.gain[next..].iter().zip(&self.discounts[next..]).zip(&self.distances);
            weights.extend(others.map(|((&other, &later), &distance)| {
                let sign = f64::from(i8::from(gain > other) - i8::from(gain < other));
                A::of(sign) * (discount - later + distance)
            }));
            visit(Row { place, weights: &weights, leads: &leads, exps: &exps });
        }
        [weights, leads, exps].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }
}

impl Operator<2> for LambdaLoss {
    const NAME: &'static str = "lambda_loss";
    const SIGNATURE: &'static str = "scores(n), relevance(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// By place, how the loss changes with the gain of an item, but for the scale: its pairs' losses by
    /// weight. Empty where there is nothing to gain.
    type Saved<T: Real> = Vec<T::Acc>;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        8 * sizes[0] * cut_off(self.k, sizes[0])
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        by_gain: &mut Vec<T::Acc>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, relevance], scratch| {
            let k = cut_off(self.k, scores.len());
            let Some(gains) = Gains::of(relevance, k, scratch)? else { return Ok(T::Acc::zero()) };
            // With one item there is no pair to say so.
            if !gains.ideal.is_finite() {
                gains.give(scratch);
                return Ok(T::Acc::nan());
            }
            let Some(descending) = Descending::new(scores, scratch) else { return Ok(T::Acc::nan()) };
            let pairs = Pairs::new(descending, gains, self, scratch);
            by_gain.resize(scores.len(), T::Acc::zero());
            let (mut sum, mut logs) = (T::Acc::zero(), scratch.wide.empty());
            pairs.for_each_row(self.softness, scratch, |row| {
                logs.clear();
                logs.extend(row.exps.iter().map(|&e| T::Acc::one() + e));
                ln_slice(&mut logs);
                let (gain, (own, later)) = (pairs.gain[row.place], by_gain[row.place..].split_at_mut(1));
                let others = pairs.gain[row.place + 1..].iter().zip(later);
                let terms = row.weights.iter().zip(row.leads).zip(row.exps).zip(&logs).zip(others);
                for ((((&weight, &lead), &e), &log), (&other, by_other)) in terms {
                    // What 1 + e was rounded by comes back: ln(1 + e) is then right for small e too.
                    let sum_rounded = T::Acc::one() + e;
                    let log = log + (e - (sum_rounded - T::Acc::one())) / sum_rounded;
                    let wrong = if weight < T::Acc::zero() { lead } else { T::Acc::zero() };
                    let term = weight * (log + wrong);
                    own[0] += term;
                    *by_other -= term;
                    sum += term * (gain - other);
                }
            });
            scratch.wide.give(logs);
            let loss = sum / (T::Acc::of(LN_2) * pairs.gains.ideal);
            pairs.give(scratch);
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
        let (by_gain, loss, dloss) = (at.saved, at.y[0][0].widen(), dloss[0].widen());
        lists::backward(&at, dx, scratch, |[scores, relevance], [dscores, drelevance], scratch| {
            if by_gain.is_empty() {
                return;
            }
            let gains = Gains::new(relevance, cut_off(self.k, scores.len()), scratch);
            let Some(descending) = Descending::new(scores, scratch) else { return };
            let pairs = Pairs::new(descending, gains, self, scratch);
            let to_ideal = -dloss * loss / pairs.gains.ideal;
            let scale = dloss / (T::Acc::of(LN_2) * pairs.gains.ideal);
            let rate = scale * T::Acc::of(1.0 / self.softness);
            let mut ds = scratch.wide.zeros(scores.len());
            pairs.for_each_row(self.softness, scratch, |row| {
                let (gain, (own, later)) = (pairs.gain[row.place], ds[row.place..].split_at_mut(1));
                let others = pairs.gain[row.place + 1..].iter().zip(later);
                for ((&weight, &e), (&other, d)) in row.weights.iter().zip(row.exps).zip(others) {
                    let slope = if weight < T::Acc::zero() { T::Acc::one() } else { -e };
                    let change = rate * weight * (gain - other) * slope / (T::Acc::one() + e);
                    own[0] += change;
                    *d -= change;
                }
            });
            for ((&i, &d), &by_gain) in pairs.descending.order.iter().zip(&ds).zip(by_gain) {
                let i = i as usize;
                dscores[i] = T::narrow(d);
                drelevance[i] = T::narrow(pairs.gains.to_relevance(i, scale * by_gain, to_ideal));
            }
            scratch.wide.give(ds);
            pairs.give(scratch);
        });
    }
}

impl Contract<2> for LambdaLoss {
    const SUMMARY: &'static str = "pairwise logistic loss weighted for the NDCG (LambdaLoss, LambdaRank)";
    const PAPER: &'static str = "Wang et al., CIKM 2018";
    const COST: &'static str = "O(n log n + k n) time, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |k, softness, mu| Self { k, softness, mu };
        vec![case(None, 1.0, 10.0), case(None, 0.3, 0.0), case(Some(3), 20.0, 2.0)]
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, f64::INFINITY))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, relevance] = at.x;
        let k = cut_off(self.k, scores.len());
        let (discount, gain) = (|rank: usize| 1.0 / (1.0 + rank as f64).log2(), |t: f64| t.exp2() - 1.0);
        let mut best = relevance.to_vec();
        best.sort_by(|a, b| b.total_cmp(a));
        let ideal: f64 = (1..=k).map(|rank| gain(best[rank - 1]) * discount(rank)).sum();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]));
        let among_first = |rank: usize| if rank <= k { discount(rank) } else { 0.0 };
        let mut sum = 0.0;
        for (rank_i, &i) in (1..).zip(&order) {
            for (rank_j, &j) in (1..).zip(&order) {
                if relevance[i] > relevance[j] && (rank_i <= k || rank_j <= k) {
                    let m = usize::abs_diff(rank_i, rank_j);
                    let rho = (among_first(rank_i) - among_first(rank_j)).abs();
                    let weight = rho + self.mu * (discount(m) - discount(m + 1)).abs();
                    let loss = (1.0 + ((scores[j] - scores[i]) / self.softness).exp()).log2();
                    sum += weight * (gain(relevance[i]) - gain(relevance[j])) * loss / ideal;
                }
            }
        }
        Some([vec![sum]])
    }

    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        gains::sample(n, random)
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// LambdaLoss of `scores` `(…, n)` for relevances of the same shape: a logistic loss for each pair, weighted
/// by what the pair means for the NDCG.
///
/// $$ L(s, t) = \frac1Z \sum_{t_i > t_j} w_{ij} (2^{t_i} - 2^{t_j}) \log_2 \bigl( 1 + e^{-(s_i - s_j) / \varepsilon} \bigr) $$
///
/// with the weights of NDCG-Loss2++ and $Z$ the discounted sum of the best order; [`LambdaLoss`] has those of
/// LambdaRank too, at `mu: 0.0`.
///
/// * Shapes: `(…, n)` twice to `(…)`. Relevances are at least 0; an entry of relevance −∞ is ignored.
/// * `k`: how many places count. `None`, or more than there are: all.
/// * Softness: ε, in the unit of the scores; $1 / \sigma$ in the paper. It has no hard limit.
/// * Where no relevance is above 0, the loss and its gradient are 0.
/// * Gradient: exact but at equal scores, where the loss jumps, and at equal relevances. The weights are
///   constant between two orders of the scores.
/// * A list with NaN, a score that is not finite or a relevance of ∞ is NaN.
/// * Cost: O(n log n + k n) time, O(n) memory.
/// * Errors: k = 0; a softness that is not finite and above zero; a negative relevance.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::lambda_loss;
/// let relevance = array![3.0, 0.0, 1.0];
/// let right = lambda_loss(&array![4.0, 0.0, 2.0], &relevance, None, 1.0)?;
/// let wrong = lambda_loss(&array![0.0, 4.0, 2.0], &relevance, None, 1.0)?;
/// assert!(right.into_scalar() < wrong.into_scalar());
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Wang, Li, Golbandi, Bendersky and Najork, *The LambdaLoss framework for ranking metric optimization*, CIKM
/// 2018.
pub fn lambda_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    relevance: impl Into<ArrayView<'a, T, D>>,
    k: Option<u64>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&LambdaLoss { k, softness, ..LambdaLoss::default() }, scores, relevance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::{evaluate, linearize};

    #[test]
    fn an_infinite_relevance_leaves_no_loss() {
        let (operator, scores, relevance) = (LambdaLoss::default(), [0.5, 1.0], [f64::INFINITY, 1.0]);
        for n in [1, 2] {
            let inputs = [&scores[..n], &relevance[..n]].map(|x| ndarray::aview1(x).into_dyn());
            let at = linearize(&operator, inputs).unwrap();
            let gradients = at.vjp([ndarray::arr0(1.0).into_dyn().view()]).unwrap();
            assert!(at.outputs().iter().chain(&gradients).flatten().all(|d| d.is_nan()), "{gradients:?}");
        }
    }

    /// LambdaRank's weights are by how much the NDCG would change if two items changed places.
    #[test]
    fn the_weights_are_changes_of_the_ndcg() {
        let n = 7;
        let Sample { x: [scores, relevance], .. } = gains::sample(n, &mut Stream::new(0, 0, 0));
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&i, &j| scores[j].total_cmp(&scores[i]));
        for k in [1, 3, n] {
            let dcg = |order: &[usize]| -> f64 {
                let first =
                    (0..k).map(|place| (relevance[order[place]].exp2() - 1.0) / (place as f64 + 2.0).log2());
                first.sum()
            };
            let mut best = order.clone();
            best.sort_by(|&i, &j| relevance[j].total_cmp(&relevance[i]));
            let mut expected = 0.0;
            for (p, q) in (0..n).flat_map(|p| (0..p).map(move |q| (p, q))) {
                let mut swapped = order.clone();
                swapped.swap(p, q);
                let lead = scores[order[p]] - scores[order[q]];
                let right = if relevance[order[p]] > relevance[order[q]] { lead } else { -lead };
                expected += (dcg(&swapped) - dcg(&order)).abs() * (1.0 + (-right).exp()).log2() / dcg(&best);
            }
            let operator = LambdaLoss { k: Some(k as u64), softness: 1.0, mu: 0.0 };
            let inputs = [&scores, &relevance].map(|x| ndarray::aview1(x).into_dyn());
            let [loss] = evaluate(&operator, inputs).unwrap();
            assert!((loss.sum() - expected).abs() < 1e-12, "{k}: {loss} for {expected}");
        }
    }
}
