//! Squared distances between the points of two series, and their derivative.

use super::diagonals::{Diagonals, LANES};
use supple_core::{Real, Scratch};

/// Two series of points with `d` coordinates, row by row.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a, T> {
    pub x: &'a [T],
    pub y: &'a [T],
    pub d: usize,
}

impl<T: Real> Pair<'_, T> {
    /// Fills the cells of a packed array with `scale · ‖x_i − y_j‖²`.
    pub fn pack(self, cells: &Diagonals, scale: f64, packed: &mut [T], scratch: &mut Scratch<T>) {
        let Self { x, y, d } = self;
        let scale = T::of(scale);
        let (m, n) = cells.shape();
        let x = by_coordinate(x, d, m, |i| i, scratch);
        let y = by_coordinate(y, d, n, |j| n - 1 - j, scratch);
        for (number, &cell) in cells.iter().enumerate() {
            let sums = &mut packed[cell.base + cell.first..cell.base + cell.end];
            sums.fill(T::zero());
            // Along a diagonal the row grows as the column falls.
            let reversed = cell.first + n - 1 - number;
            let along = |k: usize| (&x[k * m + cell.first..], &y[k * n + reversed..]);
            for k in (0..d - d % 4).step_by(4) {
                add_squares(sums, [k, k + 1, k + 2, k + 3].map(along));
            }
            for k in d - d % 4..d {
                add_squares(sums, [along(k)]);
            }
            sums.iter_mut().for_each(|sum| *sum = scale * *sum);
        }
        scratch.reals.give(x);
        scratch.reals.give(y);
    }

    /// The matrix of squared distances.
    pub fn distances(self, m: usize, n: usize, scratch: &mut Scratch<T>) -> Vec<T> {
        let Self { x, y, d } = self;
        let mut distances = scratch.reals.zeros(m * n);
        for (cell, distance) in distances.iter_mut().enumerate() {
            let (x, y) = (&x[cell / n * d..][..d], &y[cell % n * d..][..d]);
            *distance = T::sum_wide(x.iter().zip(y).map(|(&x, &y)| (x - y).square()));
        }
        distances
    }

    /// Adds to `dx` and `dy` what the cotangent `factor · dcost(m, n)` of the squared distances means for the
    /// points.
    pub fn pull_back(self, factor: T, dcost: &[T], dx: &mut [T], dy: &mut [T], scratch: &mut Scratch<T>) {
        let Self { x, y, d } = self;
        if d == 0 {
            return;
        }
        let n = y.len() / d;
        let twice = factor + factor;
        let y = by_coordinate(y, d, n, |j| j, scratch);
        let mut sums = scratch.reals.zeros(y.len());
        for ((dcost, x), dx) in dcost.chunks_exact(n).zip(x.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
            // Alignments are zero but for a strip.
            let Some(from) = dcost.iter().position(|c| !c.is_zero()) else { continue };
            let to = dcost.iter().rposition(|c| !c.is_zero()).map_or(n, |last| last + 1);
            let dcost = &dcost[from..to];
            for (k, (&x, dx)) in x.iter().zip(dx).enumerate() {
                let strip = k * n + from..k * n + to;
                *dx += twice * weighted_differences(dcost, x, &y[strip.clone()], &mut sums[strip]);
            }
        }
        for (j, dy) in dy.chunks_exact_mut(d).enumerate() {
            for (k, dy) in dy.iter_mut().enumerate() {
                *dy += twice * sums[k * n + j];
            }
        }
        scratch.reals.give(y);
        scratch.reals.give(sums);
    }
}

/// Adds the squared differences of several pairs, in one pass because that is what the time goes into.
fn add_squares<T: Real, const N: usize>(sums: &mut [T], pairs: [(&[T], &[T]); N]) {
    let pairs = pairs.map(|(x, y)| (&x[..sums.len()], &y[..sums.len()]));
    for (i, sum) in sums.iter_mut().enumerate() {
        for (x, y) in pairs {
            *sum += (x[i] - y[i]) * (x[i] - y[i]);
        }
    }
}

/// `Σ_j c_j (x − y_j)`, the terms of which are taken from `sums` one by one.
fn weighted_differences<T: Real>(c: &[T], x: T, y: &[T], sums: &mut [T]) -> T {
    let term = |c: T, y: T, sum: &mut T| {
        let term = c * (x - y);
        *sum -= term;
        term
    };
    let mut total = [T::zero(); LANES];
    let ((c, c_rest), (y, y_rest)) = (c.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let (sums, sums_rest) = sums.as_chunks_mut::<LANES>();
    for ((c, y), sums) in c.iter().zip(y).zip(sums) {
        for l in 0..LANES {
            total[l] += term(c[l], y[l], &mut sums[l]);
        }
    }
    for (l, (sum, (&c, &y))) in sums_rest.iter_mut().zip(c_rest.iter().zip(y_rest)).enumerate() {
        total[l] += term(c, y, sum);
    }
    total.into_iter().sum()
}

/// The points coordinate by coordinate, point `i` at the place that `order` says.
fn by_coordinate<T: Real>(
    points: &[T],
    d: usize,
    n: usize,
    order: impl Fn(usize) -> usize,
    scratch: &mut Scratch<T>,
) -> Vec<T> {
    let mut by_coordinate = scratch.reals.zeros(points.len());
    for (i, point) in points.chunks_exact(d.max(1)).enumerate() {
        for (k, &coordinate) in point.iter().enumerate() {
            by_coordinate[k * n + order(i)] = coordinate;
        }
    }
    by_coordinate
}
