//! Any function, smoothed by noise.
//!
//! $$f_\sigma(x) = \mathrm{E} f(x + \sigma Z)$$
//!
//! for a function $f: \mathbb{R}^n \to \mathbb{R}^m$ that may jump; $\sigma$ is the softness, in the unit of
//! $x$. As $\sigma \to 0$ it becomes $f$ where $f$ is continuous.
//!
//! **Value and gradient** are means over `samples` draws, right in expectation: the score function with the
//! mean of the other samples as its baseline, which leaves it unbiased (one sample has no baseline). It uses
//! values of $f$ only. Its variance grows with $n$ and as $1 / \sigma^2$ where $f$ jumps. Second derivatives
//! are refused.
//!
//! Cost: one call of $f$ for each sample, forward only; `samples · m` numbers are kept for the gradient, and
//! the noise is drawn again. Faults, for the item: $x$ with NaN, and whatever $f$ reports.
//!
//! Petersen, Borgelt, Mishra and Ermon, *Generalizing stochastic smoothing for differentiation and gradient
//! estimation*, 2024.

use super::sampling::{Samples, check, numbers};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch, Stream};
use supple_numerics::noise::Noise;

/// A smoothed function.
///
/// ```
/// use supple_core::{Fault, linearize};
/// use supple_ops::perturb::Smoothed;
///
/// let step = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
///     y[0] = if x[0] > 0.0 { 1.0 } else { 0.0 };
///     Ok(())
/// };
/// let smooth = Smoothed { samples: 10_000, seed: Some(1), ..Smoothed::new(step, 1) };
/// let x = ndarray::array![0.5].into_dyn();
/// let at = linearize(&smooth, [x.view()])?;
/// assert!((at.outputs()[0][0] - 0.6915_f64).abs() < 0.02); // the normal distribution function at 0.5
/// let [slope] = at.vjp([ndarray::array![1.0].into_dyn().view()])?;
/// assert!((slope[0] - 0.3521).abs() < 0.05); // and its density
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Smoothed<F> {
    /// The function: `f(x, y)` writes the value at `x` to `y`, which is zero on entry.
    pub function: F,
    /// Length of its value.
    pub m: usize,
    /// Scale σ of the noise, in the unit of `x`.
    pub softness: f64,
    /// Monte-Carlo samples.
    pub samples: usize,
    /// Distribution of the noise. Gumbel noise shifts, for its mean is not 0.
    pub noise: Noise,
    /// Seed of the noise; drawn at each call where there is none.
    pub seed: Option<u64>,
}

impl<F: Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync> Smoothed<F> {
    /// Gaussian noise of scale 1, 100 samples, a new seed at each call. `m` is the length of the value.
    pub fn new(function: F, m: usize) -> Self {
        Self { function, m, softness: 1.0, samples: 100, noise: Noise::Gaussian, seed: None }
    }

    fn samples(&self, seed: u64, item: usize) -> Samples {
        Samples { noise: self.noise, softness: self.softness, count: self.samples, seed, item }
    }
}

/// The seed in use, and the function's value at each sample.
#[derive(Debug, Default)]
pub struct Saved {
    seed: u64,
    values: Vec<f64>,
}

impl<F: Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync> Operator for Smoothed<F> {
    const NAME: &'static str = "smoothed";
    const SIGNATURE: &'static str = "x(n) -> y(m)";
    const GRADIENT: Gradient = Gradient::Stochastic;
    type Saved<T: Real> = Saved;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        check(Self::NAME, self.softness, self.samples)
    }

    fn size(&self, symbol: &str) -> Option<usize> {
        (symbol == "m").then_some(self.m)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.samples.saturating_mul(10 * sizes.iter().sum::<usize>())
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let x = numbers("x", at.x[0])?;
        let n = x.len();
        saved.seed = self.seed.unwrap_or_else(Stream::fresh_seed);
        let mut mean = vec![0.0; self.m];
        let function = |points: &[f64], values: &mut [f64]| {
            let values = values.chunks_exact_mut(self.m.max(1)).enumerate();
            values.into_iter().try_for_each(|(i, value)| (self.function)(&points[i * n..][..n], value))
        };
        self.samples(saved.seed, at.item).each(&x, self.m, function, |_, _, value| {
            mean.iter_mut().zip(value).for_each(|(mean, value)| *mean += value);
            saved.values.extend_from_slice(value);
        })?;
        y.iter_mut().zip(mean).for_each(|(y, mean)| *y = T::of(mean / self.samples as f64));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let product = |value: &[f64]| value.iter().zip(dy).map(|(v, dy)| v * dy.as_f64()).sum();
        let values: Vec<f64> = at.saved.values.chunks_exact(self.m.max(1)).map(product).collect();
        self.samples(at.saved.seed, at.item).score_gradient(&values, dx);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        let x = numbers("x", at.x[0])?;
        let mut value = vec![0.0; self.m];
        (self.function)(&x, &mut value)?;
        y.iter_mut().zip(value).for_each(|(y, value)| *y = T::of(value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::linearize;

    /// `|mean − exact|` in standard errors.
    fn z(samples: &[f64], exact: f64) -> f64 {
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let variance = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean - exact).abs() / (variance / n).sqrt()
    }

    /// Value and gradient of 400 replicates against the exact ones at every coordinate.
    fn agrees(
        function: impl Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync + Copy,
        x: &[f64],
        samples: usize,
        value: f64,
        gradient: &[f64],
    ) {
        let one = ndarray::arr1(&[1.0]).into_dyn();
        let x = ndarray::arr1(x).into_dyn();
        let runs: Vec<(f64, Vec<f64>)> = (0..400)
            .map(|seed| {
                let smooth =
                    Smoothed { softness: 0.7, samples, seed: Some(seed), ..Smoothed::new(function, 1) };
                let at = linearize(&smooth, [x.view()]).unwrap();
                let [dx] = at.vjp([one.view()]).unwrap();
                (at.outputs()[0][0], dx.into_raw_vec_and_offset().0)
            })
            .collect();
        assert!(z(&runs.iter().map(|r| r.0).collect::<Vec<_>>(), value) < 4.5);
        for (i, &exact) in gradient.iter().enumerate() {
            let slopes: Vec<f64> = runs.iter().map(|r| r.1[i]).collect();
            assert!(z(&slopes, exact) < 4.5, "{samples} samples, coordinate {i}: {exact}");
        }
    }

    #[test]
    fn a_step_becomes_the_normal_distribution_function() {
        let (x, s) = (0.4, 0.7);
        let cdf = 0.5 * libm::erfc(-x / s / std::f64::consts::SQRT_2);
        let density = (-0.5 * (x / s) * (x / s)).exp() / (s * std::f64::consts::TAU.sqrt());
        let step = |x: &[f64], y: &mut [f64]| {
            y[0] = (x[0] > 0.0) as u8 as f64;
            Ok(())
        };
        for samples in [1, 2, 50] {
            agrees(step, &[x], samples, cdf, &[density]);
        }
    }

    #[test]
    fn a_quadratic_is_shifted_by_the_variance() {
        let quadratic = |x: &[f64], y: &mut [f64]| {
            y[0] = x[0] * x[0] + 3.0 * x[0] * x[1] - x[1];
            Ok(())
        };
        let [a, b] = [0.5, -1.0];
        let value = a * a + 3.0 * a * b - b + 0.49;
        agrees(quadratic, &[a, b], 20, value, &[2.0 * a + 3.0 * b, 3.0 * a - 1.0]);
    }
}
