//! LapSum's relaxed permutation matrix of sorted values, by its thresholds.
//!
//! Everything is said by the kernel $e^{-|s - t| / \varepsilon}$ between a threshold and the nearest value on
//! either side, and between neighbouring values: an entry on one side of both thresholds of its row is half a
//! difference of two such products, and no difference of two numbers near 1.

use std::ops::Range;
use supple_core::{Real, Scratch};
use supple_numerics::elementary::sum_by;
use supple_numerics::laplace::Line;

/// Products of decays below this are left out of a row.
const LEAST: f64 = 1e-304;

/// The matrix of finite values in ascending order. Threshold `k` is between the rows `k` and `k + 1`.
pub(super) struct LaplaceRows<A> {
    /// The kernel between the values before and after each gap; 0 before the first value and after the last.
    decay: Vec<A>,
    /// How many values are at or below each threshold.
    places: Vec<u32>,
    /// What of the sum of the kernel about a threshold the last value below it has, and the first above.
    from_below: Vec<A>,
    from_above: Vec<A>,
    /// Half these sums: the rates, in units of 1/ε, at which the numbers of values below grow.
    heights: Vec<A>,
    softness: f64,
}

/// Where a row ends, by the kernel to the neighbouring values: 0 if there are none.
#[derive(Clone, Copy)]
struct End<A> {
    place: usize,
    to_below: A,
    to_above: A,
}

/// A row. Entries inside are 1 less what lies beyond either end; others fall off from there.
struct Row<A> {
    /// The values between the two thresholds.
    inside: Range<usize>,
    /// What the first inside has beyond the lower threshold, and the last beyond the upper one.
    below_first: A,
    above_last: A,
    /// The entries of the nearest values outside.
    before: A,
    after: A,
}

impl<A: Real<Acc = A>> LaplaceRows<A> {
    /// From finite values in ascending order.
    pub fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self {
        let n = sorted.len();
        let line = Line::new(sorted, softness, scratch);
        let mut decay = scratch.wide.zeros(n + 1);
        decay[1..n.max(1)].copy_from_slice(line.decays());
        let mut places = scratch.indices.empty();
        let [mut from_below, mut from_above, mut heights] = [(); 3].map(|()| scratch.wide.empty());
        line.quantiles(sorted, softness, (1..n).map(|k| k as f64), scratch, |quantile| {
            let excess = places.len() as f64 + 1.0 - quantile.place as f64;
            let decay = decay[quantile.place];
            // With the height h, the parts are the kernel to either side over 2h, and the product of these
            // two kernels is the decay.
            let height = if excess != 0.0 && decay < A::of(1e-200) {
                A::of(excess.abs())
            } else if decay <= A::zero() {
                A::zero()
            } else {
                A::of(0.5) * (decay / (quantile.from_below * quantile.from_above)).sqrt()
            };
            places.push(quantile.place as u32);
            from_below.push(quantile.from_below);
            from_above.push(quantile.from_above);
            heights.push(height);
        });
        line.give(scratch);
        Self { decay, places, from_below, from_above, heights, softness }
    }

