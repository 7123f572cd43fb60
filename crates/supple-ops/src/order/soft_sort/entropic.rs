//! What only the entropic form needs.

use super::super::permutahedron::{blocks, real};
use super::SoftSort;
use std::ops::Range;
use supple_core::{Real, Scratch};
use supple_numerics::elementary::ln_slice;
use supple_numerics::isotonic::{self, Line};

impl SoftSort {
    /// The entropic outputs and weights of a partition.
    pub(super) fn write_entropic<T: Real>(
        &self,
        z: &[T],
        starts: &[u32],
        y: &mut [T],
        weights: &mut Vec<T>,
        scratch: &mut Scratch<T>,
    ) {
        let step = 1.0 / self.softness;
        let numbers = isotonic::numbers(starts, scratch);
        let from_first = |k: usize, block: Range<usize>| z[block.start].widen() - z[k].widen();
        let (sums, terms) = isotonic::exponentials(starts, &numbers, from_first, scratch);
        let mut levels = scratch.wide.empty();
        let mut line = Line::new(step, scratch);
        levels.extend(
            sums.iter().zip(blocks(starts)).map(|(&sum, block)| sum / T::Acc::of(line.sum(block.len()))),
        );
        line.give(scratch);
        ln_slice(&mut levels);
        // Of each block, the first output, and the factor of its weights.
        let mut outputs = sums;
        let mut factors = scratch.wide.empty();
        factors.extend(outputs.iter().map(|&sum| T::Acc::one() / sum));
        for ((output, &level), &start) in outputs.iter_mut().zip(&levels).zip(starts) {
            *output = z[start as usize].widen() - level;
        }
        weights.resize(z.len(), T::zero());
        for ((((k, &b), y), weight), &term) in numbers.iter().enumerate().zip(y).zip(weights).zip(&terms) {
            let from_first = real(k - starts[b as usize] as usize) * step;
            *y = self.signed(T::narrow(outputs[b as usize] + T::Acc::of(from_first)));
            *weight = T::narrow(term * factors[b as usize]);
        }
        scratch.indices.give(numbers);
        [outputs, factors, levels, terms].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }
}
