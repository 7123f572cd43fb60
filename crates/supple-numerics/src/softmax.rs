//! Softmax in the accumulator's precision, and its derivative.

use crate::elementary::exp_sum;
use crate::simplex::largest;
use supple_core::Real;

/// `z ← softmax(z / softness)`, for a largest entry that is finite.
pub fn soften<A: Real<Acc = A>>(z: &mut [A], softness: f64) {
    let (top, softness) = (A::constant(largest(z)), A::of(softness));
    z.iter_mut().for_each(|z| *z = (*z - top) / softness);
    let factor = A::one() / exp_sum(z, A::zero());
    z.iter_mut().for_each(|z| *z *= factor);
}

/// `dx += rate · (diag(p) − p pᵀ) dy`: the Jacobian of softmax where it is `p`.
pub fn pull_back<T: Real>(p: &[T::Acc], rate: f64, dy: &[T], dx: &mut [T::Acc]) {
    let mut mean = T::Acc::zero();
    p.iter().zip(dy).for_each(|(&p, dy)| mean += p * dy.widen());
    let rate = T::Acc::of(rate);
    for ((dx, &p), dy) in dx.iter_mut().zip(p).zip(dy) {
        *dx += rate * p * (dy.widen() - mean);
    }
}
