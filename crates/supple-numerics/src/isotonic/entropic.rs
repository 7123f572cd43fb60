//! Entropic regressions: blocks whose values are differences of logarithms of sums of exponentials.
//!
//! Neighbours that touch make runs, which are found without exponentials. Where everything is alone or one
//! run, that is all. What decides whether runs are pooled is taken from values alone, and is not part of the
//! result: its exponentials are taken anew, by [`exponentials`].

use super::{Block, blocks, merge, real, starts_where};
use crate::elementary::{exp_slice, sum_by};
use std::ops::Range;
use supple_core::{Real, Scratch};

/// Ranks: increasing, and on a block $\ln \sum_i e^{x_i / \varepsilon} - \ln \sum_i i$ with ranks `i` from
/// `before + 1` on. Returns where blocks start, and the length of `x`.
pub fn entropic_ranks<T: Real>(x: &[T], before: usize, softness: f64, scratch: &mut Scratch<T>) -> Vec<u32> {
    let rate = 1.0 / softness;
    let gap = |from: usize, to: usize| (x[to].as_f64() - x[from].as_f64()) * rate;
    // Places p and p + 1 touch where their gap is at most ln(1 + 1/p), which lies between 2 / (2 p + 1) and
    // 1 / √(p (p + 1)).
    let mut undecided = false;
    let starts = starts_where(x.len(), scratch, |k| {
        let (gap, place) = (gap(k - 1, k), real(before + k));
        let touch = gap * (2.0 * place + 1.0) <= 2.0;
        undecided |= !touch & (gap * gap * (place * (place + 1.0)) <= 1.0);
        !touch
    });
    let alone = starts.len() == x.len() + 1;
    if alone && !undecided || starts.len() == 2 {
        return starts;
    }

    // Relative to the last of a run.
    let mut sums = scratch.wide.stale(starts.len() - 1);
    let mut terms = scratch.wide.empty();
    for run in blocks(&starts).filter(|run| run.len() > 1) {
        terms.extend(run.clone().map(|k| T::Acc::of(-gap(k, run.end - 1))));
    }
    exp_slice(&mut terms);
    let mut rest = &terms[..];
    for (sum, run) in sums.iter_mut().zip(blocks(&starts)) {
        let of_run = if run.len() > 1 { run.len() } else { 0 };
        let (terms, others) = rest.split_at(of_run);
        (*sum, rest) = (terms.iter().copied().sum(), others);
        if of_run == 0 {
            *sum = T::Acc::one();
        }
    }
    scratch.wide.give(terms);

    let places = |block: &Block<T::Acc>| block.len * real(2 * before + block.start + block.end + 1);
    let join = |a: Block<T::Acc>, b: Block<T::Acc>| {
        let (sum_a, sum_b, gap) = (a.sum.as_f64(), b.sum.as_f64(), gap(a.end - 1, b.end - 1));
        let (of_a, of_b) = (sum_a * places(&b), sum_b * places(&a));
        // The logarithm of their quotient is less than the quotient less 1.
        if gap * of_b > of_a - of_b {
            return None;
        }
        let decay = (-gap).exp();
        (of_a * decay >= of_b).then(|| T::Acc::of(sum_a * decay + sum_b))
    };
    let starts = merged(starts, &mut sums, join);
    scratch.wide.give(sums);
    starts
}

