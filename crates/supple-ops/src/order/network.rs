//! Sorting networks, as layers of comparators that can be taken all at once.

use std::ops::Range;
use supple_core::choices;

choices! {
    /// Which values a sorting network compares.
    pub enum Network {
        /// Odd-even transposition: neighbours only, in n layers.
        OddEven = "odd_even",
        /// Bitonic: merges of ever longer runs, in about ½ log₂² n layers.
        Bitonic = "bitonic",
    }
}

impl Network {
    /// The layers for `n` wires. The first wire of each comparator gets the minimum.
    ///
    /// Bitonic: each merge of two ascending runs first compares the one with the mirror image of the other,
    /// then halves again and again. This is the network of 2ᵏ ≥ n wires with its first 2ᵏ − n left out, as if
    /// −∞ lay there: all runs ascend, so it would stay. The form with runs that alternate between ascending
    /// and descending has the same outputs if nothing is left out; if something is, it need not sort
    /// (n = 22).
    pub(super) fn layers(self, n: usize) -> impl DoubleEndedIterator<Item = Layer> {
        let (depth, doublings) = match self {
            Self::OddEven => (n, 0),
            Self::Bitonic => (0, n.next_power_of_two().ilog2()),
        };
        let neighbours = move |l: usize| {
            let first = l % 2;
            Layer { wires: first..first + n.saturating_sub(first) / 2 * 2, log_half: 0, mirrored: false }
        };
        let layer = move |log_half, mirrored| Layer { wires: 0..n, log_half, mirrored };
        let merge = move |run| (0..=run).rev().map(move |half| layer(half, half == run && half > 0));
        (0..depth).map(neighbours).chain((0..doublings).flat_map(merge))
    }

    /// The layers in order or in reverse, each with the numbers of its comparators.
    pub(super) fn for_each_layer(self, n: usize, reversed: bool, mut visit: impl FnMut(Layer, Range<usize>)) {
        if reversed {
            let mut end = self.size(n);
            for layer in self.layers(n).rev() {
                let start = end - layer.len();
                visit(layer, start..end);
                end = start;
            }
        } else {
            let mut start = 0;
            for layer in self.layers(n) {
                let end = start + layer.len();
                visit(layer, start..end);
                start = end;
            }
        }
    }

    /// The number of comparators.
    pub(crate) fn size(self, n: usize) -> usize {
        self.layers(n).map(|layer| layer.len()).sum()
    }

    /// The comparators one by one, with the wires that are left out in place. For oracles.
    pub(super) fn comparators(self, n: usize) -> Vec<(usize, usize)> {
        if self == Self::OddEven {
            return (0..n).flat_map(|l| (l % 2 + 1..n).step_by(2).map(|b| (b - 1, b))).collect();
        }
        let (wires, mut all) = (n.next_power_of_two(), vec![]);
        let absent = wires - n;
        for run in (0..wires.ilog2()).map(|k| 1 << k) {
            let mut half = run;
            while half > 0 {
                for a in (0..wires).filter(|a| a & half == 0) {
                    let b = if half == run { a ^ (2 * run - 1) } else { a + half };
                    if a >= absent {
                        all.push((a - absent, b - absent));
                    }
                }
                half /= 2;
            }
        }
        all
    }
}

/// Comparators between the lower and the upper halves of neighbouring blocks.
pub(super) struct Layer {
    /// What the blocks cover. The last ends where this ends; the first may be short, at its front.
    wires: Range<usize>,
    /// Half the length of a block, as a power of two.
    log_half: u32,
    /// Whether the upper halves are taken backwards.
    mirrored: bool,
}

impl Layer {
    /// The number of comparators.
    pub fn len(&self) -> usize {
        let (half, short) = (1 << self.log_half, self.short());
        (self.wires.len() - short) / 2 + short.saturating_sub(half)
    }

    /// The length of the block that may be short.
    fn short(&self) -> usize {
        self.wires.len() & ((2 << self.log_half) - 1)
    }

    /// Calls with each comparator's number and its two elements.
    #[inline(always)]
    pub fn for_each_pair<E>(&self, x: &mut [E], mut visit: impl FnMut(usize, &mut E, &mut E)) {
        let (half, mut number) = (1 << self.log_half, 0);
        let (short, blocks) = x[self.wires.clone()].split_at_mut(self.short());
        for block in std::iter::once(short).chain(blocks.chunks_exact_mut(2 * half)) {
            let pairs = block.len().saturating_sub(half);
            let (lower, upper) = block.split_at_mut(self.upper(block.len(), pairs).start);
            for (k, a) in lower[..pairs].iter_mut().enumerate() {
                visit(number + k, a, &mut upper[if self.mirrored { pairs - 1 - k } else { k }]);
            }
            number += pairs;
        }
    }

