//! The scalars that kernels are compiled for.

use crate::erased::{AnyOperator, Erased};
use crate::scratch::Scratch;
use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};
use std::thread::LocalKey;

/// The scalars that kernels are compiled for: `f32`, `f64` and [`Dual`](crate::Dual)s of them.
///
/// Everything a kernel may do with a number is in this one list. Comparison operators look at the
/// value only; [`order`](Real::order) is the total order to sort by.
pub trait Real:
    Copy
    + Default
    + Debug
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// The type of the value: `f32` for `Dual<f32>`.
    type Value: Float;
    /// Where long sums belong: `f64` for `f32`, `Dual<f64>` for `Dual<f32>`.
    type Acc: Real<Value = f64, Acc = Self::Acc>;

    /// A constant.
    fn of(x: f64) -> Self;
    /// The value, without the tangent.
    fn value(self) -> Self::Value;
    /// A constant from a value.
    fn constant(x: Self::Value) -> Self;
    /// `f(self)` by the chain rule, given `f` and `f′` at the value.
    ///
    /// Through this, functions that are not listed here (an error function, one Newton step of an
    /// implicit equation) work at duals too.
    fn chain(self, value: Self::Value, derivative: Self::Value) -> Self;
    /// Whether value and tangent are both zero: then work that is linear in it may be left out.
    fn is_zero(self) -> bool;
    /// To the accumulator's precision.
    fn widen(self) -> Self::Acc;
    /// Back from the accumulator's precision.
    fn narrow(x: Self::Acc) -> Self;
    /// The slice as plain floats, where it is one: the door to code written for `f32` or `f64`.
    fn floats(x: &mut [Self]) -> Floats<'_>;

    /// Exponential.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + self)`, exact near zero.
    fn ln_1p(self) -> Self;
    /// `exp(self) − 1`, exact near zero.
    fn exp_m1(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Arctangent.
    fn atan(self) -> Self;

    /// The value as `f64`.
    fn as_f64(self) -> f64 {
        self.value().to_f64()
    }
    /// Zero.
    fn zero() -> Self {
        Self::of(0.0)
    }
    /// One.
    fn one() -> Self {
        Self::of(1.0)
    }
    /// Positive infinity.
    fn infinity() -> Self {
        Self::of(f64::INFINITY)
    }
    /// Not a number.
    fn nan() -> Self {
        Self::of(f64::NAN)
    }
    /// Whether the value is NaN.
    fn is_nan(self) -> bool {
        self.as_f64().is_nan()
    }
    /// Whether the value is neither infinite nor NaN.
    fn is_finite(self) -> bool {
        self.as_f64().is_finite()
    }
    /// Total order of the values (`total_cmp`): −NaN < −∞ < … < ∞ < NaN.
    fn order(&self, other: &Self) -> Ordering {
        self.value().to_f64().total_cmp(&other.value().to_f64())
    }
    /// The smaller of two, `self` when they are equal or either is NaN.
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    /// The larger of two, `self` when they are equal or either is NaN.
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    /// Absolute value.
    fn abs(self) -> Self {
        if self < Self::zero() { -self } else { self }
    }
    /// `self²`.
    fn square(self) -> Self {
        self * self
    }
    /// A sum in the accumulator's precision.
    fn sum_wide(x: impl IntoIterator<Item = Self>) -> Self {
        Self::narrow(x.into_iter().map(Self::widen).sum())
    }
}

