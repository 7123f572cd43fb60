//! Exponential and logarithm, fast in loops.
//!
//! [`exp`] and [`ln`] are straight-line code without calls, tables or branches, so that a loop around
//! them becomes vector code. [`exp_slice`], [`ln_slice`] and [`exp_sum`] are such loops, compiled for
//! AVX2 beside the baseline and chosen at run time. A kernel that fuses more into its loop does the
//! same: it calls [`exp`] and [`ln`] from a function with
//! `#[multiversion(targets("x86_64+avx2"))]`.
//!
//! In a chain where each call waits for the one before, the standard library is quicker.
//!
//! No fused multiply-add is used, so all machines and all versions give the same bits.
//!
//! Errors against the exact value, in units in the last place:
//!
//! | | `f32` | `f64` |
//! |---|---|---|
//! | [`exp`] | < 1 | < 1 |
//! | [`ln`] | < 1 | < 1 |
//!
//! They hold over the whole range; a subnormal result of [`exp`] is rounded once more. Zeros,
//! infinities, NaN, overflow and subnormal arguments come out as the standard library has them.
//!
//! Method: $e^x = 2^n e^r$ with $|r| \le \tfrac12 \ln 2$ and
//! $e^r = 1 + r + r^2 q(r)$; $\ln x = k \ln 2 + \ln(1 + f)$ with
//! $1 + f \in [\sqrt{1/2}, \sqrt 2)$ and $\ln(1 + f) = 2\operatorname{artanh} \frac{f}{2 + f}$. The
//! polynomials minimise the largest relative error of the result (Remez).

use multiversion::multiversion;
use supple_core::{Float, Floats, Real};

/// Floats with inlined [`exp`] and [`ln`].
pub trait Elementary: Float {
    #[doc(hidden)]
    fn exp_inlined(self) -> Self;
    #[doc(hidden)]
    fn ln_inlined(self) -> Self;
}

/// Exponential, inlined: for loops that the compiler should vectorise.
#[inline(always)]
pub fn exp<F: Elementary>(x: F) -> F {
    x.exp_inlined()
}

/// Natural logarithm, inlined: for loops that the compiler should vectorise.
#[inline(always)]
pub fn ln<F: Elementary>(x: F) -> F {
    x.ln_inlined()
}

/// `c[0] + c[1] x + c[2] x² + …`, even and odd powers apart, so that neither waits for the other.
#[inline(always)]
fn polynomial<F: Elementary, const N: usize>(x: F, c: [F; N]) -> F {
    let square = x * x;
    let (mut even, mut odd) = (F::zero(), F::zero());
    for (i, c) in c.into_iter().enumerate().rev() {
        if i % 2 == 0 {
            even = even * square + c;
        } else {
            odd = odd * square + c;
        }
    }
    even + x * odd
}

/// What the two formats differ in.
struct Layout<F, U, const EXP: usize, const LN: usize> {
    /// Bits of the stored mantissa.
    mantissa: u32,
    /// Arguments of `exp` are clamped to this interval: just past overflow and underflow.
    exp_range: (F, F),
    /// `ln 2` in two parts; products of the first with an exponent are exact.
    ln_2: (F, F),
    /// Adding `1.5 · 2^mantissa` rounds to an integer and leaves it in the low bits.
    round: F,
    /// `2^mantissa`, and its bits.
    shift: F,
    shift_bits: U,
    /// What makes subnormal numbers normal, and its exponent.
    lift: (F, F),
    /// q in `e^r = 1 + r + r² q(r)`.
    exp: [F; EXP],
    /// p in `2 artanh s = 2 s + s³ p(s²)`.
    ln: [F; LN],
}

const F32: Layout<f32, u32, 5, 3> = Layout {
    mantissa: 23,
    exp_range: (-104.0, 89.0),
    ln_2: (0.693_145_75, 1.428_606_8e-6),
    round: 12_582_912.0,
    shift: 8_388_608.0,
    shift_bits: 8_388_608f32.to_bits(),
    lift: (33_554_432.0, 25.0),
    exp: [0.499_999_93, 0.166_665_21, 0.041_668_387, 0.008_368_71, 0.001_381_461],
    ln: [0.666_667_76, 0.399_775_43, 0.298_717_04],
};

