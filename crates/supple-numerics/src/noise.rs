//! Noise to perturb with.
//!
//! A perturbation is drawn from a [`Stream`] keyed by seed, item and sample, so that a backward pass
//! draws the same noise again, on whatever thread. Gradients by the score function need
//! $\nu'(z) = -\frac{d}{dz} \log p(z)$ beside it.
//!
//! | noise | density $p(z)$ | score $\nu'(z)$ | mean | variance | variance of the score |
//! |---|---|---|---|---|---|
//! | Gaussian | $e^{-z^2/2} / \sqrt{2 \pi}$ | $z$ | 0 | 1 | 1 |
//! | Logistic | $e^{-z} / (1 + e^{-z})^2$ | $\tanh(z / 2)$ | 0 | $\pi^2 / 3$ | 1/3 |
//! | Gumbel | $e^{-z - e^{-z}}$ | $1 - e^{-z}$ | 0.5772 | $\pi^2 / 6$ | 1 |
//! | Laplace | $e^{-\lvert z \rvert} / 2$ | $\mathrm{sign} z$ | 0 | 2 | 1 |
//! | Cauchy | $1 / (\pi (1 + z^2))$ | $2 z / (1 + z^2)$ | none | ∞ | 1/2 |
//! | triangular | $1 - \lvert z \rvert, \lvert z \rvert < 1$ | $1 / (\mathrm{sign} z - z)$ | 0 | 1/6 | ∞ |
//! | uniform | $1/2, \lvert z \rvert < 1$ | none | 0 | 1/3 | none |
//!
//! $\frac{d}{dx} \mathrm{E} f(x + \sigma Z) = \frac1\sigma \mathrm{E} f(x + \sigma Z) \nu'(Z)$ holds for
//! all of them but the uniform, whose density jumps: there the slope in a coordinate is the expected
//! difference of $f$ between the faces $Z_i = \pm 1$, over $2 \sigma$. The triangular is in between: its
//! estimates are right in expectation, and have no finite variance.
//!
//! Normals are drawn by a ziggurat, the others by their [`quantile`](Noise::quantile) of a uniform.

mod normal;
#[cfg(test)]
mod tests;
mod ziggurat;

use crate::elementary::{exp, exp_slice, ln, ln_slice};
use std::f64::consts::{FRAC_1_PI, PI, SQRT_2, TAU};
use supple_core::{Floats, Real, Stream, choices};

choices! {
    /// The distribution of a perturbation, at unit scale.
    pub enum Noise {
        /// Standard normal.
        Gaussian = "gaussian",
        /// Standard logistic: the difference of two Gumbels.
        Logistic = "logistic",
        /// Standard Gumbel: mean 0.5772 (Euler's constant), variance π²/6.
        Gumbel = "gumbel",
        /// Standard Laplace: exponential on either side.
        Laplace = "laplace",
        /// Standard Cauchy: without mean and variance.
        Cauchy = "cauchy",
        /// The sum of two uniforms on [−½, ½]. Its score has no finite variance.
        Triangular = "triangular",
        /// Uniform on [−1, 1]. It has no score.
        Uniform = "uniform",
    }
}

impl Noise {
    /// Fills `z` with independent draws.
    pub fn fill(self, stream: &mut Stream, z: &mut [f64]) {
        if self == Noise::Gaussian {
            return ziggurat::fill(stream, z);
        }
        z.iter_mut().for_each(|z| *z = stream.uniform());
        self.quantiles(z);
    }

    /// The same draws in any precision, without tangents.
    pub fn fill_any<T: Real>(self, stream: &mut Stream, z: &mut [T]) {
        if let Floats::F64(z) = T::floats(z) {
            return self.fill(stream, z);
        }
        let mut draws = vec![0.0; z.len()];
        self.fill(stream, &mut draws);
        z.iter_mut().zip(draws).for_each(|(z, draw)| *z = T::of(draw));
    }

    /// The number below which a draw is with probability `u`, between 0 and 1: the inverse of
    /// [`cdf`](Self::cdf), as accurate in the tails as `u` and `1 − u` are.
    pub fn quantile(self, u: f64) -> f64 {
        let (q, tail) = (u - 0.5, u.min(1.0 - u));
        match self {
            Noise::Gaussian => normal::quantile(u),
            Noise::Logistic => -ln((1.0 - u) / u),
            Noise::Gumbel => -ln(-ln(u)),
            Noise::Laplace => (-ln(2.0 * tail)).copysign(q),
            Noise::Cauchy if tail < 0.25 => (1.0 / libm::tan(PI * tail)).copysign(q),
            Noise::Cauchy => libm::tan(PI * q),
            Noise::Triangular => 2.0 * q / (1.0 + (2.0 * tail).sqrt()),
            Noise::Uniform => 2.0 * q,
        }
    }

