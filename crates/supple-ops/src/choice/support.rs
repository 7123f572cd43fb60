//! The backward pass of probabilities of which most are zero.

use supple_core::Real;
use supple_numerics::elementary::sum_by;

/// Entries that are passed over together.
const ROW: usize = 32;

/// Writes `rate · s (dp − ⟨s, dp⟩ / Σ s)` into zeros, where `s = slope(p)` on the support and 0 elsewhere.
pub(super) fn vjp<T: Real>(p: &[T], dp: &[T], dx: &mut [T], rate: T, slope: impl Fn(T) -> T) {
    if p.first().is_some_and(|p| p.is_nan()) {
        return dx.fill(T::nan());
    }
    let slope = |p: T| if p > T::zero() { slope(p) } else { T::zero() };
    let meets_support = |p: &[T]| p.iter().fold(false, |any, &p| any | (p > T::zero()));
    let (mut sum, mut total) = (T::Acc::zero(), T::Acc::zero());
    for (p, dp) in p.chunks(ROW).zip(dp.chunks(ROW)) {
        if meets_support(p) {
            sum += sum_by(p, dp, |p, dp| (slope(p) * dp).widen());
            total += sum_by(p, p, |p, _| slope(p).widen());
        }
    }
    let mean = T::narrow(sum / total);
    for ((dx, p), dp) in dx.chunks_mut(ROW).zip(p.chunks(ROW)).zip(dp.chunks(ROW)) {
        if meets_support(p) {
            for ((dx, &p), &dp) in dx.iter_mut().zip(p).zip(dp) {
                *dx = rate * slope(p) * (dp - mean);
            }
        }
    }
}
