//! The one multiplier that a projection onto the section of a box by a plane has to find:
//! λ with $\sum_i c_i \min(\max(x_i + \lambda c_i, l_i), u_i) = s$.
//!
//! The sum never falls as λ grows, and is linear between the breakpoints at which an entry leaves one of its
//! bounds or reaches the other. Newton's method, kept in a bracket, ends on the right piece after a few
//! passes. Where it does not, random pivots among the breakpoints halve what is left, so that it takes O(n)
//! expected on any data.
//!
//! Only values are looked at: tangents are for the caller to bring.

use supple_core::{Real, Stream};

/// Entries that are taken together, for the compiler to keep in vectors.
const LANES: usize = 8;

/// One entry: $y = \min(\max(x + \lambda c, l), u)$.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// x, the point.
    pub point: f64,
    /// c, its weight in the sum.
    pub weight: f64,
    /// l, which may be −∞.
    pub lower: f64,
    /// u, which may be ∞.
    pub upper: f64,
}

impl Entry {
    /// Its place at a multiplier.
    #[inline(always)]
    pub fn at(self, multiplier: f64) -> f64 {
        let y = self.point + multiplier * self.weight;
        let y = if y > self.lower { y } else { self.lower };
        if y < self.upper { y } else { self.upper }
    }

    /// The multipliers between which it is free. None where it never moves.
    pub fn free(self) -> Option<(f64, f64)> {
        let Self { point, weight, lower, upper } = self;
        let ends = if weight > 0.0 { (lower, upper) } else { (upper, lower) };
        let free = ((ends.0 - point) / weight, (ends.1 - point) / weight);
        (weight != 0.0 && free.0 < free.1).then_some(free)
    }

    /// What it adds to the sum at the smallest and the largest multiplier.
    pub fn reach(self) -> (f64, f64) {
        let Self { weight, lower, upper, .. } = self;
        match weight {
            0.0 => (0.0, 0.0),
            c if c > 0.0 => (c * lower, c * upper),
            c => (c * upper, c * lower),
        }
    }
}

/// The entries of a section.
pub trait Section {
    /// All but the last few, in rows.
    fn rows(&self) -> impl Iterator<Item = [Entry; LANES]>;
    /// The last few.
    fn rest(&self) -> impl Iterator<Item = Entry>;
    /// All in order.
    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.rows().flatten().chain(self.rest())
    }
}

/// Entries with weight one in [0, 1].
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a, X>(pub &'a [X]);

impl<X: Real> Unit<'_, X> {
    #[inline(always)]
    fn entry(x: X) -> Entry {
        Entry { point: x.as_f64(), weight: 1.0, lower: 0.0, upper: 1.0 }
    }
}

impl<X: Real> Section for Unit<'_, X> {
    #[inline]
    fn rows(&self) -> impl Iterator<Item = [Entry; LANES]> {
        self.0.as_chunks::<LANES>().0.iter().map(|x| x.map(Self::entry))
    }
    #[inline]
    fn rest(&self) -> impl Iterator<Item = Entry> {
        self.0.as_chunks::<LANES>().1.iter().map(|&x| Self::entry(x))
    }
}

/// Entries with weights and bounds of their own, in slices of one length.
#[derive(Debug, Clone, Copy)]
pub struct Weighted<'a, X, T> {
    /// The point.
    pub x: &'a [X],
    /// Weights.
    pub weights: &'a [T],
    /// Lower bounds.
    pub lower: &'a [T],
    /// Upper bounds.
    pub upper: &'a [T],
}

impl<X: Real, T: Real> Weighted<'_, X, T> {
    #[inline(always)]
    fn entry(x: X, [weight, lower, upper]: [T; 3]) -> Entry {
        let [weight, lower, upper] = [weight, lower, upper].map(T::as_f64);
        Entry { point: x.as_f64(), weight, lower, upper }
    }
}

impl<X: Real, T: Real> Section for Weighted<'_, X, T> {
    #[inline]
    fn rows(&self) -> impl Iterator<Item = [Entry; LANES]> {
        let [weights, lower, upper] =
            [self.weights, self.lower, self.upper].map(|x| x.as_chunks::<LANES>().0);
        let rows = self.x.as_chunks::<LANES>().0.iter().zip(weights).zip(lower.iter().zip(upper));
        rows.map(|((x, c), (l, u))| std::array::from_fn(|i| Self::entry(x[i], [c[i], l[i], u[i]])))
    }
    #[inline]
    fn rest(&self) -> impl Iterator<Item = Entry> {
        let [weights, lower, upper] =
            [self.weights, self.lower, self.upper].map(|x| x.as_chunks::<LANES>().1);
        let rest = self.x.as_chunks::<LANES>().1.iter().zip(weights).zip(lower.iter().zip(upper));
        rest.map(|((&x, &c), (&l, &u))| Self::entry(x, [c, l, u]))
    }
}

