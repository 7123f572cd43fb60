//! Soft dynamic time warping of a cost matrix.
//!
//! Over all paths from the first cell to the last by steps down, right or diagonally down,
//!
//! $$\mathrm{value} = -\gamma \ln \sum_{\text{paths } \pi} e^{-c(\pi) / \gamma},
//! \qquad c(\pi) = \sum_{(i, j) \in \pi} c_{ij},$$
//!
//! and `alignment` is its gradient $\partial \mathrm{value} / \partial c$: the probability that a path
//! drawn from $e^{-c(\pi)/\gamma}$ visits the cell. Its derivative is the Hessian of the value, by the
//! recursions of Mensch and Blondel. Softness is γ, in the unit of the cost; softness → 0 is the DTW
//! distance with its path. Cost: O(mn) time and memory, or O((m + n)(r + |m − n|)) within a band.
//!
//! Papers: Cuturi and Blondel, *Soft-DTW: a differentiable loss function for time-series*, ICML 2017;
//! Mensch and Blondel, *Differentiable dynamic programming for structured prediction and attention*,
//! ICML 2018.

use super::alignment::Work;
use super::classic;
use super::diagonals::Diagonals;
use ndarray::{Array, ArrayD, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Evaluated, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch,
    evaluate,
};

supple_core::params! {
    /// Soft-DTW of a cost matrix: see [`soft_dtw`].
    pub struct SoftDtw {
        /// Smoothing γ of the minimum over paths, in the unit of the cost.
        softness: f64 = 1.0, Positive;
        /// Radius r of the Sakoe–Chiba band: −r ≤ i − j ≤ m − n + r for m ≥ n, mirrored otherwise.
        band: Option<u64> = None, Any;
    }
}

impl SoftDtw {
    fn prepare<T: Real>(&self, cells: &Diagonals, cost: &[T], scratch: &mut Scratch<T>) -> Work<T> {
        let mut work = Work::new(cells, scratch);
        let scale = T::of(1.0 / self.softness);
        // Infinity times a constant would spoil the tangent of a dual.
        cells.pack(cost, work.cells(), |c| if c.is_finite() { scale * c } else { c });
        work
    }
}

impl Operator<1, 2> for SoftDtw {
    const NAME: &'static str = "soft_dtw";
    const SIGNATURE: &'static str = "cost(m>=1,n>=1) -> value(), alignment(m,n)";

    type Saved<T: Real> = ();

    fn validate(&self, _sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        classic::work(sizes[0], sizes[1])
    }

    fn scaling(&self) -> Option<Scaling<1, 2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1, 0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [value, alignment]: [&mut [T]; 2],
        _saved: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [m, n] = at.sizes();
        let cells = Diagonals::new(m, n, self.band);
        let mut work = self.prepare(&cells, at.x[0], scratch);
        value[0] = work.align(&cells, self.softness);
        cells.unpack(work.cells(), alignment);
        work.give(scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 1, 2>,
        [dvalue, dalignment]: [&[T]; 2],
        [dcost]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        dcost.iter_mut().zip(at.y[1]).for_each(|(dcost, &e)| *dcost = e * dvalue[0]);
        if dalignment.iter().all(|d| d.is_zero()) {
            return;
        }
        let [m, n] = at.sizes();
        let cells = Diagonals::new(m, n, self.band);
        let mut work = self.prepare(&cells, at.x[0], scratch);
        work.align(&cells, self.softness);
        let mut v = scratch.reals.zeros(cells.len());
        cells.pack(dalignment, &mut v, |d| d);
        work.hessian_product(&cells, self.softness, &mut v, scratch);
        cells.unpack(&v, dcost);
        scratch.reals.give(v);
        work.give(scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [value, alignment]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [m, n] = at.sizes();
        let cells = Diagonals::new(m, n, self.band);
        value[0] = classic::align(&cells, at.x[0], alignment, scratch);
        Ok(())
    }
}

impl Contract<1, 2> for SoftDtw {
    const SUMMARY: &'static str = "Soft dynamic time warping of a cost matrix, with the expected alignment";
    const PAPER: &'static str = "Cuturi and Blondel, ICML 2017; Mensch and Blondel, ICML 2018";
    const COST: &'static str = "O(mn) time and memory, O((m + n)(r + |m - n|)) with a band of radius r";

