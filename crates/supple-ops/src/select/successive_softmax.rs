//! A relaxed subset of size k: one softmax after another, each without what the ones before have chosen.
//!
//! From the keys $\alpha^1 = x$, or $x + g$ with standard Gumbel noise $g$,
//!
//! $$ p^j = \mathrm{softmax}(\alpha^j / \varepsilon), \qquad \alpha^{j+1} = \alpha^j + \ln(1 - p^j), \qquad
//! y = \sum_{j=1}^{k} p^j $$
//!
//! With noise, the k largest keys are a random subset, drawn one by one without replacement with weights
//! $e^{x_i}$ ([`subset_sample`](super::subset_sample()) draws from another distribution), and y is its
//! relaxation.
//!
//! * Softness: ε, in the unit of `x`, which is that of logarithms of weights. Scaling both is not the same at
//!   another scale: the logarithm in the update has the unit one, and must not be multiplied by ε, or the
//!   first entry would not go out of the way of the second in the limit.
//! * Hard limit: the 0/1 mask of the k largest, with noise that of the k largest keys. Of equal values, the
//!   relaxation shares, and the hard form takes the first.
//! * Entries can be above 1, and at k = n are not all 1: an entry may be chosen in part more than once. The
//!   mask sums to k.
//! * Gradient: exact everywhere, for the given noise. At k = 1 it is [`softmax`](crate::choice::softmax()).
//! * Noise is a function of seed and item; without a seed, each call draws anew. Straight-through, value and
//!   gradient are those of one draw.
//! * −∞ is never chosen; with fewer than k other entries, the item has no answer. NaN and +∞ make their item
//!   NaN; to the hard form without noise, +∞ is the largest.
//! * Cost: O(n k) time and memory.
//!
//! Paper: Xie and Ermon, *Reparameterizable subset sampling via continuous relaxations*, IJCAI 2019,
//! <https://arxiv.org/abs/1901.10517>.

use super::cut::{check_k, cut, hard_mask};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Fault, Float, Law, Operator, Params, Point, Real, Scratch, Stream, map,
    params,
};
use supple_numerics::elementary::{dot, exp_sum, ln_slice, sum_by};
use supple_numerics::noise::Noise;
use supple_numerics::simplex::largest;

params! {
    /// Softmax k times, for a subset of size k.
    pub struct SuccessiveSoftmax {
        /// Size of the subset; at most n.
        k: usize = 1, AtLeast(0.0);
        /// Temperature; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether Gumbel noise is added to `x`, for a random subset.
        gumbel: bool = false, Any;
        /// Seed of the noise; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

/// The seed in use, and the keys of each round.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    seed: u64,
    keys: Vec<T::Acc>,
}

/// A softmax, with what is near 1 apart from the others, so that nothing is lost beside 1.
struct Round<A> {
    /// Where the largest key is, its probability, and what is left for the others.
    top: usize,
    p: A,
    rest: A,
    ln_rest: A,
}

impl SuccessiveSoftmax {
    fn new_seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| if self.gumbel { Stream::fresh_seed() } else { 0 })
    }

    /// The softmax of `keys`. `others` becomes that of all but the largest, among themselves, with 0 there.
    fn round<A: Real<Acc = A>>(&self, keys: &[A], others: &mut Vec<A>) -> Round<A> {
        let rate = A::of(1.0 / self.softness);
        let (mut top, mut second) = (0, f64::NEG_INFINITY);
        for (i, key) in keys.iter().enumerate().skip(1) {
            let least = if *key > keys[top] { std::mem::replace(&mut top, i) } else { i };
            second = second.max(keys[least].as_f64());
        }
        others.clear();
        if second == f64::NEG_INFINITY {
            others.resize(keys.len(), A::zero());
            return Round { top, p: A::one(), rest: A::zero(), ln_rest: -A::infinity() };
        }
        let second = A::of(second);
        others.extend(keys.iter().map(|&key| (key - second) * rate));
        others[top] = -A::infinity();
        let sum = exp_sum(others, A::zero());
        others.iter_mut().for_each(|o| *o /= sum);
        let ln_odds = sum.ln() + (second - keys[top]) * rate;
        let odds = ln_odds.exp();
        let whole = A::one() + odds;
        Round { top, p: A::one() / whole, rest: odds / whole, ln_rest: ln_odds - odds.ln_1p() }
    }

    /// The mask, for the noise of `saved.seed`.
    fn run<T: Real>(
        &self,
        at: Args<'_, T>,
        y: &mut [T],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        if cut(x, self.k, y, scratch)?.is_none() {
            return Ok(());
        }
        if largest(x) == T::Value::of(f64::INFINITY) {
            y.fill(T::nan());
            return Ok(());
        }
        let n = x.len();
        let mut keys = scratch.wide.zeros(n);
        self.keys(x, saved.seed, at.item, &mut keys);
        let (mut others, mut sum) = (scratch.wide.empty(), scratch.wide.zeros(n));
        saved.keys.clear();
        saved.keys.reserve(n * self.k);
        for _ in 0..self.k {
            saved.keys.extend_from_slice(&keys);
            let Round { top, p, rest, ln_rest } = self.round(&keys, &mut others);
            let last = keys[top];
            sum[top] += p;
            for (sum, other) in sum.iter_mut().zip(&mut others) {
                let p = rest * *other;
                *sum += p;
                *other = T::Acc::one() - p;
            }
            ln_slice(&mut others);
            keys.iter_mut().zip(&others).for_each(|(key, &ln)| *key += ln);
            keys[top] = last + ln_rest;
        }
        y.iter_mut().zip(&sum).for_each(|(y, &sum)| *y = T::narrow(sum));
        [keys, others, sum].into_iter().for_each(|buffer| scratch.wide.give(buffer));
        Ok(())
    }

    /// The keys of the first round, about their largest x.
    fn keys<T: Real>(&self, x: &[T], seed: u64, item: usize, keys: &mut [T::Acc]) {
        if self.gumbel {
            Noise::Gumbel.fill_any(&mut Stream::new(seed, item, 0), keys);
        }
        let origin = T::constant(largest(x)).widen();
        keys.iter_mut().zip(x).for_each(|(key, x)| *key += x.widen() - origin);
    }
}

