//! The distributions that smooth a cumulative one.

use crate::elementwise::Shape;
use supple_core::{Real, choices};
use supple_numerics::elementary::exp_slice;

choices! {
    /// The distribution about each value, at scale 1.
    pub enum Distribution {
        /// Logistic: smooth.
        Logistic = "logistic",
        /// Laplace, as in LapSum: its density has a kink.
        Laplace = "laplace",
        /// Standard normal: tails that end soon.
        Gaussian = "gaussian",
    }
}

/// Arguments further out are as good as infinite: tails are 0 there in double precision.
const FAR: f64 = 1e3;

impl Distribution {
    /// `t ← F(t)`, with its relative precision where it is small, and `density ← F′(t)`.
    pub(super) fn evaluate<T: Real>(self, t: &mut [T], density: &mut [T]) {
        let (one, half, far) = (T::one(), T::of(0.5), T::of(FAR));
        t.iter_mut().for_each(|t| *t = t.min(far).max(-far));
        if self == Self::Gaussian {
            density.copy_from_slice(t);
            Shape::Gaussian.density(density);
            return Shape::Gaussian.step(t);
        }
        density.iter_mut().zip(&*t).for_each(|(density, t)| *density = -t.abs());
        exp_slice(density);
        if self == Self::Laplace {
            for (t, density) in t.iter_mut().zip(density) {
                *density *= half;
                *t = if *t < T::zero() { *density } else { one - *density };
            }
        } else {
            for (t, density) in t.iter_mut().zip(density) {
                let e = *density;
                let share = one / (one + e);
                *density = e * share * share;
                *t = if *t < T::zero() { e * share } else { share };
            }
        }
    }

    /// `−ln F(−t − d) + ln F(−t)` for a `t` so large that the tail is pure.
    pub(super) fn decay<A: Real>(self, t: A, d: A) -> A {
        match self {
            Self::Gaussian => d * (t + A::of(0.5) * d),
            _ => d,
        }
    }

    /// The slope of `−ln F(−t)` there.
    pub(super) fn steepness<A: Real>(self, t: A) -> A {
        match self {
            Self::Gaussian => t,
            _ => A::one(),
        }
    }

    /// `F(t)` as it is written in books.
    pub(super) fn naive(self, t: f64) -> f64 {
        match self {
            Self::Logistic => 1.0 / (1.0 + (-t).exp()),
            Self::Laplace => 0.5 * (1.0 + t.signum() * (1.0 - (-t.abs()).exp())),
            Self::Gaussian => 0.5 * libm::erfc(-t * std::f64::consts::FRAC_1_SQRT_2),
        }
    }
}