    fn cases() -> Vec<Self> {
        let case = |softness, band| Self { softness, band };
        vec![case(1.0, None), case(0.1, None), case(3.0, Some(0)), case(0.5, Some(2))]
    }

    fn laws(&self) -> Vec<Law> {
        let mut laws = classic::alignment_laws(|sizes| (sizes[0], sizes[1]), self.band);
        laws.push(Law::Vanishes(
            "value_at_most_expected_cost",
            Box::new(|Evaluated { x, y, .. }| {
                let expected: f64 = x[0].iter().zip(y[1]).map(|(c, e)| c * e).sum();
                (y[0][0] - expected).max(0.0)
            }),
        ));
        laws
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 2]> {
        let [m, n] = at.sizes();
        Some(classic::sum_over_paths(m, n, self.softness, self.band, at.x[0]))
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [[1, 1], [1, 5], [4, 1], [3, 4], [12, 3], [9, 9]].map(Vec::from).to_vec()
    }
}

/// Soft dynamic time warping of a cost matrix, with the expected alignment.
///
/// * `cost`: any leading batch axes, then (m, n), m and n at least 1. A cost of +∞ forbids a cell.
/// * `softness`: γ, in the unit of the cost.
///
/// Returns the values, one for each item, and the alignments, of the shape of `cost`. Over all paths π
/// from the first cell to the last by steps down, right or diagonally down,
///
/// $$\mathrm{value} = -\gamma \ln \sum_\pi e^{-c(\pi) / \gamma}, \qquad
/// \mathrm{alignment} = \partial \mathrm{value} / \partial c.$$
///
/// The alignment is the probability that a path drawn from $e^{-c(\pi)/\gamma}$ visits a cell; it lies in
/// [0, 1] and is 1 in the first and the last cell. The value is below the DTW distance by at most γ times
/// the logarithm of the number of paths, so it can be negative. As γ → 0 it becomes the DTW distance and
/// the alignment its path; between tied paths the hard form prefers the diagonal step, then the
/// one from the row above. The gradient is exact everywhere. Where no path is allowed the value is +∞ and
/// the alignment zero.
///
/// Cost: O(mn) time and memory. A Sakoe–Chiba band makes both O((m + n)(r + |m − n|)):
/// `evaluate(&SoftDtw { softness, band: Some(r) }, …)`.
///
/// Errors: `softness` not finite and positive, or an axis of size 0.
///
/// ```
/// use supple_ops::sequence::soft_dtw;
/// let cost = ndarray::array![[1.0_f64, 5.0, 9.0], [4.0, 0.0, 2.0]];
/// let (value, alignment) = soft_dtw(&cost, 0.1)?;
/// assert!((value.sum() - 3.0).abs() < 1e-9);
/// assert!((alignment[[1, 1]] - 1.0).abs() < 1e-9);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Papers: Cuturi and Blondel, *Soft-DTW: a differentiable loss function for time-series*, ICML 2017;
/// Mensch and Blondel, *Differentiable dynamic programming for structured prediction and attention*,
/// ICML 2018.
pub fn soft_dtw<'a, T: Float, D: Dimension>(
    cost: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<(ArrayD<T>, Array<T, D>), Error> {
    let operator = SoftDtw { softness, ..SoftDtw::default() };
    let [value, alignment] = evaluate(&operator, [cost.into().into_dyn()])?;
    let alignment = alignment.into_dimensionality();
    let alignment =
        alignment.map_err(|e| Error::unsupported(SoftDtw::NAME, "an output of the input's rank", e))?;
    Ok((value, alignment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use supple_core::{Inputs, linearize};

    fn wave(m: usize, n: usize) -> Array2<f64> {
        Array2::from_shape_fn((m, n), |(i, j)| 3.0 * ((i * i + 3 * j) as f64).sin().powi(2))
    }

    #[test]
    fn single_precision_holds_on_long_series() {
        let cost = wave(300, 280);
        let (value, alignment) = soft_dtw(&cost, 0.1).unwrap();
        let (single_value, single) = soft_dtw(&cost.mapv(|c| c as f32), 0.1).unwrap();
        assert!((single_value.sum() as f64 / value.sum() - 1.0).abs() < 1e-6);
        for (&a, &b) in single.iter().zip(&alignment) {
            assert!((a as f64 - b).abs() < 1e-4, "{a} against {b}");
        }
    }

    #[test]
    fn forbidden_cells_are_avoided_and_carry_no_gradient() {
        let mut cost = wave(4, 5);
        cost[[1, 1]] = f64::INFINITY;
        cost[[2, 1]] = f64::INFINITY;
        let operator = SoftDtw::default();
        let at = linearize(&operator, [cost.view().into_dyn()]).unwrap();
        let [value, alignment] = at.outputs();
        assert!(value.sum().is_finite());
        assert_eq!((alignment[[1, 1]], alignment[[2, 1]]), (0.0, 0.0));
        let v = wave(4, 5).into_dyn();
        let ([dvalue, change], [_]) = at.vjp_derivative([value.view(), v.view()], [v.view()]).unwrap();
        assert!(dvalue.sum().is_finite() && change.iter().all(|c| c.is_finite()));

        cost.row_mut(2).fill(f64::INFINITY);
        let (value, alignment) = soft_dtw(&cost, 1.0).unwrap();
        assert_eq!((value.sum(), alignment.sum()), (f64::INFINITY, 0.0));
    }

    #[test]
    fn large_costs_do_not_overflow() {
        for softness in [1e-6, 1.0] {
            let (value, alignment) = soft_dtw(&(wave(40, 30) * 1e9).mapv(|c| c as f32), softness).unwrap();
            assert!(value.sum().is_finite() && alignment.iter().all(|e| (0.0..=1.0).contains(e)));
        }
    }

    #[test]
    fn a_wide_band_is_no_band_and_a_narrow_one_the_diagonal() {
        let cost = wave(9, 9).into_dyn();
        let banded = |band| evaluate(&SoftDtw { band, ..SoftDtw::default() }, [cost.view()]);
        let [value, alignment] = banded(Some(0)).unwrap();
        assert!((value.sum() - (0..9).map(|i| cost[[i, i]]).sum::<f64>()).abs() < 1e-12);
        assert_eq!(alignment, Array2::eye(9).into_dyn());
        assert_eq!(banded(Some(u64::MAX)), banded(None));
    }

    #[test]
    fn ragged_items_are_their_own_problems() {
        let cost = wave(6, 7);
        let batch = ndarray::stack![ndarray::Axis(0), cost, cost].into_dyn();
        let inputs = Inputs::from([batch.view()])
            .lengths("m", array![6, 3].into_dyn())
            .lengths("n", array![2, 7].into_dyn());
        let [value, alignment] = evaluate(&SoftDtw::default(), inputs).unwrap();
        for (item, (m, n)) in [(6, 2), (3, 7)].into_iter().enumerate() {
            let (one, path) = soft_dtw(cost.slice(ndarray::s![..m, ..n]), 1.0).unwrap();
            assert_eq!(value[item], one.sum());
            assert_eq!(alignment.slice(ndarray::s![item, ..m, ..n]), path);
        }
    }

    #[test]
    fn the_hard_form_prefers_the_diagonal() {
        let cost = Array2::<f64>::zeros((3, 2)).into_dyn();
        let inputs = Inputs::from([cost.view()]).mode(supple_core::Mode::Hard);
        let [value, path] = evaluate(&SoftDtw::default(), inputs).unwrap();
        assert_eq!((value.sum(), path), (0.0, array![[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]].into_dyn()));
    }
}
