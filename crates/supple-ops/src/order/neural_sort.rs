//! NeuralSort: soft sort by a row-stochastic matrix.
//!
//! With $A_{jk} = \lvert x_j - x_k \rvert$,
//!
//! $$ y = P x, \qquad P_i = \operatorname{softmax}\left(\frac{(2 i - n - 1) x - A 1}{\varepsilon}\right). $$
//!
//! The paper sorts in descending order, $(n + 1 - 2 i) x$ in the softmax; that is `descending`. Row $i$
//! weighs the values by how close they are to being the $i$-th smallest; each row sums to one, columns do not.
//!
//! * Softness: the unit of `x`; the paper's τ. Neighbours mix if their gap is about that or less; a value
//!   $k$ places away at gaps $\delta$ has weight $e^{-k^2 \delta / \varepsilon}$.
//! * Hard limit: the sorted values.
//! * Gradient: exact but for the kink of $\lvert x_j - x_k \rvert$ at equal values, where its derivative
//!   counts as zero: halfway between the two sides. Equal values get equal gradients.
//! * A NaN makes its whole item NaN. ±∞ is sorted exactly, equal infinities share their gradient, and the
//!   finite values are sorted as if they were very large numbers.
//! * Cost: on sorted values, the weights of a row fall off on both sides of the $i$-th. Those below
//!   $e^{-60}$ of the largest, which double precision cannot see, are left out, and where rows are wide, many
//!   of them come from one power series, whose error is below round-off. At most O(n²) time, but where gaps
//!   change slowly from place to place about linear in n, at any softness; O(n) memory. Backward computes the
//!   rows again.
//!
//! Paper: Grover, Wang, Zweig, Ermon, *Stochastic optimization of sorting networks via continuous
//! relaxations*, ICLR 2019, <https://arxiv.org/abs/1903.08850>.

use super::neural_rows::{Band, NeuralRows, naive};
use super::permutahedron::{arranged, check_length, sort, sorted, spoilt};
use super::rows::{Projection, Pulled, Scores, infinite};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};

params! {
    /// NeuralSort.
    pub struct NeuralSort {
        /// Gap at which neighbours mix; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// Whether the largest value comes first.
        descending: bool = false, Any;
    }
}

/// The sorting permutation. Empty for an item with a NaN.
#[derive(Debug, Default)]
pub struct Saved {
    order: Vec<u32>,
}

impl Operator for NeuralSort {
    const NAME: &'static str = "neural_sort";
    const SIGNATURE: &'static str = "x(n) -> sorted(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        sizes[0].saturating_mul(sizes[0])
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (order, z) = sorted(at.x[0], self.descending, scratch);
        if spoilt(&z) {
            y.fill(T::nan());
            scratch.indices.give(order);
        } else {
            let rows = NeuralRows::new(&z, self.softness, scratch);
            let finite = rows.finite();
            let outputs = &mut y[finite.clone()];
            Band::for_each(&rows, scratch, |band| {
                for (row, &mean) in band.rows.clone().zip(&band.means) {
                    outputs[row] = T::narrow(rows.centre(row) + band.centre + mean);
                }
            });
            for infinite in infinite(&finite, z.len()) {
                let share = T::sum_wide(z[infinite.clone()].iter().copied()) / T::of(infinite.len() as f64);
                y[infinite].fill(share);
            }
            rows.give(scratch);
            y.iter_mut().for_each(|y| *y = self.signed(*y));
            saved.order = order;
        }
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let order = &at.saved.order[..];
        if order.len() < dx.len() {
            return dx.fill(T::nan());
        }
        let sorted = arranged(at.x[0], self.descending, order, scratch);
        let rows = NeuralRows::new(&sorted, self.softness, scratch);
        scratch.reals.give(sorted);
        let (finite, n) = (rows.finite(), rows.z.len());
        let mut sums = Pulled { z: scratch.wide.zeros(n), b: scratch.wide.zeros(n) };
        let mut dz = scratch.wide.zeros(n);
        Band::for_each(&rows, scratch, |band| {
            let dy = &dy[finite.clone()][band.rows.clone()];
            band.pull(&rows, dy.iter().map(|dy| dy.widen()), &mut dz, &mut sums);
        });
        rows.finish(&mut sums);
        for ((&place, &dz), &by_score) in order[finite.clone()].iter().zip(&dz).zip(&sums.z) {
            dx[place as usize] = T::narrow(dz + by_score);
        }
        for infinite in infinite(&finite, order.len()) {
            let share = T::sum_wide(dy[infinite.clone()].iter().copied()) / T::of(infinite.len() as f64);
            order[infinite].iter().for_each(|&place| dx[place as usize] = share);
        }
        rows.give(scratch);
        [dz, sums.z, sums.b].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        sort(at.x[0], self.descending, y, scratch);
        Ok(())
    }
}

