//! Dynamic time warping itself, and what all relaxations of it share with it.

use super::diagonals::Diagonals;
use supple_core::{Evaluated, Float, Law, Scratch};

/// The work of an alignment of m with n points.
pub(super) fn work(m: usize, n: usize) -> usize {
    16 * m * n
}

/// The DTW distance of a cost matrix; fills `alignment`, zero on entry, with the best path.
///
/// Between tied predecessors the diagonal one wins, then the one above.
pub(super) fn align<T: Float>(
    cells: &Diagonals,
    cost: &[T],
    alignment: &mut [T],
    scratch: &mut Scratch<T>,
) -> T {
    let (m, n) = cells.shape();
    if cost.iter().any(|c| c.is_nan()) {
        alignment.fill(T::nan());
        return T::nan();
    }
    // The alignment holds the distances of the first cells to each cell until the path is known.
    let distance = alignment;
    distance.fill(T::infinity());
    for i in 0..m {
        for j in cells.in_band(i) {
            let [diagonal, above, left] = before(distance, n, i, j);
            let start = if i + j == 0 { T::zero() } else { T::infinity() };
            distance[i * n + j] = cost[i * n + j] + start.min(diagonal).min(above).min(left);
        }
    }
    let value = distance[m * n - 1];
    let mut path = scratch.keys.empty();
    let (mut i, mut j) = (m - 1, n - 1);
    path.push((i * n + j) as u64);
    while i + j > 0 {
        let [diagonal, above, left] = before(distance, n, i, j);
        if i > 0 && j > 0 && diagonal <= above && diagonal <= left {
            (i, j) = (i - 1, j - 1);
        } else if j == 0 || i > 0 && above <= left {
            i -= 1;
        } else {
            j -= 1;
        }
        path.push((i * n + j) as u64);
    }
    let alignment = distance;
    alignment.fill(T::zero());
    if value < T::infinity() {
        path.iter().for_each(|&cell| alignment[cell as usize] = T::one());
    }
    scratch.keys.give(path);
    value
}

/// The distances of the cells diagonally above, above and to the left.
fn before<T: Float>(distance: &[T], n: usize, i: usize, j: usize) -> [T; 3] {
    let at = |there: bool, back: usize| if there { distance[i * n + j - back] } else { T::infinity() };
    [at(i > 0 && j > 0, n + 1), at(i > 0, n), at(j > 0, 1)]
}

/// Value and expected alignment by their definition: a sum over all paths.
pub(super) fn sum_over_paths(
    m: usize,
    n: usize,
    softness: f64,
    band: Option<u64>,
    cost: &[f64],
) -> [Vec<f64>; 2] {
    let paths = Paths { m, n, band, cost };
    let mut least = f64::INFINITY;
    paths.visit(&mut vec![0], cost[0], &mut |_, cost| least = least.min(cost));
    let (mut sum, mut alignment) = (0.0, vec![0.0; m * n]);
    if least == f64::INFINITY {
        return [vec![least], alignment];
    }
    paths.visit(&mut vec![0], cost[0], &mut |path, cost| {
        let weight = (-(cost - least) / softness).exp();
        sum += weight;
        path.iter().for_each(|&cell| alignment[cell] += weight);
    });
    alignment.iter_mut().for_each(|e| *e /= sum);
    [vec![least - softness * sum.ln()], alignment]
}

struct Paths<'a> {
    m: usize,
    n: usize,
    band: Option<u64>,
    cost: &'a [f64],
}

impl Paths<'_> {
    /// Calls with every path that goes on from this one to the last cell, and with its cost.
    fn visit(&self, path: &mut Vec<usize>, cost: f64, found: &mut impl FnMut(&[usize], f64)) {
        let last = path[path.len() - 1];
        let (i, j) = (last / self.n, last % self.n);
        if last + 1 == self.m * self.n {
            return found(path, cost);
        }
        for (i, j) in [(i + 1, j + 1), (i + 1, j), (i, j + 1)] {
            if i < self.m && j < self.n && in_band(i, j, self.m, self.n, self.band) {
                path.push(i * self.n + j);
                self.visit(path, cost + self.cost[i * self.n + j], found);
                path.pop();
            }
        }
    }
}

/// The definition of the band.
fn in_band(i: usize, j: usize, m: usize, n: usize, band: Option<u64>) -> bool {
    let Some(r) = band else { return true };
    let (r, ahead, longer) = (r as i128, i as i128 - j as i128, m as i128 - n as i128);
    -r + longer.min(0) <= ahead && ahead <= longer.max(0) + r
}

/// Laws of the second output, an alignment whose shape `shape` reads from the sizes.
pub(super) fn alignment_laws(shape: fn(&[usize]) -> (usize, usize), band: Option<u64>) -> Vec<Law> {
    let law = |name, residual: fn(&[f64], usize, usize, Option<u64>) -> f64| {
        let residual = move |Evaluated { sizes, y, .. }: Evaluated<'_>| {
            let (m, n) = shape(sizes);
            residual(y[1], m, n, band)
        };
        Law::Vanishes(name, Box::new(residual))
    };
    vec![
        law("alignment_within_0_and_1", |e, _, _, _| {
            e.iter().fold(0.0, |worst, e| f64::max(worst, (e - 1.0).max(-e)))
        }),
        law("both_ends_aligned", |e, m, n, _| (e[0] - 1.0).abs() + (e[m * n - 1] - 1.0).abs()),
        law("every_row_and_column_aligned", |e, m, n, _| {
            let rows = (0..m).map(|i| (0..n).map(|j| e[i * n + j]).sum::<f64>());
            let columns = (0..n).map(|j| (0..m).map(|i| e[i * n + j]).sum::<f64>());
            rows.chain(columns).fold(0.0, |worst, sum| f64::max(worst, 1.0 - sum))
        }),
        law("nothing_outside_the_band", |e, m, n, band| {
            let outside = (0..m * n).filter(|&c| !in_band(c / n, c % n, m, n, band));
            outside.map(|c| e[c].abs()).sum()
        }),
    ]
}