    /// Copies the first wires of the comparators to `a` and the second to `b`.
    pub fn split<T: Copy>(&self, x: &mut [T], a: &mut [T], b: &mut [T]) {
        self.for_each_block(x, a, b, |x, a, b| {
            a.copy_from_slice(&x[..a.len()]);
            b.copy_from_slice(&x[self.upper(x.len(), b.len())]);
            if self.mirrored {
                b.reverse();
            }
        });
    }

    /// Copies them back.
    pub fn join<T: Copy>(&self, x: &mut [T], a: &mut [T], b: &mut [T]) {
        self.for_each_block(x, a, b, |x, a, b| {
            x[..a.len()].copy_from_slice(a);
            let upper = self.upper(x.len(), b.len());
            x[upper.clone()].copy_from_slice(b);
            if self.mirrored {
                x[upper].reverse();
            }
        });
    }

    /// Where in a block the second wires are.
    #[inline(always)]
    fn upper(&self, block: usize, pairs: usize) -> Range<usize> {
        if self.mirrored { pairs..2 * pairs } else { block - pairs..block }
    }

    /// Calls with a block and its parts of `a` and `b`. Short blocks have a length that the compiler knows.
    #[inline(always)]
    fn for_each_block<T>(
        &self,
        x: &mut [T],
        a: &mut [T],
        b: &mut [T],
        visit: impl Fn(&mut [T], &mut [T], &mut [T]),
    ) {
        let half = 1 << self.log_half;
        let (short, x) = x[self.wires.clone()].split_at_mut(self.short());
        let pairs = short.len().saturating_sub(half);
        let ((a_short, a), (b_short, b)) = (a.split_at_mut(pairs), b.split_at_mut(pairs));
        visit(short, a_short, b_short);
        match half {
            1 => for_each_of::<T, 1, 2>(x, a, b, visit),
            2 => for_each_of::<T, 2, 4>(x, a, b, visit),
            4 => for_each_of::<T, 4, 8>(x, a, b, visit),
            _ => {
                let halves = a.chunks_exact_mut(half).zip(b.chunks_exact_mut(half));
                x.chunks_exact_mut(2 * half).zip(halves).for_each(|(x, (a, b))| visit(x, a, b));
            }
        }
    }
}

#[inline(always)]
fn for_each_of<T, const HALF: usize, const BLOCK: usize>(
    x: &mut [T],
    a: &mut [T],
    b: &mut [T],
    visit: impl Fn(&mut [T], &mut [T], &mut [T]),
) {
    let halves = a.as_chunks_mut::<HALF>().0.iter_mut().zip(b.as_chunks_mut::<HALF>().0);
    x.as_chunks_mut::<BLOCK>().0.iter_mut().zip(halves).for_each(|(x, (a, b))| visit(x, a, b));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the 0-1 principle, a network that sorts all zeros and ones sorts everything. The bits of a word are
    /// 64 inputs at once.
    #[test]
    fn every_network_sorts_at_every_length() {
        for (network, n) in
            [Network::OddEven, Network::Bitonic].into_iter().flat_map(|k| (0..18).map(move |n| (k, n)))
        {
            let words = (1usize << n).div_ceil(64);
            for word in 0..words {
                let bit = |wire: usize| (0..64).map(|i| (((word * 64 + i) >> wire & 1) as u64) << i).sum();
                let mut x: Vec<u64> = (0..n).map(bit).collect();
                for layer in network.layers(n) {
                    let (mut a, mut b) = (vec![0; layer.len()], vec![0; layer.len()]);
                    layer.split(&mut x, &mut a, &mut b);
                    a.iter_mut().zip(&mut b).for_each(|(a, b)| (*a, *b) = (*a & *b, *a | *b));
                    layer.join(&mut x, &mut a, &mut b);
                }
                assert!(x.windows(2).all(|pair| pair[0] & !pair[1] == 0), "{network:?} of {n}");
            }
        }
    }

    #[test]
    fn layers_hold_the_comparators_of_the_definition() {
        for (network, n) in
            [Network::OddEven, Network::Bitonic].into_iter().flat_map(|k| (0..70).map(move |n| (k, n)))
        {
            let mut expected = network.comparators(n).into_iter();
            for layer in network.layers(n) {
                let mut wires: Vec<usize> = (0..n).collect();
                let (mut a, mut b) = (vec![0; layer.len()], vec![0; layer.len()]);
                layer.split(&mut wires, &mut a, &mut b);
                for pair in a.iter().copied().zip(b) {
                    assert_eq!(Some(pair), expected.next(), "{network:?} of {n}");
                }
            }
            assert_eq!(expected.next(), None);
        }
    }
}
