//! The probability of each of n items to be in a random subset of size k (SIMPLE).
//!
//! $$ y_i = \Pr(i \in S), \qquad \Pr(S) \propto \exp\left( \frac1\varepsilon \sum_{i \in S} x_i \right)
//! \quad \text{over all } S \text{ with } |S| = k $$
//!
//! It is the gradient of $\varepsilon \ln e_k(e^{x / \varepsilon})$, with the elementary symmetric polynomial
//! $e_k$: the mask of the k largest, smoothed by the entropy of a choice among all subsets. At k = 1 it is
//! [`softmax`](crate::choice::softmax()).
//!
//! * Softness: the unit of `x`; ε. The paper has ε = 1.
//! * Hard limit: the 0/1 mask of the k largest. Where the k-th value is tied, the ties share what is left in
//!   the limit; in the hard form the first positions win.
//! * Gradient: exact everywhere; the Jacobian is the covariance of the items' being in S, over ε. At k = 0
//!   and k = n the mask is constant and the gradient zero.
//! * −∞ is never chosen; with fewer than k other entries, the item has no answer. NaN makes its item NaN,
//!   and so do more than k of +∞, of which the hard form takes the first.
//! * Cost: O(n k) time, forward and backward, without overflow; memory O(n k) for small problems, O(k √n)
//!   for large ones.
//!
//! Paper: Ahmed, Zeng, Niepert, Van den Broeck, *SIMPLE: A Gradient Estimator for k-Subset Sampling*, ICLR
//! 2023, <https://arxiv.org/abs/2210.01941>.

use super::cut::{centre, check_k, hard_mask};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};
use supple_numerics::subsets::{Answers, covariances, marginals};

params! {
    /// Marginals of a random subset of size k.
    pub struct SubsetMarginals {
        /// Size of the subset; at most n.
        k: usize = 1, AtLeast(0.0);
        /// Temperature; the unit of `x`.
        softness: f64 = 0.1, Positive;
    }
}

/// What `x` is centred on: the k-th largest value; NaN where there is nothing to choose.
#[derive(Debug)]
pub struct Saved {
    pub(super) origin: f64,
}

impl Default for Saved {
    fn default() -> Self {
        Self { origin: f64::NAN }
    }
}

