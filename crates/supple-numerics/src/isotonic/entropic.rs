//! Entropic regressions: blocks whose values are differences of logarithms of sums of exponentials.
//!
//! While blocks are pooled, no exponential is taken. Those of the gaps between neighbours are, all at once,
//! before; the factor between two elements is their product. Products decide only what is pooled: the sums
//! of the result are taken from exponentials of their own.

use super::{Block, Partition, merge};
use crate::elementary::exp_slice;
use supple_core::{Real, Scratch};

/// Ranks: increasing, and on a block $\ln \sum_i e^{x_i / \varepsilon} - \ln \sum_i i$ with ranks `i` from
/// `before + 1` on. A block's sum is that of the second result on it: $e^{(x_i - x_\text{last}) / \varepsilon}$
/// for every position.
pub fn entropic_ranks<T: Real>(
    x: &[T],
    before: usize,
    softness: f64,
    scratch: &mut Scratch<T>,
) -> (Partition<T::Acc>, Vec<T::Acc>) {
    let rate = 1.0 / softness;
    let mut room = scratch.wide.zeros(2 * x.len());
    let (sums, _) = room.as_chunks_mut();
    let decays = decays(x, rate, scratch);
    for (k, sum) in sums.iter_mut().enumerate() {
        // From the element before, on which all of a block's exponentials depend that is joined to this one.
        *sum = [T::Acc::one(), decays[k.saturating_sub(1)]];
    }
    scratch.wide.give(decays);

    let places = |start: usize, end: usize, len: f64| len * (2 * before + start + end + 1) as f64;
    let join = |a: Block<[T::Acc; 2]>, b: Block<[T::Acc; 2]>| {
        let ([sum_a, decay_a], [sum_b, decay_b]) = (a.sum, b.sum);
        let decayed = sum_a * decay_b;
        let violated = decayed.as_f64() * places(b.start, b.end, b.len)
            >= sum_b.as_f64() * places(a.start, a.end, a.len);
        violated.then(|| [decayed + sum_b, decay_a * decay_b])
    };
    let starts = partition(sums, join, scratch);
    scratch.wide.give(room);
    let rate = T::Acc::of(rate);
    with_terms(starts, |k, block| (x[k].widen() - x[block.1 - 1].widen()) * rate, scratch)
}

/// A line against values: decreasing, and on a block
/// $\ln \sum_i e^{-i \cdot \mathtt{step}} - \ln \sum_i e^{-x_i}$. A block's sum is that of the second result on
/// it: $e^{x_\text{first} - x_i}$ for every position.
pub fn entropic_line<T: Real>(
    x: &[T],
    step: f64,
    scratch: &mut Scratch<T>,
) -> (Partition<T::Acc>, Vec<T::Acc>) {
    // Below, a product may have lost digits or vanished.
    const LEAST: f64 = 1e-280;
    let mut room = scratch.wide.zeros(4 * x.len());
    let (sums, _) = room.as_chunks_mut();
    let decays = decays(x, 1.0, scratch);
    // Σ exp(−i step) over a block but for a factor that all blocks have.
    let (line, line_decay) = (T::Acc::of(-(-step).exp_m1()), T::Acc::of((-step).exp()));
    for (sum, &decay) in sums.iter_mut().zip(&decays) {
        *sum = [T::Acc::one(), decay, line, line_decay];
    }
    scratch.wide.give(decays);

    let join = |a: Block<[T::Acc; 4]>, b: Block<[T::Acc; 4]>| {
        let [sum_a, decay_a, line_a, line_decay_a] = a.sum;
        let [sum_b, decay_b, line_b, line_decay_b] = b.sum;
        let (of_line, of_x) = (line_b * sum_a, line_a * sum_b);
        let violated = if decay_a.as_f64() < LEAST && line_decay_a.as_f64() < LEAST {
            let gap = x[b.start].widen() - x[a.start].widen();
            of_x.as_f64() * (step * a.len - gap.as_f64()).exp() <= of_line.as_f64()
        } else {
            (of_x * decay_a).as_f64() <= (of_line * line_decay_a).as_f64()
        };
        violated.then(|| {
            [
                sum_a + sum_b * decay_a,
                decay_a * decay_b,
                line_a + line_b * line_decay_a,
                line_decay_a * line_decay_b,
            ]
        })
    };
    let starts = partition(sums, join, scratch);
    scratch.wide.give(room);
    with_terms(starts, |k, block| x[block.0].widen() - x[k].widen(), scratch)
}

