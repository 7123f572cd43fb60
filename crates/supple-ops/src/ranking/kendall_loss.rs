//! One minus Kendall's τ, with a smooth comparison of the scores.
//!
//! $$ L(s, t) = 1 - \frac1N \sum_{i < j} \tanh\left(\frac{s_i - s_j}{\varepsilon}\right) \operatorname{sign}(t_i - t_j) $$
//!
//! for scores $s$ and a target $t$, with $N$ the number of pairs whose targets differ. It lies in \[0, 2\].
//!
//! * Softness: the unit of the scores; ε.
//! * Hard limit: one minus the share of pairs in the right order less that in the wrong one. Pairs of equal
//!   targets do not count, so that a perfect order has the loss 0 whatever is equal: this is Somers' D. Where
//!   no targets are equal it is τ-a, and τ-b where no scores are either. Pairs of equal scores count as
//!   neither.
//! * Gradient: exact in the scores; zero in the target, at which the loss jumps where two are equal.
//! * An entry with a target of −∞ is ignored. Where all other targets are equal there is nothing to rank: the
//!   loss is 0, and so is the gradient.
//! * A list with NaN, or with a score that is not finite, is NaN.
//! * Cost: at most O(n²) time, forward and backward: an exponential for each pair that is less than 25 ε
//!   apart, and O(n log n) for the others. O(n) memory.
//!
//! Papers: Kendall, *A new measure of rank correlation*, Biometrika 30, 1938; Somers, *A new asymmetric
//! measure of association for ordinal variables*, American Sociological Review 27, 1962.

use super::lists::{self, of_lists};
use super::pairs::Descending;
use ndarray::{Array, ArrayView, RemoveAxis};
use std::ops::Range;
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    params,
};
use supple_numerics::argsort::argsort;

params! {
    /// One minus Kendall's τ.
    pub struct KendallLoss {
        /// Distance at which two scores are told apart; the unit of the scores.
        softness: f64 = 0.1, Positive;
    }
}

