//! The rows of NeuralSort, on sorted values.
//!
//! With $z$ ascending, $c_i = 2 i - n - 1$ and $b_j = \sum_k \lvert z_j - z_k \rvert$, row $i$ has the scores
//! $(c_i z_j - b_j) / \varepsilon$ at $j$. As $b_{j+1} - b_j = (2 j - n)(z_{j+1} - z_j)$, they rise up to
//! $j = i$ and fall from there.

use super::permutahedron::finite;
use super::rows::{Projection, Pulled, Scores};
use std::ops::Range;
use supple_core::{Real, Scratch};

/// The finite ones among sorted values, in the accumulator's precision.
pub(crate) struct NeuralRows<A> {
    /// Their places among all values.
    finite: Range<usize>,
    /// The values less `centre`.
    pub z: Vec<A>,
    /// One of the values, as a constant.
    pub centre: A,
    /// One over the softness.
    rate: A,
    /// `b`, up to a constant.
    distances: Vec<A>,
    /// The length with infinite values.
    n: usize,
}

impl<A: Real<Acc = A>> Scores<A> for NeuralRows<A> {
    fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self {
        let finite = finite(sorted);
        let values = &sorted[finite.clone()];
        let centre = values.get(values.len() / 2).map_or(T::zero(), |z| T::constant(z.value())).widen();
        let mut z = scratch.wide.empty();
        z.extend(values.iter().map(|z| z.widen() - centre));
        let distances = scratch.wide.empty();
        let mut rows = Self { finite, z, centre, rate: A::of(1.0 / softness), distances, n: sorted.len() };
        rows.sum_distances();
        rows
    }

    fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.z);
        scratch.wide.give(self.distances);
    }

    fn finite(&self) -> Range<usize> {
        self.finite.clone()
    }

    fn gap(&self, row: usize, place: usize) -> A {
        (self.score(row, place) - self.score(row, row)) * self.rate
    }

    fn gaps(&self, row: usize, places: Range<usize>, into: &mut Vec<A>) {
        let (slope, top) = (self.slope(row), self.score(row, row));
        let pairs = self.z[places.clone()].iter().zip(&self.distances[places]);
        into.extend(pairs.map(|(&z, &b)| (slope * z - b - top) * self.rate));
    }

    fn pull(&self, row: usize, places: Range<usize>, changes: &[A], sums: &mut Pulled<A>) {
        let slope = self.slope(row);
        let to = sums.z[places.clone()].iter_mut().zip(&mut sums.b[places]);
        for ((z, b), &change) in to.zip(changes) {
            *z += slope * change;
            *b += change;
        }
    }

    fn finish(&self, sums: &mut Pulled<A>) {
        self.subtract_adjoint(&sums.b, &mut sums.z);
        sums.z.iter_mut().for_each(|z| *z *= self.rate);
    }
}

impl<A: Real<Acc = A>> NeuralRows<A> {
    /// `c` of a row.
    fn slope(&self, row: usize) -> A {
        A::of(2.0 * (self.finite.start + row) as f64 + 1.0 - self.n as f64)
    }

    fn score(&self, row: usize, place: usize) -> A {
        self.slope(row) * self.z[place] - self.distances[place]
    }

    /// How many values lie below less how many above those at `places`, which are all of their value.
    fn balance(&self, places: &Range<usize>) -> A {
        let (below, end) = (self.finite.start + places.start, self.finite.start + places.end);
        A::of(below as f64 - (self.n - end) as f64)
    }

    /// Equal values are at equal distance from all others, with a derivative of `|z_j − z_k|` of zero. So
    /// what a group of them adds is zero, but for tangents.
    fn sum_distances(&mut self) {
        let (mut start, mut sum) = (0, A::zero());
        let mut last: Option<(A, A)> = None;
        for ties in self.z.chunk_by(|a, b| a == b) {
            let places = start..start + ties.len();
            let (balance, first) = (self.balance(&places), ties[0]);
            let spread: A = ties.iter().map(|&z| first - z).sum();
            if let Some((place, before)) = last {
                sum += (balance - A::of(ties.len() as f64)) * (first - place) + before + spread;
            }
            self.distances.extend(ties.iter().map(|&z| sum + balance * (z - first)));
            last = Some((first, spread));
            start = places.end;
        }
    }

    /// Takes away from `dz` what changes of the distances by `db` come from: the adjoint of `b(z)`.
    fn subtract_adjoint(&self, db: &[A], dz: &mut [A]) {
        let (mut start, mut below, mut above) = (0, A::zero(), db.iter().copied().sum::<A>());
        for ties in self.z.chunk_by(|a, b| a == b) {
            let places = start..start + ties.len();
            let own: A = db[places.clone()].iter().copied().sum();
            above -= own;
            let (balance, others) = (self.balance(&places), above - below);
            for (dz, &db) in dz[places.clone()].iter_mut().zip(&db[places.clone()]) {
                *dz -= balance * db - others;
            }
            below += own;
            start = places.end;
        }
    }
}

/// The matrix as the paper has it, its rows reversed for ascending order. For oracles.
pub(crate) fn naive(x: &[f64], softness: f64, descending: bool, projection: Projection) -> Vec<Vec<f64>> {
    let n = x.len() as f64;
    let row = |i: usize| {
        let distance = |x_j: f64| x.iter().map(|x_k| (x_j - x_k).abs()).sum::<f64>();
        let score = |&x_j: &f64| ((n + 1.0 - 2.0 * i as f64) * x_j - distance(x_j)) / softness;
        projection.naive(&x.iter().map(score).collect::<Vec<f64>>())
    };
    let mut rows: Vec<Vec<f64>> = (1..=x.len()).map(row).collect();
    if !descending {
        rows.reverse();
    }
    rows
}
