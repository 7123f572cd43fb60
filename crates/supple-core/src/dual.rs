//! Forward-mode numbers: a value and one tangent.

use crate::real::{Float, Floats, Real};
use std::cmp::Ordering;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A value and one tangent: `f(v + ε d) = f(v) + ε f′(v) d`.
///
/// A kernel run at duals gives its own directional derivative; that is where every `jvp` and every
/// second derivative of Supple comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dual<F> {
    /// Value.
    pub v: F,
    /// Tangent.
    pub d: F,
}

impl<F: Float> Dual<F> {
    /// A value with a tangent.
    #[inline]
    pub fn new(v: F, d: F) -> Self {
        Self { v, d }
    }
}

/// Compares values; tangents do not take part.
impl<F: Float> PartialEq for Dual<F> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.v == other.v
    }
}
/// Compares values; tangents do not take part.
impl<F: Float> PartialOrd for Dual<F> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.v.partial_cmp(&other.v)
    }
}
/// A tangent times a derivative. A tangent of zero stays zero, even where the derivative is infinite: a masked
/// entry is −∞ and does not move.
#[inline]
fn along<F: Float>(tangent: F, derivative: F) -> F {
    if tangent.is_zero() { F::zero() } else { tangent * derivative }
}

impl<F: Float> Add for Dual<F> {
    type Output = Self;
    #[inline]
    fn add(self, o: Self) -> Self {
        Self { v: self.v + o.v, d: self.d + o.d }
    }
}
impl<F: Float> Sub for Dual<F> {
    type Output = Self;
    #[inline]
    fn sub(self, o: Self) -> Self {
        Self { v: self.v - o.v, d: self.d - o.d }
    }
}
impl<F: Float> Mul for Dual<F> {
    type Output = Self;
    #[inline]
    fn mul(self, o: Self) -> Self {
        Self { v: self.v * o.v, d: along(self.d, o.v) + along(o.d, self.v) }
    }
}
impl<F: Float> Div for Dual<F> {
    type Output = Self;
    #[inline]
    fn div(self, o: Self) -> Self {
        let q = self.v / o.v;
        Self { v: q, d: along(self.d, F::one() / o.v) - along(o.d, q / o.v) }
    }
}
impl<F: Float> Neg for Dual<F> {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        Self { v: -self.v, d: -self.d }
    }
}
impl<F: Float> AddAssign for Dual<F> {
    #[inline]
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}
impl<F: Float> SubAssign for Dual<F> {
    #[inline]
    fn sub_assign(&mut self, o: Self) {
        *self = *self - o;
    }
}
impl<F: Float> MulAssign for Dual<F> {
    #[inline]
    fn mul_assign(&mut self, o: Self) {
        *self = *self * o;
    }
}
impl<F: Float> DivAssign for Dual<F> {
    #[inline]
    fn div_assign(&mut self, o: Self) {
        *self = *self / o;
    }
}
impl<F: Float> Sum for Dual<F> {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::zero(), |a, b| a + b)
    }
}

impl<F: Float> Real for Dual<F> {
    type Value = F;
    type Acc = Dual<f64>;

    #[inline]
    fn of(x: f64) -> Self {
        Self::constant(F::of(x))
    }
    #[inline]
    fn value(self) -> F {
        self.v
    }
    #[inline]
    fn constant(v: F) -> Self {
        Self { v, d: F::zero() }
    }
    #[inline]
    fn chain(self, v: F, derivative: F) -> Self {
        Self { v, d: along(self.d, derivative) }
    }
    #[inline]
    fn is_zero(self) -> bool {
        self.v.is_zero() && self.d.is_zero()
    }
    #[inline]
    fn widen(self) -> Dual<f64> {
        Dual { v: self.v.to_f64(), d: self.d.to_f64() }
    }
    #[inline]
    fn narrow(x: Dual<f64>) -> Self {
        Self { v: F::of(x.v), d: F::of(x.d) }
    }
    #[inline]
    fn floats(_: &mut [Self]) -> Floats<'_> {
        Floats::Dual
    }
    fn exp(self) -> Self {
        let e = self.v.exp();
        self.chain(e, e)
    }
    fn ln(self) -> Self {
        self.chain(self.v.ln(), F::one() / self.v)
    }
    fn ln_1p(self) -> Self {
        self.chain(self.v.ln_1p(), F::one() / (F::one() + self.v))
    }
    fn exp_m1(self) -> Self {
        self.chain(self.v.exp_m1(), self.v.exp())
    }
    fn sqrt(self) -> Self {
        let s = self.v.sqrt();
        self.chain(s, F::one() / (s + s))
    }
    fn tanh(self) -> Self {
        let t = self.v.tanh();
        self.chain(t, F::one() - t * t)
    }
    fn atan(self) -> Self {
        self.chain(self.v.atan(), F::one() / (F::one() + self.v * self.v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elementary_functions_carry_their_derivatives() {
        type Function = fn(Dual<f64>) -> Dual<f64>;
        let functions: [(&str, Function); 9] = [
            ("exp", |x| x.exp()),
            ("ln", |x| x.ln()),
            ("ln_1p", |x| x.ln_1p()),
            ("exp_m1", |x| x.exp_m1()),
            ("sqrt", |x| x.sqrt()),
            ("tanh", |x| x.tanh()),
            ("atan", |x| x.atan()),
            ("abs", |x| (-x).abs() * x.square()),
            ("quotient", |x| (x - Dual::of(3.0)) / (x * x + Dual::one())),
        ];
        let h = 1e-6;
        for (name, f) in functions {
            for x in [0.3, 0.9, 1.7] {
                let at = |x: f64| f(Dual::constant(x)).v;
                let differences = (at(x + h) - at(x - h)) / (2.0 * h);
                let d = f(Dual::new(x, 1.0)).d;
                assert!((d - differences).abs() < 1e-8, "{name} at {x}: {d} against {differences}");
            }
        }
    }

    #[test]
    fn long_sums_keep_both_parts() {
        let x = (0..100_000).map(|_| Dual::new(0.1f32, 0.01));
        let sum = Dual::<f32>::sum_wide(x);
        assert!((sum.v - 1e4).abs() < 1e-2 && (sum.d - 1e3).abs() < 1e-3, "{sum:?}");
    }
}
