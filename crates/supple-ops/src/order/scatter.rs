//! Values written to the places that a permutation says.

use supple_core::{Real, Scratch};

/// From this length on, two arrays of four bytes are larger than a second-level cache.
const FAR: usize = 1 << 18;
/// Places are put in order by stretches of this length, which fit the first-level cache.
const STRETCH: usize = 1 << 12;

/// Values on their way to places `0..n`, each with a number.
///
/// Beyond the caches, every write to a random place waits for memory. There values are first collected by
/// stretches of places, at as many ends as there are stretches, and then written stretch by stretch.
pub(super) struct Scatter<T> {
    /// Place and number of each value; empty where values are written at once.
    keys: Vec<u64>,
    values: Vec<T>,
    /// How many values each stretch has.
    counts: Vec<u32>,
}

impl<T: Real> Scatter<T> {
    pub fn new(n: usize, scratch: &mut Scratch<T>) -> Self {
        let n = if n < FAR { 0 } else { n.next_multiple_of(STRETCH) };
        Self {
            keys: scratch.keys.stale(n),
            values: scratch.reals.stale(n),
            counts: scratch.indices.zeros(n / STRETCH),
        }
    }

    /// Takes a value for a place that had none; `write` gets those that need not wait.
    #[inline(always)]
    pub fn put(&mut self, place: u32, value: T, number: u32, write: impl FnOnce(u32, T, u32)) {
        if self.keys.is_empty() {
            return write(place, value, number);
        }
        let stretch = place as usize / STRETCH;
        debug_assert!(self.counts[stretch] < STRETCH as u32, "place {place} is taken twice");
        let at = stretch * STRETCH + self.counts[stretch] as usize;
        self.counts[stretch] += 1;
        self.keys[at] = u64::from(place) << 32 | u64::from(number);
        self.values[at] = value;
    }

    /// `write` gets the values that had to wait.
    pub fn finish(self, scratch: &mut Scratch<T>, mut write: impl FnMut(u32, T, u32)) {
        for (stretch, &count) in self.counts.iter().enumerate() {
            let collected = stretch * STRETCH..stretch * STRETCH + count as usize;
            for (&key, &value) in self.keys[collected.clone()].iter().zip(&self.values[collected]) {
                write((key >> 32) as u32, value, key as u32);
            }
        }
        scratch.keys.give(self.keys);
        scratch.reals.give(self.values);
        scratch.indices.give(self.counts);
    }
}

#[cfg(test)]
mod tests {
    use super::FAR;
    use crate::order::{SoftRank, average_ranks};
    use ndarray::{Array1, aview1};
    use supple_core::{Scratch, evaluate, linearize};

    #[test]
    fn long_items_may_have_infinities() {
        let inf = f32::INFINITY;
        // All different, because the number of values is prime.
        let n = FAR + 3;
        let mut x: Vec<f32> = (0..n).map(|i| (i * 7919 % n) as f32).collect();
        (x[5], x[100_000], x[n - 1]) = (-inf, -inf, inf);
        for descending in [false, true] {
            let hard = SoftRank { softness: 0.5, descending, ..SoftRank::default() };
            let mut expected = vec![0.0; n];
            average_ranks(&x, descending, &mut expected, &mut Scratch::default());
            // The second time, buffers hold what the first one left.
            for _ in 0..2 {
                let [ranks] = evaluate(&hard, [aview1(&x).into_dyn()]).unwrap();
                assert!(ranks.iter().eq(&expected));
            }
            let one_block = SoftRank { softness: 1e9, ..hard };
            let at = linearize(&one_block, [aview1(&x).into_dyn()]).unwrap();
            let mut dy = Array1::zeros(n);
            dy[7] = 1e9;
            let [dx] = at.vjp([dy.into_dyn().view()]).unwrap();
            let (sign, share) = (if descending { -1.0 } else { 1.0 }, 1.0 / (n - 3) as f64);
            for (i, &dx) in dx.iter().enumerate() {
                let expected = if x[i].is_infinite() { 0.0 } else { f64::from(u8::from(i == 7)) - share };
                assert!((f64::from(dx) - sign * expected).abs() <= 1e-6 * expected.abs(), "{i} {dx}");
            }
        }
    }
}