/// A line against values: decreasing, and on a block
/// $\ln \sum_i e^{-i \cdot \mathtt{step}} - \ln \sum_i e^{-x_i}$. Returns where blocks start, and the length of
/// `x`.
pub fn entropic_line<T: Real>(x: &[T], step: f64, scratch: &mut Scratch<T>) -> Vec<u32> {
    // Below, a product may have lost digits or vanished.
    const LEAST: f64 = 1e-280;
    let gap = |from: usize, to: usize| x[to].as_f64() - x[from].as_f64();
    let starts = starts_where(x.len(), scratch, |k| gap(k - 1, k) < step);
    if starts.len() == x.len() + 1 || starts.len() == 2 {
        return starts;
    }

    let mut decays = scratch.wide.empty();
    decays.extend(x.windows(2).map(|x| T::Acc::of((x[0].as_f64() - x[1].as_f64()).max(NIL))));
    exp_slice(&mut decays);
    // Of each run, Σ exp(x_first − x_i), and exp(x_first − x_next) with the first one of the next run.
    let mut room = scratch.wide.stale(2 * starts.len());
    let (sums, _) = room.as_chunks_mut::<2>();
    let (mut number, mut sum, mut decay) = (0, 1.0, 1.0);
    for (x, factor) in x.windows(2).zip(&decays) {
        // Where runs end cannot be predicted, so no branch depends on it: each position is written, and the
        // next one over it or behind it.
        let factor = factor.as_f64();
        sums[number] = [T::Acc::of(sum), T::Acc::of(decay * factor)];
        let apart = x[1].as_f64() - x[0].as_f64() < step;
        let kept = f64::from(u8::from(!apart));
        decay = decay * (factor * kept) + (1.0 - kept);
        sum = sum * kept + decay;
        number += usize::from(apart);
    }
    sums[number] = [T::Acc::of(sum), T::Acc::of(decay)];
    scratch.wide.give(decays);

    let mut line = Line::new(step, scratch);
    let join = |a: Block<[T::Acc; 2]>, b: Block<[T::Acc; 2]>| {
        let ([sum_a, decay_a], [sum_b, decay_b]) = (a.sum.map(T::Acc::as_f64), b.sum.map(T::Acc::as_f64));
        let [(line_a, line_decay), (line_b, _)] = [line.of(a.end - a.start), line.of(b.end - b.start)];
        let (of_line, of_x) = (line_b * sum_a, line_a * sum_b);
        let violated = if decay_a < LEAST && line_decay < LEAST {
            scaled(of_x, step * a.len - gap(a.start, b.start)) <= of_line
        } else {
            of_x * decay_a <= of_line * line_decay
        };
        violated.then(|| [sum_a + sum_b * decay_a, decay_a * decay_b].map(T::Acc::of))
    };
    let count = starts.len() - 1;
    let starts = merged(starts, &mut sums[..count], join);
    line.give(scratch);
    scratch.wide.give(room);
    starts
}

/// Exponentials of less than this count for nothing beside 1. Further down they would be subnormal, and
/// processors take ten times as long over those.
const NIL: f64 = -700.0;

/// Exponentials over a line, kept for all lengths up to the longest that was asked for.
pub struct Line<A> {
    step: f64,
    sums: Vec<A>,
    decays: Vec<A>,
}

impl<A: Real<Acc = A>> Line<A> {
    /// The line that falls by `step`.
    pub fn new<T: Real<Acc = A>>(step: f64, scratch: &mut Scratch<T>) -> Self {
        Self { step, sums: scratch.wide.empty(), decays: scratch.wide.empty() }
    }

    /// $\sum_{i < n} e^{-i \cdot \mathtt{step}}$.
    #[inline(always)]
    pub fn sum(&mut self, n: usize) -> f64 {
        const FEW: usize = 256;
        if n < FEW { self.of(n).0 } else { (-real(n) * self.step).exp_m1() / (-self.step).exp_m1() }
    }

    /// That sum, and $e^{-n \cdot \mathtt{step}}$.
    #[inline(always)]
    fn of(&mut self, n: usize) -> (f64, f64) {
        if n >= self.sums.len() {
            self.extend(n);
        }
        (self.sums[n].as_f64(), self.decays[n].as_f64())
    }

    #[cold]
    fn extend(&mut self, n: usize) {
        let start = self.decays.len();
        let end = (n + 1).max(2 * start).max(16);
        let exponent = |n: usize| A::of((-real(n) * self.step).max(NIL));
        self.decays.extend((start..end).map(exponent));
        exp_slice(&mut self.decays[start..]);
        for n in start..end {
            let sum = if n == 0 { A::zero() } else { self.sums[n - 1] + self.decays[n - 1] };
            self.sums.push(sum);
        }
    }

