//! Relaxed permutation matrices: each row a projection of scores onto the simplex.
//!
//! On sorted values, the scores of a row are largest at the row's own place and fall from there to both sides.
//! So what has weight lies side by side, and from row to row both ends of it can only move up.

use super::permutahedron::{arranged, sorted, spoilt};
use ndarray::{Array, ArrayView, Dimension};
use std::ops::Range;
use supple_core::{Contract, Error, Evaluated, Float, Law, Real, Scratch, choices, evaluate};
use supple_numerics::elementary::exp_sum;
use supple_numerics::simplex::{cubed_simplex, simplex, squared_simplex};

choices! {
    /// What makes a row of weights from its scores `z`.
    pub enum Projection {
        /// `exp(z − τ)`: all weights are positive.
        Softmax = "softmax",
        /// `max(z − τ, 0)`, the Euclidean projection: sparse, piecewise linear.
        L2 = "l2",
        /// `max(z − τ, 0)²`, by the 3/2-norm: sparse, with a continuous derivative.
        ThreeHalves = "p3/2",
        /// `max(z − τ, 0)³`, by the 4/3-norm: sparse, with two continuous derivatives.
        FourThirds = "p4/3",
    }
}

impl Projection {
    /// Scores that are lower than the largest by more than this get no weight that a number could hold.
    pub(super) fn reach(self) -> f64 {
        if self == Self::Softmax { 700.0 } else { 1.0 }
    }

    /// Scores, of which the largest is 0, become weights. Returns what makes them sum to one.
    fn weigh<A: Real<Acc = A, Value = f64>>(self, scores: &mut [A], candidates: &mut Vec<A>) -> A {
        let threshold = match self {
            Self::Softmax => return exp_sum(scores, A::zero()),
            Self::L2 => simplex(scores, 0.0, 1.0, candidates),
            Self::ThreeHalves => squared_simplex(scores, candidates),
            Self::FourThirds => cubed_simplex(scores, candidates),
        };
        for score in scores {
            let excess = *score - threshold;
            *score = match self {
                _ if excess <= A::zero() => A::zero(),
                Self::Softmax | Self::L2 => excess,
                Self::ThreeHalves => excess.square(),
                Self::FourThirds => excess * excess.square(),
            };
        }
        A::one()
    }

    /// The derivative of a weight in its own score at a fixed threshold, from the weight.
    fn slope<A: Real<Acc = A, Value = f64>>(self, weight: A) -> A {
        match self {
            Self::Softmax => weight,
            _ if weight <= A::zero() => A::zero(),
            Self::L2 => A::one(),
            Self::ThreeHalves => A::of(2.0) * weight.sqrt(),
            Self::FourThirds => {
                let root = weight.value().cbrt();
                weight.chain(3.0 * root * root, 2.0 / root)
            }
        }
    }

    /// The weights by bisection on the threshold. For oracles.
    pub(super) fn naive(self, scores: &[f64]) -> Vec<f64> {
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = |threshold: f64| -> Vec<f64> {
            let power = |excess: f64| match self {
                Self::Softmax => excess.exp(),
                Self::L2 => excess.max(0.0),
                Self::ThreeHalves => excess.max(0.0).powi(2),
                Self::FourThirds => excess.max(0.0).powi(3),
            };
            scores.iter().map(|z| power(z - threshold)).collect()
        };
        if self == Self::Softmax {
            let sum: f64 = weights(top).iter().sum();
            return weights(top).iter().map(|w| w / sum).collect();
        }
        let (mut low, mut high) = (top - 1.0, top);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if weights(middle).iter().sum::<f64>() > 1.0 { low = middle } else { high = middle }
        }
        weights(low)
    }
}

/// The scores of the rows of finite values, which are sorted, in units of the softness.
pub(crate) trait Scores<A: Real<Acc = A>>: Sized {
    /// From values in ascending order, none of them NaN.
    fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self;
    /// Gives the room back.
    fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>);
    /// Where the finite ones lie among all values. They alone have rows, and places in them.
    fn finite(&self) -> Range<usize>;
    /// The score of a place in a row less the row's largest.
    fn gap(&self, row: usize, place: usize) -> A;
    /// The same for several places.
    fn gaps(&self, row: usize, places: Range<usize>, into: &mut Vec<A>);
    /// Adds to `sums` what `changes` of the scores at `places` come from.
    fn pull(&self, row: usize, places: Range<usize>, changes: &[A], sums: &mut Pulled<A>);
    /// What all changes come from, in the sorted values.
    fn finish(&self, sums: &mut Pulled<A>);
}

/// What is collected while changes of scores are traced back.
pub(crate) struct Pulled<A> {
    /// Changes of the sorted values.
    pub z: Vec<A>,
    /// Changes of what else the scores are made of.
    pub b: Vec<A>,
}

/// A row without the entries that are negligible.
pub(crate) struct Row<'a, A> {
    /// Its number among the rows of finite values.
    pub number: usize,
    /// Which finite values it has entries for.
    pub places: Range<usize>,
    /// The entries times `sum`.
    pub weights: &'a [A],
    /// What makes them sum to one.
    pub sum: A,
}