impl Operator for SuccessiveSoftmax {
    const NAME: &'static str = "successive_softmax";
    const SIGNATURE: &'static str = "x(n) -> mask(n)";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_k(Self::NAME, self.k, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes.iter().product::<usize>().saturating_mul(10 * self.k + 10)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        saved.seed = self.new_seed();
        self.run(at, y, saved, scratch)
    }

    /// The rounds backwards. With $o = p / (1 - p_t)$ beside the largest key t,
    /// $\partial \ln(1 - p_t) / \partial (\alpha_l / \varepsilon)$ is $p_t o_l$, which stays finite as
    /// $p_t \to 1$.
    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        if at.y[0].first().is_some_and(|y| y.is_nan()) {
            return dx.fill(T::nan());
        }
        let one = T::Acc::one();
        let rate = T::Acc::of(1.0 / self.softness);
        let mut dy_wide = scratch.wide.empty();
        dy_wide.extend(dy.iter().map(|dy| dy.widen()));
        let mut dkeys = scratch.wide.zeros(dx.len());
        let mut others = scratch.wide.empty();
        for keys in at.saved.keys.chunks_exact(dx.len().max(1)).rev() {
            let Round { top, p, rest, .. } = self.round(keys, &mut others);
            let mean_of_others = dot(&others, &dy_wide);
            let (dy_top, dkey_top) = (dy_wide[top], dkeys[top]);
            let mean = p * dy_top + rest * mean_of_others;
            let odds = |o: T::Acc| rest * o / (one - rest * o);
            let pull = sum_by(&others, &dkeys, |o, dkey| dkey * odds(o));
            for ((dkey, &o), &dy) in dkeys.iter_mut().zip(&others).zip(&dy_wide) {
                let q = rest * o;
                *dkey += rate * (q * (dy - mean + pull - *dkey / (one - q)) + dkey_top * p * o);
            }
            let own = rest * (dy_top - mean_of_others) + pull - dkey_top;
            dkeys[top] = dkey_top + rate * p * own;
        }
        dx.iter_mut().zip(&dkeys).for_each(|(dx, &dkey)| *dx = T::narrow(dkey));
        [dy_wide, dkeys, others].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    /// With the noise of the values.
    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Saved<F>>,
        [y]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        scratch: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        saved.seed = values.saved.seed;
        self.run(at, y, saved, scratch)
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.hard_at(at, &Saved { seed: self.new_seed(), keys: vec![] }, y, scratch)
    }

    /// With the noise of the relaxed subset.
    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T>,
        saved: &Saved<T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        if !self.gumbel {
            return hard_mask(x, self.k, y, scratch);
        }
        let mut wide = scratch.wide.zeros(x.len());
        self.keys(x, saved.seed, at.item, &mut wide);
        let mut keys = scratch.reals.empty();
        keys.extend(wide.iter().map(|&key| T::narrow(key)));
        let done = hard_mask(&keys, self.k, y, scratch);
        scratch.reals.give(keys);
        scratch.wide.give(wide);
        done
    }
}

