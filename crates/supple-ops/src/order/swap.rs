//! What a soft comparator adds to the minimum and takes from the maximum.

use crate::elementwise::shape::{Shape, naive_step};
use std::f64::consts::FRAC_1_PI;
use supple_core::{Real, Scratch, choices};

choices! {
    /// The distribution function F of a comparator.
    pub enum Distribution {
        /// Logistic: the sigmoid.
        Logistic = "logistic",
        /// The sigmoid of `t / |t|^(1/4)`, which is steeper at small and flatter at large differences.
        LogisticPhi = "logistic_phi",
        /// Gaussian: the normal distribution function.
        Gaussian = "gaussian",
        /// Cauchy: monotonic, its error at most ε / π.
        Cauchy = "cauchy",
        /// `1/2 + t / (4 + 2 |t|)`: monotonic, its error at most ε. In the scale of the authors' package; the
        /// paper's formula has four times the steepness.
        Reciprocal = "reciprocal",
        /// `1/2 + t` up to `|t| = 1/4`, then `1 − 1 / (16 t)`: monotonic, and of all such functions with slope
        /// at most 1 that of the least error, ε / 16.
        Optimal = "optimal",
    }
}

/// The exponent of [`Distribution::LogisticPhi`].
const PHI: f64 = 0.75;

impl Distribution {
    /// `error ← G(t)` and `t ← G′(t)`, where `G(t) = t F(−t)` and `t ≥ 0`.
    #[inline(always)]
    pub(super) fn errors<T: Real>(self, t: &mut [T], error: &mut [T], scratch: &mut Scratch<T>) {
        let one = T::one();
        let far = T::of(self.far());
        t.iter_mut().for_each(|t| *t = t.min(far));
        match self {
            Self::Logistic => {
                tail(Shape::Logistic, t, error, |t| t);
                each(t, error, |t, p| (t * p, p - t * p * (one - p)));
            }
            Self::LogisticPhi => {
                tail(Shape::Logistic, t, error, phi);
                each(t, error, |t, p| (t * p, p - T::of(PHI) * phi(t) * p * (one - p)));
            }
            Self::Gaussian => {
                let mut density = scratch.reals.copy(t);
                Shape::Gaussian.density(&mut density);
                tail(Shape::Gaussian, t, error, |t| t);
                for ((t, error), &density) in t.iter_mut().zip(error).zip(&density) {
                    (*error, *t) = (*t * *error, *error - *t * density);
                }
                scratch.reals.give(density);
            }
            Self::Cauchy => {
                tail(Shape::Cauchy, t, error, |t| t);
                each(t, error, |t, p| {
                    // A difference of numbers that agree more and more: of its rounding, nothing below zero.
                    (t * p, (p - T::of(FRAC_1_PI) * t / (one + t * t)).max(T::zero()))
                });
            }
            Self::Reciprocal => {
                let two = T::of(2.0);
                each(t, error, |t, _| (t / (two + t), two / ((two + t) * (two + t))));
            }
            Self::Optimal => {
                let (quarter, half, two) = (T::of(0.25), T::of(0.5), T::of(2.0));
                each(t, error, |t, _| {
                    let t = t.min(quarter);
                    (t * (half - t), half - two * t)
                });
            }
        }
    }