/// A slice of plain floats, or of something else: see [`Real::floats`].
#[derive(Debug)]
pub enum Floats<'a> {
    /// Single precision.
    F32(&'a mut [f32]),
    /// Double precision.
    F64(&'a mut [f64]),
    /// Duals, which take the generic path.
    Dual,
}

/// The element types of arrays: `f32` and `f64`, and no others.
///
/// It is apart from [`Real`] and sealed, because an erased pullback of floats hands out work on
/// duals: were duals allowed at the border, the compiler would have to instantiate without end.
pub trait Float: Real<Value = Self, Acc = f64> + sealed::Sealed {
    /// The name of the type, `"f32"` or `"f64"`.
    const NAME: &'static str;
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// To double precision.
    fn to_f64(self) -> f64;
    /// An integer key that sorts as the [total order](Real::order) does.
    fn key(self) -> u64;
    /// Back from the key.
    fn from_key(key: u64) -> Self;
    /// The calls of an erased operator for this type.
    fn calls(operator: &dyn AnyOperator) -> &dyn Erased<Self>;
    #[doc(hidden)]
    fn kept_scratch() -> &'static LocalKey<Cell<Scratch<Self>>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! float {
    ($t:ident, $bits:ident, $variant:ident) => {
        impl Real for $t {
            type Value = Self;
            type Acc = f64;
            #[inline]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline]
            fn value(self) -> Self {
                self
            }
            #[inline]
            fn constant(x: Self) -> Self {
                x
            }
            #[inline]
            fn chain(self, value: Self, _: Self) -> Self {
                value
            }
            #[inline]
            fn is_zero(self) -> bool {
                self == 0.0
            }
            #[inline]
            fn widen(self) -> f64 {
                self.into()
            }
            #[inline]
            fn narrow(x: f64) -> Self {
                x as $t
            }
            #[inline]
            fn floats(x: &mut [Self]) -> Floats<'_> {
                Floats::$variant(x)
            }
            #[inline]
            fn exp(self) -> Self {
                $t::exp(self)
            }
            #[inline]
            fn ln(self) -> Self {
                $t::ln(self)
            }
            #[inline]
            fn ln_1p(self) -> Self {
                $t::ln_1p(self)
            }
            #[inline]
            fn exp_m1(self) -> Self {
                $t::exp_m1(self)
            }
            #[inline]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline]
            fn tanh(self) -> Self {
                $t::tanh(self)
            }
            #[inline]
            fn atan(self) -> Self {
                $t::atan(self)
            }
            #[inline]
            fn order(&self, other: &Self) -> Ordering {
                self.total_cmp(other)
            }
        }

        impl Float for $t {
            const NAME: &'static str = stringify!($t);
            const EPSILON: f64 = $t::EPSILON as f64;
            #[inline]
            fn to_f64(self) -> f64 {
                self.into()
            }
            #[inline]
            fn key(self) -> u64 {
                // Flip all bits of negative numbers and the sign bit of the others.
                const TOP: u32 = $bits::BITS - 1;
                let bits = self.to_bits();
                let flip = (bits >> TOP).wrapping_neg() | (1 << TOP);
                (bits ^ flip) as u64
            }
            #[inline]
            fn from_key(key: u64) -> Self {
                const TOP: u32 = $bits::BITS - 1;
                let key = key as $bits;
                let flip = (key >> TOP).wrapping_sub(1) | (1 << TOP);
                $t::from_bits(key ^ flip)
            }
            fn calls(operator: &dyn AnyOperator) -> &dyn Erased<Self> {
                operator
            }
            fn kept_scratch() -> &'static LocalKey<Cell<Scratch<Self>>> {
                thread_local!(static KEPT: Cell<Scratch<$t>> = Cell::default());
                &KEPT
            }
        }
    };
}
float!(f32, u32, F32);
float!(f64, u64, F64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_the_total_order_and_come_back() {
        let mut x = vec![-f64::NAN, f64::NEG_INFINITY, -1e300, -1.0, -1e-310, -0.0, 0.0, 1e-310, 2.5];
        x.extend([f64::INFINITY, f64::NAN]);
        for pair in x.windows(2) {
            assert!(pair[0].key() < pair[1].key(), "{pair:?}");
            assert_eq!((pair[0] as f32).key().cmp(&(pair[1] as f32).key()), {
                (pair[0] as f32).total_cmp(&(pair[1] as f32))
            });
        }
        for x in x {
            assert_eq!(f64::from_key(x.key()).to_bits(), x.to_bits());
            assert_eq!(f32::from_key((x as f32).key()).to_bits(), (x as f32).to_bits());
        }
    }
}
