//! What the masks share: where they are cut, their hard form, and a backward pass.

use supple_core::{Error, Fault, Float, Real, Scratch};
use supple_numerics::elementary::{dot, sum_by};
use supple_numerics::simplex::{kth_largest, largest};

/// The k-th largest value and the one after.
pub(super) struct Cut<F> {
    pub kth: F,
    pub next: F,
}

/// Refuses to choose more than there are.
pub(super) fn check_k(operator: &str, k: usize, sizes: &[usize]) -> Result<(), Error> {
    match sizes.first() {
        Some(&n) if k > n => Err(Error::argument(operator, "k", format!("<= n = {n}"), k)),
        _ => Ok(()),
    }
}

/// Where the mask is cut, or `None` where there is nothing to find and `y` has been written.
pub(super) fn cut<T: Real>(
    x: &[T],
    k: usize,
    y: &mut [T],
    scratch: &mut Scratch<T>,
) -> Result<Option<Cut<T::Value>>, Fault> {
    if largest(x).is_nan() {
        y.fill(T::nan());
        return Ok(None);
    }
    if k == 0 || k > x.len() {
        y.fill(T::zero());
        return Ok(None);
    }
    let mut keys = scratch.keys.empty();
    let (kth, next) = kth_largest(x, k, &mut keys);
    scratch.keys.give(keys);
    if kth == T::Value::of(f64::NEG_INFINITY) {
        return Err(Fault::Infeasible);
    }
    Ok(Some(Cut { kth, next }))
}

/// Where `x` has been centred, and the next value then.
pub(super) struct Centred {
    pub kth: f64,
    pub next: f64,
}

/// As [`cut`], centred and in units of the softness: `y` becomes `(x − kth) / ε`. `None` also where
/// infinities decide all: then `y` is the mask.
pub(super) fn centre<T: Real>(
    x: &[T],
    k: usize,
    softness: f64,
    y: &mut [T],
    scratch: &mut Scratch<T>,
) -> Result<Option<Centred>, Fault> {
    let Some(Cut { kth, next }) = cut(x, k, y, scratch)? else { return Ok(None) };
    let (softness, kth) = (T::of(softness), T::constant(kth));
    let gap = ((kth.value() - next) / softness.value()).to_f64();
    if !gap.is_finite() {
        // A hard choice; none at all between infinities.
        let chosen = |x: T| if gap.is_nan() { T::nan() } else { T::of(if x >= kth { 1.0 } else { 0.0 }) };
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = chosen(x));
        return Ok(None);
    }
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - kth) / softness);
    Ok(Some(Centred { kth: kth.as_f64(), next: -gap }))
}

/// The 0/1 mask of the k largest; of equal values the first.
pub(super) fn hard_mask<T: Float>(
    x: &[T],
    k: usize,
    y: &mut [T],
    scratch: &mut Scratch<T>,
) -> Result<(), Fault> {
    let Some(Cut { kth, .. }) = cut(x, k, y, scratch)? else { return Ok(()) };
    let mut ties = k - x.iter().filter(|&&x| x > kth).count();
    for (y, &x) in y.iter_mut().zip(x) {
        let tied = x == kth && ties > 0;
        ties -= tied as usize;
        *y = T::of(if x > kth || tied { 1.0 } else { 0.0 });
    }
    Ok(())
}

/// Turns slopes `s` of entries in their own x at a fixed threshold into `rate · s (dy − ⟨s, dy⟩ / Σ s)`: the
/// backward pass of `y_i = φ(x_i / ε − τ)` where τ keeps the sum.
pub(super) fn vjp<T: Real>(dy: &[T], slopes: &mut [T], rate: T) {
    let total = sum_by(slopes, slopes, |s, _| s.widen());
    if total == T::Acc::zero() {
        return;
    }
    let mean = T::narrow(dot(slopes, dy) / total);
    slopes.iter_mut().zip(dy).for_each(|(s, &dy)| *s = rate * *s * (dy - mean));
}