    /// Gives the room back.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        let Self { decay, places, from_below, from_above, heights, .. } = self;
        [decay, from_below, from_above, heights].into_iter().for_each(|buffer| scratch.wide.give(buffer));
        scratch.indices.give(places);
    }

    fn len(&self) -> usize {
        self.decay.len() - 1
    }

    fn end(&self, k: usize) -> End<A> {
        let twice = A::of(2.0) * self.heights[k];
        End {
            place: self.places[k] as usize,
            to_below: twice * self.from_below[k],
            to_above: twice * self.from_above[k],
        }
    }

    /// Visits the rows in order.
    fn for_each_row(&self, mut visit: impl FnMut(usize, Row<A>)) {
        let (n, half, zero) = (self.len(), A::of(0.5), A::zero());
        let mut low = End { place: 0, to_below: zero, to_above: zero };
        for k in 0..n {
            let last = End { place: n, to_below: zero, to_above: zero };
            let high = if k + 1 < n { self.end(k) } else { last };
            // The kernel from the value before the lower end to the last one before the upper end, and from
            // the one after the lower end to that after the upper end.
            let (mut to_last, mut to_next) = (A::one(), A::one());
            for j in low.place..high.place {
                to_last *= self.decay[j];
                to_next *= self.decay[j + 1];
            }
            visit(
                k,
                Row {
                    inside: low.place..high.place,
                    below_first: half * low.to_above,
                    above_last: half * high.to_below,
                    before: half * (low.to_below - high.to_below * to_last),
                    after: half * (high.to_above - low.to_above * to_next),
                },
            );
            low = high;
        }
    }

    /// The entries of a row between its thresholds.
    fn inside(&self, row: &Row<A>, entries: &mut Vec<A>) {
        entries.clear();
        let (mut below, mut above) = (row.below_first, row.above_last);
        for j in row.inside.clone() {
            entries.push(A::one() - below);
            below *= self.decay[j + 1];
        }
        for (j, entry) in row.inside.clone().zip(entries).rev() {
            *entry -= above;
            above *= self.decay[j];
        }
    }

    /// Visits the values before `place`, from the last, and those from `place` on, with what is left of two
    /// numbers there.
    #[inline(always)]
    fn outwards(&self, ends: Range<usize>, [before, after]: [A; 2], mut visit: impl FnMut(usize, A)) {
        let least = A::of(LEAST);
        let (mut left, mut j) = (before, ends.start);
        while j > 0 && left > least {
            j -= 1;
            visit(j, left);
            left *= self.decay[j];
        }
        let (mut left, mut j) = (after, ends.end);
        while j < self.len() && left > least {
            visit(j, left);
            j += 1;
            left *= self.decay[j];
        }
    }

    /// Visits the entries that are not negligible, row by row, with their row and column.
    pub fn for_each_entry<T: Real<Acc = A>>(
        &self,
        scratch: &mut Scratch<T>,
        mut visit: impl FnMut(usize, usize, A),
    ) {
        let mut entries = scratch.wide.empty();
        self.for_each_row(|k, row| {
            self.inside(&row, &mut entries);
            row.inside.clone().zip(&entries).for_each(|(j, &entry)| visit(k, j, entry));
            self.outwards(row.inside, [row.before, row.after], |j, entry| visit(k, j, entry));
        });
        scratch.wide.give(entries);
    }

    /// Adds what the values get where entry `j` of row `k` has the cotangent `to_entry(k, j)`, to `dz`.
    ///
    /// A threshold has more of the values below it for each value that moves down, and moves itself so that
    /// their number stays.
    pub fn pull<T: Real<Acc = A>>(
        &self,
        to_entry: impl Fn(usize, usize) -> A,
        dz: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let rate = A::of(1.0 / self.softness);
        let mut near = scratch.wide.empty();
        for (k, &height) in self.heights.iter().enumerate() {
            if height.is_zero() {
                continue;
            }
            let place = self.places[k] as usize;
            let kernel = [self.from_below[k], self.from_above[k]];
            let mut mean = A::zero();
            near.clear();
            self.outwards(place..place, kernel, |j, weight| {
                let change = to_entry(k, j) - to_entry(k + 1, j);
                mean += weight * change;
                near.push(change);
            });
            let mut changes = near.iter();
            self.outwards(place..place, kernel, |j, weight| {
                if let Some(&change) = changes.next() {
                    dz[j] += rate * height * weight * (mean - change);
                }
            });
        }
        scratch.wide.give(near);
    }

    /// Adds up, in matrices of `d` columns, what each value gets from the values up to it, and from those from
    /// it on.
    fn accumulate(&self, below: &mut [A], above: &mut [A], d: usize) {
        let n = self.len();
        for (up, down) in (1..n).zip((1..n).rev()) {
            let (from, to) = below[(up - 1) * d..(up + 1) * d].split_at_mut(d);
            to.iter_mut().zip(from).for_each(|(to, from)| *to += self.decay[up] * *from);
            let (to, from) = above[(down - 1) * d..(down + 1) * d].split_at_mut(d);
            to.iter_mut().zip(from).for_each(|(to, from)| *to += self.decay[down] * *from);
        }
    }

    /// Adds `P v` to `out`, or `Pᵀ v`. Both have `d` columns.
    pub fn product<T: Real<Acc = A>>(
        &self,
        transposed: bool,
        v: &[A],
        d: usize,
        out: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let mut entries = scratch.wide.empty();
        let (mut below, mut above) = if transposed {
            (scratch.wide.zeros(v.len()), scratch.wide.zeros(v.len()))
        } else {
            (scratch.wide.copy(v), scratch.wide.copy(v))
        };
        if !transposed {
            self.accumulate(&mut below, &mut above, d);
        }
        self.for_each_row(|k, row| {
            self.inside(&row, &mut entries);
            let own = k * d..(k + 1) * d;
            let before = row.inside.start.checked_sub(1).map(|j| j * d..(j + 1) * d);
            let after = (row.inside.end < self.len()).then_some(row.inside.end * d..(row.inside.end + 1) * d);
            if transposed {
                for (j, &entry) in row.inside.zip(&entries) {
                    add(entry, &v[own.clone()], &mut out[j * d..(j + 1) * d]);
                }
                // What goes to the values before the row starts at the last of them.
                before.into_iter().for_each(|j| add(row.before, &v[own.clone()], &mut above[j]));
                after.into_iter().for_each(|j| add(row.after, &v[own.clone()], &mut below[j]));
            } else {
                let out = &mut out[own];
                for (j, &entry) in row.inside.zip(&entries) {
                    add(entry, &v[j * d..(j + 1) * d], out);
                }
                before.into_iter().for_each(|j| add(row.before, &below[j], out));
                after.into_iter().for_each(|j| add(row.after, &above[j], out));
            }
        });
        if transposed {
            self.accumulate(&mut below, &mut above, d);
            let sums = below.iter().zip(&above);
            out.iter_mut().zip(sums).for_each(|(out, (&below, &above))| *out += below + above);
        }
        [entries, below, above].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    /// Adds the gradient of `⟨a, P b⟩` in the sorted values to `dz`. Both have `d` columns.
    ///
    /// As [`pull`](Self::pull) does, with inner products of rows for the cotangents of the entries: the sums
    /// over values near a threshold, and over thresholds near a value, are running sums for each column.
    pub fn pull_columns<T: Real<Acc = A>>(
        &self,
        a: &[A],
        b: &[A],
        d: usize,
        dz: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let rate = A::of(1.0 / self.softness);
        let (mut below, mut above) = (scratch.wide.copy(b), scratch.wide.copy(b));
        self.accumulate(&mut below, &mut above, d);
        // What the thresholds send to the values below and above: the differences of the rows of `a`, and the
        // means over values of their products with the rows of `b`.
        let [mut down, mut up] = [(); 2].map(|()| scratch.wide.zeros(b.len()));
        let [mut mean_down, mut mean_up] = [(); 2].map(|()| scratch.wide.zeros(self.len()));
        for (k, &height) in self.heights.iter().enumerate() {
            let place = self.places[k] as usize;
            let (row, next) = a[k * d..(k + 2) * d].split_at(d);
            let before = place.checked_sub(1).map(|j| (j, self.from_below[k]));
            let after = (place < self.len()).then_some((place, self.from_above[k]));
            let along = |sums: &[A], (j, part): (usize, A)| {
                let sums = &sums[j * d..(j + 1) * d];
                let products = row.iter().zip(next).zip(sums).map(|((&row, &next), &sum)| (row - next) * sum);
                part * products.sum::<A>()
            };
            let mean = before.map_or(A::zero(), |near| along(&below, near))
                + after.map_or(A::zero(), |near| along(&above, near));
            for (near, means, sent) in [(before, &mut mean_down, &mut down), (after, &mut mean_up, &mut up)] {
                if let Some((j, part)) = near {
                    let part = height * part;
                    means[j] += part * mean;
                    let sent = sent[j * d..(j + 1) * d].iter_mut();
                    sent.zip(row.iter().zip(next))
                        .for_each(|(sent, (&row, &next))| *sent += part * (row - next));
                }
            }
        }
        self.accumulate(&mut up, &mut down, d);
        self.accumulate(&mut mean_up, &mut mean_down, 1);
        for (j, dz) in dz.iter_mut().enumerate() {
            let own = j * d..(j + 1) * d;
            let sent = sum_by(&b[own.clone()], &down[own.clone()], |a, b| a * b)
                + sum_by(&b[own.clone()], &up[own], |a, b| a * b);
            *dz += rate * (mean_down[j] + mean_up[j] - sent);
        }
        let buffers = [below, above, down, up, mean_down, mean_up];
        buffers.into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }
}