    /// `p ← F(−t)` and `density ← F′(t)`, where `t ≥ 0`.
    pub(super) fn tails<T: Real>(self, t: &mut [T], p: &mut [T], density: &mut [T]) {
        let (one, far) = (T::one(), T::of(self.far()));
        t.iter_mut().for_each(|t| *t = t.min(far));
        match self {
            Self::Logistic => tail(Shape::Logistic, t, p, |t| t),
            Self::LogisticPhi => tail(Shape::Logistic, t, p, phi),
            Self::Gaussian => tail(Shape::Gaussian, t, p, |t| t),
            Self::Cauchy => tail(Shape::Cauchy, t, p, |t| t),
            Self::Reciprocal => p.iter_mut().zip(&*t).for_each(|(p, &t)| *p = one / (T::of(2.0) + t)),
            Self::Optimal => p.iter_mut().zip(&*t).for_each(|(p, &t)| {
                *p = if t <= T::of(0.25) { T::of(0.5) - t } else { T::of(0.0625) / t };
            }),
        }
        let each = density.iter_mut().zip(&*t).zip(&*p);
        match self {
            Self::Logistic => each.for_each(|((density, _), &p)| *density = p * (one - p)),
            Self::LogisticPhi => {
                each.for_each(|((density, &t), &p)| *density = phi_slope(t) * p * (one - p));
            }
            Self::Gaussian | Self::Cauchy => {
                density.copy_from_slice(t);
                let shape = if self == Self::Cauchy { Shape::Cauchy } else { Shape::Gaussian };
                shape.density(density);
            }
            Self::Reciprocal => each.for_each(|((density, _), &p)| *density = p * p),
            Self::Optimal => each.for_each(|((density, &t), &p)| {
                *density = if t <= T::of(0.25) { one } else { T::of(16.0) * p * p };
            }),
        }
    }

    /// From here on, `G` counts as constant: it is, or is below 1e-28. Beyond, squares would be infinite in
    /// single precision, and numbers so small that processors take a hundred times as long.
    fn far(self) -> f64 {
        match self {
            Self::Logistic => 80.0,
            Self::LogisticPhi => 300.0,
            Self::Gaussian => 12.0,
            Self::Cauchy | Self::Reciprocal | Self::Optimal => 1e18,
        }
    }

    /// F by its definition.
    pub(super) fn naive(self, t: f64) -> f64 {
        match self {
            Self::Logistic => naive_step(Shape::Logistic, t),
            Self::LogisticPhi if t == 0.0 => 0.5,
            Self::LogisticPhi => naive_step(Shape::Logistic, t / t.abs().powf(1.0 - PHI)),
            Self::Gaussian => naive_step(Shape::Gaussian, t),
            Self::Cauchy => naive_step(Shape::Cauchy, t),
            Self::Reciprocal => 0.5 * (1.0 + t / (2.0 + t.abs())),
            Self::Optimal if t.abs() <= 0.25 => 0.5 + t,
            Self::Optimal => f64::from(u8::from(t > 0.0)) - 1.0 / (16.0 * t),
        }
    }
}

/// `p ← F(−scale(t))`.
#[inline(always)]
fn tail<T: Real>(shape: Shape, t: &[T], p: &mut [T], scale: impl Fn(T) -> T) {
    p.iter_mut().zip(t).for_each(|(p, &t)| *p = -scale(t));
    shape.step(p);
}

/// `(error, t) ← f(t, error)`.
#[inline(always)]
fn each<T: Real>(t: &mut [T], error: &mut [T], f: impl Fn(T, T) -> (T, T)) {
    t.iter_mut().zip(error).for_each(|(t, error)| (*error, *t) = f(*t, *error));
}

/// `t^(3/4)`. Its derivative at zero is infinite, but what it is multiplied by is zero: it is left out.
fn phi<T: Real>(t: T) -> T {
    let root = t.value().sqrt().sqrt();
    let slope = if root > T::Value::zero() { T::Value::of(PHI) / root } else { T::Value::zero() };
    t.chain(root * root * root, slope)
}

/// The derivative of `t^(3/4)`, and zero where that is infinite.
fn phi_slope<T: Real>(t: T) -> T {
    let value = t.value();
    if value <= T::Value::zero() {
        return T::zero();
    }
    let slope = T::Value::of(PHI) / value.sqrt().sqrt();
    t.chain(slope, T::Value::of(PHI - 1.0) * slope / value)
}

/// `|b − a|`, where equal infinities are equal, whatever their tangents.
#[inline(always)]
pub(super) fn apart<T: Real>(a: T, b: T) -> T {
    let difference = b - a;
    let infinite = a == b && a.abs() == T::infinity();
    if infinite { difference.chain(T::Value::zero(), T::Value::one()).abs() } else { difference.abs() }
}
