//! Ranks of sorted values that are divided into blocks.

use super::super::permutahedron::{blocks, middle, real};
use super::super::scatter::Scatter;
use super::{Line, Saved};
use supple_core::{Real, Scratch};

/// Sorted values that are divided into blocks.
pub(super) struct Division<'a, T: Real> {
    pub line: Line<'a, T>,
    pub starts: &'a [u32],
    /// The number of the block of each position.
    pub numbers: &'a [u32],
    /// What the value of each block follows from.
    pub levels: Vec<T::Acc>,
}

impl<T: Real> Division<'_, T> {
    /// Makes levels of blocks, by their length, middle place and level, their weight and another level. Saves the
    /// weights, and returns the numbers under which they are: 0 for blocks of one.
    #[inline(always)]
    pub fn name(
        &mut self,
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
        of: impl Fn(f64, f64, T::Acc) -> (f64, T::Acc),
    ) -> Vec<u32> {
        let shared: usize = self.starts.windows(2).map(|ends| usize::from(ends[1] - ends[0] > 1)).sum();
        // Written for every block, kept for those of two and more: no branch that could not be predicted.
        let mut kept = saved.weights.len();
        saved.weights.resize(kept + shared + 1, 0.0);
        let mut names = scratch.indices.stale(self.levels.len());
        for ((level, name), block) in self.levels.iter_mut().zip(&mut names).zip(blocks(self.starts)) {
            let middle = middle(self.line.before + block.start, self.line.before + block.end);
            (saved.weights[kept], *level) = of(real(block.len()), middle, *level);
            let is_shared = usize::from(block.len() > 1);
            *name = (kept * is_shared) as u32;
            kept += is_shared;
        }
        saved.weights.truncate(kept);
        names
    }

    /// Writes the `rank` of each position of a block, and the name of the block.
    #[inline(always)]
    pub fn write(
        &self,
        names: Vec<u32>,
        y: &mut [T],
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
        rank: impl Fn(usize, usize) -> T::Acc,
    ) {
        saved.block.resize(y.len(), 0);
        let mut ranks = Scatter::new(y.len(), scratch);
        let mut write = |i: u32, rank, name| (y[i as usize], saved.block[i as usize]) = (rank, name);
        for (k, (&b, &place)) in self.numbers.iter().zip(self.line.order).enumerate() {
            ranks.put(place, T::narrow(rank(k, b as usize)), names[b as usize], &mut write);
        }
        ranks.finish(scratch, write);
        scratch.indices.give(names);
    }
}