/// Visits the first `count` rows in order, each with the places where the score is not lower than the largest
/// by more than `reach`.
fn for_each_window<A: Real<Acc = A>>(
    scores: &impl Scores<A>,
    count: usize,
    reach: f64,
    mut visit: impl FnMut(usize, Range<usize>),
) {
    let left_out = |row, place| scores.gap(row, place) < A::of(-reach);
    let (n, mut places) = (scores.finite().len(), 0..0);
    for row in 0..count.min(n) {
        while places.start < row && left_out(row, places.start) {
            places.start += 1;
        }
        places.end = places.end.max(row + 1);
        while places.end < n && !left_out(row, places.end) {
            places.end += 1;
        }
        visit(row, places.clone());
    }
}

/// Visits the first `count` rows in order.
pub(crate) fn for_each_row<T: Real>(
    scores: &impl Scores<T::Acc>,
    count: usize,
    projection: Projection,
    reach: f64,
    scratch: &mut Scratch<T>,
    mut visit: impl FnMut(Row<'_, T::Acc>),
) {
    let (mut weights, mut candidates) = (scratch.wide.empty(), scratch.wide.empty());
    for_each_window(scores, count, reach, |number, places| {
        weights.clear();
        scores.gaps(number, places.clone(), &mut weights);
        let sum = projection.weigh(&mut weights, &mut candidates);
        visit(Row { number, places, weights: &weights, sum });
    });
    scratch.wide.give(weights);
    scratch.wide.give(candidates);
}

/// The infinite values among sorted ones, of which the others are `finite`: each of the two ranges holds
/// equal values, which share.
pub(super) fn infinite(finite: &Range<usize>, n: usize) -> [Range<usize>; 2] {
    [0..finite.start, finite.end..n]
}

/// A relaxed permutation matrix, or its first rows.
pub(crate) struct RowMatrix {
    pub softness: f64,
    pub descending: bool,
    pub projection: Projection,
}

impl RowMatrix {
    /// Writes the first rows of the matrix into zeros. Returns the sorting permutation, which is empty for an
    /// item with a NaN.
    pub fn forward<S: Scores<T::Acc>, T: Real>(
        &self,
        x: &[T],
        p: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Vec<u32> {
        let (mut order, z) = sorted(x, self.descending, scratch);
        if spoilt(&z) {
            p.fill(T::nan());
            order.clear();
        } else {
            let (n, scores) = (z.len(), S::new(&z, self.softness, scratch));
            let (finite, rows) = (scores.finite(), p.len() / n.max(1));
            let (columns, count) = (&order[finite.clone()], rows.saturating_sub(finite.start));
            for_each_row(&scores, count, self.projection, self.projection.reach(), scratch, |row| {
                let p = &mut p[(finite.start + row.number) * n..][..n];
                let factor = T::Acc::one() / row.sum;
                for (&column, &weight) in columns[row.places].iter().zip(row.weights) {
                    p[column as usize] = T::narrow(factor * weight);
                }
            });
            for infinite in infinite(&finite, n) {
                let share = T::of(1.0 / infinite.len() as f64);
                for place in infinite.clone().take_while(|&place| place < rows) {
                    order[infinite.clone()].iter().for_each(|&column| p[place * n + column as usize] = share);
                }
            }
            scores.give(scratch);
        }
        scratch.reals.give(z);
        order
    }

    /// Writes the gradient, given what [`forward`](Self::forward) wrote and returned.
    pub fn vjp<S: Scores<T::Acc>, T: Real>(
        &self,
        x: &[T],
        order: &[u32],
        (p, dp): (&[T], &[T]),
        dx: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let n = dx.len();
        if order.len() < n {
            return dx.fill(T::nan());
        }
        let z = arranged(x, self.descending, order, scratch);
        let scores = S::new(&z, self.softness, scratch);
        scratch.reals.give(z);
        let (finite, rows) = (scores.finite(), p.len() / n.max(1));
        let (columns, count) = (&order[finite.clone()], rows.saturating_sub(finite.start));
        let mut sums = Pulled { z: scratch.wide.zeros(columns.len()), b: scratch.wide.zeros(columns.len()) };
        let mut changes = scratch.wide.empty();
        for_each_window(&scores, count, self.projection.reach(), |row, places| {
            let start = (finite.start + row) * n;
            let (p, dp) = (&p[start..][..n], &dp[start..][..n]);
            let (mut total, mut mean) = (T::Acc::zero(), T::Acc::zero());
            changes.clear();
            changes.extend(columns[places.clone()].iter().map(|&column| {
                let slope = self.projection.slope(p[column as usize].widen());
                total += slope;
                mean += slope * dp[column as usize].widen();
                slope
            }));
            mean /= total;
            for (change, &column) in changes.iter_mut().zip(&columns[places.clone()]) {
                *change *= dp[column as usize].widen() - mean;
            }
            scores.pull(row, places, &changes, &mut sums);
        });
        scores.finish(&mut sums);
        for (&place, &dz) in columns.iter().zip(&sums.z) {
            dx[place as usize] = T::narrow(if self.descending { -dz } else { dz });
        }
        scores.give(scratch);
        [sums.z, sums.b, changes].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }
}

/// Writes the first rows of the permutation matrix that sorts into zeros.
pub(crate) fn permutation<T: Float>(x: &[T], descending: bool, p: &mut [T], scratch: &mut Scratch<T>) {
    let (order, z) = sorted(x, descending, scratch);
    match spoilt(&z) {
        true => p.fill(T::nan()),
        false => {
            let rows = p.chunks_exact_mut(z.len().max(1));
            rows.zip(&order).for_each(|(p, &column)| p[column as usize] = T::one());
        }
    }
    scratch.indices.give(order);
    scratch.reals.give(z);
}

/// Calls an operator from a vector to a matrix.
pub(crate) fn to_matrix<T: Float, D: Dimension, O: Contract>(
    operator: &O,
    x: ArrayView<'_, T, D>,
) -> Result<Array<T, D::Larger>, Error> {
    let [matrix] = evaluate(operator, [x.into_dyn()])?;
    matrix.into_dimensionality().map_err(|e| Error::unsupported(O::NAME, "an output of one more axis", e))
}

/// The law that each column of a square matrix sums to one.
pub(crate) fn columns_sum_to_one() -> Law {
    let residual = |at: Evaluated<'_>| {
        let n = at.x[0].len();
        let sum = |j| at.y[0].iter().skip(j).step_by(n).sum::<f64>();
        (0..n).map(|j| (sum(j) - 1.0).abs()).sum()
    };
    Law::Vanishes("columns_sum_to_one", Box::new(residual))
}

/// The law that each row of a matrix sums to one.
pub(crate) fn rows_sum_to_one() -> Law {
    let residual = |at: Evaluated<'_>| {
        let columns = at.x[0].len().max(1);
        at.y[0].chunks(columns).map(|row| (row.iter().sum::<f64>() - 1.0).abs()).sum()
    };
    Law::Vanishes("rows_sum_to_one", Box::new(residual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{NeuralSortPermutation, SoftSortPrilloPermutation, neural_rows, soft_rows};
    use ndarray::{Array1, array};
    use supple_core::{Stream, linearize};

    const ALL: [Projection; 4] =
        [Projection::Softmax, Projection::L2, Projection::ThreeHalves, Projection::FourThirds];

    /// Rows are narrow here: a few dozen entries of 120.
    #[test]
    fn what_is_left_out_cannot_be_seen() {
        let x = Stream::new(0, 0, 0).normals(120);
        for (projection, descending) in ALL.into_iter().flat_map(|p| [(p, false), (p, true)]) {
            for softness in [0.05, 0.5, 40.0] {
                let close = |name: &str, p: ndarray::ArrayD<f64>, expected: Vec<Vec<f64>>| {
                    for (p, expected) in p.iter().zip(expected.concat()) {
                        assert!((p - expected).abs() < 1e-11, "{name}, {projection:?}: {p} for {expected}");
                    }
                };
                let item = Array1::from(x.clone()).into_dyn();
                let neural = NeuralSortPermutation { softness, descending, projection };
                let [p] = evaluate(&neural, [item.view()]).unwrap();
                close("neural", p, neural_rows::naive(&x, softness, descending, projection));
                let soft = SoftSortPrilloPermutation { softness, descending, projection };
                let [p] = evaluate(&soft, [item.view()]).unwrap();
                close("soft", p, soft_rows::naive(&x, softness, descending, projection));
            }
        }
    }

    #[test]
    fn infinities_are_placed_exactly_and_nan_spoils() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let x = array![[2.0, inf, 1.5, -inf, inf], [1.0, nan, 2.0, 0.0, 3.0]].into_dyn();
        for projection in ALL {
            let operator = SoftSortPrilloPermutation { softness: 2.0, descending: false, projection };
            let at = linearize(&operator, [x.view()]).unwrap();
            let p: Vec<f64> = at.outputs()[0].iter().copied().collect();
            assert_eq!(p[..5], [0.0, 0.0, 0.0, 1.0, 0.0]);
            assert_eq!((&p[15..20], &p[20..25]), (&[0.0, 0.5, 0.0, 0.0, 0.5][..], &p[15..20]));
            assert!(p[7] > p[5] && p[5] > 0.0 && (p[5] + p[7] - 1.0).abs() < 1e-15, "{p:?}");
            let [dx] =
                at.vjp([ndarray::ArrayD::from_shape_fn(vec![2, 5, 5], |i| i[2] as f64).view()]).unwrap();
            assert!(dx.iter().take(5).all(|d| d.is_finite()) && dx[[0, 1]] == 0.0, "{dx}");
            assert!(p[25..].iter().chain(dx.iter().skip(5)).all(|p| p.is_nan()));
        }
    }
}
