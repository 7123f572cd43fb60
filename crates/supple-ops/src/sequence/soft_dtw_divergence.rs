//! The soft-DTW divergence of two series.
//!
//! $$D_\gamma(x, y) = \mathrm{dtw}_\gamma(x, y)
//! - \tfrac12 \mathrm{dtw}_\gamma(x, x) - \tfrac12 \mathrm{dtw}_\gamma(y, y)$$
//!
//! with [`soft_dtw_series`](super::soft_dtw_series), for `x(m, d)` and `y(n, d)`. It is zero at x = y, which
//! soft-DTW is not, and a stationary point there. It is non-negative for some ground costs; for the squared
//! Euclidean distance that is not proven. Softness is γ, in the unit of the squared data; softness → 0 is
//! the DTW distance. Cost: O((m + n)²d) time, O((m + n)²) memory.
//!
//! Paper: Blondel, Mensch and Vert, *Differentiable divergences between time series*, AISTATS 2021.

use super::alignment::Work;
use super::classic;
use super::diagonals::Diagonals;
use super::series::Pair;
use ndarray::{ArrayD, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Operator, Params, Point, Real, Scaling, Scratch, evaluate,
};

supple_core::params! {
    /// The soft-DTW divergence of two series: see [`soft_dtw_divergence`].
    pub struct SoftDtwDivergence {
        /// Smoothing γ of the minimum over paths, in the unit of the squared data.
        softness: f64 = 1.0, Positive;
        /// Radius r of the Sakoe–Chiba band: −r ≤ i − j ≤ m − n + r for m ≥ n, mirrored otherwise.
        band: Option<u64> = None, Any;
    }
}

/// The gradient with respect to both series.
#[derive(Debug, Default)]
pub struct Slopes<T> {
    x: Vec<T>,
    y: Vec<T>,
}

impl SoftDtwDivergence {
    /// Soft-DTW of a pair; adds `factor` times its gradient to `dx` and `dy`.
    fn term<T: Real>(
        &self,
        pair: Pair<'_, T>,
        [m, n]: [usize; 2],
        factor: f64,
        [dx, dy]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) -> T {
        let cells = Diagonals::new(m, n, self.band);
        let mut work = Work::new(&cells, scratch);
        pair.pack(&cells, 1.0 / self.softness, work.cells(), scratch);
        let value = work.align(&cells, self.softness);
        let mut dcost = scratch.reals.zeros(m * n);
        cells.unpack(work.cells(), &mut dcost);
        pair.pull_back(T::of(factor), &dcost, dx, dy, scratch);
        scratch.reals.give(dcost);
        work.give(scratch);
        value
    }

    /// Half the soft-DTW of a series with itself; subtracts its gradient from `dx`.
    fn own_half<T: Real>(&self, x: &[T], m: usize, d: usize, dx: &mut [T], scratch: &mut Scratch<T>) -> T {
        let mut second = scratch.reals.zeros(x.len());
        let value = self.term(Pair { x, y: x, d }, [m, m], -0.5, [dx, &mut second], scratch);
        dx.iter_mut().zip(&second).for_each(|(dx, &second)| *dx += second);
        scratch.reals.give(second);
        T::of(0.5) * value
    }
}

impl Operator<2, 1> for SoftDtwDivergence {
    const NAME: &'static str = "soft_dtw_divergence";
    const SIGNATURE: &'static str = "x(m>=1,d), y(n>=1,d) -> value()";

    type Saved<T: Real> = Slopes<T>;

    fn validate(&self, _sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let points = sizes[0] + sizes[2];
        classic::work(points, points)
    }