/// `into += factor · row`.
fn add<A: Real>(factor: A, row: &[A], into: &mut [A]) {
    into.iter_mut().zip(row).for_each(|(into, &value)| *into += factor * value);
}

/// The matrix by its definition, with thresholds by bisection. For oracles.
pub(super) fn naive(x: &[f64], softness: f64, descending: bool) -> Vec<Vec<f64>> {
    let below = |t: f64| if t < 0.0 { 0.5 * t.exp() } else { 1.0 - 0.5 * (-t).exp() };
    let reach = 50.0 * softness + x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
    let threshold = |k: usize| {
        let (mut low, mut high) = (-reach, reach);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            let reached: f64 = x.iter().map(|x| below((middle - x) / softness)).sum();
            if reached < k as f64 { low = middle } else { high = middle }
        }
        low
    };
    let n = x.len();
    let mut ends = vec![f64::NEG_INFINITY];
    ends.extend((1..n).map(threshold));
    ends.push(f64::INFINITY);
    let entry = |ends: &[f64], x: f64| below((ends[1] - x) / softness) - below((ends[0] - x) / softness);
    let mut rows: Vec<Vec<f64>> =
        ends.windows(2).map(|ends| x.iter().map(|&x| entry(ends, x)).collect()).collect();
    if descending {
        rows.reverse();
    }
    rows
}
