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
