//! Which entries may be above a threshold, found in one pass.

use super::{keep, largest};
use multiversion::multiversion;
use supple_core::{Float, Real};

/// Entries that are passed over together.
const ROW: usize = 32;
/// Fewer entries than these are as well looked at one by one.
const FEW: usize = 4 * ROW;
/// The number of candidates from which on it pays to look for a better bound.
const MANY: usize = 64;

/// Where entries are measured from, and in what unit: `z` stands for `(z − top) / unit`.
#[derive(Debug, Clone, Copy)]
pub struct Scale<'a, T: Real> {
    /// The largest entry.
    pub top: T::Value,
    /// Above zero.
    pub unit: f64,
    /// What [`peaks`] finds, or nothing.
    pub peaks: &'a [T],
}

impl<T: Real> Default for Scale<'_, T> {
    fn default() -> Self {
        Self { top: T::Value::zero(), unit: 1.0, peaks: &[] }
    }
}

impl<T: Real> Scale<'_, T> {
    /// Writes `entry` of what is above the threshold, `(z − top) / unit − threshold`, into zeros.
    ///
    /// What exceeds it is rounded last: rounded before, the threshold would be off for all of them alike.
    pub fn write(self, z: &[T], threshold: T::Acc, y: &mut [T], entry: impl Fn(T) -> T) {
        let (top, unit) = (T::Acc::of(self.top.to_f64()), T::Acc::of(self.unit));
        self.for_each_row(z, self.bound(threshold.as_f64()), |start, row| {
            for (y, &z) in y[start..start + row.len()].iter_mut().zip(row) {
                let excess = T::narrow((z.widen() - top) / unit - threshold);
                *y = entry(if excess > T::zero() { excess } else { T::zero() });
            }
            None
        });
    }

    /// Collects the entries, on this scale, that may be above the threshold at which some sum of what
    /// exceeds it is one. Returns a number that the threshold is not below, which is exceeded by all of
    /// them.
    ///
    /// `newton` is a step from such a number, for the entries that it is given, which must exceed it. The
    /// sum is convex and falls, so that no step goes too far; for few of the entries, even less far. So the
    /// bound may rise while entries are still being collected, and most of them never need to be.
    pub(super) fn collect(
        self,
        z: &[T],
        candidates: &mut Vec<T::Acc>,
        newton: impl Fn(&[T::Acc], f64) -> f64,
    ) -> f64 {
        let peaks = Scale { peaks: &[], ..self };
        let threshold = peaks.collect_above(self.peaks, -1.0, candidates, &newton);
        self.collect_above(z, threshold, candidates, &newton)
    }

    fn collect_above(
        self,
        z: &[T],
        mut threshold: f64,
        candidates: &mut Vec<T::Acc>,
        newton: impl Fn(&[T::Acc], f64) -> f64,
    ) -> f64 {
        let (top, unit) = (T::Acc::of(self.top.to_f64()), T::Acc::of(self.unit));
        let bound = self.bound(threshold);
        let (mut many, mut least) = (MANY, bound.to_f64());
        candidates.clear();
        self.for_each_row(z, bound, |_, row| {
            let before = candidates.len();
            candidates.extend(row.iter().map(|z| z.widen()));
            keep(candidates, before, |c| c.as_f64() >= least);
            candidates[before..].iter_mut().for_each(|c| *c = (*c - top) / unit);
            keep(candidates, before, |c| c.as_f64() > threshold);
            if candidates.len() < many {
                return None;
            }
            let next = newton(candidates, threshold);
            if next > threshold {
                threshold = next;
                keep(candidates, 0, |c| c.as_f64() > threshold);
            }
            many = MANY.max(2 * candidates.len());
            let bound = self.bound(threshold);
            least = bound.to_f64();
            Some(bound)
        });
        threshold
    }

    /// Visits the rows with an entry that is not below the bound, which the visitor may raise, and the places
    /// of their first entries.
    fn for_each_row(
        self,
        z: &[T],
        mut bound: T::Value,
        mut visit: impl FnMut(usize, &[T]) -> Option<T::Value>,
    ) {
        for (i, row) in z.chunks(ROW).enumerate() {
            let reached = match self.peaks.get(i) {
                Some(peak) => peak.value() >= bound,
                None => any(row, |z| z.value() >= bound),
            };
            if reached {
                bound = visit(ROW * i, row).unwrap_or(bound);
            }
        }
    }

    /// A value that no entry above the threshold is below, however it is rounded.
    fn bound(self, threshold: f64) -> T::Value {
        let (top, margin) = (self.top.to_f64(), 4.0 * T::Value::EPSILON);
        T::Value::of(top + self.unit * (threshold - margin) - margin * top.abs())
    }
}

