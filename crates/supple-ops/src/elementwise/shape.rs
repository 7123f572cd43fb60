//! The distribution functions behind smooth steps, on slices and in loops that vectorise.

use multiversion::multiversion;
use std::f64::consts::{FRAC_1_PI, FRAC_PI_4, TAU};
use supple_core::{Floats, Real, choices};
use supple_numerics::elementary::exp_slice;

choices! {
    /// The distribution function of a smooth step.
    pub enum Shape {
        /// Logistic: the sigmoid.
        Logistic = "logistic",
        /// Gaussian: the normal distribution function.
        Gaussian = "gaussian",
        /// Cauchy: heavy tails, gradients that reach far.
        Cauchy = "cauchy",
        /// A polynomial of degree 5 with compact support.
        Polynomial = "polynomial",
    }
}

impl Shape {
    /// `t ← H(t)`.
    pub(crate) fn step<T: Real>(self, t: &mut [T]) {
        match T::floats(t) {
            Floats::F32(t) if self != Self::Gaussian => step_f32(self, t),
            Floats::F64(t) if self != Self::Gaussian => step_f64(self, t),
            // The long polynomials of the Gaussian one are slower that way.
            _ => self.step_inlined(t),
        }
    }

    #[inline(always)]
    fn step_inlined<T: Real>(self, t: &mut [T]) {
        let (half, one) = (T::of(0.5), T::one());
        match self {
            Self::Logistic => logistic(t, |t, e| (if t < T::zero() { e } else { one }) / (one + e)),
            Self::Gaussian => gaussian(t, |t, centre, tail| {
                let far = if t < T::zero() { tail } else { one - tail };
                if t.abs() < half { half + centre } else { far }
            }),
            Self::Cauchy => cauchy(t, |t, centre, tail| {
                let tail = if t.abs() < one { half - centre.abs() } else { tail };
                if t < T::zero() { tail } else { one - tail }
            }),
            Self::Polynomial => apply(t, |t| {
                let a = t.abs();
                let u = one - a;
                let tail = u * u * u * (T::of(8.0) + a * (T::of(9.0) + T::of(3.0) * a)) / T::of(16.0);
                let tail = if u < T::zero() { T::zero() } else { tail };
                if t < T::zero() { tail } else { one - tail }
            }),
        }
    }

    /// `t ← S(t) = H(t) − 1/2`, which keeps its relative precision near zero.
    pub(super) fn odd<T: Real>(self, t: &mut [T]) {
        let (half, one) = (T::of(0.5), T::one());
        let signed = |t: T, far: T| if t < T::zero() { -far } else { far };
        match self {
            Self::Logistic => logistic(t, |t, e| {
                let far = half * (one - e) / (one + e);
                let u = half * t;
                if t.abs() < T::of(0.25) { half * u * horner(u * u, TANH) } else { signed(t, far) }
            }),
            Self::Gaussian => {
                gaussian(t, |t, centre, tail| if t.abs() < half { centre } else { signed(t, half - tail) })
            }
            Self::Cauchy => {
                cauchy(t, |t, centre, tail| if t.abs() < one { centre } else { signed(t, half - tail) })
            }
            Self::Polynomial => apply(t, |t| {
                let t = t.max(-one).min(one);
                let s = t * t;
                t * (T::of(15.0) + s * (T::of(3.0) * s - T::of(10.0))) / T::of(16.0)
            }),
        }
    }

