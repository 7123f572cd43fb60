//! The order itself, as integers: what the relaxations of this family relax.

use ndarray::{Array, ArrayView, Axis, Dimension};
use std::cmp::Ordering;
use supple_core::Float;

/// The positions that sort the last axis: entry $i$ is the position of the $i$-th smallest value, from 0, or of the
/// $i$-th largest if `descending`.
///
/// It has no gradient. For permutation matrices that have one, see
/// [`front::argsort`](crate::front::argsort()); to arrange something else in this order with a gradient to the
/// keys, [`SortWith`](super::SortWith).
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Equal values keep their order, in either direction. NaN comes last, in either direction. −0 and 0 are equal.
/// * Cost: O(n log n).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::hard_argsort;
/// let x = array![[2.0, f64::NAN, 1.0, 2.0]];
/// assert_eq!(hard_argsort(&x, false), array![[2, 0, 3, 1]]);
/// assert_eq!(hard_argsort(&x, true), array![[0, 3, 2, 1]]);
/// ```
pub fn hard_argsort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    descending: bool,
) -> Array<i64, D> {
    let x = x.into();
    let mut order = Array::zeros(x.raw_dim());
    if x.ndim() == 0 {
        return order;
    }
    let last = Axis(x.ndim() - 1);
    for (values, mut order) in x.lanes(last).into_iter().zip(order.lanes_mut(last)) {
        let mut positions: Vec<usize> = (0..values.len()).collect();
        positions.sort_by(|&i, &j| {
            let (a, b) = (values[i], values[j]);
            let ordered = if descending { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
            ordered.unwrap_or_else(|| nan_last(a, b))
        });
        order.iter_mut().zip(positions).for_each(|(order, position)| *order = position as i64);
    }
    order
}

fn nan_last<T: Float>(a: T, b: T) -> Ordering {
    a.is_nan().cmp(&b.is_nan())
}
