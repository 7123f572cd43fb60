//! Where a level cuts a weighted sample.

use super::domain;
use supple_core::{Fault, Float, Real, Scratch};

/// A sample in two parts, the lower one first, and what the level has beyond the lower part.
///
/// For levels above one half the sample is that of `−x` at `1 − q`, so that the level is the smaller tail and
/// keeps its digits.
pub(super) struct Split<A> {
    /// Values with weight; negated if `mirrored`.
    pub points: Vec<A>,
    /// Their weights, of which the largest is 1.
    pub masses: Vec<A>,
    /// How many are in the lower part.
    pub below: usize,
    /// The level less the mass of the lower part: at most half the mass of the entry at the cut.
    pub excess: f64,
    /// The values on both sides of the cut, the same one unless the level falls between two entries.
    pub ends: (f64, f64),
    /// What one unit in the last place of `q` is in mass.
    pub resolution: f64,
    /// What weights were divided by.
    pub heaviest: f64,
    /// Whether `x` was negated.
    pub mirrored: bool,
}

impl<A: Real<Acc = A>> Split<A> {
    /// Splits `x`, which is without NaN, at the level `q`, from 0 to 1: a weighted selection, O(n).
    ///
    /// A level that meets the mass of several whole entries to one unit in the last place of `q` is taken to
    /// fall between two entries; `excess` is 0 then.
    pub fn new<T: Real<Acc = A>>(
        x: &[T],
        weights: &[T],
        q: f64,
        scratch: &mut Scratch<T>,
    ) -> Result<Self, Fault> {
        let heaviest = domain::heaviest(weights)?;
        let mirrored = q > 0.5;
        let sign = if mirrored { -1.0 } else { 1.0 };
        let point = |i: u32| sign * x[i as usize].as_f64();
        let mass = |i: u32| weights[i as usize].as_f64() / heaviest;
        let mut order = scratch.indices.empty();
        order.extend((0..).zip(weights).filter(|(_, w)| w.as_f64() > 0.0).map(|(i, _): (u32, _)| i));
        let total: f64 = order.iter().map(|&i| mass(i)).sum();
        let level = total * if mirrored { 1.0 - q } else { q };

        // The entry at the cut is in `start..end`, what is before has the mass `reached`.
        let (mut start, mut end, mut reached) = (0, order.len(), 0.0);
        while end - start > 1 {
            let half = (end - start) / 2;
            order[start..end].select_nth_unstable_by_key(half, |&i| point(i).key());
            let more: f64 = order[start..start + half].iter().map(|&i| mass(i)).sum();
            if reached + more > level {
                end = start + half;
            } else {
                reached += more;
                start += half;
            }
        }
        let (mut below, mut excess) = (start, level - reached);
        let cut = order[start];
        if excess > 0.5 * mass(cut) {
            below += 1;
            excess -= mass(cut);
        }
        let mut ends = (point(cut), point(cut));
        let resolution = T::Value::EPSILON * q * total;
        if excess.abs() <= resolution && below > 0 && below < order.len() {
            excess = 0.0;
            ends.0 = order[..below].iter().map(|&i| point(i)).fold(f64::NEG_INFINITY, f64::max);
            ends.1 = order[below..].iter().map(|&i| point(i)).fold(f64::INFINITY, f64::min);
        }
        let (mut points, mut masses) = (scratch.wide.empty(), scratch.wide.empty());
        points.extend(order.iter().map(|&i| A::of(point(i))));
        masses.extend(order.iter().map(|&i| A::of(mass(i))));
        scratch.indices.give(order);
        Ok(Self { points, masses, below, excess, ends, resolution, heaviest, mirrored })
    }

    /// Returns the buffers.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        scratch.wide.give(self.points);
        scratch.wide.give(self.masses);
    }

    /// The point at the cut, the mean of two where the level falls between them.
    pub fn centre(&self) -> f64 {
        let (low, high) = self.ends;
        if low == high { low } else { 0.5 * low + 0.5 * high }
    }

    /// Back to the sign of `x`.
    pub fn mirror(&self, value: f64) -> f64 {
        if self.mirrored { -value } else { value }
    }
}
