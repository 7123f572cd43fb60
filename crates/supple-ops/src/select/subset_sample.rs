//! A random subset of size k, with the gradient of its marginals (SIMPLE).
//!
//! $$ y = 1_S, \qquad \Pr(S) \propto \exp\left( \frac1\varepsilon \sum_{i \in S} x_i \right)
//! \quad \text{over all } S \text{ with } |S| = k $$
//!
//! The sample is exact: item by item, each with its probability given what has been chosen. A sample has no
//! derivative; the paper's estimator puts that of the [marginals](super::subset_marginals()) in its place,
//! which is the expectation of y.
//!
//! * Softness: the unit of `x`; ε. The paper has ε = 1.
//! * Hard limit: the 0/1 mask of the k largest; also the hard form, where of equal values the first win.
//! * Gradient: a surrogate, $\partial \mathrm{E}[y] / \partial x$, which does not depend on the sample. Exact
//!   for what is linear in y, in expectation; biased for what is not. Second derivatives are refused.
//! * Random numbers are a function of seed, item and position: another `x` with the same seed is asked with
//!   the same numbers. Without a seed, each call draws anew.
//! * −∞ is never chosen; with fewer than k other entries, the item has no answer. NaN makes its item NaN,
//!   and so do more than k of +∞, of which the hard form takes the first.
//! * Cost: O(n k) time, forward and backward; memory O(n k) for small problems, O(k √n) for large ones.
//!
//! Paper: Ahmed, Zeng, Niepert, Van den Broeck, *SIMPLE: A Gradient Estimator for k-Subset Sampling*, ICLR
//! 2023, <https://arxiv.org/abs/2210.01941>.

use super::subset_marginals::{Saved, SubsetMarginals};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    Stream, map, params,
};
use supple_numerics::subsets::sample;

params! {
    /// A random subset of size k.
    pub struct SubsetSample {
        /// Size of the subset; at most n.
        k: usize = 1, AtLeast(0.0);
        /// Temperature; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Seed of the choice; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

impl SubsetSample {
    fn marginals(&self) -> SubsetMarginals {
        SubsetMarginals { k: self.k, softness: self.softness }
    }
}

impl Operator for SubsetSample {
    const NAME: &'static str = "subset_sample";
    const SIGNATURE: &'static str = "x(n) -> mask(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        super::cut::check_k(Self::NAME, self.k, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.marginals().work(sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        self.marginals().scaling()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let Some(answers) = self.marginals().answers(at.x[0], y, saved, scratch)? else { return Ok(()) };
        y.fill(T::zero());
        let seed = self.seed.unwrap_or_else(Stream::fresh_seed);
        let uniform = |i| Stream::new(seed, at.item, i).uniform();
        sample(&answers, self.k, uniform, &mut scratch.wide, |i| y[i] = T::one());
        answers.give(&mut scratch.wide);
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
        self.marginals().gradient(at.x[0], at.saved, dy, dx, scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.marginals().hard(at, y, scratch)
    }
}

impl Contract for SubsetSample {
    const SUMMARY: &'static str = "random subset of size k, with the gradient of its marginals (SIMPLE)";
    const PAPER: &'static str = "Ahmed et al., ICLR 2023, arXiv:2210.01941";
    const COST: &'static str = "O(n k) time, memory O(n k) or O(k √n)";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |k, softness| Self { k, softness, seed: None };
        vec![case(1, 0.1), case(3, 1.0), case(2, 20.0), case(0, 1.0)]
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        let fraction = |at: supple_core::Evaluated<'_>| at.y[0].iter().map(|y| y * (1.0 - y)).sum();
        vec![Law::SumsTo(Box::new(move |_| k)), Law::Vanishes("between_0_and_1", Box::new(fraction))]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 6].map(|more| vec![self.k + more]).to_vec()
    }
}

