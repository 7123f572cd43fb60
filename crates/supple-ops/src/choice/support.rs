//! Probabilities of which most are zero.

use supple_core::{Real, Scratch};
use supple_numerics::elementary::sum_by;
use supple_numerics::simplex::{Scale, any, peaks};

/// Entries that are passed over together.
const ROW: usize = 32;

/// Writes `entry(x / unit − τ)` where that is above zero, into zeros, with the `threshold` τ; NaN where the largest
/// entry is not finite.
pub(super) fn forward<T: Real>(
    x: &[T],
    unit: f64,
    p: &mut [T],
    threshold: impl FnOnce(&[T], Scale<T>, &mut Vec<T::Acc>) -> T::Acc,
    entry: impl Fn(T) -> T,
    scratch: &mut Scratch<T>,
) {
    let (mut row_peaks, mut candidates) = (scratch.reals.empty(), scratch.wide.empty());
    let top = peaks(x, &mut row_peaks);
    if top.is_finite() {
        let scale = Scale { top, unit, peaks: &row_peaks };
        let threshold = threshold(x, scale, &mut candidates);
        scale.write(x, threshold, p, entry);
    } else {
        p.fill(T::nan());
    }
    scratch.reals.give(row_peaks);
    scratch.wide.give(candidates);
}

/// Writes `rate · s (dp − ⟨s, dp⟩ / Σ s)` into zeros, where `s = slope(p)` on the support and 0 elsewhere.
pub(super) fn vjp<T: Real>(
    p: &[T],
    dp: &[T],
    dx: &mut [T],
    rate: T,
    slope: impl Fn(T) -> T,
    scratch: &mut Scratch<T>,
) {
    if p.first().is_some_and(|p| p.is_nan()) {
        return dx.fill(T::nan());
    }
    let slope = |p: T| if p > T::zero() { slope(p) } else { T::zero() };
    // Where the rows begin that meet the support. They are far apart: found first, they are fetched together.
    let mut rows = scratch.indices.empty();
    for (start, p) in (0..).step_by(ROW).zip(p.chunks(ROW)) {
        if any(p, |p| p > T::zero()) {
            rows.push(start);
        }
    }
    let row = |start: u32| start as usize..p.len().min(start as usize + ROW);
    let (mut sum, mut total) = (T::Acc::zero(), T::Acc::zero());
    for &start in &rows {
        let (p, dp) = (&p[row(start)], &dp[row(start)]);
        sum += sum_by(p, dp, |p, dp| (slope(p) * dp).widen());
        total += sum_by(p, p, |p, _| slope(p).widen());
    }
    let mean = T::narrow(sum / total);
    for &start in &rows {
        for ((dx, &p), &dp) in dx[row(start)].iter_mut().zip(&p[row(start)]).zip(&dp[row(start)]) {
            *dx = rate * slope(p) * (dp - mean);
        }
    }
    scratch.indices.give(rows);
}