/// Whether one of the entries is so. Where it has as many as a row, it looks at all of them in one go.
#[inline]
pub fn any<T: Copy>(row: &[T], is: impl Fn(T) -> bool) -> bool {
    match <&[T; ROW]>::try_from(row) {
        Ok(row) => row.iter().fold(false, |any, &x| any | is(x)),
        Err(_) => row.iter().any(|&x| is(x)),
    }
}

/// Appends the largest entry of each row and of what is left over. Returns the largest value of all: NaN if
/// there is one, −∞ if there is nothing. In few entries there are no peaks worth having.
pub fn peaks<T: Real>(x: &[T], peaks: &mut Vec<T>) -> T::Value {
    if x.len() < FEW { largest(x) } else { push_peaks(x, peaks) }
}

#[multiversion(targets("x86_64+avx2"))]
fn push_peaks<T: Real>(x: &[T], peaks: &mut Vec<T>) -> T::Value {
    const HALF: usize = ROW / 2;
    let bottom = T::Value::of(f64::NEG_INFINITY);
    let (rows, rest) = x.as_chunks::<ROW>();
    peaks.reserve(rows.len() + 1);
    let (mut top, mut spoilt) = (bottom, false);
    for row in rows {
        // Plain loops over halves: they become vector code as they stand.
        let mut halves = [bottom; HALF];
        for (i, largest) in halves.iter_mut().enumerate() {
            let (a, b) = (row[i].value(), row[i + HALF].value());
            spoilt |= a.is_nan() | b.is_nan();
            *largest = greater(a, b);
        }
        let mut half = HALF / 2;
        while half > 0 {
            for i in 0..half {
                halves[i] = greater(halves[i], halves[i + half]);
            }
            half /= 2;
        }
        peaks.push(T::constant(halves[0]));
        top = greater(top, halves[0]);
    }
    let mut last = bottom;
    for x in rest {
        spoilt |= x.is_nan();
        last = greater(last, x.value());
    }
    peaks.push(T::constant(last));
    if spoilt { T::Value::nan() } else { greater(top, last) }
}

#[inline(always)]
fn greater<V: Float>(a: V, b: V) -> V {
    if b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::super::{scaled_simplex, scaled_squared_simplex};
    use super::*;
    use supple_core::Stream;

    /// Data that come in an order which is hard in one way each.
    fn data(n: usize) -> Vec<Vec<f64>> {
        let normals = Stream::new(0, 0, 0).normals(n);
        let mut ascending = normals.clone();
        ascending.sort_by(f64::total_cmp);
        let descending = ascending.iter().rev().copied().collect();
        let masked = normals.iter().enumerate().map(|(i, &x)| if i % 3 == 0 { f64::NEG_INFINITY } else { x });
        vec![masked.collect(), ascending, descending, vec![0.25; n], normals]
    }

    #[test]
    fn entries_sum_to_one_with_and_without_peaks() {
        for n in [1, 31, 32, 128, 129, 1000, 5000] {
            for x in data(n) {
                for (unit, offset) in [(1.0, 0.0), (0.01, 1e3), (30.0, -7.0), (1e-9, 0.0), (1e9, 1e9)] {
                    let x: Vec<f64> = x.iter().map(|x| x + offset).collect();
                    let mut found = vec![];
                    let top = peaks(&x, &mut found);
                    if !top.is_finite() {
                        continue;
                    }
                    assert_eq!(top, largest(&x));
                    for peaks in [&found[..], &[]] {
                        let scale = Scale { top, unit, peaks };
                        let sum = |threshold: f64, entry: fn(f64) -> f64| -> f64 {
                            let mut y = vec![0.0; n];
                            scale.write(&x, threshold, &mut y, entry);
                            let naive = x.iter().map(|x| entry(((x - top) / unit - threshold).max(0.0)));
                            assert!(naive.eq(y.iter().copied()), "n = {n}, unit {unit}");
                            y.iter().sum()
                        };
                        let linear = sum(scaled_simplex(&x, scale, &mut vec![]), |e| e);
                        let squared = sum(scaled_squared_simplex(&x, scale, &mut vec![]), |e| e * e);
                        assert!((linear - 1.0).abs() < 1e-12, "n = {n}, unit {unit}: {linear}");
                        assert!((squared - 1.0).abs() < 1e-12, "n = {n}, unit {unit}: {squared}");
                    }
                }
            }
        }
    }

    #[test]
    fn peaks_are_the_largest_of_each_row() {
        let x: Vec<f32> = Stream::new(1, 0, 0).normals(1000).iter().map(|&x| x as f32).collect();
        let mut found = vec![];
        peaks(&x, &mut found);
        assert!(x.chunks(ROW).map(largest).eq(found));
        for place in [0, 500, 999] {
            let mut spoilt = x.clone();
            spoilt[place] = f32::NAN;
            assert!(peaks(&spoilt, &mut vec![]).is_nan());
        }
    }
}