/// The mask of a random subset of size `k` of the entries along the last axis: an exact sample, with the
/// gradient of its marginals (SIMPLE).
///
/// $$ y = 1_S, \qquad \Pr(S) \propto \exp\left( \frac1\varepsilon \sum_{i \in S} x_i \right), \quad
/// |S| = k $$
///
/// * Shapes: `(…, n)` to `(…, n)`, k ≤ n.
/// * Softness: ε, in the unit of `x`; 1 in the paper.
/// * Hard limit: the 0/1 mask of the k largest.
/// * Gradient: a surrogate, that of [`subset_marginals`](super::subset_marginals()); second derivatives are
///   refused.
/// * Each call draws anew: set [`SubsetSample::seed`] for the same subsets.
/// * −∞ is never chosen; an item with fewer than k other entries is an error. NaN makes its item NaN.
/// * Cost: O(n k) time, forward and backward.
/// * Errors: a softness that is not finite and above zero; k > n.
///
/// For a seed, another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`SubsetSample`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::select::subset_sample;
/// let mask = subset_sample(&array![0.1, 5.0, 0.2, 5.1, 0.0], 3, 0.5)?;
/// assert!(mask.sum() == 3.0 && mask.iter().all(|&y| y == 0.0 || y == 1.0));
/// assert!(mask[1] == 1.0 && mask[3] == 1.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Ahmed, Zeng, Niepert, Van den Broeck, *SIMPLE: A Gradient Estimator for k-Subset Sampling*, ICLR 2023,
/// <https://arxiv.org/abs/2210.01941>.
pub fn subset_sample<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SubsetSample { k, softness, ..SubsetSample::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, array};
    use supple_core::{evaluate, linearize};

    #[test]
    fn frequencies_are_the_marginals() {
        let x = array![0.3, -0.5, 1.1, 0.0, 0.9, -2.0];
        let (k, softness, count) = (3, 0.7, 40_000);
        let rows = Array2::from_shape_fn((count, x.len()), |(_, i)| x[i]).into_dyn();
        let operator = SubsetSample { k, softness, seed: Some(7) };
        let [masks] = evaluate(&operator, [rows.view()]).unwrap();
        let marginals = super::super::subset_marginals(&x, k, softness).unwrap();
        for (frequency, p) in masks.mean_axis(Axis(0)).unwrap().iter().zip(&marginals) {
            let error = (p * (1.0 - p) / count as f64).sqrt();
            assert!((frequency - p).abs() < 4.5 * error, "{frequency} for {p}");
        }
        // Pairs, which marginals alone do not fix: in or out together as the covariance says.
        let of_0 = array![1.0, 0.0, 0.0, 0.0, 0.0, 0.0].into_dyn();
        let (of_marginals, x) = (operator.marginals(), x.into_dyn());
        let exact = linearize(&of_marginals, [x.view()]).unwrap();
        let [covariance] = exact.vjp([of_0.view()]).unwrap();
        for i in 0..x.len() {
            let both = (0..count).filter(|&row| masks[[row, 0]] * masks[[row, i]] == 1.0).count() as f64;
            let p = softness * covariance[i] + marginals[0] * marginals[i];
            let error = (p * (1.0 - p) / count as f64).sqrt();
            assert!((both / count as f64 - p).abs() < 4.5 * error, "{i}: {both} for {p}");
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_marginals_whatever_the_seed() {
        let (x, dy) = (array![0.3, -0.5, 1.1, 0.0].into_dyn(), array![1.0, 2.0, -1.0, 0.5].into_dyn());
        let marginals = SubsetMarginals { k: 2, softness: 0.5 };
        let exact = linearize(&marginals, [x.view()]).unwrap();
        for seed in [None, Some(3)] {
            let operator = SubsetSample { k: 2, softness: 0.5, seed };
            let sampled = linearize(&operator, [x.view()]).unwrap();
            assert_eq!(sampled.vjp([dy.view()]).unwrap(), exact.vjp([dy.view()]).unwrap());
        }
    }
}
