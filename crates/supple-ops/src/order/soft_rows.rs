//! The rows of SoftSort, on sorted values: row $i$ has the scores $-\lvert z_i - z_j \rvert / \varepsilon$ at
//! $j$.
//!
//! Where values are equal, a distance is that of the side on which they are in the order of their positions.

use super::permutahedron::finite;
use super::rows::{Projection, Pulled, Scores};
use std::ops::Range;
use supple_core::{Real, Scratch};

/// The finite ones among sorted values, in the accumulator's precision.
pub(crate) struct SoftRows<A> {
    finite: Range<usize>,
    z: Vec<A>,
    rate: A,
}

impl<A: Real<Acc = A>> Scores<A> for SoftRows<A> {
    fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self {
        let (finite, mut z) = (finite(sorted), scratch.wide.empty());
        z.extend(sorted[finite.clone()].iter().map(|z| z.widen()));
        Self { finite, z, rate: A::of(1.0 / softness) }
    }

    fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.z);
    }

    fn finite(&self) -> Range<usize> {
        self.finite.clone()
    }

    fn gap(&self, row: usize, place: usize) -> A {
        let distance = self.z[place] - self.z[row];
        self.rate * if place < row { distance } else { -distance }
    }

    fn gaps(&self, row: usize, places: Range<usize>, into: &mut Vec<A>) {
        let (own, [below, above]) = (self.z[row], self.sides(row, places));
        into.extend(below.iter().map(|&z| (z - own) * self.rate));
        into.extend(above.iter().map(|&z| (own - z) * self.rate));
    }

    fn pull(&self, row: usize, places: Range<usize>, changes: &[A], sums: &mut Pulled<A>) {
        let (below, above) = changes.split_at(row - places.start);
        let mut own = A::zero();
        for (z, &change) in sums.z[places.start..row].iter_mut().zip(below) {
            *z += change;
            own -= change;
        }
        for (z, &change) in sums.z[row..places.end].iter_mut().zip(above) {
            *z -= change;
            own += change;
        }
        sums.z[row] += own;
    }

    fn finish(&self, sums: &mut Pulled<A>) {
        sums.z.iter_mut().for_each(|z| *z *= self.rate);
    }
}

impl<A: Real<Acc = A>> SoftRows<A> {
    /// The values at `places` before a row's own and from it on.
    fn sides(&self, row: usize, places: Range<usize>) -> [&[A]; 2] {
        [&self.z[places.start..row], &self.z[row..places.end]]
    }
}

/// The matrix by its definition. For oracles.
pub(crate) fn naive(x: &[f64], softness: f64, descending: bool, projection: Projection) -> Vec<Vec<f64>> {
    let mut centres = x.to_vec();
    centres.sort_by(|a, b| if descending { b.total_cmp(a) } else { a.total_cmp(b) });
    let row = |&centre: &f64| {
        let scores: Vec<f64> = x.iter().map(|x| -(centre - x).abs() / softness).collect();
        projection.naive(&scores)
    };
    centres.iter().map(row).collect()
}
