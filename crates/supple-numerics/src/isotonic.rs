//! Isotonic regression by pooling adjacent violators.
//!
//! The regressions are those of a **sorted, finite** `x` against a known sequence, which is what
//! projections onto the permutahedron need. Two blocks are compared by the gap between their values of
//! `x` and, apart from it, the gap between their places in the sequence. The difference of the two
//! sequences is never formed: at large scales or lengths its rounding would decide.
//!
//! Blocks of equal value are pooled. Time and memory are O(n). At duals, values alone decide and the
//! blocks' sums carry tangents.

mod entropic;
mod power;

pub use entropic::{Line, entropic_line, entropic_ranks, exponentials};
pub use power::{Power, power_line, power_ranks};

use std::ops::Range;
use supple_core::{Real, Scratch};

/// The solution's blocks of equal value.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition<A> {
    /// Where each block starts, and the length of `x`: block `b` is `starts[b]..starts[b + 1]`.
    pub starts: Vec<u32>,
    /// What each block's value depends on, relative to one of its elements: see each function.
    pub sums: Vec<A>,
}

impl<A: Copy + Default> Partition<A> {
    /// Returns the vectors to where they came from.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.indices.give(self.starts);
        scratch.wide.give(self.sums);
    }
}

/// The blocks of a partition with these `starts`.
pub fn blocks(starts: &[u32]) -> impl Iterator<Item = Range<usize>> {
    starts.windows(2).map(|ends| ends[0] as usize..ends[1] as usize)
}

/// A length as a real number, by way of the signed type: its conversion is one instruction.
#[inline(always)]
pub fn real(n: usize) -> f64 {
    n as i64 as f64
}

/// For every position, the number of its block, of a partition with these `starts`. A step from block to block
/// is an addition and no branch: where blocks are short, it could not be predicted.
pub fn numbers<T: Real>(starts: &[u32], scratch: &mut Scratch<T>) -> Vec<u32> {
    let n = starts.last().map_or(0, |&n| n as usize);
    let mut numbers = scratch.indices.zeros(n + 1);
    starts.iter().skip(1).for_each(|&start| numbers[start as usize] = 1);
    let mut block = 0;
    for number in &mut numbers {
        block += *number;
        *number = block;
    }
    numbers.truncate(n);
    numbers
}

/// The positions `0..n` at which `apart` holds, always 0 itself, and n.
#[inline(always)]
fn starts_where<T: Real>(
    n: usize,
    scratch: &mut Scratch<T>,
    mut apart: impl FnMut(usize) -> bool,
) -> Vec<u32> {
    let mut starts = scratch.indices.stale(n + 1);
    let mut count = usize::from(n > 0);
    starts[0] = 0;
    for k in 1..n {
        // No branch, because it could not be predicted.
        starts[count] = k as u32;
        count += usize::from(apart(k));
    }
    starts[count] = n as u32;
    starts.truncate(count + 1);
    starts
}

/// Which way the solution goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// v₁ ≤ v₂ ≤ …
    Increasing,
    /// v₁ ≥ v₂ ≥ …
    Decreasing,
}

/// Least squares: $\min_v \sum_i (v_i - (x_i - i \cdot \mathtt{step}))^2$. The value on a block is the
/// mean; its sum is $\sum_i (x_i - x_\text{first})$.
///
/// ```
/// # use supple_core::Scratch;
/// # use supple_numerics::isotonic::{Trend, l2};
/// let blocks = l2(&[1.0, 1.25, 1.5, 4.0], 1.0, Trend::Increasing, &mut Scratch::default());
/// assert_eq!(blocks.starts, [0, 3, 4]);
/// assert_eq!(blocks.sums, [0.75, 0.0]);
/// ```
pub fn l2<T: Real>(x: &[T], step: f64, trend: Trend, scratch: &mut Scratch<T>) -> Partition<T::Acc> {
    match trend {
        Trend::Increasing => least_squares(x, step, |of_x, of_line| of_x <= of_line, scratch),
        Trend::Decreasing => least_squares(x, step, |of_x, of_line| of_x >= of_line, scratch),
    }
}

