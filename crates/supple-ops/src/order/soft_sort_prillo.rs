//! SoftSort: sorted values as averages, weighted by the distance to each of them.
//!
//! $$ y_k = \sum_j P_{kj} x_j, \qquad
//! P_{kj} = \frac{e^{-|x_{(k)} - x_j| / \varepsilon}}{\sum_l e^{-|x_{(k)} - x_l| / \varepsilon}} $$
//!
//! The matrix $P$ is the paper's relaxed permutation; here are its values only, without forming it. The result
//! ascends; the descending one is $-y(-x)$, which is the paper's.
//!
//! * Softness: the unit of `x`; the paper's τ. As it grows, all outputs approach the mean.
//! * Hard limit: the sorted values.
//! * Gradient: that of the order found. At equal values (a kink), it is that of the side on which they are
//!   in the order of their positions.
//! * ±∞ comes out first or last, as itself, and has no weight in what is finite. A NaN makes its whole item
//!   NaN.
//! * Cost: O(n log n) forward, for the sort; O(n) backward. Among sorted values, sums over the kernel are two
//!   running sums. They weigh distances and not values, so an offset of the data costs no digits.
//!
//! Paper: Prillo and Eisenschlos, *SoftSort: A Continuous Relaxation for the argsort Operator*, ICML 2020,
//! <https://arxiv.org/abs/2006.16038>.

use super::permutahedron::{arranged, check_length, sorted, spoilt};
use super::soft_sort::SoftSort;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Evaluated, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling,
    Scratch, map, params,
};
use supple_numerics::laplace::Line;