const F64: Layout<f64, u64, 10, 7> = Layout {
    mantissa: 52,
    exp_range: (-746.0, 710.0),
    ln_2: (0.693_147_180_559_890_3, 5.497_923_018_708_371e-14),
    round: 6_755_399_441_055_744.0,
    shift: 4_503_599_627_370_496.0,
    shift_bits: 4_503_599_627_370_496f64.to_bits(),
    lift: (18_014_398_509_481_984.0, 54.0),
    exp: [
        0.500_000_000_000_001_1,
        0.166_666_666_666_664_13,
        0.041_666_666_666_530_27,
        0.008_333_333_333_494_358,
        0.001_388_888_894_359_696_6,
        0.000_198_412_695_067_190_2,
        2.480_149_313_680_966e-5,
        2.755_758_632_372_618e-6,
        2.763_023_374_091_188e-7,
        2.500_005_354_220_277e-8,
    ],
    ln: [
        0.666_666_666_666_673_4,
        0.399_999_999_994_148_77,
        0.285_714_287_423_501_3,
        0.222_221_985_765_749_9,
        0.181_835_641_670_777_05,
        0.153_140_542_854_206_48,
        0.147_959_150_188_373_2,
    ],
};

macro_rules! elementary {
    ($float:ident, $bits:ident, $layout:ident) => {
        impl Elementary for $float {
            #[inline(always)]
            fn exp_inlined(self) -> Self {
                const BIAS: $bits = $float::MAX_EXP as $bits - 1;
                const ROUND: $float = $layout.round + (2 * BIAS) as $float;
                let (low, high) = $layout.exp_range;
                let x = if self > high { high } else { self };
                let x = if x < low { low } else { x };

                let shifted = x * std::$float::consts::LOG2_E + ROUND;
                let n = shifted - ROUND;
                let (high, low) = (x - n * $layout.ln_2.0, n * $layout.ln_2.1);
                let r = high - low;
                let lost = (high - r) - low;
                let e = 1.0 + (r + (r * r * polynomial(r, $layout.exp) + lost));

                // 2^n as a product of two, either of which is an ordinary number.
                let biased_twice = shifted.to_bits().wrapping_sub($layout.round.to_bits());
                let half = biased_twice >> 1;
                let first = $float::from_bits(half << $layout.mantissa);
                let second = $float::from_bits(biased_twice.wrapping_sub(half) << $layout.mantissa);
                e * first * second
            }

            #[inline(always)]
            fn ln_inlined(self) -> Self {
                const ONE: $bits = (1.0 as $float).to_bits();
                const SQRT_HALF: $bits = std::$float::consts::FRAC_1_SQRT_2.to_bits();
                const BIAS: $float = ($float::MAX_EXP - 1) as $float;
                let subnormal = self < $float::MIN_POSITIVE;
                let x = if subnormal { self * $layout.lift.0 } else { self };
                let bias = if subnormal { BIAS + $layout.lift.1 } else { BIAS };

                let shifted = x.to_bits().wrapping_add(ONE - SQRT_HALF);
                let exponent = $float::from_bits((shifted >> $layout.mantissa) | $layout.shift_bits);
                let k = (exponent - $layout.shift) - bias;
                let mantissa = shifted & ((1 << $layout.mantissa) - 1);
                let f = $float::from_bits(mantissa.wrapping_add(SQRT_HALF)) - 1.0;

                let s = f / (2.0 + f);
                let z = s * s;
                let half_square = 0.5 * f * f;
                let rest = s * (half_square + z * polynomial(z, $layout.ln));
                let y = k * $layout.ln_2.0 - ((half_square - (rest + k * $layout.ln_2.1)) - f);

                let special = if self > 0.0 { self } else { $float::NAN };
                let special = if self == 0.0 { -$float::INFINITY } else { special };
                if self > 0.0 && self < $float::INFINITY { y } else { special }
            }
        }
    };
}
elementary!(f32, u32, F32);
elementary!(f64, u64, F64);

/// `x[i] ← exp(x[i])`.
pub fn exp_slice<T: Real>(x: &mut [T]) {
    match T::floats(x) {
        Floats::F32(x) => exp_f32(x),
        Floats::F64(x) => exp_f64(x),
        Floats::Dual => x.iter_mut().for_each(|x| *x = x.exp()),
    }
}