impl Contract for SuccessiveSoftmax {
    const SUMMARY: &'static str = "relaxed subset of size k, by one softmax after another";
    const PAPER: &'static str = "Xie and Ermon, IJCAI 2019, arXiv:1901.10517";
    const COST: &'static str = "O(n k) time and memory";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |k, softness, gumbel| Self { k, softness, gumbel, seed: None };
        vec![
            case(1, 0.5, false),
            case(3, 1.0, false),
            case(2, 0.3, false),
            case(2, 20.0, false),
            case(0, 1.0, false),
            case(3, 0.7, true),
            case(1, 2.0, true),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        let sums: Law = Law::SumsTo(Box::new(move |_| k));
        let within = Law::Within(Box::new(move |_| (0.0, k)));
        match self.gumbel {
            false => vec![sums, within, Law::ShiftInvariant, Law::PermutationEquivariant, Law::Masks],
            true => vec![sums, within, Law::ShiftInvariant, Law::Masks],
        }
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 6].map(|more| vec![self.k + more]).to_vec()
    }

    /// The recursion as the paper has it.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        if self.gumbel {
            return None;
        }
        let mut keys = at.x[0].to_vec();
        let mut mask = vec![0.0; keys.len()];
        for _ in 0..self.k {
            let e: Vec<f64> = keys.iter().map(|key| (key / self.softness).exp()).collect();
            let sum: f64 = e.iter().sum();
            for ((key, mask), e) in keys.iter_mut().zip(&mut mask).zip(&e) {
                *mask += e / sum;
                // 1 − p as the others' part: p may be so near 1 that nothing is left.
                *key += ((sum - e) / sum).ln();
            }
        }
        Some([mask])
    }
}

/// A relaxed mask of the `k` largest entries along the last axis: the sum of k softmaxes, each without what
/// the ones before have chosen.
///
/// $$ p^j = \mathrm{softmax}(\alpha^j / \varepsilon), \qquad \alpha^1 = x, \qquad
/// \alpha^{j+1} = \alpha^j + \ln(1 - p^j), \qquad y = \sum_{j=1}^{k} p^j $$
///
/// * Shapes: `(…, n)` to `(…, n)`, k ≤ n.
/// * Softness: ε, in the unit of `x`, which is that of logarithms of weights.
/// * Hard limit: the 0/1 mask of the k largest.
/// * The mask sums to k, but entries can be above 1, and at k = n are not all 1.
/// * Gradient: exact everywhere.
/// * −∞ is never chosen; an item with fewer than k other entries is an error. NaN and +∞ make their item NaN.
/// * Cost: O(n k) time and memory.
/// * Errors: a softness that is not finite and above zero; k > n.
///
/// For random subsets, set [`SuccessiveSoftmax::gumbel`] and call [`evaluate`](supple_core::evaluate), as for
/// another axis, the hard mask or ragged batches; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::select::successive_softmax;
/// let mask = successive_softmax(&array![2.0_f64, 0.0, 1.5, -1.0], 2, 0.05)?;
/// assert!((mask - array![1.0, 0.0, 1.0, 0.0]).iter().all(|gap| gap.abs() < 1e-3));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Xie and Ermon, *Reparameterizable subset sampling via continuous relaxations*, IJCAI 2019,
/// <https://arxiv.org/abs/1901.10517>.
pub fn successive_softmax<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SuccessiveSoftmax { k, softness, ..SuccessiveSoftmax::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::linearize;

    #[test]
    fn far_apart_and_masked() {
        let x = array![1e6, -f64::INFINITY, 3.0, -1e6, 2.0].into_dyn();
        for softness in [1e-6, 0.1, 1.0] {
            let operator = SuccessiveSoftmax { k: 3, softness, ..SuccessiveSoftmax::default() };
            let at = linearize(&operator, [x.view()]).unwrap();
            let mask = &at.outputs()[0];
            assert!(mask[1] == 0.0 && (mask.sum() - 3.0).abs() < 1e-12, "{mask}");
            let [dx] = at.vjp([array![1.0, 2.0, -1.0, 0.5, 3.0].into_dyn().view()]).unwrap();
            assert!(dx.iter().all(|dx| dx.is_finite()), "{dx}");
        }
    }

    #[test]
    fn single_precision_keeps_small_values_beside_large_ones() {
        let x = [1e6, 2.0, 2.4];
        for (k, softness) in [(1, 0.1), (2, 0.1), (2, 1.0), (3, 0.3)] {
            let expected = successive_softmax(&x.map(|x: f32| x as f64), k, softness).unwrap();
            let mask = successive_softmax(&x, k, softness).unwrap();
            let apart = mask.iter().zip(&expected).map(|(&a, b)| (a as f64 - b).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-7, "{mask} for {expected}");
        }
    }

    #[test]
    fn another_seed_is_another_subset_and_none_is_drawn_once() {
        let x = array![0.0, 0.1, 0.2, 0.3].into_dyn();
        let operator = |seed| SuccessiveSoftmax { k: 2, softness: 0.5, gumbel: true, seed };
        let mask = |seed| linearize(&operator(seed), [x.view()]).unwrap().outputs()[0].clone();
        assert_eq!(mask(Some(1)), mask(Some(1)));
        assert_ne!(mask(Some(1)), mask(Some(2)));
        assert_ne!(mask(None), mask(None));
        // Values, tangents and gradients see the same noise.
        let (free, v) = (operator(None), array![1.0, -2.0, 0.5, 0.3].into_dyn());
        let at = linearize(&free, [x.view()]).unwrap();
        let ([jv], [dx]) = (at.jvp([v.view()]).unwrap(), at.vjp([v.view()]).unwrap());
        let apart = (&jv * &v).sum() - (&dx * &v).sum();
        assert!(apart.abs() < 1e-12, "{apart:e}");
    }
}
