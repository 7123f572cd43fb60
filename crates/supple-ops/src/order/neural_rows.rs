//! The rows of NeuralSort, on sorted values.
//!
//! With $z$ ascending, $c_i = 2 i - n - 1$ and $b_j = \sum_k \lvert z_j - z_k \rvert$, row $i$ has the scores
//! $(c_i z_j - b_j) / \varepsilon$ at $j$. As $b_{j+1} - b_j = (2 j - n)(z_{j+1} - z_j)$, they rise up to
//! $j = i$ and fall from there.
//!
//! A step away from $j = i$ falls by at least the gap of the two values. So over a gap that is wide enough there
//! are no weights, and what lies beyond adds the same to all scores on this side: the values on either side are
//! groups of their own, each with its own $n$. That is what keeps the digits of small values beside large ones.

mod bands;
mod series;

pub(crate) use bands::Band;

use super::permutahedron::{blocks, finite};
use super::rows::{Projection, Pulled, Scores};
use std::ops::Range;
use supple_core::{Real, Scratch};

/// Gaps beyond this, in units of the softness, part the values into groups: above every reach of rows.
const FAR: f64 = 750.0;

/// The finite ones among sorted values, in the accumulator's precision.
pub(crate) struct NeuralRows<A> {
    /// Their places among all values.
    finite: Range<usize>,
    /// The values less the centre of their group.
    pub z: Vec<A>,
    /// One over the softness.
    rate: A,
    /// `b`, up to a constant for each group.
    distances: Vec<A>,
    /// Where the groups start, and the end of the last.
    starts: Vec<u32>,
    /// The number of each value's group.
    group: Vec<u32>,
    /// One of the values of each group, as a constant.
    centres: Vec<A>,
}

impl<A: Real<Acc = A>> Scores<A> for NeuralRows<A> {
    fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self {
        let finite = finite(sorted);
        let rate = A::of(1.0 / softness);
        let near = |a: &T, b: &T| a == b || (b.widen() - a.widen()) * rate <= A::of(FAR);
        let [mut z, mut centres, distances] = [(); 3].map(|()| scratch.wide.empty());
        let [mut starts, mut group] = [(); 2].map(|()| scratch.indices.empty());
        starts.push(0);
        for values in sorted[finite.clone()].chunk_by(near) {
            let centre = T::constant(values[values.len() / 2].value()).widen();
            z.extend(values.iter().map(|z| z.widen() - centre));
            group.resize(z.len(), centres.len() as u32);
            starts.push(z.len() as u32);
            centres.push(centre);
        }
        let mut rows = Self { finite, z, rate, distances, starts, group, centres };
        rows.sum_distances();
        rows
    }

    fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        [self.z, self.distances, self.centres].into_iter().for_each(|buffer| scratch.wide.give(buffer));
        [self.starts, self.group].into_iter().for_each(|buffer| scratch.indices.give(buffer));
    }

    fn finite(&self) -> Range<usize> {
        self.finite.clone()
    }

    fn gap(&self, row: usize, place: usize) -> A {
        match self.group[row] == self.group[place] {
            true => (self.score(row, place) - self.score(row, row)) * self.rate,
            false => -A::infinity(),
        }
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
    /// What `z` of a row's group is less than the values.
    pub fn centre(&self, row: usize) -> A {
        self.centres[self.group[row] as usize]
    }

    /// `c` of a row.
    fn slope(&self, row: usize) -> A {
        balance(&(row..row + 1), &self.group_of(row))
    }

    /// The places of the group of a value.
    fn group_of(&self, place: usize) -> Range<usize> {
        let group = self.group[place] as usize;
        self.starts[group] as usize..self.starts[group + 1] as usize
    }

    fn score(&self, row: usize, place: usize) -> A {
        self.slope(row) * self.z[place] - self.distances[place]
    }

    /// Equal values are at equal distance from all others, with a derivative of `|z_j − z_k|` of zero. So
    /// what a run of them adds is zero, but for tangents.
    fn sum_distances(&mut self) {
        for group in blocks(&self.starts) {
            let (mut start, mut sum) = (group.start, A::zero());
            let mut last: Option<(A, A)> = None;
            for ties in self.z[group.clone()].chunk_by(|a, b| a == b) {
                let places = start..start + ties.len();
                let (balance, first): (A, A) = (balance(&places, &group), ties[0]);
                let spread: A = ties.iter().map(|&z| first - z).sum();
                if let Some((place, before)) = last {
                    sum += (balance - A::of(ties.len() as f64)) * (first - place) + before + spread;
                }
                self.distances.extend(ties.iter().map(|&z| sum + balance * (z - first)));
                last = Some((first, spread));
                start = places.end;
            }
        }
    }

    /// Takes away from `dz` what changes of the distances by `db` come from: the adjoint of `b(z)`.
    fn subtract_adjoint(&self, db: &[A], dz: &mut [A]) {
        for group in blocks(&self.starts) {
            let (mut start, mut below) = (group.start, A::zero());
            let mut above: A = db[group.clone()].iter().copied().sum();
            for ties in self.z[group.clone()].chunk_by(|a, b| a == b) {
                let places = start..start + ties.len();
                let own: A = db[places.clone()].iter().copied().sum();
                above -= own;
                let (balance, others): (A, A) = (balance(&places, &group), above - below);
                for (dz, &db) in dz[places.clone()].iter_mut().zip(&db[places.clone()]) {
                    *dz -= balance * db - others;
                }
                below += own;
                start = places.end;
            }
        }
    }
}

/// How many values of a group lie before `places`, less how many after.
fn balance<A: Real>(places: &Range<usize>, group: &Range<usize>) -> A {
    A::of((places.start - group.start) as f64 - (group.end - places.end) as f64)
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