/// `x[i] ← ln(x[i])`.
pub fn ln_slice<T: Real>(x: &mut [T]) {
    match T::floats(x) {
        Floats::F32(x) => ln_f32(x),
        Floats::F64(x) => ln_f64(x),
        Floats::Dual => x.iter_mut().for_each(|x| *x = x.ln()),
    }
}

/// `x[i] ← exp(x[i] − shift)`, and their sum: the first half of a softmax.
///
/// The sum is taken in the accumulator's precision, in an order that depends on the length alone.
pub fn exp_sum<T: Real>(x: &mut [T], shift: T) -> T::Acc {
    match T::floats(x) {
        Floats::F32(x) => T::Acc::of(exp_sum_f32(x, shift.as_f64() as f32)),
        Floats::F64(x) => T::Acc::of(exp_sum_f64(x, shift.as_f64())),
        Floats::Dual => {
            x.iter_mut().for_each(|x| *x = (*x - shift).exp());
            x.iter().map(|x| x.widen()).sum()
        }
    }
}

/// `Σ a[i] b[i]` in the accumulator's precision, in an order that depends on the length alone.
pub fn dot<T: Real>(a: &[T], b: &[T]) -> T::Acc {
    sum_by(a, b, |a, b| a.widen() * b.widen())
}

/// `Σ term(a[i], b[i])`, in eight lanes that the compiler may keep in vectors.
#[inline(always)]
pub fn sum_by<T: Copy, A: Real>(a: &[T], b: &[T], term: impl Fn(T, T) -> A) -> A {
    let mut sums = [A::zero(); 8];
    let ((a_rows, a_rest), (b_rows, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a_rows.iter().zip(b_rows) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += term(a, b);
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += term(a, b);
    }
    sums.into_iter().sum()
}

#[multiversion(targets("x86_64+avx2"))]
fn exp_f32(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = exp(*x));
}

#[multiversion(targets("x86_64+avx2"))]
fn exp_f64(x: &mut [f64]) {
    x.iter_mut().for_each(|x| *x = exp(*x));
}

#[multiversion(targets("x86_64+avx2"))]
fn ln_f32(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = ln(*x));
}

#[multiversion(targets("x86_64+avx2"))]
fn ln_f64(x: &mut [f64]) {
    x.iter_mut().for_each(|x| *x = ln(*x));
}

#[multiversion(targets("x86_64+avx2"))]
fn exp_sum_f32(x: &mut [f32], shift: f32) -> f64 {
    exp_sum_blocks(x, shift)
}

#[multiversion(targets("x86_64+avx2"))]
fn exp_sum_f64(x: &mut [f64], shift: f64) -> f64 {
    exp_sum_blocks(x, shift)
}

