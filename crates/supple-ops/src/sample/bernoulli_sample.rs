//! A sample of independent yes-or-no answers, with the gradient of the logistic function.
//!
//! $$ y_i = 1 \text{ with probability } \sigma(x_i) = \frac1{1 + e^{-x_i}}, \text{ else } 0, \qquad
//! \bar x_i = \frac1\varepsilon \sigma\left( \frac{x_i}{\varepsilon} \right)
//! \sigma\left( -\frac{x_i}{\varepsilon} \right) \bar y_i $$
//!
//! * Softness: the unit of `x`; ε. It is in the gradient only: the sample is that of the logits at
//!   temperature 1, whatever ε. To sample at another temperature, divide `x` by it.
//! * Hard form: the same sample, with a zero gradient.
//! * Gradient: a surrogate, as if y had been $\sigma(x / \varepsilon)$. At ε = 1 it is, in expectation,
//!   exact for what is linear in each $y_i$ and has no products of them, and biased for the rest. Second
//!   derivatives are refused. There is a kind of it that leaves out the factor, $\bar x = \bar y$; the one
//!   here is the other.
//! * The sample is a function of seed, number of the item, position and logit. Without a seed, each call
//!   draws anew.
//! * −∞ is always 0, +∞ always 1, both with a zero gradient. NaN is NaN, for itself only.
//! * Cost: O(n) forward and backward; n random numbers.
//!
//! Paper: Bengio, Léonard, Courville, *Estimating or propagating gradients through stochastic neurons for
//! conditional computation*, 2013, <https://arxiv.org/abs/1308.3432>.

use super::one_hot::seed_of;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scratch, Stream, map,
    params,
};

params! {
    /// A sample of yes-or-no answers, with the gradient of the logistic function.
    pub struct BernoulliSample {
        /// Temperature of the gradient; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// Seed of the sample; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

fn draw<T: Real>(at: Args<'_, T>, seed: u64, y: &mut [T]) {
    let mut stream = Stream::new(seed, at.item, 0);
    for (y, x) in y.iter_mut().zip(at.x[0]) {
        let (x, uniform) = (x.as_f64(), stream.uniform());
        if x.is_nan() {
            *y = T::nan();
        } else if uniform * (1.0 + (-x).exp()) < 1.0 {
            *y = T::one();
        }
    }
}

impl Operator for BernoulliSample {
    const NAME: &'static str = "bernoulli_sample";
    const SIGNATURE: &'static str = "x(n) -> sample(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    /// The seed in use.
    type Saved<T: Real> = u64;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        8 * sizes.iter().product::<usize>()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        seed: &mut u64,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *seed = seed_of(self.seed);
        draw(at, *seed, y);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, u64>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let rate = T::of(1.0 / self.softness);
        for ((dx, &x), &dy) in dx.iter_mut().zip(at.x[0]).zip(dy) {
            // The odds of the less likely answer.
            let odds = (-(x * rate).abs()).exp();
            *dx = rate * odds / (T::one() + odds).square() * dy;
        }
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
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        draw(at, *seed, y);
        Ok(())
    }
}

impl Contract for BernoulliSample {
    const SUMMARY: &'static str = "sample of yes-or-no answers, with the gradient of the logistic function";
    const PAPER: &'static str = "Bengio et al., 2013, arXiv:1308.3432";
    const COST: &'static str = "O(n) forward and backward, O(1) extra memory";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness, seed: None }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::Vanishes("between_0_and_1", Box::new(|at| at.y[0].iter().map(|y| y * (1.0 - y)).sum())),
            Law::Masks,
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 8].map(|n| vec![n]).to_vec()
    }
}

/// A sample of independent yes-or-no answers with logits `x`, with the gradient of the logistic function.
///
/// $$ y_i = 1 \text{ with probability } \sigma(x_i) = \frac1{1 + e^{-x_i}}, \text{ else } 0, \qquad
/// \bar x_i = \frac1\varepsilon \sigma\left( \frac{x_i}{\varepsilon} \right)
/// \sigma\left( -\frac{x_i}{\varepsilon} \right) \bar y_i $$
///
/// * Shapes: `(…, n)` to `(…, n)`. Each answer is drawn for itself.
/// * Softness: ε, in the unit of the logits; the temperature of the gradient. That of the sample is 1.
/// * Gradient: a surrogate; at ε = 1 exact in expectation for sums of functions linear in one answer each.
///   Second derivatives are refused.
/// * −∞ is always 0, +∞ always 1. NaN is NaN, for itself only.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero.
///
/// Each call draws anew: set [`BernoulliSample::seed`] for the same samples. For a seed, another axis or
/// ragged batches, call [`evaluate`](supple_core::evaluate) with a [`BernoulliSample`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::sample::bernoulli_sample;
/// let y = bernoulli_sample(&array![0.5_f64, f64::INFINITY, f64::NEG_INFINITY], 1.0)?;
/// assert!((y[0] == 0.0 || y[0] == 1.0) && y[1] == 1.0 && y[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Bengio, Léonard, Courville, *Estimating or propagating gradients through stochastic neurons for
/// conditional computation*, 2013, <https://arxiv.org/abs/1308.3432>.
pub fn bernoulli_sample<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&BernoulliSample { softness, ..BernoulliSample::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, array};
    use supple_core::{evaluate, linearize};

    #[test]
    fn frequencies_are_those_of_the_logits() {
        let (x, rows) = ([-2.0, -0.3, 0.0, 3.0, f64::INFINITY, f64::NEG_INFINITY], 100_000);
        let items = Array2::from_shape_fn((rows, x.len()), |(_, i)| x[i]).into_dyn();
        for softness in [1.0, 0.2] {
            let [y] = evaluate(&BernoulliSample { softness, seed: Some(9) }, [items.view()]).unwrap();
            for (mean, x) in y.mean_axis(Axis(0)).unwrap().iter().zip(x) {
                let p = 1.0 / (1.0 + f64::exp(-x));
                assert!((mean - p).abs() <= 4.5 * (p * (1.0 - p) / rows as f64).sqrt(), "{mean} for {p}");
            }
            // Neighbours are independent.
            let both = (0..rows).filter(|&row| y[[row, 1]] * y[[row, 2]] == 1.0).count() as f64 / rows as f64;
            let p = 0.5 / (1.0 + f64::exp(0.3));
            assert!((both - p).abs() < 4.5 * (p * (1.0 - p) / rows as f64).sqrt(), "{both} for {p}");
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_logistic_function() {
        let x = array![-1.3, 0.0, 0.7, f64::INFINITY, f64::NEG_INFINITY].into_dyn();
        let dy = array![1.0, -2.0, 0.5, 1.0, 1.0].into_dyn();
        for softness in [1.0, 0.3] {
            let logistic = |x: f64| 1.0 / (1.0 + (-x / softness).exp());
            let operator = BernoulliSample { softness, seed: None };
            let [dx] = linearize(&operator, [x.view()]).unwrap().vjp([dy.view()]).unwrap();
            for ((dx, x), dy) in dx.iter().zip(&x).zip(&dy) {
                let slope = logistic(*x) * logistic(-x) / softness;
                assert!((dx - slope * dy).abs() < 1e-15, "{x}: {dx}");
            }
        }
    }
}