    /// `t ← H′(t)`.
    pub(crate) fn density<T: Real>(self, t: &mut [T]) {
        let one = T::one();
        match self {
            Self::Logistic => logistic(t, |_, e| e / ((one + e) * (one + e))),
            Self::Gaussian => {
                let (exponent, factor) = (T::of(-0.5), T::of(1.0 / TAU.sqrt()));
                with_exp(t, |t| exponent * t * t, |_, e| factor * e);
            }
            Self::Cauchy => apply(t, |t| T::of(FRAC_1_PI) / (one + t * t)),
            Self::Polynomial => apply(t, |t| {
                let u = one - t * t;
                if u < T::zero() { T::zero() } else { T::of(15.0 / 16.0) * u * u }
            }),
        }
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn step_f32(shape: Shape, t: &mut [f32]) {
    shape.step_inlined(t);
}

#[multiversion(targets("x86_64+avx2"))]
fn step_f64(shape: Shape, t: &mut [f64]) {
    shape.step_inlined(t);
}

#[inline(always)]
fn apply<T: Real>(t: &mut [T], f: impl Fn(T) -> T) {
    t.iter_mut().for_each(|t| *t = f(*t));
}

/// `t ← f(t, exp(exponent(t)))`, in blocks so that exponentials are taken many at a time.
#[inline(always)]
fn with_exp<T: Real>(t: &mut [T], exponent: impl Fn(T) -> T, f: impl Fn(T, T) -> T) {
    const BLOCK: usize = 256;
    let mut e = [T::zero(); BLOCK];
    for t in t.chunks_mut(BLOCK) {
        let e = &mut e[..t.len()];
        e.iter_mut().zip(&*t).for_each(|(e, &t)| *e = exponent(t));
        exp_slice(e);
        t.iter_mut().zip(e).for_each(|(t, e)| *t = f(*t, *e));
    }
}

/// `t ← f(t, exp(−|t|))`.
#[inline(always)]
fn logistic<T: Real>(t: &mut [T], f: impl Fn(T, T) -> T) {
    with_exp(t, |t| -t.abs(), f);
}

/// `t ← f(t, S(t), H(−|t|))` of the normal distribution; the second is right for `|t| < 1/2` and the third
/// beyond. The tangent is that of S.
fn gaussian<T: Real>(t: &mut [T], f: impl Fn(T, T, T) -> T) {
    let (minus_half, five, factor) = (T::of(-0.5), T::of(5.0), T::of(1.0 / TAU.sqrt()));
    let exponent = |t: T| T::constant((minus_half * t * t).value());
    with_exp(t, exponent, |t, e| {
        let v = T::constant(t.value());
        let a = v.abs();
        let centre = factor * v * horner(minus_half * v * v, GAUSSIAN_CENTRE);
        let tail = T::of(0.5) * e * horner((a - five) / (a + five), GAUSSIAN_TAIL) / (T::one() + a);
        t.chain(f(v, centre, tail).value(), (factor * e).value())
    });
}

/// `t ← f(t, S(t), H(−|t|))` of the Cauchy distribution; the second is right for `|t| <= 1` and the third
/// beyond. The tangent is that of S.
#[inline(always)]
fn cauchy<T: Real>(t: &mut [T], f: impl Fn(T, T, T) -> T) {
    let (one, factor) = (T::one(), T::of(FRAC_1_PI));
    // tan(π / 8)
    let middle = T::of(std::f64::consts::SQRT_2 - 1.0);
    apply(t, |t| {
        let v = T::constant(t.value());
        let a = v.abs();
        let w = if a > one { one / a } else { a };
        // atan w = π/4 + atan((w − 1) / (w + 1)).
        let reduced = if w > middle { (w - one) / (w + one) } else { w };
        let angle = reduced * horner(reduced * reduced, ATAN);
        let angle = factor * if w > middle { T::of(FRAC_PI_4) + angle } else { angle };
        let centre = if v < T::zero() { -angle } else { angle };
        t.chain(f(v, centre, angle).value(), (factor / (one + v * v)).value())
    });
}

/// `c[0] + c[1] x + c[2] x² + …`.
#[inline(always)]
fn horner<T: Real, const N: usize>(x: T, c: [f64; N]) -> T {
    c.into_iter().rev().fold(T::zero(), |sum, c| sum * x + T::of(c))
}

/// `tanh u / u` in `u²` for `|u| <= 1/8`, by its series.
const TANH: [f64; 7] =
    [1.0, -1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0, 62.0 / 2835.0, -1382.0 / 155_925.0, 21_844.0 / 6_081_075.0];

/// `√(2π) S(t) / t` in `−t² / 2` for `|t| <= 1/2`, by its series: `1 / (n! (2 n + 1))`.
const GAUSSIAN_CENTRE: [f64; 12] = {
    let (mut c, mut factorial, mut n) = ([1.0; 12], 1.0, 1);
    while n < 12 {
        factorial *= n as f64;
        c[n] = 1.0 / (factorial * (2 * n + 1) as f64);
        n += 1;
    }
    c
};

/// `2 (1 + t) exp(t² / 2) H(−t)` in `(t − 5) / (t + 5)` for `t >= 0`, by Chebyshev interpolation.
const GAUSSIAN_TAIL: [f64; 24] = [
    0.923_031_659_700_075_5,
    -0.183_104_563_668_018_07,
    0.062_060_736_851_927_42,
    0.020_004_704_770_458_766,
    -0.052_802_085_932_616_62,
    0.049_073_926_487_357_3,
    -0.030_340_830_805_029_72,
    0.013_044_001_335_567_824,
    -0.003_352_144_689_108_989,
    1.558_319_481_846_042e-5,
    3.646_682_902_331_09e-4,
    -1.072_151_622_288_211_4e-4,
    -1.979_219_551_923_599_3e-5,
    1.811_964_936_001_811_3e-5,
    -1.406_928_924_170_860_4e-7,
    -2.614_897_199_460_775_4e-6,
    2.557_564_421_623_699e-7,
    3.925_561_934_077_987e-7,
    -5.257_240_910_401_115e-8,
    -6.190_403_156_771_16e-8,
    7.254_745_887_734_442e-9,
    8.802_317_815_904_467e-9,
    -5.644_153_688_791_057e-10,
    -7.631_630_032_110_008e-10,
];

/// `atan w / w` in `w²` for `|w| <= tan(π / 8)`: the largest error is the least possible.
const ATAN: [f64; 11] = [
    1.0,
    -0.333_333_333_333_287_2,
    0.199_999_999_989_084_65,
    -0.142_857_141_849_471_83,
    0.111_111_063_305_755_6,
    -0.090_907_763_356_041_2,
    0.076_899_966_250_328_12,
    -0.066_405_870_457_426_14,
    0.056_900_966_042_930_44,
    -0.043_528_400_249_261_77,
    0.021_191_133_332_791_29,
];

/// The distribution functions as they are written in books; the Gaussian one by Simpson's rule.
pub(crate) fn naive_step(shape: Shape, t: f64) -> f64 {
    match shape {
        Shape::Logistic => 1.0 / (1.0 + (-t).exp()),
        Shape::Gaussian => {
            const STEPS: u32 = 20_000;
            let h = t / STEPS as f64;
            let weight = |i| if i == 0 || i == STEPS { 1.0 } else { 2.0 + 2.0 * (i % 2) as f64 };
            let density = |i: u32| (-0.5 * (i as f64 * h).powi(2)).exp() / TAU.sqrt();
            0.5 + h / 3.0 * (0..=STEPS).map(|i| weight(i) * density(i)).sum::<f64>()
        }
        Shape::Cauchy => 0.5 + t.atan() / std::f64::consts::PI,
        Shape::Polynomial => {
            let t = t.clamp(-1.0, 1.0);
            0.5 + (15.0 * t - 10.0 * t.powi(3) + 3.0 * t.powi(5)) / 16.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(form: fn(Shape, &mut [f64]), shape: Shape, t: f64) -> f64 {
        let mut t = [t];
        form(shape, &mut t);
        t[0]
    }

    fn close(what: &str, t: f64, y: f64, expected: f64) {
        let same = y == expected || (y / expected - 1.0).abs() < 1e-14 * (1.0 + t.abs());
        assert!(same, "{what} at {t}: {y:e} for {expected:e}");
    }

    #[test]
    fn tails_and_centres_keep_their_relative_precision() {
        let sqrt_half = std::f64::consts::FRAC_1_SQRT_2;
        for i in -3000..=3000 {
            let t = i as f64 * 0.01;
            let (step, odd) = (Shape::step, Shape::odd);
            close("gaussian", t, at(step, Shape::Gaussian, t), 0.5 * libm::erfc(-t * sqrt_half));
            close("gaussian", t, at(odd, Shape::Gaussian, t), 0.5 * libm::erf(t * sqrt_half));
            close("logistic", t, at(step, Shape::Logistic, t), 1.0 / (1.0 + (-t).exp()));
            close("logistic", t, at(odd, Shape::Logistic, t), 0.5 * (0.5 * t).tanh());
            close("cauchy", t, at(odd, Shape::Cauchy, t), t.atan() * FRAC_1_PI);
            let tail = if t < -1.0 { -(1.0 / t).atan() * FRAC_1_PI } else { 0.5 + t.atan() * FRAC_1_PI };
            close("cauchy", t, at(step, Shape::Cauchy, t), tail);
        }
        // In u = 1 + t, the polynomial is u³ (8 − 9 t + 3 t²) / 16.
        let u = f64::EPSILON * 4.0;
        close("polynomial", -1.0, at(Shape::step, Shape::Polynomial, u - 1.0), 1.25 * u * u * u);
    }

    #[test]
    fn zero_is_the_middle() {
        for shape in [Shape::Logistic, Shape::Gaussian, Shape::Cauchy, Shape::Polynomial] {
            assert_eq!(at(Shape::step, shape, 0.0), 0.5);
            assert_eq!(at(Shape::odd, shape, 0.0), 0.0);
        }
    }
}