/// The sum at a multiplier, its slope, and the sum of the absolute terms.
#[derive(Clone, Copy, Default)]
struct Sums {
    value: f64,
    slope: f64,
    size: f64,
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, entry: Entry, multiplier: f64) {
        let y = entry.at(multiplier);
        let square = entry.weight * entry.weight;
        self.value += entry.weight * y;
        self.slope += if (y > entry.lower) & (y < entry.upper) { square } else { 0.0 };
        self.size += (entry.weight * y).abs();
    }

    fn at(section: &impl Section, multiplier: f64) -> Self {
        let mut lanes = [Self::default(); LANES];
        for row in section.rows() {
            lanes.iter_mut().zip(row).for_each(|(sums, entry)| sums.add(entry, multiplier));
        }
        lanes.iter_mut().zip(section.rest()).for_each(|(sums, entry)| sums.add(entry, multiplier));
        lanes.into_iter().fold(Self::default(), |a, b| Self {
            value: a.value + b.value,
            slope: a.slope + b.slope,
            size: a.size + b.size,
        })
    }
}

/// An interval that holds the multiplier.
#[derive(Clone, Copy)]
struct Bracket {
    low: f64,
    high: f64,
}

impl Bracket {
    fn holds(self, at: f64) -> bool {
        self.low < at && at < self.high
    }

