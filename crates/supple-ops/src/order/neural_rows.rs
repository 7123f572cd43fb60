//! The rows of NeuralSort, on sorted values.
//!
//! With $z$ ascending, $c_i = 2 i - n - 1$ and $b_j = \sum_k \lvert z_j - z_k \rvert$, row $i$ is the softmax
//! of $(c_i z_j - b_j) / \varepsilon$ over $j$. As $b_{j+1} - b_j = (2 j - n)(z_{j+1} - z_j)$, the scores rise
//! up to $j = i$ and fall from there: the largest is known, and those that matter lie side by side.

use super::permutahedron::finite;
use std::ops::Range;
use supple_core::{Real, Scratch};
use supple_numerics::elementary::exp_sum;

/// The finite ones among sorted values, in the accumulator's precision.
pub(super) struct Rows<A> {
    /// Their places among all values.
    pub finite: Range<usize>,
    /// The values less `centre`.
    pub z: Vec<A>,
    /// One of the values, as a constant.
    pub centre: A,
    /// One over the softness.
    pub rate: A,
    /// `b`, up to a constant.
    distances: Vec<A>,
    /// The length with infinite values.
    n: usize,
}

/// A row without the entries that are negligible.
pub(super) struct Row<'a, A> {
    /// Its number among the rows of finite values.
    pub number: usize,
    /// Which finite values it has entries for.
    pub places: Range<usize>,
    /// The entries times `sum`.
    pub weights: &'a [A],
    /// What makes them sum to one.
    pub sum: A,
}

impl<A: Real<Acc = A>> Rows<A> {
    /// From values in ascending order, none of them NaN.
    pub fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self {
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

    /// Gives the room back.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.z);
        scratch.wide.give(self.distances);
    }

    /// `c` of a row.
    pub fn slope(&self, number: usize) -> A {
        A::of(2.0 * (self.finite.start + number) as f64 + 1.0 - self.n as f64)
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
    pub fn subtract_adjoint(&self, db: &[A], dz: &mut [A]) {
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

    /// Visits the rows in order. Entries less than `exp(−window)` times the largest are left out.
    pub fn for_each<T: Real<Acc = A>>(
        &self,
        window: f64,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(Row<'_, A>),
    ) {
        let mut weights = scratch.wide.empty();
        let mut places = 0..0;
        for number in 0..self.z.len() {
            let slope = self.slope(number);
            let score = |z: A, b: A| slope * z - b;
            let top = score(self.z[number], self.distances[number]);
            let below = |z: A, b: A| (score(z, b) - top) * self.rate;
            let left_out = |j: usize| below(self.z[j], self.distances[j]) < A::of(-window);
            // From row to row, both ends can only move up.
            while places.start < number && left_out(places.start) {
                places.start += 1;
            }
            places.end = places.end.max(number + 1);
            while places.end < self.z.len() && !left_out(places.end) {
                places.end += 1;
            }
            weights.clear();
            let pairs = self.z[places.clone()].iter().zip(&self.distances[places.clone()]);
            weights.extend(pairs.map(|(&z, &b)| below(z, b)));
            let sum = exp_sum(&mut weights, A::zero());
            visit(Row { number, places: places.clone(), weights: &weights, sum });
        }
        scratch.wide.give(weights);
    }
}

/// The matrix as the paper has it, its rows reversed for ascending order. For oracles.
pub(super) fn naive(x: &[f64], softness: f64, descending: bool) -> Vec<Vec<f64>> {
    let n = x.len() as f64;
    let row = |i: usize| {
        let distance = |x_j: f64| x.iter().map(|x_k| (x_j - x_k).abs()).sum::<f64>();
        let score = |&x_j: &f64| ((n + 1.0 - 2.0 * i as f64) * x_j - distance(x_j)) / softness;
        let scores: Vec<f64> = x.iter().map(score).collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - top).exp()).sum();
        scores.iter().map(|s| (s - top).exp() / sum).collect()
    };
    let mut rows: Vec<Vec<f64>> = (1..=x.len()).map(row).collect();
    if !descending {
        rows.reverse();
    }
    rows
}