    /// Returns the buffers to where they came from.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.sums);
        scratch.wide.give(self.decays);
    }
}

/// $x e^t$, out of the way of loops that hardly ever need it.
#[cold]
#[inline(never)]
fn scaled(x: f64, t: f64) -> f64 {
    x * t.exp()
}

/// Pools runs and returns where blocks start.
#[inline(always)]
fn merged<S: Copy>(
    mut starts: Vec<u32>,
    sums: &mut [S],
    join: impl FnMut(Block<S>, Block<S>) -> Option<S>,
) -> Vec<u32> {
    let count = merge(&mut starts, sums, join);
    starts.truncate(count + 1);
    starts
}

/// The sums over blocks of the exponentials of what `exponent` says at a position of a block, and all the
/// exponentials. It is at most zero; those below $10^{-304}$ are taken for zero. `numbers` has the number of
/// the block of each position.
#[inline(always)]
pub fn exponentials<T: Real>(
    starts: &[u32],
    numbers: &[u32],
    exponent: impl Fn(usize, Range<usize>) -> T::Acc,
    scratch: &mut Scratch<T>,
) -> (Vec<T::Acc>, Vec<T::Acc>) {
    let mut terms = scratch.wide.empty();
    terms.extend(numbers.iter().enumerate().map(|(k, &b)| {
        let block = starts[b as usize] as usize..starts[b as usize + 1] as usize;
        exponent(k, block).max(T::Acc::of(NIL))
    }));
    exp_slice(&mut terms);
    let kept = |term: T::Acc| if term.as_f64() < 1e-304 { T::Acc::zero() } else { term };
    terms.iter_mut().for_each(|term| *term = kept(*term));
    let mut sums = scratch.wide.zeros(starts.len() - 1);
    if terms.len() < 16 * sums.len() {
        terms.iter().zip(numbers).for_each(|(&term, &b)| sums[b as usize] += term);
    } else {
        // Where blocks are long, an addition to memory would wait for the one before.
        for (sum, block) in sums.iter_mut().zip(blocks(starts)) {
            *sum = sum_by(&terms[block.clone()], &terms[block], |term, _| term);
        }
    }
    (sums, terms)
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
            check(&entropic_ranks(x, 3, softness, &mut Scratch::default()), 1.0, ranks);
            let line = |i: usize, j: usize| {
                log_sum_exp((i..j).map(|k| -(k as f64) * softness)) - log_sum_exp(x[i..j].iter().map(|x| -x))
            };
            check(&entropic_line(x, softness, &mut Scratch::default()), -1.0, line);
        }
    }

    /// At a thousand random values, sums of blocks are made in many steps.
    #[test]
    fn values_increase_and_no_prefix_of_a_block_is_above_it() {
        let scratch = &mut Scratch::default();
        for seed in 0..20 {
            let mut random = Stream::new(seed, 0, 0);
            let scale = f64::powi(4.0, seed as i32 % 10 - 2);
            let mut x: Vec<f64> = random.normals(1000).iter().map(|x| x * scale).collect();
            x.sort_by(f64::total_cmp);
            for step in [0.003, 0.1, 1.0, 3.0] {
                let ranks = |block: Range<usize>| {
                    let z: Vec<f64> = x[block.clone()].iter().map(|x| x / step).collect();
                    let places: usize = block.map(|k| k + 1).sum();
                    let top = z[z.len() - 1];
                    top + z.iter().map(|z| (z - top).exp()).sum::<f64>().ln() - (places as f64).ln()
                };
                let line = |block: Range<usize>| {
                    let first = x[block.start];
                    let sum: f64 = x[block.clone()].iter().map(|x| (first - x).exp()).sum();
                    let of_line: f64 = (0..block.len()).map(|k| (-(k as f64) * step).exp()).sum();
                    // The values fall; these are less them.
                    block.start as f64 * step + sum.ln() - first - of_line.ln()
                };
                for (starts, value) in [
                    (entropic_ranks(&x, 0, step, scratch), &ranks as &dyn Fn(Range<usize>) -> f64),
                    (entropic_line(&x, step, scratch), &line),
                ] {
                    let values: Vec<f64> = blocks(&starts).map(value).collect();
                    assert!(values.windows(2).all(|v| v[0] < v[1] + 1e-10), "{step}");
                    for (block, v) in blocks(&starts).zip(values).filter(|(block, _)| block.len() > 1) {
                        for end in block.start + 1..block.end {
                            assert!(value(block.start..end) > v - 1e-10, "{step} {block:?} {end}");
                        }
                    }
                }
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
            assert_eq!(entropic_line(&x, 0.99, scratch)[1], pooled, "{gap}");
        }
        let x: Vec<f64> = (0..n).map(|k| 1e-3 * f64::from(k)).collect();
        for softness in [1e-6, 1e6] {
            let found = entropic_ranks(&x, 0, softness, scratch);
            assert_eq!(found[1], if softness < 1.0 { 1 } else { 3000 });
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
        let expected = entropic_ranks(&x, 0, 1.0, scratch);
        assert!((20..480).contains(&expected.len()), "{}", expected.len());
        assert_eq!(entropic_ranks(&shifted, 0, 1.0, scratch), expected);
        let expected = entropic_line(&x, 0.01, scratch);
        assert_eq!(entropic_line(&shifted, 0.01, scratch), expected);
    }

    #[test]
    fn exponentials_and_their_sums_carry_tangents() {
        let (x, v) = ([0.1, 0.2, 0.4, 3.0, 3.1], [1.0, -2.0, 0.5, 0.3, 0.7]);
        let dual: Vec<_> = x.iter().zip(v).map(|(&x, v)| Dual::new(x, v)).collect();
        let starts = entropic_ranks(&dual, 0, 1.0, &mut Scratch::default());
        assert_eq!(starts, entropic_ranks(&x, 0, 1.0, &mut Scratch::default()));
        assert_eq!(
            entropic_line(&dual, 0.5, &mut Scratch::default()),
            entropic_line(&x, 0.5, &mut Scratch::default())
        );
        let starts = [0, 3, 5];
        let scratch = &mut Scratch::<Dual<f64>>::default();
        let (sums, terms) =
            exponentials(&starts, &[0, 0, 0, 1, 1], |k, block| dual[block.start] - dual[k], scratch);
        for (block, sum) in blocks(&starts).zip(sums) {
            let (mut value, mut tangent) = (0.0, 0.0);
            for k in block.clone() {
                let term = (x[block.start] - x[k]).exp();
                assert!((terms[k].v - term).abs() < 1e-15);
                assert!((terms[k].d - term * (v[block.start] - v[k])).abs() < 1e-15);
                value += term;
                tangent += term * (v[block.start] - v[k]);
            }
            assert!((sum.v - value).abs() < 1e-15 && (sum.d - tangent).abs() < 1e-15);
        }
    }

    #[test]
    fn sums_over_a_line_have_a_closed_form() {
        for (n, step) in [1, 2, 5, 40, 1000].into_iter().flat_map(|n| [1e-9, 0.01, 1.0, 50.0].map(|s| (n, s)))
        {
            let direct: f64 = (0..n).map(|k| (-(k as f64) * step).exp()).sum();
            assert!(
                (Line::new(step, &mut Scratch::<f64>::default()).sum(n) - direct).abs() < 1e-13 * direct,
                "{n} {step}"
            );
            let (sum, decay) = Line::new(step, &mut Scratch::<f64>::default()).of(n);
            assert!(
                (sum - direct).abs() < 1e-13 * direct && (decay - (-(n as f64) * step).exp()).abs() < 1e-15
            );
        }
    }
}