#[inline(always)]
fn least_squares<T: Real>(
    x: &[T],
    step: f64,
    violated: impl Fn(f64, f64) -> bool,
    scratch: &mut Scratch<T>,
) -> Partition<T::Acc> {
    let half = 0.5 * step;
    let join = |a: Block<T::Acc>, b: Block<T::Acc>| {
        let (m, n) = (a.len, b.len);
        let gap = x[b.start].widen() - x[a.start].widen();
        // m n (mean b − mean a), of the values and of the line.
        let of_x = (gap.as_f64() * m - a.sum.as_f64()) * n + b.sum.as_f64() * m;
        let of_line = half * (m + n) * m * n;
        violated(of_x, of_line).then(|| a.sum + (b.sum + gap * T::Acc::of(n)))
    };
    let (starts, sums) = runs(x, |gap| violated(gap, step), scratch);
    // Where no two values touch, there is nothing to pool.
    if sums.len() == x.len() { Partition { starts, sums } } else { pool(starts, sums, join) }
}

/// A run of positions with what its value needs.
#[derive(Clone, Copy)]
struct Block<S> {
    start: usize,
    end: usize,
    /// `end − start`, at hand because every comparison waits for it.
    len: f64,
    sum: S,
}

/// The longest runs of finite values in which each touches the next, and their sums of `x − x_first`: neighbours in
/// the wrong order always end up in one block.
///
/// Where values touch cannot be predicted, so no branch depends on it: what belongs to a run is written at
/// every position, and the next one writes either over it or behind it. Only a run that is long already is
/// summed by strides.
#[inline(always)]
fn runs<T: Real>(x: &[T], touch: impl Fn(f64) -> bool, scratch: &mut Scratch<T>) -> (Vec<u32>, Vec<T::Acc>) {
    const STRIDE: usize = 8;
    let (mut starts, mut sums) = (scratch.indices.stale(x.len() + 1), scratch.wide.zeros(x.len()));
    let (mut start, mut count) = (0, 0);
    starts[0] = 0;
    let touches = |k: usize| touch((x[k + 1].widen() - x[k].widen()).as_f64());
    for from in (0..x.len()).step_by(STRIDE) {
        let stride = from..(from + STRIDE).min(x.len());
        let is_long = from >= start + STRIDE && stride.end < x.len();
        if is_long && stride.clone().filter(|&k| touches(k)).count() == STRIDE {
            let first = x[start].widen();
            sums[count] += x[stride].iter().map(|x| x.widen() - first).sum();
            continue;
        }
        for k in stride {
            sums[count] += x[k].widen() - x[start].widen();
            let apart = k + 1 == x.len() || !touches(k);
            start = if apart { k + 1 } else { start };
            count += usize::from(apart);
            starts[count] = start as u32;
        }
    }
    starts.truncate(count + 1);
    sums.truncate(count);
    (starts, sums)
}

/// Pools adjacent blocks until `join` refuses all pairs.
#[inline(always)]
fn pool<A: Real>(
    mut starts: Vec<u32>,
    mut sums: Vec<A>,
    join: impl Fn(Block<A>, Block<A>) -> Option<A>,
) -> Partition<A> {
    let count = merge(&mut starts, &mut sums, join);
    starts.truncate(count + 1);
    sums.truncate(count);
    Partition { starts, sums }
}