    /// Replaces each `u` by its [`quantile`](Self::quantile): a design of uniforms becomes one of noise.
    pub fn quantiles(self, u: &mut [f64]) {
        let negate = |u: &mut [f64]| u.iter_mut().for_each(|u| *u = -*u);
        match self {
            Noise::Logistic => {
                u.iter_mut().for_each(|u| *u = (1.0 - *u) / *u);
                ln_slice(u);
                negate(u);
            }
            Noise::Gumbel => {
                ln_slice(u);
                negate(u);
                ln_slice(u);
                negate(u);
            }
            _ => u.iter_mut().for_each(|u| *u = self.quantile(*u)),
        }
    }

    /// The probability of a draw below `z`.
    pub fn cdf(self, z: f64) -> f64 {
        // The lower tail, which has all its digits, or the upper one from 1.
        let from_tail = |tail: f64| if z < 0.0 { tail } else { 1.0 - tail };
        match self {
            Noise::Gaussian => 0.5 * libm::erfc(-z / SQRT_2),
            Noise::Logistic => 1.0 / (1.0 + exp(-z)),
            Noise::Gumbel => exp(-exp(-z)),
            Noise::Laplace => from_tail(0.5 * exp(-z.abs())),
            Noise::Cauchy => from_tail(FRAC_1_PI * libm::atan2(1.0, z.abs())),
            Noise::Triangular => from_tail(0.5 * (1.0 - z.abs().min(1.0)).powi(2)),
            Noise::Uniform => 0.5 * (1.0 + z.clamp(-1.0, 1.0)),
        }
    }

    /// The density $p(z)$.
    pub fn density(self, z: f64) -> f64 {
        match self {
            Noise::Gaussian => exp(-0.5 * z * z) / TAU.sqrt(),
            Noise::Logistic => {
                let e = exp(-z.abs());
                e / ((1.0 + e) * (1.0 + e))
            }
            Noise::Gumbel => exp(-z - exp(-z)),
            Noise::Laplace => 0.5 * exp(-z.abs()),
            Noise::Cauchy => FRAC_1_PI / (1.0 + z * z),
            Noise::Triangular => 1.0 - z.abs().min(1.0),
            Noise::Uniform if z.abs() <= 1.0 => 0.5,
            Noise::Uniform => 0.0,
        }
    }

    /// Replaces each draw by its score $\nu'(z) = -\frac{d}{dz} \log p(z)$, the mean of which is 0. For the
    /// uniform, which [has none](Self::has_score), it is 0.
    pub fn score(self, z: &mut [f64]) {
        match self {
            Noise::Gaussian => {}
            Noise::Logistic => z.iter_mut().for_each(|z| {
                let e = exp(-z.abs());
                *z = ((1.0 - e) / (1.0 + e)).copysign(*z);
            }),
            Noise::Gumbel => {
                z.iter_mut().for_each(|z| *z = -*z);
                exp_slice(z);
                z.iter_mut().for_each(|z| *z = 1.0 - *z);
            }
            // Symmetric at the kink, which fixed designs hit.
            Noise::Laplace => z.iter_mut().filter(|z| **z != 0.0).for_each(|z| *z = z.signum()),
            Noise::Cauchy => z.iter_mut().for_each(|z| *z = 2.0 * *z / (1.0 + *z * *z)),
            Noise::Triangular => {
                let beside = z.iter_mut().filter(|z| **z != 0.0);
                beside.for_each(|z| *z = (1.0 / (1.0 - z.abs())).copysign(*z));
            }
            Noise::Uniform => z.fill(0.0),
        }
    }

    /// Whether the score estimates gradients of $\mathrm{E} f(x + \sigma Z)$. Of the uniform it does not: the
    /// score is 0 and misses the jumps of the density, across which $f$ would have to be compared.
    pub fn has_score(self) -> bool {
        self != Noise::Uniform
    }

    /// The variance of the score of one coordinate, on which that of gradients depends: ∞ for the triangular,
    /// NaN for the uniform, which has no score.
    pub fn score_variance(self) -> f64 {
        match self {
            Noise::Gaussian | Noise::Gumbel | Noise::Laplace => 1.0,
            Noise::Logistic => 1.0 / 3.0,
            Noise::Cauchy => 0.5,
            Noise::Triangular => f64::INFINITY,
            Noise::Uniform => f64::NAN,
        }
    }

    /// The mean of one coordinate; NaN for Cauchy, which has none.
    pub fn mean(self) -> f64 {
        match self {
            Noise::Gumbel => 0.577_215_664_901_532_9,
            Noise::Cauchy => f64::NAN,
            _ => 0.0,
        }
    }

    /// The variance of one coordinate; ∞ for Cauchy.
    pub fn variance(self) -> f64 {
        match self {
            Noise::Gaussian => 1.0,
            Noise::Logistic => PI * PI / 3.0,
            Noise::Gumbel => PI * PI / 6.0,
            Noise::Laplace => 2.0,
            Noise::Cauchy => f64::INFINITY,
            Noise::Triangular => 1.0 / 6.0,
            Noise::Uniform => 1.0 / 3.0,
        }
    }
}
