//! What the losses over a pool of solutions share. A pool is a matrix of `p` rows, a solution in each.

use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{Error, Float, Operator, Real, Scratch, evaluate};
use supple_numerics::elementary::dot;

/// The solutions, one after another; `n` may be 0.
pub(super) fn rows<T>(pool: &[T], n: usize, p: usize) -> impl Iterator<Item = &[T]> {
    (0..p).map(move |row| &pool[row * n..][..n])
}

/// The score of each solution, in a buffer to be given back.
pub(super) fn scores<T: Real>(pool: &[T], theta: &[T], p: usize, scratch: &mut Scratch<T>) -> Vec<T::Acc> {
    let mut scores = scratch.wide.empty();
    scores.extend(rows(pool, theta.len(), p).map(|y| dot(theta, y)));
    scores
}

/// The place of the first of the largest.
pub(super) fn best<A: Real>(scores: &[A]) -> usize {
    let better = |best: usize, i: usize| if scores[i] > scores[best] { i } else { best };
    (0..scores.len()).fold(0, better)
}

/// Whether any input has a NaN.
pub(super) fn has_nan<T: Real, const I: usize>(x: [&[T]; I]) -> bool {
    x.iter().any(|x| x.iter().any(|x| x.is_nan()))
}

/// Adds the gradients of `Σ_p weights[p] ⟨theta, y_p⟩` to those of `theta` and the pool.
pub(super) fn add_gradients<T: Real>(
    weights: &[T::Acc],
    [theta, pool]: [&[T]; 2],
    [dtheta, dpool]: [&mut [T]; 2],
    scratch: &mut Scratch<T>,
) {
    let n = theta.len();
    let mut sum = scratch.wide.zeros(n);
    for (row, (&weight, y)) in weights.iter().zip(rows(pool, n, weights.len())).enumerate() {
        if weight.is_zero() {
            continue;
        }
        sum.iter_mut().zip(y).for_each(|(sum, y)| *sum += weight * y.widen());
        for (d, theta) in dpool[row * n..][..n].iter_mut().zip(theta) {
            *d += T::narrow(weight * theta.widen());
        }
    }
    dtheta.iter_mut().zip(&sum).for_each(|(d, &sum)| *d += T::narrow(sum));
    scratch.wide.give(sum);
}

/// One loss for each row of `theta` `(…, n)`, what goes with it, and its pool `(…, p, n)`: what the plain
/// functions are made of.
pub(super) fn of_pools<'a, T: Float, P: Operator<3>, D: RemoveAxis, E: Dimension>(
    operator: &P,
    theta: impl Into<ArrayView<'a, T, D>>,
    other: impl Into<ArrayView<'a, T, D>>,
    pool: impl Into<ArrayView<'a, T, E>>,
) -> Result<Array<T, D::Smaller>, Error> {
    let inputs = [theta.into().into_dyn(), other.into().into_dyn(), pool.into().into_dyn()];
    let [loss] = evaluate(operator, inputs)?;
    let mismatch = |e| Error::unsupported(P::NAME, "a loss of the scores' rank less one", e);
    loss.into_dimensionality().map_err(mismatch)
}
