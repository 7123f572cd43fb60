//! Soft dynamic time warping of two series.
//!
//! [`soft_dtw`](super::soft_dtw) of the squared Euclidean distances $c_{ij} = \lVert x_i - y_j \rVert^2$
//! between the points of `x(m, d)` and `y(n, d)`. Softness is γ, in the unit of the squared data. Gradients
//! to both series come from the alignment $e$: $\partial / \partial x_i = 2 \sum_j e_{ij} (x_i - y_j)$.
//! Cost: O(mnd) time, O(mn + (m + n)d) memory.
//!
//! Papers: Cuturi and Blondel, *Soft-DTW: a differentiable loss function for time-series*, ICML 2017;
//! Mensch and Blondel, *Differentiable dynamic programming for structured prediction and attention*,
//! ICML 2018.

use super::alignment::Work;
use super::classic;
use super::diagonals::Diagonals;
use super::series::Pair;
use ndarray::{ArrayD, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, evaluate,
};

supple_core::params! {
    /// Soft-DTW of two series: see [`soft_dtw_series`].
    pub struct SoftDtwSeries {
        /// Smoothing γ of the minimum over paths, in the unit of the squared data.
        softness: f64 = 1.0, Positive;
        /// Radius r of the Sakoe–Chiba band: −r ≤ i − j ≤ m − n + r for m ≥ n, mirrored otherwise.
        band: Option<u64> = None, Any;
    }
}

impl Operator<2, 2> for SoftDtwSeries {
    const NAME: &'static str = "soft_dtw_series";
    const SIGNATURE: &'static str = "x(m>=1,d), y(n>=1,d) -> value(), alignment(m,n)";

    type Saved<T: Real> = ();

    fn validate(&self, _sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        classic::work(sizes[0], sizes[2]) + sizes.iter().product::<usize>()
    }

    fn scaling(&self) -> Option<Scaling<2, 2>> {
        Some(Scaling { softness: self.softness, power: 2, inputs: [1, 1], outputs: [2, 0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [value, alignment]: [&mut [T]; 2],
        _saved: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([m, d, n], [x, y]) = (at.sizes(), at.x);
        let cells = Diagonals::new(m, n, self.band);
        let mut work = Work::new(&cells, scratch);
        Pair { x, y, d }.pack(&cells, 1.0 / self.softness, work.cells(), scratch);
        value[0] = work.align(&cells, self.softness);
        cells.unpack(work.cells(), alignment);
        work.give(scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, (), 2, 2>,
        [dvalue, dalignment]: [&[T]; 2],
        [dx, dy]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let ([m, d, n], [x, y]) = (at.sizes(), at.x);
        let pair = Pair { x, y, d };
        pair.pull_back(dvalue[0], at.y[1], dx, dy, scratch);
        if dalignment.iter().all(|d| d.is_zero()) {
            return;
        }
        let cells = Diagonals::new(m, n, self.band);
        let mut work = Work::new(&cells, scratch);
        pair.pack(&cells, 1.0 / self.softness, work.cells(), scratch);
        work.align(&cells, self.softness);
        let mut v = scratch.reals.zeros(cells.len());
        cells.pack(dalignment, &mut v, |d| d);
        work.hessian_product(&cells, self.softness, &mut v, scratch);
        let mut dcost = scratch.reals.zeros(m * n);
        cells.unpack(&v, &mut dcost);
        pair.pull_back(T::one(), &dcost, dx, dy, scratch);
        scratch.reals.give(dcost);
        scratch.reals.give(v);
        work.give(scratch);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [value, alignment]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([m, d, n], [x, y]) = (at.sizes(), at.x);
        let cells = Diagonals::new(m, n, self.band);
        let cost = Pair { x, y, d }.distances(m, n, scratch);
        value[0] = classic::align(&cells, &cost, alignment, scratch);
        scratch.reals.give(cost);
        Ok(())
    }
}

impl Contract<2, 2> for SoftDtwSeries {
    const SUMMARY: &'static str = "Soft dynamic time warping of two series, squared Euclidean";
    const PAPER: &'static str = "Cuturi and Blondel, ICML 2017; Mensch and Blondel, ICML 2018";
    const COST: &'static str = "O(mnd) time, O(mn + (m + n)d) memory";

    fn cases() -> Vec<Self> {
        let case = |softness, band| Self { softness, band };
        vec![case(1.0, None), case(0.2, None), case(3.0, Some(1))]
    }

    fn laws(&self) -> Vec<Law> {
        classic::alignment_laws(|sizes| (sizes[0], sizes[2]), self.band)
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 2]> {
        let ([m, d, n], [x, y]) = (at.sizes(), at.x);
        let cost = Pair { x, y, d }.distances(m, n, &mut Scratch::default());
        Some(classic::sum_over_paths(m, n, self.softness, self.band, &cost))
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [[1, 1, 1], [1, 2, 5], [4, 1, 1], [3, 3, 4], [9, 2, 9]].map(Vec::from).to_vec()
    }
}

/// Soft dynamic time warping of two series of points, with the expected alignment.
///
/// * `x`: any leading batch axes, then (m, d); `y`: then (n, d). Lengths may differ, the number d of
///   coordinates may not. Batch axes broadcast.
/// * `softness`: γ, in the unit of the squared data: at data scale s, scale it with s².
///
/// Returns the values, one for each item, and the alignments (m, n): those of
/// [`soft_dtw`](super::soft_dtw) with the squared Euclidean distances as costs. The value can be negative
/// and is not zero, nor even least, at x = y: [`soft_dtw_divergence`](super::soft_dtw_divergence) mends
/// that. As γ → 0 it becomes the DTW distance of the series, and the alignment the path. The gradient
/// is exact everywhere.
///
/// Cost: O(mnd) time, O(mn + (m + n)d) memory. For a Sakoe–Chiba band of radius r use
/// `evaluate(&SoftDtwSeries { softness, band: Some(r) }, …)`; for series of different lengths in one
/// batch, [`Inputs::lengths`](supple_core::Inputs::lengths) of `m` and `n`.
///
/// Errors: `softness` not finite and positive, an empty series, or shapes that do not fit.
///
/// ```
/// use ndarray::array;
/// use supple_ops::sequence::soft_dtw_series;
/// let (x, y) = (array![[0.0_f64], [1.0], [5.0]], array![[0.0], [0.0], [1.0], [5.0]]);
/// let (value, alignment) = soft_dtw_series(&x, &y, 0.01)?;
/// assert!(value.sum().abs() < 1e-9);
/// assert_eq!(alignment.shape(), [3, 4]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Paper: Cuturi and Blondel, *Soft-DTW: a differentiable loss function for time-series*, ICML 2017.
pub fn soft_dtw_series<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    y: impl Into<ArrayView<'a, T, E>>,
    softness: f64,
) -> Result<(ArrayD<T>, ArrayD<T>), Error> {
    let operator = SoftDtwSeries { softness, ..SoftDtwSeries::default() };
    let [value, alignment] = evaluate(&operator, [x.into().into_dyn(), y.into().into_dyn()])?;
    Ok((value, alignment))
}
