//! The order itself, as integers: what the relaxations of this family relax.

use ndarray::{Array, ArrayView, Axis, Dimension};
use supple_core::Float;

/// The positions that sort the last axis: entry $i$ is the position of the $i$-th smallest value, from 0, or of the
/// $i$-th largest if `descending`.
///
/// It has no gradient. For permutation matrices that have one, see
/// [`front::argsort`](crate::front::argsort()); to arrange something else in this order with a gradient to the
/// keys, [`SortWith`](super::SortWith).
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Equal values keep their order, in either direction. NaN comes last, in either direction. −0 comes before 0, or
///   after it if `descending`: as in all sorting here, and so in the hard form of permutation matrices, but not in
///   LibTorch and NumPy, where the two are equal.
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
            match [a.is_nan(), b.is_nan()] {
                [false, false] if descending => b.order(&a),
                [false, false] => a.order(&b),
                [a, b] => a.cmp(&b),
            }
        });
        order.iter_mut().zip(positions).for_each(|(order, position)| *order = position as i64);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{SoftSortPrilloPermutation, SortWith};
    use ndarray::{Array1, Axis, array};
    use supple_core::{Inputs, Mode, evaluate};

    #[test]
    fn it_is_the_hard_form_of_the_relaxations_for_both_zeros_too() {
        let x = array![0.0, -0.0, 1.0, -0.0, 0.0, -1.0];
        for (descending, expected) in [(false, [5, 1, 3, 0, 4, 2]), (true, [2, 0, 4, 1, 3, 5])] {
            let order = hard_argsort(&x, descending);
            assert_eq!(order.as_slice(), Some(&expected[..]));
            let matrix = SoftSortPrilloPermutation { descending, ..SoftSortPrilloPermutation::default() };
            let [p] = evaluate(&matrix, Inputs::from([x.view().into_dyn()]).mode(Mode::Hard)).unwrap();
            assert!(order.iter().enumerate().all(|(place, &i)| p[[place, i as usize]] == 1.0));
            let payload = Array1::from_iter(0..6).mapv(f64::from).insert_axis(Axis(1)).into_dyn();
            let inputs = Inputs::from([x.view().into_dyn(), payload.view()]).mode(Mode::Hard);
            let [carried] = evaluate(&SortWith { descending, ..SortWith::default() }, inputs).unwrap();
            assert!(carried.iter().zip(&order).all(|(&carried, &i)| carried == i as f64));
        }
    }
}