#[inline(always)]
fn exp_sum_blocks<F: Elementary>(x: &mut [F], shift: F) -> f64 {
    // Short enough to stay in the first cache between the two loops.
    const BLOCK: usize = 512;
    let mut sum = 0.0;
    for block in x.chunks_mut(BLOCK) {
        block.iter_mut().for_each(|x| *x = exp(*x - shift));
        sum += sum_by(block, block, |x, _| x.to_f64());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: [f64; 14] = [
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1e-310,
        5e-324,
        1.0,
        -1.0,
        709.782_712_893_384,
        709.782_712_893_385,
        -745.133_219_101_941_1,
        -745.133_219_101_941_2,
        -1e300,
    ];

    /// Distance in units in the last place of the result, the exact value being given in `f64`.
    fn ulps_f32(y: f32, exact: f64) -> f64 {
        let rounded = exact as f32;
        if y == rounded || y.is_nan() && exact.is_nan() {
            return if y.is_finite() { (y as f64 - exact).abs() / ulp_f32(rounded) } else { 0.0 };
        }
        (y as f64 - exact).abs() / ulp_f32(rounded)
    }

    fn ulp_f32(x: f32) -> f64 {
        let x = x.abs().max(f32::MIN_POSITIVE);
        f32::from_bits(x.to_bits() + 1) as f64 - x as f64
    }

    #[test]
    fn f32_is_within_the_stated_bound_over_the_whole_range() {
        // A prime stride through all bit patterns reaches every exponent, both signs and NaN.
        let (mut worst_exp, mut worst_ln) = (0.0, 0.0);
        for bits in (0..=u32::MAX).step_by(1009) {
            let x = f32::from_bits(bits);
            worst_exp = f64::max(worst_exp, ulps_f32(exp(x), (x as f64).exp()));
            worst_ln = f64::max(worst_ln, ulps_f32(ln(x), (x as f64).ln()));
        }
        // Arguments where exp is neither 0 nor infinite are rare among bit patterns.
        for i in 0..2_000_000 {
            let x = -104.0 + i as f32 * 1e-4;
            worst_exp = f64::max(worst_exp, ulps_f32(exp(x), (x as f64).exp()));
            let x = 0.5 + i as f32 * 1e-6;
            worst_ln = f64::max(worst_ln, ulps_f32(ln(x), (x as f64).ln()));
        }
        assert!(worst_exp < 1.0 && worst_ln < 1.0, "exp {worst_exp}, ln {worst_ln}");
    }

    #[test]
    fn f64_is_within_one_number_of_the_standard_library() {
        let apart = |a: f64, b: f64| match a.is_nan() && b.is_nan() {
            true => 0,
            false => a.key().abs_diff(b.key()),
        };
        let mut random = supple_core::Stream::new(1, 0, 0);
        for _ in 0..1_000_000 {
            let x = 1460.0 * random.uniform() - 748.0;
            assert!(apart(exp(x), x.exp()) <= 1, "exp({x:e}) = {:e}", exp(x));
            let x = random.normal() * 0.1;
            assert!(apart(exp(x), x.exp()) <= 1, "exp({x:e}) = {:e}", exp(x));
            let x = f64::from_bits(random.bits());
            assert!(apart(exp(x), x.exp()) <= 1, "exp({x:e}) = {:e}", exp(x));
            assert!(apart(ln(x), x.ln()) <= 1, "ln({x:e}) = {:e}", ln(x));
            let x = 0.5 + 2.0 * random.uniform();
            assert!(apart(ln(x), x.ln()) <= 1, "ln({x:e}) = {:e}", ln(x));
        }
        for x in SPECIAL {
            assert!(apart(exp(x), x.exp()) <= 1, "exp({x:e}) = {:e}", exp(x));
            assert!(apart(ln(x), x.ln()) <= 1, "ln({x:e}) = {:e}", ln(x));
        }
        assert_eq!((exp(0.0), ln(1.0)), (1.0, 0.0));
    }

    #[test]
    fn slices_have_the_bits_of_the_inlined_functions() {
        let mut random = supple_core::Stream::new(2, 0, 0);
        for n in [0, 1, 7, 100] {
            let x: Vec<f64> = (0..n).map(|_| 300.0 * random.normal()).chain(SPECIAL).collect();
            check_slices(&x);
            check_slices(&x.iter().map(|&x| x as f32).collect::<Vec<_>>());
        }
    }

    fn check_slices<F: Elementary>(x: &[F]) {
        let (mut e, mut l, mut s) = (x.to_vec(), x.to_vec(), x.to_vec());
        exp_slice(&mut e);
        ln_slice(&mut l);
        exp_sum(&mut s, F::one());
        for (i, &x) in x.iter().enumerate() {
            assert_eq!(e[i].key(), exp(x).key());
            assert_eq!(l[i].key(), ln(x).key());
            assert_eq!(s[i].key(), exp(x - F::one()).key());
        }
    }

    #[test]
    fn sums_and_duals_agree() {
        let x: Vec<f64> = (0..53).map(|i| (i as f64 * 0.7).sin()).collect();
        let expected: f64 = x.iter().map(|x| (x - 0.3).exp()).sum();
        assert!((exp_sum(&mut x.clone(), 0.3) - expected).abs() < 1e-14 * expected);
        let mut duals: Vec<_> = x.iter().map(|&x| supple_core::Dual::new(x, 1.0)).collect();
        let sum = exp_sum(&mut duals, supple_core::Dual::new(0.3, 0.0));
        assert!((sum.v - expected).abs() < 1e-14 * expected && sum.v == sum.d);
    }
}