/// $\sum_{i < n} e^{-i \cdot \mathtt{step}}$.
pub fn line_sum(n: f64, step: f64) -> f64 {
    if n == 1.0 || step == 0.0 { n } else { (-n * step).exp_m1() / (-step).exp_m1() }
}

/// `exp((x[k] − x[k + 1]) rate)`, without tangents, and 1 at the end.
fn decays<T: Real>(x: &[T], rate: f64, scratch: &mut Scratch<T>) -> Vec<T::Acc> {
    let mut decays = scratch.wide.empty();
    decays.extend(x.windows(2).map(|x| T::Acc::of((x[0].widen() - x[1].widen()).as_f64() * rate)));
    exp_slice(&mut decays);
    decays.extend(x.last().map(|_| T::Acc::one()));
    decays
}

/// Pools what is alone at first and returns where blocks start.
#[inline(always)]
fn partition<T: Real, S: Copy>(
    sums: &mut [S],
    join: impl Fn(Block<S>, Block<S>) -> Option<S>,
    scratch: &mut Scratch<T>,
) -> Vec<u32> {
    let mut starts = scratch.indices.empty();
    starts.extend(0..=sums.len() as u32);
    let count = merge(&mut starts, sums, join);
    starts.truncate(count + 1);
    starts
}

/// The exponentials of what `exponent` says at a position of a block (its start and end), and their sums.
#[inline(always)]
fn with_terms<T: Real>(
    starts: Vec<u32>,
    exponent: impl Fn(usize, (usize, usize)) -> T::Acc,
    scratch: &mut Scratch<T>,
) -> (Partition<T::Acc>, Vec<T::Acc>) {
    let (mut terms, mut sums) = (scratch.wide.empty(), scratch.wide.empty());
    let n = starts.last().map_or(0, |&n| n as usize);
    if starts.len() == n + 1 {
        // Everything is alone.
        terms.resize(n, T::Acc::one());
        sums.resize(n, T::Acc::one());
        return (Partition { starts, sums }, terms);
    }
    for ends in starts.windows(2) {
        let (start, end) = (ends[0] as usize, ends[1] as usize);
        terms.extend((start..end).map(|k| exponent(k, (start, end))));
    }
    exp_slice(&mut terms);
    let blocks = starts.windows(2).map(|ends| &terms[ends[0] as usize..ends[1] as usize]);
    sums.extend(blocks.map(|terms| terms.iter().copied().sum::<T::Acc>()));
    (Partition { starts, sums }, terms)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, samples};
    use super::*;
    use supple_core::{Dual, Stream};

    fn log_sum_exp(x: impl Iterator<Item = f64>) -> f64 {
        x.map(f64::exp).sum::<f64>().ln()
    }

    #[test]
    fn partitions_are_those_of_the_minimax_formula() {
        for (x, softness) in samples().iter().flat_map(|x| [0.1, 1.0, 10.0].map(|s| (x, s))) {
            let ranks = |i: usize, j: usize| {
                log_sum_exp(x[i..j].iter().map(|x| x / softness))
                    - ((i + 4..j + 4).sum::<usize>() as f64).ln()
            };
            let (found, terms) = entropic_ranks(x, 3, softness, &mut Scratch::default());
            check(&found, 1.0, ranks);
            for (ends, sum) in found.starts.windows(2).zip(&found.sums) {
                let (start, end) = (ends[0] as usize, ends[1] as usize);
                let expected: f64 = x[start..end].iter().map(|z| ((z - x[end - 1]) / softness).exp()).sum();
                assert!((sum - expected).abs() < 1e-14 * expected, "{sum} {expected}");
                assert_eq!(terms[start..end].iter().sum::<f64>(), *sum);
            }

            let line = |i: usize, j: usize| {
                log_sum_exp((i..j).map(|k| -(k as f64) * softness)) - log_sum_exp(x[i..j].iter().map(|x| -x))
            };
            let (found, _) = entropic_line(x, softness, &mut Scratch::default());
            check(&found, -1.0, line);
            for (ends, sum) in found.starts.windows(2).zip(&found.sums) {
                let (start, end) = (ends[0] as usize, ends[1] as usize);
                let expected: f64 = x[start..end].iter().map(|z| (x[start] - z).exp()).sum();
                assert!((sum - expected).abs() < 1e-14 * expected, "{sum} {expected}");
            }
        }
    }

    /// Products of factors vanish over long stretches; what is pooled must not depend on it.
    #[test]
    fn long_stretches_pool_as_short_ones() {
        let scratch = &mut Scratch::default();
        let n = 3000;
        for (gap, pooled) in [(1.0, 3000), (0.98, 1)] {
            let x: Vec<f64> = (0..n).map(|k| gap * f64::from(k)).collect();
            let (found, _) = entropic_line(&x, 0.99, scratch);
            assert_eq!(found.starts[1], pooled, "{gap}");
        }
        let x: Vec<f64> = (0..n).map(|k| 1e-3 * f64::from(k)).collect();
        for softness in [1e-6, 1e6] {
            let (found, _) = entropic_ranks(&x, 0, softness, scratch);
            assert_eq!(found.starts[1], if softness < 1.0 { 1 } else { 3000 });
        }
    }

    #[test]
    fn neither_scale_nor_offset_decides() {
        // Multiples of 2⁻¹⁶, so that a large offset is exact.
        let mut x: Vec<f64> =
            Stream::new(2, 0, 0).normals(500).iter().map(|x| (x * 65536.0).round() / 65536.0).collect();
        x.sort_by(f64::total_cmp);
        let scratch = &mut Scratch::default();
        let shifted: Vec<f64> = x.iter().map(|x| x + f64::exp2(30.0)).collect();
        let expected = entropic_ranks(&x, 0, 0.01, scratch);
        assert!(expected.0.sums.len() < 500);
        assert_eq!(entropic_ranks(&shifted, 0, 0.01, scratch), expected);
        let expected = entropic_line(&x, 0.01, scratch);
        assert_eq!(entropic_line(&shifted, 0.01, scratch), expected);
    }

    #[test]
    fn sums_carry_tangents() {
        let (x, v) = ([0.1, 0.2, 0.4, 3.0, 3.1], [1.0, -2.0, 0.5, 0.3, 0.7]);
        let dual: Vec<_> = x.iter().zip(v).map(|(&x, v)| Dual::new(x, v)).collect();
        let shifted: Vec<f64> = x.iter().zip(v).map(|(x, v)| x + 1e-7 * v).collect();
        let compare = |dual: &[Dual<f64>], at: &[f64], near: &[f64]| {
            for ((dual, at), near) in dual.iter().zip(at).zip(near) {
                assert!((dual.v - at).abs() < 1e-15 && (dual.d - (near - at) / 1e-7).abs() < 1e-6);
            }
        };
        let (plain, wide) = (&mut Scratch::default(), &mut Scratch::default());
        let dual_ranks = entropic_ranks(&dual, 0, 1.0, wide);
        let [at, near] = [&x[..], &shifted].map(|x| entropic_ranks(x, 0, 1.0, plain));
        compare(&dual_ranks.0.sums, &at.0.sums, &near.0.sums);
        compare(&dual_ranks.1, &at.1, &near.1);
        let dual_line = entropic_line(&dual, 0.5, wide);
        let [at, near] = [&x[..], &shifted].map(|x| entropic_line(x, 0.5, plain));
        compare(&dual_line.0.sums, &at.0.sums, &near.0.sums);
        compare(&dual_line.1, &at.1, &near.1);
    }
}