/// Pools adjacent blocks in place and returns how many are left. `join` gives the sum of the union of two
/// blocks whose values are in the wrong order or equal.
#[inline(always)]
fn merge<S: Copy>(
    starts: &mut [u32],
    sums: &mut [S],
    mut join: impl FnMut(Block<S>, Block<S>) -> Option<S>,
) -> usize {
    let block = |start: u32, end: u32, sum| {
        // By way of `u32`, whose conversion is one instruction.
        Block { start: start as usize, end: end as usize, len: (end - start).into(), sum }
    };
    if sums.is_empty() {
        return 0;
    }
    // The blocks done with are written over those still to come; the last of them is `below`.
    let (mut count, mut below) = (0, block(starts[0], starts[1], sums[0]));
    for next in 1..sums.len() {
        let mut top = block(starts[next], starts[next + 1], sums[next]);
        below = loop {
            let Some(sum) = join(below, top) else {
                (starts[count], sums[count]) = (below.start as u32, below.sum);
                count += 1;
                break top;
            };
            top = block(below.start as u32, top.end as u32, sum);
            if count == 0 {
                break top;
            }
            count -= 1;
            below = block(starts[count], top.start as u32, sums[count]);
        };
    }
    (starts[count], sums[count]) = (below.start as u32, below.sum);
    starts[count + 1] = below.end as u32;
    count + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::{Dual, Stream};

    /// The greatest of the least values over blocks that hold a position; with `sign = −1` the least of
    /// the greatest.
    fn minimax(n: usize, sign: f64, value: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let least = |i, k| (k..n).map(|j| sign * value(i, j + 1)).fold(f64::INFINITY, f64::min);
        (0..n).map(|k| sign * (0..=k).map(|i| least(i, k)).fold(f64::NEG_INFINITY, f64::max)).collect()
    }

    pub(super) fn check(starts: &[u32], sign: f64, value: impl Fn(usize, usize) -> f64) {
        let n = *starts.last().unwrap() as usize;
        let expected = minimax(n, sign, &value);
        for block in blocks(starts) {
            for &v in &expected[block.clone()] {
                let ours = value(block.start, block.end);
                assert!((v - ours).abs() < 1e-12 * (1.0 + v.abs()), "{v} {ours} {starts:?}");
            }
        }
    }

    pub(super) fn samples() -> Vec<Vec<f64>> {
        let mut random = Stream::new(1, 0, 0);
        let mut samples = vec![vec![], vec![2.0], vec![1.0; 7]];
        for n in [2, 3, 5, 8, 13, 21] {
            let mut x = random.normals(n);
            x.sort_by(f64::total_cmp);
            samples.push(x.iter().map(|x| (2.0 * x).round()).collect());
            samples.push(x);
        }
        samples
    }

    #[test]
    fn least_squares_agrees_with_the_minimax_formula() {
        for (x, step) in samples().iter().flat_map(|x| [0.0, 0.1, 0.5, 2.0].map(|step| (x, step))) {
            let value =
                |i: usize, j: usize| (i..j).map(|k| x[k] - step * k as f64).sum::<f64>() / (j - i) as f64;
            check(&l2(x, step, Trend::Increasing, &mut Scratch::default()).starts, 1.0, value);
            check(&l2(x, step, Trend::Decreasing, &mut Scratch::default()).starts, -1.0, value);
        }
    }

    #[test]
    fn neither_scale_nor_offset_decides() {
        let mut random = Stream::new(2, 0, 0);
        // Multiples of 2⁻¹⁶, so that a large offset is exact.
        let mut x: Vec<f64> = random.normals(500).iter().map(|x| (x * 65536.0).round() / 65536.0).collect();
        x.sort_by(f64::total_cmp);
        let scratch = &mut Scratch::default();
        let expected = l2(&x, 0.004, Trend::Increasing, scratch);
        assert!((50..450).contains(&expected.sums.len()), "{}", expected.sums.len());
        let shifted: Vec<f64> = x.iter().map(|x| x + f64::exp2(30.0)).collect();
        assert_eq!(l2(&shifted, 0.004, Trend::Increasing, scratch), expected);
        for scale in [f64::exp2(-40.0), f64::exp2(40.0)] {
            let scaled: Vec<f64> = x.iter().map(|x| x * scale).collect();
            assert_eq!(l2(&scaled, 0.004 * scale, Trend::Increasing, scratch).starts, expected.starts);
        }
    }

    #[test]
    fn sums_carry_tangents() {
        let (x, v) = ([0.1, 0.2, 0.4, 3.0, 3.1], [1.0, -2.0, 0.5, 0.3, 0.7]);
        let dual: Vec<_> = x.iter().zip(v).map(|(&x, v)| Dual::new(x, v)).collect();
        let shifted: Vec<f64> = x.iter().zip(v).map(|(x, v)| x + 1e-7 * v).collect();
        let dual = l2(&dual, 1.0, Trend::Increasing, &mut Scratch::default());
        let [at, near] = [&x[..], &shifted].map(|x| l2(x, 1.0, Trend::Increasing, &mut Scratch::default()));
        assert_eq!(dual.starts, at.starts);
        for ((dual, at), near) in dual.sums.iter().zip(at.sums).zip(near.sums) {
            assert!((dual.v - at).abs() < 1e-15 && (dual.d - (near - at) / 1e-7).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_not_finite_ends_well() {
        let x = [f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0, f64::INFINITY, f64::NAN];
        let scratch = &mut Scratch::default();
        for partition in [
            l2(&x, 1.0, Trend::Increasing, scratch),
            l2(&x, 1.0, Trend::Decreasing, scratch),
            power_ranks(&x, 0, 1.0, Power::Square, scratch),
            power_ranks(&x, 0, 1.0, Power::Cube, scratch),
            power_line(&x, 1.0, Power::Square, scratch),
            power_line(&x, 1.0, Power::Cube, scratch),
        ] {
            assert_eq!(partition.starts.len(), partition.sums.len() + 1);
            assert_eq!(partition.starts.last(), Some(&5));
        }
        for starts in [entropic_ranks(&x, 0, 1.0, scratch), entropic_line(&x, 1.0, scratch)] {
            assert_eq!((starts[0], starts.last()), (0, Some(&5)));
        }
    }
}