    fn is_finite(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    fn narrow(&mut self, at: f64, multiplier_is_above: bool) {
        *(if multiplier_is_above { &mut self.low } else { &mut self.high }) = at;
    }

    /// The middle, or the end that is finite.
    fn some(self) -> f64 {
        match (self.low.is_finite(), self.high.is_finite()) {
            (true, true) => self.low + 0.5 * (self.high - self.low),
            (true, false) => self.low,
            (false, true) => self.high,
            (false, false) => 0.0,
        }
    }
}

/// A multiplier at which the sum is `total`, to the round-off of multiplier and sum.
///
/// `total` is to be finite and between the sums of [`Entry::reach`]. Where the sum is flat, any multiplier of
/// the flat piece is returned. NaN is to be kept out; it is returned where an infinite entry has no bound.
///
/// Where the point is large against the bounds, as at a large offset, the multiplier is rounded as the point
/// is. Call it again with the point moved by it.
pub fn multiplier(section: &impl Section, total: f64) -> f64 {
    const PASSES: usize = 16;
    let mut bracket = Bracket { low: f64::NEG_INFINITY, high: f64::INFINITY };
    let mut at = 0.0;
    for _ in 0..PASSES {
        let sums = Sums::at(section, at);
        let missing = total - sums.value;
        if !missing.is_finite() {
            return f64::NAN;
        }
        if missing.abs() <= 4.0 * f64::EPSILON * sums.size {
            return at;
        }
        bracket.narrow(at, missing > 0.0);
        let newton = at + missing / sums.slope;
        if newton == at {
            return at;
        }
        at = match bracket.holds(newton) {
            true => newton,
            false if bracket.is_finite() => bracket.some(),
            false => break,
        };
    }
    by_pivots(section, total, bracket)
}

fn by_pivots(section: &impl Section, total: f64, mut bracket: Bracket) -> f64 {
    let mut undecided: Vec<(Entry, (f64, f64))> =
        section.entries().filter_map(|entry| Some((entry, entry.free()?))).collect();
    // What the decided entries add: a constant, and what grows with the multiplier.
    let (mut constant, mut slope) = (0.0, 0.0);
    let fixed = section.entries().filter(|entry| entry.free().is_none() && entry.weight != 0.0);
    constant += fixed.map(|entry| entry.weight * entry.at(0.0)).sum::<f64>();
    let mut random = Stream::new(2, undecided.len(), 0);
    loop {
        undecided.retain(|&(entry, (enter, leave))| {
            if bracket.holds(enter) || bracket.holds(leave) {
                return true;
            }
            if leave <= bracket.low {
                constant += entry.reach().1;
            } else if enter >= bracket.high {
                constant += entry.reach().0;
            } else {
                constant += entry.weight * entry.point;
                slope += entry.weight * entry.weight;
            }
            false
        });
        if undecided.is_empty() {
            return if slope > 0.0 {
                ((total - constant) / slope).clamp(bracket.low, bracket.high)
            } else {
                bracket.some()
            };
        }
        let (_, (enter, leave)) = undecided[random.below(undecided.len())];
        let pivot = if bracket.holds(enter) { enter } else { leave };
        let open: f64 = undecided.iter().map(|(entry, _)| entry.weight * entry.at(pivot)).sum();
        bracket.narrow(pivot, constant + slope * pivot + open <= total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let point =
            prop_oneof![4 => -3.0..3.0f64, 2 => (-4i32..4).prop_map(|i| i as f64 / 2.0), 1 => -1e9..1e9];
        let weight = prop_oneof![3 => -2.0..2.0f64, 1 => Just(1.0), 1 => Just(0.0), 1 => 1e-6..1e-3f64];
        let lower = prop_oneof![3 => -2.0..1.0f64, 1 => Just(f64::NEG_INFINITY), 1 => Just(0.0)];
        let width = prop_oneof![3 => 0.0..2.0f64, 1 => Just(f64::INFINITY), 1 => Just(1.0)];
        let entry = (point, weight, lower, width).prop_map(|(point, weight, lower, width)| {
            let upper = if lower.is_finite() { lower + width } else { width.min(3.0) };
            Entry { point, weight, lower, upper }
        });
        prop::collection::vec(entry, 1..40)
    }

    struct Plain(Vec<Entry>);

    impl Section for Plain {
        fn rows(&self) -> impl Iterator<Item = [Entry; LANES]> {
            self.0.as_chunks::<LANES>().0.iter().copied()
        }
        fn rest(&self) -> impl Iterator<Item = Entry> {
            self.0.as_chunks::<LANES>().1.iter().copied()
        }
    }

    /// The point moved by the multiplier, which is found twice.
    fn solve(entries: &[Entry], total: f64, find: impl Fn(&Plain, f64) -> f64) -> Vec<f64> {
        let mut section = Plain(entries.to_vec());
        for _ in 0..2 {
            let at = find(&section, total);
            section.0.iter_mut().for_each(|e| e.point += at * e.weight);
        }
        section.0.iter().map(|entry| entry.at(0.0)).collect()
    }

    const ANYWHERE: Bracket = Bracket { low: f64::NEG_INFINITY, high: f64::INFINITY };

    proptest! {
        #[test]
        fn the_sum_is_met(entries in entries(), part in 0.0..=1.0f64) {
            let (low, high) = entries.iter().map(|e| e.reach())
                .fold((0.0, 0.0), |a: (f64, f64), b| (a.0 + b.0, a.1 + b.1));
            let (low, high) = (low.max(-50.0), high.min(50.0));
            prop_assume!(low <= high);
            let total = (low + part * (high - low)).clamp(low, high);
            let ways: [&dyn Fn(&Plain, f64) -> f64; 2] =
                [&|s, total| multiplier(s, total), &|s, total| by_pivots(s, total, ANYWHERE)];
            let found = ways.map(|find| solve(&entries, total, find));
            for y in &found {
                let sum: f64 = y.iter().zip(&entries).map(|(y, e)| y * e.weight).sum();
                let size: f64 = y.iter().zip(&entries).map(|(y, e)| (y * e.weight).abs()).sum();
                prop_assert!((sum - total).abs() <= 1e-12 * (size + total.abs()), "{sum} for {total}");
            }
            for ((a, b), e) in found[0].iter().zip(&found[1]).zip(&entries) {
                let scale = 1.0 + a.abs() + e.point.abs() * 1e-3;
                prop_assert!((a - b).abs() <= 1e-9 * scale, "{a} {b} {e:?}");
            }
        }
    }

    #[test]
    fn no_data_are_slow() {
        let n = 200_000;
        let spread = |i: usize| -(1.0 - 1.0 / (1.0 + i as f64));
        let halving = |i: usize| 2f64.powi(-((i % 1000) as i32));
        let wide = |i: usize| (i as f64).exp2().min(1e15) * if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        for x in [&spread as &dyn Fn(usize) -> f64, &halving, &wide] {
            let x: Vec<f64> = (0..n).map(x).collect();
            let start = std::time::Instant::now();
            for total in [0.5, 1000.0, n as f64 / 2.0] {
                let at = multiplier(&Unit(&x), total);
                let moved: Vec<f64> = x.iter().map(|x| x + at).collect();
                let at = multiplier(&Unit(&moved), total);
                let sum: f64 = moved.iter().map(|x| (x + at).clamp(0.0, 1.0)).sum();
                assert!((sum - total).abs() < 1e-9 * total, "{sum} for {total}");
            }
            assert!(start.elapsed().as_secs() < 5);
        }
    }

    #[test]
    fn what_is_not_finite_ends_well() {
        let inf = f64::INFINITY;
        assert_eq!(multiplier(&Unit(&[-inf, inf, 0.0]), 1.5), 0.5);
        let open = Weighted { x: &[inf], weights: &[1.0], lower: &[0.0], upper: &[inf] };
        assert!(multiplier(&open, 1.0).is_nan());
        assert_eq!(multiplier(&Unit::<f64>(&[]), 0.0), 0.0);
    }
}