impl Operator for SubsetMarginals {
    const NAME: &'static str = "subset_marginals";
    const SIGNATURE: &'static str = "x(n) -> marginals(n)";
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_k(Self::NAME, self.k, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes.iter().product::<usize>().saturating_mul(4 * self.k + 10)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        if let Some(answers) = self.answers(at.x[0], y, saved, scratch)? {
            marginals(&answers, self.k, false, &mut scratch.wide, |i, p| y[i] = T::narrow(p));
            answers.give(&mut scratch.wide);
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        if at.y[0].first().is_some_and(|y| y.is_nan()) {
            return dx.fill(T::nan());
        }
        self.gradient(at.x[0], at.saved, dy, dx, scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        hard_mask(at.x[0], self.k, y, scratch)
    }
}

impl SubsetMarginals {
    /// The answers of which the subsets are made, or `None` where there is only one subset; it is in `y`.
    pub(super) fn answers<T: Real>(
        &self,
        x: &[T],
        y: &mut [T],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<Option<Answers<T::Acc>>, Fault> {
        let Some(centred) = centre(x, self.k, self.softness, y, scratch)? else { return Ok(None) };
        saved.origin = centred.kth;
        Ok(Some(Answers::new(y, self.k, &mut scratch.wide)))
    }

    /// The covariances times `dy`, over ε, into zeros.
    pub(super) fn gradient<T: Real>(
        &self,
        x: &[T],
        saved: &Saved,
        dy: &[T],
        dx: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        if saved.origin.is_nan() {
            return;
        }
        let (origin, softness) = (T::of(saved.origin), T::of(self.softness));
        let mut z = scratch.reals.empty();
        z.extend(x.iter().map(|&x| (x - origin) / softness));
        let answers = Answers::new(&z, self.k, &mut scratch.wide);
        let mut v = scratch.wide.empty();
        // About the sum to be expected, so that it does not hide what differs from it.
        let sum: f64 = answers.yes.iter().zip(dy).map(|(p, dy)| p.as_f64() * dy.as_f64()).sum();
        let mean = T::Acc::of(sum / self.k as f64);
        v.extend(dy.iter().map(|dy| dy.widen() - mean));
        let rate = T::Acc::of(1.0 / self.softness);
        covariances(&answers, self.k, &v, &mut scratch.wide, |i, c| dx[i] = T::narrow(rate * c));
        scratch.wide.give(v);
        answers.give(&mut scratch.wide);
        scratch.reals.give(z);
    }
}

impl Contract for SubsetMarginals {
    const SUMMARY: &'static str = "probabilities to be in a random subset of size k (SIMPLE)";
    const PAPER: &'static str = "Ahmed et al., ICLR 2023, arXiv:2210.01941";
    const COST: &'static str = "O(n k) time, memory O(n k) or O(k √n)";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        [(1, 0.1), (3, 1.0), (2, 20.0), (5, 0.3), (0, 1.0)].map(|(k, softness)| Self { k, softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        vec![
            Law::SumsTo(Box::new(move |_| k)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            Law::Masks,
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 6].map(|more| vec![self.k + more]).to_vec()
    }

    /// By going through all subsets.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let is_in = |subset: usize, i: usize| subset >> i & 1 == 1;
        let (mut sums, mut total) = (vec![0.0; x.len()], 0.0);
        for subset in (0..1usize << x.len()).filter(|s| s.count_ones() as usize == self.k) {
            let sum: f64 = (0..x.len()).filter(|&i| is_in(subset, i)).map(|i| x[i]).sum();
            let weight = (sum / self.softness).exp();
            total += weight;
            (0..x.len()).filter(|&i| is_in(subset, i)).for_each(|i| sums[i] += weight);
        }
        Some([sums.into_iter().map(|sum| sum / total).collect()])
    }
}

/// The probability of each entry along the last axis to be in a random subset of size `k`: exact marginals of
/// the distribution over subsets (SIMPLE).
///
/// $$ y_i = \Pr(i \in S), \qquad \Pr(S) \propto \exp\left( \frac1\varepsilon \sum_{i \in S} x_i \right),
/// \quad |S| = k $$
///
/// * Shapes: `(…, n)` to `(…, n)`, k ≤ n.
/// * Softness: ε, in the unit of `x`; 1 in the paper.
/// * Hard limit: the 0/1 mask of the k largest; where the k-th value is tied, the ties share what is left.
/// * Gradient: exact everywhere, by the covariances. Zero for k = n.
/// * −∞ is never chosen; an item with fewer than k other entries is an error. NaN makes its item NaN.
/// * Cost: O(n k) time, forward and backward.
/// * Errors: a softness that is not finite and above zero; k > n.
///
/// For a subset instead of the probabilities, see [`subset_sample`](super::subset_sample()). For another
/// axis, the hard mask or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`SubsetMarginals`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::select::subset_marginals;
/// // Weights 1, 2 and 3: the pairs have 2, 3 and 6 parts of 11.
/// let x = array![1.0_f64, 2.0, 3.0].ln();
/// let marginals = subset_marginals(&x, 2, 1.0)?;
/// assert!((marginals - array![5.0, 8.0, 9.0] / 11.0).iter().all(|gap| gap.abs() < 1e-14));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Ahmed, Zeng, Niepert, Van den Broeck, *SIMPLE: A Gradient Estimator for k-Subset Sampling*, ICLR 2023,
/// <https://arxiv.org/abs/2210.01941>.
pub fn subset_marginals<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SubsetMarginals { k, softness }, x)
}