impl NeuralSort {
    fn signed<T: Real>(&self, x: T) -> T {
        if self.descending { -x } else { x }
    }
}

impl Contract for NeuralSort {
    const SUMMARY: &'static str = "sorted values, by a softmax for each place";
    const PAPER: &'static str = "Grover et al., ICLR 2019, arXiv:1903.08850";
    const COST: &'static str = "at most O(n²) time, O(n) memory";

    fn cases() -> Vec<Self> {
        let case = |softness, descending| Self { softness, descending };
        vec![case(0.1, false), case(1.0, true), case(20.0, false), case(0.02, true)]
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            if self.descending { Law::Descending } else { Law::Ascending },
            Law::PermutationInvariant,
            Law::ShiftEquivariant,
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let rows = naive(at.x[0], self.softness, self.descending, Projection::Softmax);
        Some([rows.iter().map(|row| row.iter().zip(at.x[0]).map(|(p, x)| p * x).sum()).collect()])
    }
}

/// NeuralSort along the last axis, ascending: each output is a mean of all values, weighted by how close they
/// are to its place.
///
/// $$ y_i = \sum_j P_{ij} x_j, \qquad
/// P_i = \operatorname{softmax}\left(\frac{(2 i - n - 1) x - A 1}{\varepsilon}\right), \qquad
/// A_{jk} = \lvert x_j - x_k \rvert $$
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: the paper's τ, in the unit of `x`. Neighbours mix if their gap is about that or less.
/// * Hard limit: the sorted values.
/// * Gradient: exact but at equal values, where the derivative of their distance counts as zero.
/// * A NaN makes its item NaN; ±∞ is sorted exactly.
/// * Cost: at most O(n²) time, about linear where gaps change slowly from place to place; O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order, another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`NeuralSort`]; for gradients, [`linearize`](supple_core::linearize). The matrix itself is
/// [`neural_sort_permutation`](super::neural_sort_permutation()).
///
/// ```
/// use supple_ops::order::neural_sort;
/// let y = neural_sort(&[5.0f64, 1.0, 2.0], 0.05)?;
/// assert!((y[0] - 1.0).abs() < 1e-8 && (y[1] - 2.0).abs() < 1e-8 && (y[2] - 5.0).abs() < 1e-8);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Grover, Wang, Zweig, Ermon, *Stochastic optimization of sorting networks via continuous relaxations*,
/// ICLR 2019, <https://arxiv.org/abs/1903.08850>.
pub fn neural_sort<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&NeuralSort { softness, ..NeuralSort::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array, aview1};
    use supple_core::{Stream, linearize};

    /// Rows are narrow here: 60 ε of 200.
    #[test]
    fn what_is_left_out_cannot_be_seen() {
        let x = Array1::from(Stream::new(0, 0, 0).normals(200)).into_dyn();
        for softness in [1e-3, 0.1, 3.0] {
            let operator = NeuralSort { softness, descending: false };
            let at = linearize(&operator, [x.view()]).unwrap();
            let expected = naive(x.as_slice().unwrap(), softness, false, Projection::Softmax);
            for (&y, row) in at.outputs()[0].iter().zip(&expected) {
                let expected: f64 = row.iter().zip(&x).map(|(p, x)| p * x).sum();
                assert!((y - expected).abs() < 1e-11, "softness {softness}: {y} for {expected}");
            }
        }
    }

    #[test]
    fn equal_values_get_equal_gradients() {
        let x = array![1.0, 0.5, 1.0, 0.5, 0.5].into_dyn();
        let at = linearize(&NeuralSort { softness: 0.3, descending: false }, [x.view()]).unwrap();
        let [dx] = at.vjp([array![1.0, -2.0, 3.0, 0.5, 0.1].into_dyn().view()]).unwrap();
        assert!(dx[0] == dx[2] && dx[1] == dx[3] && dx[3] == dx[4], "{dx}");
        assert!((dx.sum() - 2.6).abs() < 1e-14);
    }

    /// The smallest values of either precision are usual masks.
    #[test]
    fn large_finite_values_leave_the_others_alone() {
        let (small, softness) = ([0.2, 0.0, 0.1], 0.1);
        for far in [1e15, f32::MAX as f64, f64::MAX] {
            for (value, count) in [(-far, 1), (far, 1), (-far, 7), (far, 7)] {
                let x: Vec<f64> = small.into_iter().chain(std::iter::repeat_n(value, count)).collect();
                for descending in [false, true] {
                    let operator = NeuralSort { softness, descending };
                    let expected = linearize(&operator, [aview1(&small).into_dyn()]).unwrap();
                    let at = linearize(&operator, [aview1(&x).into_dyn()]).unwrap();
                    let near = |y: &&f64| y.abs() < 1.0;
                    let y: Vec<f64> = at.outputs()[0].iter().filter(near).copied().collect();
                    assert_eq!(y, expected.outputs()[0].as_slice().unwrap(), "{far:e} {descending}");
                    let [dx] = at
                        .vjp([at.outputs()[0].mapv(|y| if y.abs() < 1.0 { y } else { 0.0 }).view()])
                        .unwrap();
                    let [expected] = expected.vjp([expected.outputs()[0].view()]).unwrap();
                    let (near, rest) = dx.as_slice().unwrap().split_at(small.len());
                    assert_eq!(near, expected.as_slice().unwrap(), "{far:e} {descending}");
                    assert!(rest.iter().all(|&dx| dx == 0.0), "{dx}");
                }
            }
        }
    }

    /// Groups are parted by gaps of 750 ε: on either side of that, the matrix is the definition.
    #[test]
    fn groups_change_nothing() {
        let x = array![0.0, 0.3, 74.0, 74.2, 74.25, 149.3, 149.4, 300.0, 375.0].into_dyn();
        for descending in [false, true] {
            let y = map(&NeuralSort { softness: 0.1, descending }, &x).unwrap();
            let rows = naive(x.as_slice().unwrap(), 0.1, descending, Projection::Softmax);
            for (y, row) in y.iter().zip(&rows) {
                let expected: f64 = row.iter().zip(&x).map(|(p, x)| p * x).sum();
                assert!((y - expected).abs() < 1e-11, "{y} for {expected}");
            }
        }
    }

    #[test]
    fn infinities_are_sorted_exactly_and_nan_spoils() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x = [2.0, inf, 1.5, -inf, inf];
        let operator = NeuralSort { softness: 0.5, descending: false };
        let at = linearize(&operator, [aview1(&x).into_dyn()]).unwrap();
        let large = map(&operator, &x.map(|x| x.clamp(-1e3, 1e3))).unwrap();
        let y = &at.outputs()[0];
        assert!(y[0] == -inf && y[3] == inf && y[4] == inf, "{y}");
        assert!((y[1] - large[1]).abs() < 1e-9 && (y[2] - large[2]).abs() < 1e-9, "{y} for {large}");
        let cotangent = array![1.0, 2.0, 3.0, 4.0, 5.0].into_dyn();
        let [dx] = at.vjp([cotangent.view()]).unwrap();
        let direction = array![0.3, -1.0, 0.7, 2.0, 5.0].into_dyn();
        let [dy] = at.jvp([direction.view()]).unwrap();
        assert!(((dy * &cotangent).sum() - (&dx * &direction).sum()).abs() < 1e-12, "{dx}");
        assert!(dx[3] == 1.0 && dx[1] == 4.5 && dx[4] == 4.5 && (dx[0] + dx[2] - 5.0).abs() < 1e-14, "{dx}");
        assert!(map(&operator, &[1.0, nan, 2.0]).unwrap().iter().all(|y| y.is_nan()));
    }
}
