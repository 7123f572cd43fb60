//! What only the entropic form needs.

use super::super::permutahedron::{middle, real};
use super::{Saved, SoftRank};
use supple_core::{Real, Scratch};
use supple_numerics::elementary::{exp_slice, sum_by};

impl SoftRank {
    /// The entropic form where all values share one block, of which `last` is the largest: their order does not
    /// matter.
    pub(super) fn write_entropic_block<T: Real>(
        &self,
        x: &[T],
        last: T,
        y: &mut [T],
        saved: &mut Saved<T::Acc>,
        scratch: &mut Scratch<T>,
    ) {
        let rate = T::Acc::of(1.0 / self.softness);
        let mut terms = scratch.wide.empty();
        terms.extend(x.iter().map(|&x| (self.signed(x).widen() - last.widen()) * rate));
        exp_slice(&mut terms);
        let total = real(x.len()) * middle(0, x.len());
        let factor = T::Acc::of(total) / sum_by(&terms, &terms, |term, _| term);
        y.iter_mut().zip(&terms).for_each(|(y, &term)| *y = T::narrow(term * factor));
        saved.block.resize(x.len(), 1);
        saved.weights.push(total);
        scratch.wide.give(terms);
    }
}