params! {
    /// Sorted values as weighted averages.
    pub struct SoftSortPrillo {
        /// Distance at which values mix; the unit of `x`.
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

impl Operator for SoftSortPrillo {
    const NAME: &'static str = "soft_sort_prillo";
    const SIGNATURE: &'static str = "x(n) -> sorted(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_length(Self::NAME, sizes)
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
            let line = Line::new(&z, self.softness, scratch);
            let mut sums = scratch.wide.zeros(2 * z.len());
            let (rows, _) = sums.as_chunks_mut();
            line.shares(
                |_| [T::Acc::one()],
                |k, side, [share]| {
                    let [mass, pull] = &mut rows[k];
                    *mass += share.sum;
                    *pull += side.sign(share.moment);
                },
            );
            let softness = T::Acc::of(self.softness);
            for ((y, &z), &[mass, pull]) in y.iter_mut().zip(&z).zip(&*rows) {
                let moved = T::narrow(z.widen() + softness * (pull / (T::Acc::one() + mass)));
                *y = if self.descending { -moved } else { moved };
            }
            scratch.wide.give(sums);
            line.give(scratch);
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
        let order = &at.saved.order;
        if order.len() < dx.len() {
            return dx.fill(T::nan());
        }
        let z = arranged(at.x[0], self.descending, order, scratch);
        let line = Line::new(&z, self.softness, scratch);
        let (mut first, mut second) = (scratch.wide.zeros(4 * z.len()), scratch.wide.zeros(2 * z.len()));
        let ((sums, _), (weights, _)) = (first.as_chunks_mut(), second.as_chunks_mut());
        line.shares(
            |_| [T::Acc::one()],
            |k, side, [share]| {
                let [mass, lean, spread, pull] = &mut sums[k];
                *mass += share.sum;
                *lean += side.sign(share.sum);
                *spread += share.moment;
                *pull += side.sign(share.moment);
            },
        );
        for ((weights, sums), &dy) in weights.iter_mut().zip(&mut *sums).zip(dy) {
            let [mass, lean, spread, pull] = *sums;
            let norm = T::Acc::one() + mass;
            // (y_k - x_(k)) / ε, and P_kk dy_k.
            let (lead, share) = (pull / norm, dy.widen() / norm);
            *weights = [share, share * lead];
            // What x_(k) does to y_k; what it does to the others is added below.
            sums[0] = share * (T::Acc::one() + spread - lead * lean);
        }
        line.shares(
            |k| weights[k],
            |k, side, [share, led]| sums[k][0] += share.sum - share.moment - side.sign(led.sum),
        );
        for (&i, &[sum, ..]) in order.iter().zip(&*sums) {
            dx[i as usize] = T::narrow(sum);
        }
        scratch.wide.give(first);
        scratch.wide.give(second);
        scratch.reals.give(z);
        line.give(scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        SoftSort { descending: self.descending, ..SoftSort::default() }.hard(at, y, scratch)
    }
}

impl Contract for SoftSortPrillo {
    const SUMMARY: &'static str = "sorted values, as averages by distance (SoftSort)";
    const PAPER: &'static str = "Prillo and Eisenschlos, ICML 2020, arXiv:2006.16038";
    const COST: &'static str = "O(n log n) forward, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [(0.1, false), (1.0, true), (20.0, false)]
            .map(|(softness, descending)| Self { softness, descending })
            .to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        let beyond = |at: Evaluated<'_>| {
            let ends = |x: &[f64]| {
                let fold = |f: fn(f64, f64) -> f64| x.iter().copied().reduce(f).unwrap_or(0.0);
                (fold(f64::min), fold(f64::max))
            };
            let ((low, high), (least, most)) = (ends(at.x[0]), ends(at.y[0]));
            (low - least).max(most - high).max(0.0)
        };
        vec![
            if self.descending { Law::Descending } else { Law::Ascending },
            Law::PermutationInvariant,
            Law::ShiftEquivariant,
            Law::Vanishes("stays_within_the_data", Box::new(beyond)),
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let mut centres = x.to_vec();
        centres.sort_by(|a, b| if self.descending { b.total_cmp(a) } else { a.total_cmp(b) });
        let row = |centre: f64| -> Vec<f64> {
            x.iter().map(|x| (-(centre - x).abs() / self.softness).exp()).collect()
        };
        let average =
            |row: Vec<f64>| row.iter().zip(x).map(|(p, x)| p * x).sum::<f64>() / row.iter().sum::<f64>();
        Some([centres.into_iter().map(|centre| average(row(centre))).collect()])
    }
}

/// SoftSort along the last axis, ascending: each place gets the average of all values, weighted by their
/// distance to the value that belongs there.
///
/// $$ y_k = \frac{\sum_j e^{-|x_{(k)} - x_j| / \varepsilon} x_j}{\sum_j e^{-|x_{(k)} - x_j| / \varepsilon}} $$
///
/// These are the values of the paper's relaxed permutation, without forming the matrix.
///
/// * Shapes: `(…, n)` to `(…, n)`.
/// * Softness: ε, in the unit of `x`. Values many ε apart come out sorted; as it grows, all outputs approach
///   the mean.
/// * Hard limit: the sorted values.
/// * Gradient: that of the order found. Equal values are told apart by their position.
/// * ±∞ comes out first or last. NaN makes its item NaN.
/// * Cost: O(n log n) forward, O(n) backward, O(n) memory.
/// * Errors: a softness that is not finite and above zero.
///
/// For descending order, another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`SoftSortPrillo`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::order::soft_sort_prillo;
/// // Values ln 2 apart: the weights are 1, 1/2 and 1/4.
/// let y = soft_sort_prillo(&(array![2.0, 0.0, 1.0] * f64::ln(2.0)), 1.0)? / f64::ln(2.0);
/// assert!((y - array![4.0 / 7.0, 1.0, 10.0 / 7.0]).iter().all(|gap| gap.abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Prillo and Eisenschlos, *SoftSort: A Continuous Relaxation for the argsort Operator*, ICML 2020,
/// <https://arxiv.org/abs/2006.16038>.
pub fn soft_sort_prillo<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftSortPrillo { softness, ..SoftSortPrillo::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, aview1};
    use supple_core::{Stream, linearize};

    #[test]
    fn an_offset_costs_no_digits() {
        let x: Vec<f64> =
            Stream::new(3, 0, 0).normals(500).iter().map(|x| (x * 64.0).round() / 64.0 + 0.0).collect();
        let moved: Vec<f64> = x.iter().map(|x| x + 2f64.powi(30)).collect();
        let both = |x: &[f64]| {
            let op = SoftSortPrillo::default();
            let at = linearize(&op, [aview1(x).into_dyn()]).unwrap();
            let dy = aview1(x).mapv(|x| x - x.floor() - 0.5).into_dyn();
            (at.outputs()[0].clone(), at.vjp([dy.view()]).unwrap())
        };
        let ((y, dx), (moved_y, moved_dx)) = (both(&x), both(&moved));
        assert_eq!(dx, moved_dx);
        assert!((moved_y - 2f64.powi(30) - y).iter().all(|gap| gap.abs() <= 2f64.powi(-22)));
    }

    #[test]
    fn infinities_stay_and_nan_spoils() {
        let inf = f64::INFINITY;
        let x = array![[inf, 3.0, inf, -inf, 7.0], [1.0, f64::NAN, 0.0, 2.0, inf]].into_dyn();
        let op = SoftSortPrillo::default();
        let at = linearize(&op, [x.view()]).unwrap();
        let dy = array![[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]].into_dyn();
        let [dx] = at.vjp([dy.view()]).unwrap();
        let y: Vec<f64> = at.outputs()[0].iter().copied().collect();
        assert_eq!((y[0], y[3], y[4]), (-inf, inf, inf));
        assert!((y[1] - 3.0).abs() < 1e-12 && (y[2] - 7.0).abs() < 1e-12, "{y:?}");
        assert!(dx.iter().take(5).all(|dx| dx.is_finite()), "{dx}");
        assert!(y.iter().chain(&dx).enumerate().all(|(i, v)| v.is_nan() == (i % 10 >= 5)));
    }
}
