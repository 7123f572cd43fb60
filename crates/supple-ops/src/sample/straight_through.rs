//! Straight-through: a sample of a choice, with the gradient of softmax.
//!
//! $$ y \sim \mathrm{softmax}(x), \qquad
//! \bar x = \frac1\varepsilon \left( \operatorname{diag}(p) - p p^\top \right) \bar y, \quad
//! p = \mathrm{softmax}(x / \varepsilon) $$
//!
//! y is one-hot. The cotangent goes back as if y had been p.
//!
//! * Softness: the unit of `x`; ε, the papers' τ. It is in the gradient only: the sample is that of softmax
//!   at temperature 1, whatever ε. To sample at another temperature, divide `x` by it. At ε = 1 it is the
//!   plain straight-through of the papers. The decoupled one, with τ_f forward and τ_b backward, is this
//!   one at `x / τ_f` and ε = τ_b / τ_f.
//! * Hard form: the same sample, with a zero gradient.
//! * Gradient: a surrogate. At ε = 1 it is, in expectation, exact for what is linear in y, and biased for
//!   what is not: it is the first-order (Euler) approximation of the true one, which
//!   [`ReinMax`](super::ReinMax) takes to the second. At other ε it is biased throughout. Second
//!   derivatives are refused.
//! * The sample is a function of seed, number of the item, and logits. Without a seed, each call draws anew.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) forward and backward; one random number.
//!
//! Papers: Bengio, Léonard, Courville, *Estimating or propagating gradients through stochastic neurons for
//! conditional computation*, 2013, <https://arxiv.org/abs/1308.3432>, after Hinton's lectures of 2012;
//! Shah, Yan, Mozer, Liu, *Improving discrete optimisation via decoupled straight-through estimator*, 2024,
//! <https://arxiv.org/abs/2410.13331>.

use super::one_hot::{chosen, draw, laws, seed_of, soft_gradient, wide};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, map, params,
};

params! {
    /// A sample of a choice, with the gradient of softmax.
    pub struct StraightThrough {
        /// Temperature of the gradient; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// Seed of the sample; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

impl Operator for StraightThrough {
    const NAME: &'static str = "straight_through";
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
        if chosen(at.y[0]).is_none() {
            return dx.fill(T::nan());
        }
        let z = wide(at.x[0], scratch);
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

impl Contract for StraightThrough {
    const SUMMARY: &'static str = "sample of a choice, with the gradient of softmax";
    const PAPER: &'static str = "Bengio et al., 2013, arXiv:1308.3432";
    const COST: &'static str = "O(n) forward and backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness, seed: None }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        laws()
    }
}

/// A one-hot sample of the choice among logits `x` along the last axis, with the gradient of softmax.
///
/// $$ y \sim \mathrm{softmax}(x), \qquad
/// \bar x = \frac1\varepsilon \left( \operatorname{diag}(p) - p p^\top \right) \bar y, \quad
/// p = \mathrm{softmax}(x / \varepsilon) $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1. Each item is drawn for itself.
/// * Softness: ε, in the unit of the logits; the temperature of the gradient. That of the sample is 1.
/// * Gradient: a surrogate; at ε = 1 exact in expectation for what is linear in y. Second derivatives are
///   refused.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// Each call draws anew: set [`StraightThrough::seed`] for the same samples. For a seed, another axis or
/// ragged batches, call [`evaluate`](supple_core::evaluate) with a [`StraightThrough`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::sample::straight_through;
/// let y = straight_through(&array![0.5_f64, 1.0, f64::NEG_INFINITY], 1.0)?;
/// assert!(y.sum() == 1.0 && y.iter().all(|&y| y == 0.0 || y == 1.0) && y[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Bengio, Léonard, Courville, *Estimating or propagating gradients through stochastic neurons for
/// conditional computation*, 2013, <https://arxiv.org/abs/1308.3432>.
pub fn straight_through<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&StraightThrough { softness, ..StraightThrough::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::super::one_hot::tests::{draws, exact, mean_gradient, quadratic};
    use super::*;
    use crate::choice::Softmax;
    use ndarray::array;
    use supple_core::linearize;

    #[test]
    fn the_gradient_is_that_of_softmax_whatever_the_sample() {
        let (x, dy) = ([0.3, -0.5, 1.1, f64::NEG_INFINITY], [1.0, 2.0, -1.0, 0.5]);
        for softness in [1.0, 0.3] {
            let operator = StraightThrough { softness, seed: None };
            let [_, dx] = draws(&operator, &x, 100, &|_| dy.to_vec());
            let soft = Softmax { softness };
            let (x, dy) = (array![x[0], x[1], x[2], x[3]].into_dyn(), array![1.0, 2.0, -1.0, 0.5].into_dyn());
            let [expected] = linearize(&soft, [x.view()]).unwrap().vjp([dy.view()]).unwrap();
            let gaps = dx.rows().into_iter().flat_map(|row| (&row - &expected).into_raw_vec_and_offset().0);
            assert!(gaps.into_iter().all(|gap: f64| gap.abs() < 1e-15));
        }
    }

    #[test]
    fn it_is_biased_for_a_quadratic() {
        let x = [0.3, -0.5, 1.1, 0.2];
        let operator = StraightThrough::default();
        let mean = mean_gradient(&operator, &x, &|y| quadratic(y).1);
        let bias = mean.iter().zip(exact(&x)).map(|(mean, exact)| (mean - exact).abs()).fold(0.0, f64::max);
        assert!(bias > 0.05, "{bias}");
    }
}
