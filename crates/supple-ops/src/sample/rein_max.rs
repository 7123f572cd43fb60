//! ReinMax: a sample of a choice, with a gradient of second order.
//!
//! $$ y \sim p = \mathrm{softmax}(x), \qquad
//! \bar x = \left( 2 J(q) - \tfrac12 J(p) \right) \bar y, \quad
//! q = \tfrac12 \left( y + \mathrm{softmax}(x / \varepsilon) \right), \quad
//! J(q) = \operatorname{diag}(q) - q q^\top $$
//!
//! The gradient of an expectation is made of differences of values,
//! $\partial \mathrm{E} f / \partial x_k = \sum_j p_j p_k (f(e_k) - f(e_j))$. Heun's method, or the
//! trapezoidal rule, puts the mean of both slopes in the place of a difference,
//! $\tfrac12 \langle \nabla f(e_j) + \nabla f(e_k), e_k - e_j \rangle$, where straight-through has one
//! slope. At ε = 1 the formula above is just that, in expectation over y, and asks for $\nabla f(y)$ only.
//!
//! * Softness: the unit of `x`; ε, the paper's τ. It is in the gradient only: the sample is that of softmax
//!   at temperature 1. The paper takes ε = 1 or a little more; a larger one lessens the variance.
//! * Hard form: the same sample, with a zero gradient.
//! * Gradient: a surrogate. At ε = 1 it is, in expectation, exact for what is quadratic in y, which
//!   [`StraightThrough`](super::StraightThrough) is for linear functions only. It may have twice the
//!   variance. Second derivatives are refused.
//! * The sample is a function of seed, number of the item, and logits: that of
//!   [`StraightThrough`](super::StraightThrough). Without a seed, each call draws anew.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) forward and backward; one random number.
//!
//! Paper: Liu, Dong, Liu, Yu, Gao, *Bridging discrete and backpropagation: straight-through and beyond*,
//! NeurIPS 2023, <https://arxiv.org/abs/2304.08612>.

use super::one_hot::{chosen, draw, laws, narrow, seed_of, wide};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, map, params,
};
use supple_numerics::softmax::{pull_back, soften};

params! {
    /// A sample of a choice, with a gradient of second order.
    pub struct ReinMax {
        /// Temperature of the gradient; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// Seed of the sample; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

impl Operator for ReinMax {
    const NAME: &'static str = "rein_max";
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
        let mut p = wide(at.x[0], scratch);
        let mut sum = scratch.wide.zeros(p.len());
        soften(&mut p, 1.0);
        pull_back(&p, -0.5, dy, &mut sum);
        if self.softness != 1.0 {
            p.iter_mut().zip(at.x[0]).for_each(|(p, x)| *p = x.widen());
            soften(&mut p, self.softness);
        }
        // Halfway to the sample.
        p[chosen] += T::Acc::one();
        p.iter_mut().for_each(|p| *p *= T::Acc::of(0.5));
        pull_back(&p, 2.0, dy, &mut sum);
        narrow(&sum, dx);
        scratch.wide.give(sum);
        scratch.wide.give(p);
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

impl Contract for ReinMax {
    const SUMMARY: &'static str = "sample of a choice, with a gradient of second order";
    const PAPER: &'static str = "Liu et al., NeurIPS 2023, arXiv:2304.08612";
    const COST: &'static str = "O(n) forward and backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness, seed: None }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        laws()
    }
}

/// A one-hot sample of the choice among logits `x` along the last axis, with a gradient of second order.
///
/// $$ y \sim p = \mathrm{softmax}(x), \qquad
/// \bar x = \left( 2 J(q) - \tfrac12 J(p) \right) \bar y, \quad
/// q = \tfrac12 \left( y + \mathrm{softmax}(x / \varepsilon) \right), \quad
/// J(q) = \operatorname{diag}(q) - q q^\top $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1. Each item is drawn for itself.
/// * Softness: ε, in the unit of the logits; a temperature of the gradient. That of the sample is 1.
/// * Gradient: a surrogate; at ε = 1 exact in expectation for what is quadratic in y. Second derivatives are
///   refused.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// Each call draws anew: set [`ReinMax::seed`] for the same samples. For a seed, another axis or ragged
/// batches, call [`evaluate`](supple_core::evaluate) with a [`ReinMax`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::{Array2, Axis, array};
/// use supple_core::linearize;
/// use supple_ops::sample::ReinMax;
/// // f(y) = y₀², the mean of which is p₀ = ½, with the gradient (¼, −¼).
/// let x = Array2::<f64>::zeros((1000, 2)).into_dyn();
/// let operator = ReinMax::default();
/// let at = linearize(&operator, [x.view()])?;
/// let [y] = at.outputs();
/// let dy = y * &array![2.0, 0.0];
/// let [dx] = at.vjp([dy.view()])?;
/// let gap = dx.sum_axis(Axis(0)) / 1000.0 - array![0.25, -0.25];
/// assert!(gap.iter().all(|gap| gap.abs() < 0.1));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Liu, Dong, Liu, Yu, Gao, *Bridging discrete and backpropagation: straight-through and beyond*, NeurIPS
/// 2023, <https://arxiv.org/abs/2304.08612>.
pub fn rein_max<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&ReinMax { softness, ..ReinMax::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::super::one_hot::tests::{draws, exact, mean_gradient, quadratic};
    use super::*;

    #[test]
    fn it_is_unbiased_for_a_quadratic() {
        for x in [&[0.3, -0.5, 1.1, 0.2][..], &[0.0, 2.0], &[0.5, f64::NEG_INFINITY, -0.3], &[1.0]] {
            let operator = ReinMax { softness: 1.0, seed: Some(3) };
            let mean = mean_gradient(&operator, x, &|y| quadratic(y).1);
            for (mean, exact) in mean.iter().zip(exact(x)) {
                assert!((mean - exact).abs() < 1e-14, "{x:?}: {mean} for {exact}");
            }
        }
    }

    #[test]
    fn samples_average_to_the_exact_gradient() {
        let (x, rows) = ([0.3, -0.5, 1.1, 0.2], 50_000);
        let operator = ReinMax { softness: 1.0, seed: Some(8) };
        let [_, dx] = draws(&operator, &x, rows, &|y| quadratic(y).1);
        let (mean, error) = (dx.mean_axis(ndarray::Axis(0)).unwrap(), dx.std_axis(ndarray::Axis(0), 1.0));
        for (i, exact) in exact(&x).into_iter().enumerate() {
            let z = (mean[i] - exact) / error[i] * (rows as f64).sqrt();
            assert!(z.abs() < 4.5, "{i}: {} for {exact}, z {z}", mean[i]);
        }
    }
}