impl Operator<2> for KendallLoss {
    const NAME: &'static str = "kendall_loss";
    const SIGNATURE: &'static str = "scores(n), target(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        4 * sizes[0] * sizes[0]
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
        lists::forward(at, loss, scratch, |[scores, target], scratch| {
            if lists::all_equal(target) {
                return Ok(T::Acc::zero());
            }
            let Some(descending) = Descending::new(scores, scratch) else { return Ok(T::Acc::nan()) };
            let targets = Targets::new(target, &descending.order, scratch);
            // tanh(|s_i − s_j| / ε) = 1 − 2 p: the hard sum, less what near pairs are short of it.
            let mut shared = T::Acc::zero();
            descending.for_each_below(0.5 * self.softness, scratch, |near| {
                let own = targets.levels[near.place];
                let pairs = near.shares.iter().zip(&targets.levels[near.others]);
                shared += pairs.map(|(&p, &level)| p * T::Acc::of(sign(own, level))).sum::<T::Acc>();
            });
            let hard = targets.concordance((0..scores.len()).map(|place| place..place + 1), scratch);
            let loss = T::Acc::of(1.0 - hard / targets.pairs) + T::Acc::of(2.0 / targets.pairs) * shared;
            targets.give(scratch);
            descending.give(scratch);
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
        lists::backward(&at, dx, scratch, |[scores, target], [dscores, _], scratch| {
            if lists::all_equal(target) {
                return;
            }
            let Some(descending) = Descending::new(scores, scratch) else { return };
            let targets = Targets::new(target, &descending.order, scratch);
            let rate = dloss * T::Acc::of(4.0 / (self.softness * targets.pairs));
            let mut ds = scratch.wide.zeros(scores.len());
            descending.for_each_below(0.5 * self.softness, scratch, |near| {
                let own = targets.levels[near.place];
                let levels = &targets.levels[near.others.clone()];
                let pairs = near.shares.iter().zip(levels).zip(&mut ds[near.others]);
                let mut sum = T::Acc::zero();
                for ((&p, &level), d) in pairs {
                    let change = T::Acc::of(sign(own, level)) * p * (T::Acc::one() - p);
                    sum += change;
                    *d += rate * change;
                }
                ds[near.place] -= rate * sum;
            });
            descending.order.iter().zip(&ds).for_each(|(&i, &d)| dscores[i as usize] = T::narrow(d));
            scratch.wide.give(ds);
            targets.give(scratch);
            descending.give(scratch);
        });
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        lists::forward(at, loss, scratch, |[scores, target], scratch| {
            if lists::all_equal(target) {
                return Ok(T::Acc::zero());
            }
            if !lists::all_finite(scores) {
                return Ok(T::Acc::nan());
            }
            let (order, sorted) = argsort(scores, true, scratch);
            let targets = Targets::new(target, &order, scratch);
            let mut start = 0;
            let ties = sorted.chunk_by(|a, b| a == b).map(|ties| {
                start += ties.len();
                start - ties.len()..start
            });
            let loss = T::Acc::of(1.0 - targets.concordance(ties, scratch) / targets.pairs);
            targets.give(scratch);
            scratch.indices.give(order);
            scratch.reals.give(sorted);
            Ok(loss)
        })
    }
}

/// `sign(a − b)`.
fn sign(a: u32, b: u32) -> f64 {
    f64::from(i8::from(a > b) - i8::from(a < b))
}

/// The target, by its order alone.
struct Targets {
    /// The rank of each value among the different values, from 1 on, by the place of its score.
    levels: Vec<u32>,
    /// How many different values there are.
    different: usize,
    /// How many pairs are not equal.
    pairs: f64,
}

impl Targets {
    fn new<T: Real>(target: &[T], places: &[u32], scratch: &mut Scratch<T>) -> Self {
        let (order, sorted) = argsort(target, false, scratch);
        let mut by_item = scratch.indices.zeros(target.len());
        let (mut start, mut level, mut pairs) = (0, 0, 0.0);
        for ties in sorted.chunk_by(|a, b| a == b) {
            let end = start + ties.len();
            level += 1;
            order[start..end].iter().for_each(|&i| by_item[i as usize] = level);
            pairs += start as f64 * ties.len() as f64;
            start = end;
        }
        let mut levels = scratch.indices.empty();
        levels.extend(places.iter().map(|&i| by_item[i as usize]));
        scratch.indices.give(by_item);
        scratch.indices.give(order);
        scratch.reals.give(sorted);
        Self { levels, different: level as usize, pairs }
    }

    /// Pairs in the right order less those in the wrong one. Places of one range have equal scores and make
    /// no pairs with each other. Counts of the levels so far are in a binary indexed tree.
    fn concordance<T: Real>(
        &self,
        ties: impl Iterator<Item = Range<usize>>,
        scratch: &mut Scratch<T>,
    ) -> f64 {
        let mut tree = scratch.indices.zeros(self.different + 1);
        let (mut seen, mut sum) = (0, 0);
        for ties in ties {
            let levels = &self.levels[ties];
            for &level in levels {
                let (below, up_to) = (count(&tree, level - 1), count(&tree, level));
                sum += (seen - up_to) - below;
            }
            levels.iter().for_each(|&level| insert(&mut tree, level));
            seen += levels.len() as i64;
        }
        scratch.indices.give(tree);
        sum as f64
    }

    fn give<T: Real>(self, scratch: &mut Scratch<T>) {
        scratch.indices.give(self.levels);
    }
}

/// How many of a level up to this one are in the tree.
fn count(tree: &[u32], level: u32) -> i64 {
    let (mut node, mut count) = (level as usize, 0);
    while node > 0 {
        count += i64::from(tree[node]);
        node &= node - 1;
    }
    count
}

fn insert(tree: &mut [u32], level: u32) {
    let mut node = level as usize;
    while node < tree.len() {
        tree[node] += 1;
        node += node & node.wrapping_neg();
    }
}

impl Contract<2> for KendallLoss {
    const SUMMARY: &'static str = "one minus Kendall's correlation, at pairwise hyperbolic tangents";
    const PAPER: &'static str = "Kendall, Biometrika 1938";
    const COST: &'static str = "at most O(n²) time, O(n) memory";

