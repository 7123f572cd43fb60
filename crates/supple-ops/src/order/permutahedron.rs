//! What the two projections onto the permutahedron share, and what other operators on sorted values need.

use std::ops::Range;
use supple_core::{Error, Real, Scratch, choices};
use supple_numerics::argsort::argsort;
pub(super) use supple_numerics::isotonic::{Power, blocks, real};

choices! {
    /// What a projection minimises.
    pub enum Regularization {
        /// Euclidean distance: piecewise linear, and exactly the hard operator where values are far
        /// enough apart.
        L2 = "l2",
        /// Kullback-Leibler divergence: smooth inside each block.
        Entropic = "entropic",
        /// The power 3/2: entries come into play smoothly at zero.
        ThreeHalves = "p3/2",
        /// The power 4/3: smoother still.
        FourThirds = "p4/3",
    }
}

/// How the projection is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    L2,
    Entropic,
    /// A p-norm other than 2, by the power that its entries have.
    Norm(Power),
}

impl Regularization {
    pub(super) fn form(self) -> Form {
        match self {
            Self::L2 => Form::L2,
            Self::Entropic => Form::Entropic,
            Self::ThreeHalves => Form::Norm(Power::Square),
            Self::FourThirds => Form::Norm(Power::Cube),
        }
    }
}

/// `±x`, so that the result is sorted in ascending order, with its sorting permutation.
pub(super) fn sorted<T: Real>(x: &[T], negate: bool, scratch: &mut Scratch<T>) -> (Vec<u32>, Vec<T>) {
    let (order, mut z) = argsort(x, negate, scratch);
    if negate {
        z.iter_mut().for_each(|z| *z = -*z);
    }
    (order, z)
}

/// `±x` in the order that [`sorted`] found.
pub(super) fn arranged<T: Real>(x: &[T], negate: bool, order: &[u32], scratch: &mut Scratch<T>) -> Vec<T> {
    let mut z = scratch.reals.empty();
    z.extend(order.iter().map(|&i| x[i as usize]).map(|x| if negate { -x } else { x }));
    z
}

/// Whether sorted values have a NaN among them: total order puts it first or last.
pub(super) fn spoilt<T: Real>(sorted: &[T]) -> bool {
    sorted.first().is_some_and(|z| z.is_nan()) || sorted.last().is_some_and(|z| z.is_nan())
}

/// Where the finite ones of sorted values lie, if none is NaN. From the ends, because infinities are few.
pub(super) fn finite<T: Real>(sorted: &[T]) -> Range<usize> {
    let infinite = |z: &&T| z.abs() == T::infinity();
    let start = sorted.iter().take_while(infinite).count();
    let above = sorted[start..].iter().rev().take_while(infinite).count();
    start..sorted.len() - above
}

/// The ranks, of which equal values share the mean; NaN where there is one.
pub(crate) fn average_ranks<T: Real>(x: &[T], descending: bool, ranks: &mut [T], scratch: &mut Scratch<T>) {
    let (order, z) = sorted(x, descending, scratch);
    if spoilt(&z) {
        ranks.fill(T::nan());
    } else {
        let mut start = 0;
        for ties in z.chunk_by(|a, b| a == b) {
            let end = start + ties.len();
            let rank = T::of(middle(start, end));
            order[start..end].iter().for_each(|&i| ranks[i as usize] = rank);
            start = end;
        }
    }
    scratch.indices.give(order);
    scratch.reals.give(z);
}

/// Sorted values, or NaN where there is a NaN among them: the hard form of what sorts.
pub(super) fn sort<T: Real>(x: &[T], descending: bool, y: &mut [T], scratch: &mut Scratch<T>) {
    let (order, z) = argsort(x, descending, scratch);
    match spoilt(&z) {
        true => y.fill(T::nan()),
        false => y.copy_from_slice(&z),
    }
    scratch.indices.give(order);
    scratch.reals.give(z);
}

/// Positions are `u32`.
pub(crate) fn check_length(operator: &str, sizes: &[usize]) -> Result<(), Error> {
    match sizes.first() {
        Some(&n) if u32::try_from(n).is_err() => Err(Error::argument(operator, "n", "at most 2³² − 1", n)),
        _ => Ok(()),
    }
}

/// The mean of the ranks `start + 1 ..= end`.
pub(super) fn middle(start: usize, end: usize) -> f64 {
    0.5 * real(start + end + 1)
}

/// Sums of `values` by block, over the blocks' weights; 0 for number 0.
///
/// An addition to a sum that was changed a moment ago has to wait for it. So where blocks are few, each
/// has four sums, and elements that are alone add to one of 64 that nobody reads.
pub(super) fn block_means<A: Real, T: Real<Acc = A>>(
    block: &[u32],
    weights: &[f64],
    values: impl Iterator<Item = A>,
    scratch: &mut Scratch<T>,
) -> Vec<A> {
    const UNUSED: usize = 64;
    let count = weights.len();
    let lanes = if count < 64 { 4 } else { 1 };
    let mut sums = scratch.wide.zeros(count * lanes + UNUSED);
    for (i, (&b, value)) in block.iter().zip(values).enumerate() {
        let place = (i & (lanes - 1)) * count + b as usize;
        let unused = lanes * count + i % UNUSED;
        sums[if b == 0 { unused } else { place }] += value;
    }
    for b in 0..count {
        let sum: A = (0..lanes).map(|lane| sums[lane * count + b]).sum();
        sums[b] = sum / A::of(weights[b]);
    }
    sums.truncate(count);
    sums
}

/// Increasing isotonic regression by its definition as the greatest of the least values of blocks that
/// hold a position. For oracles.
pub(super) fn minimax(n: usize, value: impl Fn(Range<usize>) -> f64) -> Vec<f64> {
    let least = |start, k| (k..n).map(|last| value(start..last + 1)).fold(f64::INFINITY, f64::min);
    (0..n).map(|k| (0..=k).map(|start| least(start, k)).fold(f64::NEG_INFINITY, f64::max)).collect()
}

/// `ln Σ exp(x)`. For oracles.
pub(super) fn log_sum_exp(x: &[f64]) -> f64 {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + x.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
}

/// The v with `Σ P(z − v) = total`, by bisection. For oracles.
pub(super) fn power_value(power: Power, z: &[f64], total: f64) -> f64 {
    let reach = 1.0 + total.abs() + z.iter().fold(0.0, |a: f64, z| a.max(z.abs()));
    let (mut low, mut high) = (-reach, reach);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        let sum: f64 = z.iter().map(|z| power.of(z - middle)).sum();
        if sum >= total { low = middle } else { high = middle }
    }
    low
}
