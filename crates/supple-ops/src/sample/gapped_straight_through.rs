//! Gapped straight-through: a sample of a choice, with the gradient of a softmax that agrees with it.
//!
//! $$ y \sim \mathrm{softmax}(x), \qquad
//! \bar x = \frac1\varepsilon \left( \operatorname{diag}(q) - q q^\top \right) \bar y, \quad
//! q = \mathrm{softmax}(z / \varepsilon), \quad
//! z_i = \begin{cases} m & y_i = 1 \\ \min(x_i, m - g) & y_i = 0 \end{cases}, \quad m = \max_j x_j $$
//!
//! The straight-through Gumbel-softmax goes back through a softmax that is largest where the sample is one,
//! but its noise adds to the variance. Here no noise is left once y is drawn: the logits are moved as
//! little as makes the chosen one the largest, by a gap of at least g. The moves count as constants.
//!
//! * Softness: the unit of `x`; ε, the paper's τ. It is in the gradient only: the sample is that of softmax
//!   at temperature 1.
//! * `gap`: g, in the unit of `x`; 1 in the paper. The larger, the less gradient comes from what was not
//!   drawn.
//! * Hard form: the same sample, with a zero gradient.
//! * Gradient: a surrogate, biased for linear functions too. Second derivatives are refused.
//! * The sample is a function of seed, number of the item, and logits: that of
//!   [`StraightThrough`](super::StraightThrough). Without a seed, each call draws anew.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) forward and backward; one random number.
//!
//! Paper: Fan, Chi, Rudnicky, Ramadge, *Training discrete deep generative models via gapped straight-through
//! estimator*, ICML 2022, <https://arxiv.org/abs/2206.07235>.

use super::one_hot::{chosen, draw, laws, seed_of, soft_gradient, wide};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, map, params,
};
use supple_numerics::simplex::largest;

params! {
    /// A sample of a choice, with the gradient of a softmax that agrees with it.
    pub struct GappedStraightThrough {
        /// Temperature of the gradient; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// By how much the chosen logit is to be the largest, at least; the unit of `x`.
        gap: f64 = 1.0, AtLeast(0.0);
        /// Seed of the sample; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

impl Operator for GappedStraightThrough {
    const NAME: &'static str = "gapped_straight_through";
    const SIGNATURE: &'static str = "x(n>=1) -> sample(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    /// The seed in use.
    type Saved<T: Real> = u64;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        seed: &mut u64,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *seed = seed_of(self.seed);
        draw(at, *seed, y, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, u64>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let Some(chosen) = chosen(at.y[0]) else { return dx.fill(T::nan()) };
        let mut z = wide(at.x[0], scratch);
        let top = T::Acc::constant(largest(&z));
        let below = top - T::Acc::of(self.gap);
        z.iter_mut().for_each(|z| *z = z.min(below));
        z[chosen] = top;
        soft_gradient(z, self.softness, dy, dx, scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.hard_at(at, &seed_of(self.seed), y, scratch)
    }

    /// The sample of the forward pass.
    fn hard_at<T: Float>(
        &self,
        at: Args<'_, T>,
        seed: &u64,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        draw(at, *seed, y, scratch);
        Ok(())
    }
}

impl Contract for GappedStraightThrough {
    const SUMMARY: &'static str = "sample of a choice, with the gradient of a softmax that agrees with it";
    const PAPER: &'static str = "Fan et al., ICML 2022, arXiv:2206.07235";
    const COST: &'static str = "O(n) forward and backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [(1.0, 1.0), (0.1, 0.0), (20.0, 3.0)]
            .map(|(softness, gap)| Self { softness, gap, seed: None })
            .to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        laws()
    }
}

/// A one-hot sample of the choice among logits `x` along the last axis, with the gradient of a softmax that
/// agrees with it.
///
/// $$ y \sim \mathrm{softmax}(x), \qquad
/// \bar x = \frac1\varepsilon \left( \operatorname{diag}(q) - q q^\top \right) \bar y, \quad
/// q = \mathrm{softmax}(z / \varepsilon) $$
///
/// where $z_i = m = \max_j x_j$ for what was drawn, and $\min(x_i, m - 1)$ for the others.
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1. Each item is drawn for itself.
/// * Softness: ε, in the unit of the logits; the temperature of the gradient. That of the sample is 1.
/// * Gradient: a surrogate; second derivatives are refused.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// Each call draws anew: set [`GappedStraightThrough::seed`] for the same samples. For a seed, another
/// [`gap`](GappedStraightThrough::gap) than 1, another axis or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`GappedStraightThrough`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::sample::gapped_straight_through;
/// let y = gapped_straight_through(&array![0.5_f64, 1.0, f64::NEG_INFINITY], 1.0)?;
/// assert!(y.sum() == 1.0 && y.iter().all(|&y| y == 0.0 || y == 1.0) && y[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Fan, Chi, Rudnicky, Ramadge, *Training discrete deep generative models via gapped straight-through
/// estimator*, ICML 2022, <https://arxiv.org/abs/2206.07235>.
pub fn gapped_straight_through<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&GappedStraightThrough { softness, ..GappedStraightThrough::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::super::one_hot::tests::draws;
    use super::*;
    use crate::choice::Softmax;
    use ndarray::array;
    use supple_core::linearize;

    #[test]
    fn the_gradient_is_that_of_softmax_at_the_moved_logits() {
        let dy = [1.0, 2.0, -1.0];
        let operator = GappedStraightThrough { softness: 0.5, gap: 0.8, seed: Some(2) };
        let [y, dx] = draws(&operator, &[1.0, 0.5, -2.0], 300, &|_| dy.to_vec());
        // The largest stays, and the second goes down; or it goes up, and the largest down; or the third
        // goes up, and both down.
        let moved = [array![1.0, 0.2, -2.0], array![0.2, 1.0, -2.0], array![0.2, 0.2, 1.0]];
        for (option, z) in moved.into_iter().enumerate() {
            let (z, dy) = (z.into_dyn(), array![1.0, 2.0, -1.0].into_dyn());
            let soft = Softmax { softness: 0.5 };
            let [expected] = linearize(&soft, [z.view()]).unwrap().vjp([dy.view()]).unwrap();
            let row = y.rows().into_iter().position(|y| y[option] == 1.0).expect("each is drawn");
            let gap = &dx.index_axis(ndarray::Axis(0), row) - &expected;
            assert!(gap.iter().all(|gap| gap.abs() < 1e-15), "{option}: {gap}");
        }
    }
}