    fn scaling(&self) -> Option<Scaling<2, 1>> {
        Some(Scaling { softness: self.softness, power: 2, inputs: [1, 1], outputs: [2] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [value]: [&mut [T]; 1],
        saved: &mut Slopes<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([m, d, n], [x, y]) = (at.sizes(), at.x);
        saved.x.resize(x.len(), T::zero());
        saved.y.resize(y.len(), T::zero());
        let both = self.term(Pair { x, y, d }, [m, n], 1.0, [&mut saved.x, &mut saved.y], scratch);
        let own_x = self.own_half(x, m, d, &mut saved.x, scratch);
        let own_y = self.own_half(y, n, d, &mut saved.y, scratch);
        value[0] = both - own_x - own_y;
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Slopes<T>, 2, 1>,
        [dvalue]: [&[T]; 1],
        [dx, dy]: [&mut [T]; 2],
        _scratch: &mut Scratch<T>,
    ) {
        dx.iter_mut().zip(&at.saved.x).for_each(|(dx, &slope)| *dx = slope * dvalue[0]);
        dy.iter_mut().zip(&at.saved.y).for_each(|(dy, &slope)| *dy = slope * dvalue[0]);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [value]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([m, d, n], [x, y]) = (at.sizes(), at.x);
        let cells = Diagonals::new(m, n, self.band);
        let cost = Pair { x, y, d }.distances(m, n, scratch);
        let mut alignment = scratch.reals.zeros(m * n);
        value[0] = classic::align(&cells, &cost, &mut alignment, scratch);
        scratch.reals.give(cost);
        scratch.reals.give(alignment);
        Ok(())
    }
}

impl Contract<2, 1> for SoftDtwDivergence {
    const SUMMARY: &'static str = "Soft-DTW less its self-terms: zero for equal series";
    const PAPER: &'static str = "Blondel, Mensch and Vert, AISTATS 2021";
    const COST: &'static str = "O((m + n)²d) time, O((m + n)²) memory";

    fn cases() -> Vec<Self> {
        let case = |softness, band| Self { softness, band };
        vec![case(1.0, None), case(0.2, None), case(3.0, Some(1))]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let ([m, d, n], [x, y]) = (at.sizes(), at.x);
        let value = |x: &[f64], m, y: &[f64], n| {
            let cost = Pair { x, y, d }.distances(m, n, &mut Scratch::default());
            let [value, _] = classic::sum_over_paths(m, n, self.softness, self.band, &cost);
            value[0]
        };
        Some([vec![value(x, m, y, n) - 0.5 * value(x, m, x, m) - 0.5 * value(y, n, y, n)]])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [[1, 1, 1], [1, 2, 5], [4, 1, 1], [3, 3, 4], [4, 0, 3], [8, 2, 7]].map(Vec::from).to_vec()
    }
}

/// The soft-DTW divergence of two series of points.
///
/// * `x`: any leading batch axes, then (m, d); `y`: then (n, d). Lengths may differ, the number d of
///   coordinates may not. Batch axes broadcast.
/// * `softness`: γ, in the unit of the squared data: at data scale s, scale it with s².
///
/// Returns one value for each item, with [`soft_dtw_series`](super::soft_dtw_series):
///
/// $$D_\gamma(x, y) = \mathrm{dtw}_\gamma(x, y)
/// - \tfrac12 \mathrm{dtw}_\gamma(x, x) - \tfrac12 \mathrm{dtw}_\gamma(y, y).$$
///
/// It is symmetric, and zero and stationary at x = y: the loss to take where series shall become
/// equal. It is non-negative for some ground costs; for the squared Euclidean distance that is not proven.
/// As γ → 0 it becomes the DTW distance of the series. The gradient is exact everywhere.
///
/// Cost: O((m + n)²d) time, O((m + n)²) memory. The gradient is found together with the value.
///
/// Errors: `softness` not finite and positive, an empty series, or shapes that do not fit.
///
/// ```
/// use ndarray::array;
/// use supple_ops::sequence::soft_dtw_divergence;
/// let (x, y) = (array![[0.0], [1.0], [5.0]], array![[0.0], [2.0], [2.0], [4.0]]);
/// assert!(soft_dtw_divergence(&x, &y, 1.0)?.sum() > 0.0);
/// let same: f64 = soft_dtw_divergence(&x, &x, 1.0)?.sum();
/// assert!(same.abs() < 1e-12);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Paper: Blondel, Mensch and Vert, *Differentiable divergences between time series*, AISTATS 2021.
pub fn soft_dtw_divergence<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    y: impl Into<ArrayView<'a, T, E>>,
    softness: f64,
) -> Result<ArrayD<T>, Error> {
    let operator = SoftDtwDivergence { softness, ..SoftDtwDivergence::default() };
    let [value] = evaluate(&operator, [x.into().into_dyn(), y.into().into_dyn()])?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use supple_core::linearize;

    fn wave(m: usize, d: usize, phase: f64) -> ArrayD<f64> {
        Array2::from_shape_fn((m, d), |(i, k)| (phase + (2 * i + 5 * k) as f64).sin()).into_dyn()
    }

    #[test]
    fn equal_series_are_at_zero_and_stationary() {
        let x = wave(12, 2, 0.0);
        let operator = SoftDtwDivergence::default();
        let at = linearize(&operator, [x.view(), x.view()]).unwrap();
        assert!(at.outputs()[0].sum().abs() < 1e-12);
        let [dx, dy] = at.vjp([ndarray::arr0(1.0).into_dyn().view()]).unwrap();
        assert!(dx.iter().chain(&dy).all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn is_symmetric_and_takes_points_without_coordinates() {
        let (x, y) = (wave(9, 3, 0.0), wave(5, 3, 1.0));
        let both =
            [(&x, &y), (&y, &x)].map(|(x, y)| soft_dtw_divergence(x.view(), y.view(), 0.5).unwrap().sum());
        assert!((both[0] - both[1]).abs() < 1e-12);
        let value = soft_dtw_divergence(wave(3, 0, 0.0).view(), wave(3, 0, 0.0).view(), 0.5).unwrap();
        assert!(value.sum().abs() < 1e-12);
    }
}