    fn cases() -> Vec<Self> {
        [0.1, 1.0, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::Within(Box::new(|_| (0.0, 2.0))), Law::ShiftInvariant]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [scores, target] = at.x;
        let n = scores.len();
        let pairs: Vec<_> = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        let different = pairs.iter().filter(|&&(i, j)| target[i] != target[j]).count();
        let term = |&(i, j): &(usize, usize)| {
            let sign = if target[i] == target[j] { 0.0 } else { (target[i] - target[j]).signum() };
            sign * ((scores[i] - scores[j]) / self.softness).tanh()
        };
        let sum: f64 = pairs.iter().map(term).sum();
        Some([vec![if different == 0 { 0.0 } else { 1.0 - sum / different as f64 }]])
    }
}

/// One minus Kendall's τ between `scores` `(…, n)` and a target of the same shape, with a smooth comparison
/// of the scores.
///
/// $$ L(s, t) = 1 - \frac1N \sum_{i < j} \tanh\left(\frac{s_i - s_j}{\varepsilon}\right) \operatorname{sign}(t_i - t_j) $$
///
/// with $N$ the number of pairs whose targets differ.
///
/// * Shapes: `(…, n)` twice to `(…)`. An entry with a target of −∞ is ignored.
/// * Softness: ε, in the unit of the scores.
/// * Hard limit: one minus τ-a where no targets are equal; pairs of equal targets do not count, so that a
///   perfect order has the loss 0 (Somers' D).
/// * Where all targets are equal, the loss and its gradient are 0.
/// * Gradient: exact in the scores; zero in the target.
/// * A list with NaN, or with a score that is not finite, is NaN.
/// * Cost: at most O(n²) time, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// ```
/// use ndarray::array;
/// use supple_ops::ranking::kendall_loss;
/// let target = array![10.0_f64, 30.0, 20.0];
/// assert!(kendall_loss(&array![0.0, 4.0, 2.0], &target, 0.1)?.into_scalar().abs() < 1e-12);
/// // One of three pairs is in the wrong order.
/// assert!((kendall_loss(&array![0.0, 2.0, 4.0], &target, 0.1)?.into_scalar() - 2.0 / 3.0).abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Kendall, *A new measure of rank correlation*, Biometrika 30, 1938; Somers, *A new asymmetric measure of
/// association for ordinal variables*, American Sociological Review 27, 1962.
pub fn kendall_loss<'a, T: Float, D: RemoveAxis>(
    scores: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    of_lists(&KendallLoss { softness }, scores, target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, aview1};
    use supple_core::{Inputs, Mode, Stream, evaluate};

    #[test]
    fn the_hard_form_counts_pairs_with_ties() {
        let mut random = Stream::new(0, 0, 0);
        for n in [2, 3, 10, 100] {
            let [scores, target] =
                [2.0, 3.0].map(|c| random.normals(n).iter().map(|x| (c * x).round()).collect());
            let [scores, target]: [Vec<f64>; 2] = [scores, target];
            let sign = |x: &[f64], i: usize, j: usize| f64::from(x[i] > x[j]) - f64::from(x[i] < x[j]);
            let pairs = || (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
            let sum: f64 = pairs().map(|(i, j)| sign(&scores, i, j) * sign(&target, i, j)).sum();
            let different = pairs().filter(|&(i, j)| target[i] != target[j]).count() as f64;
            let inputs = [&scores, &target].map(|x| aview1(x).into_dyn());
            let inputs = Inputs::from(inputs).mode(Mode::Hard);
            let [loss] = evaluate(&KendallLoss::default(), inputs).unwrap();
            assert!((loss.sum() - (1.0 - sum / different)).abs() < 1e-12, "{n}: {loss}");
        }
        let order = Array1::from(vec![1.0, 1.0, 2.0, 3.0, 3.0]);
        assert!(kendall_loss(&(&order * 5.0), &order, 0.01).unwrap().sum().abs() < 1e-12);
    }
}
