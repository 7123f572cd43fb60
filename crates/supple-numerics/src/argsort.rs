//! Sorting with indices.
//!
//! The top 32 bits of each value's key (all of it for `f32`) and its position are packed into one
//! `u64`. Packed keys are distinct, so an unstable sort of them is a stable sort of the values. Short
//! slices go to a sorting network in vector registers, or else to the standard library's sort; longer ones to
//! a radix sort from the least significant digit, with digits of 8 or 11 bits: 2048 counters fit the
//! first-level cache. Where the machine has a wide network, the longest are dealt into buckets of its size,
//! whose bounds follow the data, so that memory is passed over once.
//!
//! `f64` keys are taken relative to the smallest and shifted so that their range fills the 32 bits; the
//! few that still agree are put in order afterwards.

use crate::bitonic;
use supple_core::{Float, Pool, Real, Scratch};

/// From this length on, a radix sort with digits of 8 bits is faster.
const LONG: usize = 256;
/// From this length on, digits of 11 bits pay for their longer tables.
const VERY_LONG: usize = 6000;
/// From this length on, keys are beyond the second-level cache, or near: one pass in buckets is faster.
const HUGE: usize = 30_000;
/// From this length on, a second array of keys is not kept.
const VAST: usize = 1 << 22;
/// The network takes least time for each of so many keys.
const BUCKET: usize = 256;
/// More buckets than this are too many places of memory to write to in turn.
const MOST_BUCKETS: usize = 1024;

/// The stable sorting permutation of `x` and its sorted values, in the [total order](Real::order) or
/// its reverse. Equal values keep their order either way.
///
/// Tangents of duals follow their values. Both vectors come from `scratch`; give them back to
/// `scratch.indices` and `scratch.reals`, and the next call will not allocate.
///
/// `x` must have fewer than 2³² elements.
///
/// ```
/// # use supple_core::Scratch;
/// # use supple_numerics::argsort::argsort;
/// let (order, sorted) = argsort(&[2.0, 7.0, 2.0, 1.0], true, &mut Scratch::default());
/// assert_eq!(order, [1, 0, 2, 3]);
/// assert_eq!(sorted, [7.0, 2.0, 2.0, 1.0]);
/// ```
pub fn argsort<T: Real>(x: &[T], descending: bool, scratch: &mut Scratch<T>) -> (Vec<u32>, Vec<T>) {
    let bits = 8 * size_of::<T::Value>() as u32;
    let reverse = if descending { u64::MAX >> (64 - bits) } else { 0 };
    let key = |x: T| x.value().key() ^ reverse;
    let (least, shift) = if bits > 32 { compression(x, key) } else { (0, 0) };

    let mut packed = scratch.keys.empty();
    packed.extend(x.iter().zip(0..).map(|(&x, i)| ((key(x) - least) >> shift) << 32 | i));
    if !bitonic::sort(&mut packed) {
        match x.len() {
            0..LONG => packed.sort_unstable(),
            LONG..VERY_LONG => radix_sort::<8, 4, 256>(&mut packed, &mut scratch.keys),
            HUGE.. if bitonic::most() > BUCKET => {
                let mut dealt = scratch.keys.stale(packed.len());
                bucket_sort(&mut packed, &mut dealt, &mut scratch.indices);
                std::mem::swap(&mut packed, &mut dealt);
                // Of the longest, memory counts for more than the time to ask for it again.
                if dealt.len() < VAST {
                    scratch.keys.give(dealt);
                }
            }
            _ => radix_sort::<11, 3, 2048>(&mut packed, &mut scratch.keys),
        }
    }
    if shift > 0 {
        let full_key = |packed: u64| (key(x[position(packed)]), packed);
        for ties in packed.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|ties| ties.len() > 1) {
            ties.sort_unstable_by_key(|&packed| full_key(packed));
        }
    }

    let (mut order, mut sorted) = (scratch.indices.stale(x.len()), scratch.reals.stale(x.len()));
    for ((order, sorted), &packed) in order.iter_mut().zip(&mut sorted).zip(&packed) {
        *order = packed as u32;
        // The value is all there is to a plain `f32`, and its key holds it: no look-up.
        *sorted = match size_of::<T>() {
            4 => T::constant(T::Value::from_key((packed >> 32) ^ reverse)),
            _ => x[position(packed)],
        };
    }
    scratch.keys.give(packed);
    (order, sorted)
}

fn position(packed: u64) -> usize {
    packed as u32 as usize
}

/// The smallest key, and the shift that makes differences to it fit 32 bits.
fn compression<T: Real>(x: &[T], key: impl Fn(T) -> u64) -> (u64, u32) {
    let (least, most) = x.iter().fold((u64::MAX, 0), |(least, most), &x| {
        let key = key(x);
        (key.min(least), key.max(most))
    });
    (least, 32u32.saturating_sub(most.saturating_sub(least).leading_zeros()))
}

/// Sorts by the upper halves, stably.
fn radix_sort<const WIDTH: u32, const DIGITS: usize, const BUCKETS: usize>(
    packed: &mut Vec<u64>,
    pool: &mut Pool<u64>,
) {
    const { assert!(BUCKETS == 1 << WIDTH && WIDTH as usize * DIGITS >= 32) };
    let digit = |packed: u64, place: usize| (packed >> (32 + WIDTH * place as u32)) as usize % BUCKETS;
    let mut counts = [[0u32; BUCKETS]; DIGITS];
    for &packed in &*packed {
        for (place, counts) in counts.iter_mut().enumerate() {
            counts[digit(packed, place)] += 1;
        }
    }
    let mut other = pool.stale(packed.len());
    for (place, counts) in counts.iter_mut().enumerate() {
        let first = packed.first().map_or(0, |&packed| digit(packed, place));
        if counts[first] as usize == packed.len() {
            continue;
        }
        let mut start = 0;
        for count in counts.iter_mut() {
            start += std::mem::replace(count, start);
        }
        for &packed in &*packed {
            let next = &mut counts[digit(packed, place)];
            other[*next as usize] = packed;
            *next += 1;
        }
        std::mem::swap(packed, &mut other);
    }
    pool.give(other);
}

/// Writes `keys` to `sorted` in order, if keys with equal upper halves already are in theirs. What is left in
/// `keys` has no meaning.
///
/// Keys are counted by their leading bits, relative to the smallest; neighbours in these counts make up a
/// bucket, as long as they are few together.
fn bucket_sort(keys: &mut [u64], sorted: &mut [u64], pool: &mut Pool<u32>) {
    let (least, most) =
        keys.iter().fold((u64::MAX, 0), |(least, most), &key| (key.min(least), key.max(most)));
    let (base, range) = (least >> 32 << 32, (most >> 32) - (least >> 32));
    if range == 0 {
        return sorted.copy_from_slice(keys);
    }
    // A number of counters in proportion to the keys, and no more than the second-level cache holds.
    let width = (keys.len().ilog2() - 2).min(16);
    let shift = 32 + (64 - range.leading_zeros()).saturating_sub(width);
    let place = |key: u64| ((key - base) >> shift) as usize;

    let mut buckets = pool.zeros(1 << width);
    keys.iter().for_each(|&key| buckets[place(key)] += 1);
    let limit = BUCKET.max(keys.len() / MOST_BUCKETS) as u32;
    let (mut starts, mut end) = (pool.empty(), 0);
    starts.push(0);
    // Each count becomes the number of its bucket.
    for count in &mut buckets {
        let next = end + *count;
        if next - starts[starts.len() - 1] > limit {
            starts.push(end);
        }
        *count = starts.len() as u32 - 1;
        end = next;
    }
    for &key in &*keys {
        let next = &mut starts[buckets[place(key)] as usize];
        sorted[*next as usize] = key;
        *next += 1;
    }
    // Each start has become the end of its bucket.
    let mut start = 0;
    for &end in &starts {
        let bucket = start..end as usize;
        start = bucket.end;
        let sorted = &mut sorted[bucket.clone()];
        match sorted.len() {
            _ if bitonic::sort(sorted) => {}
            0..=BUCKET => sorted.sort_unstable(),
            _ => {
                keys[bucket.clone()].copy_from_slice(sorted);
                bucket_sort(&mut keys[bucket], sorted, pool);
            }
        }
    }
    pool.give(starts);
    pool.give(buckets);
}

#[cfg(test)]
mod tests {
    use super::*;
    use supple_core::{Dual, Stream};

    fn check<T: Real>(x: &[T], scratch: &mut Scratch<T>) {
        for descending in [false, true] {
            let mut expected: Vec<u32> = (0..x.len() as u32).collect();
            expected.sort_by(|&i, &j| {
                let order = x[i as usize].order(&x[j as usize]);
                if descending { order.reverse() } else { order }
            });
            let (order, sorted) = argsort(x, descending, scratch);
            assert!(order == expected, "{} elements, descending {descending}", x.len());
            for (&i, sorted) in order.iter().zip(&sorted) {
                assert!(sorted.value().key() == x[i as usize].value().key());
            }
            scratch.indices.give(order);
            scratch.reals.give(sorted);
        }
    }

    const SIZES: [usize; 12] =
        [0, 1, 2, 3, 100, LONG - 1, LONG, LONG + 1, VERY_LONG - 1, VERY_LONG, VERY_LONG + 1, HUGE];

    /// Values of many kinds, with ties and everything that is special.
    fn samples(n: usize) -> Vec<Vec<f64>> {
        let mut random = Stream::new(n as u64, 0, 0);
        let normals = random.normals(n);
        let special =
            [f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-310, -1e-40, f64::MAX, 1.0];
        let mixed = |x: &f64| if random.uniform() < 0.5 { special[random.below(10)] } else { *x };
        vec![
            normals.iter().map(mixed).collect(),
            normals.iter().map(|x| (2.0 * x).round()).collect(),
            // Keys that agree in the leading bits, but for one.
            normals.iter().map(|x| if *x > 2.0 { 1e300 } else { 1e9 + x * 1e-6 }).collect(),
            vec![0.5; n],
            (0..n).rev().map(|i| i as f64).collect(),
            normals,
        ]
    }

    #[test]
    fn agrees_with_a_stable_sort() {
        let (mut single, mut double) = (Scratch::default(), Scratch::default());
        for x in SIZES.into_iter().flat_map(samples) {
            check(&x, &mut double);
            check(&x.iter().map(|&x| x as f32).collect::<Vec<_>>(), &mut single);
        }
    }

    /// Their keys are few, so that a bucket of many elements has several of them.
    #[test]
    fn long_arrays_of_values_close_to_each_other() {
        let random = &mut Stream::new(0, 0, 0);
        for (n, range) in [(1_100_000, 4.0), (1_100_000, 1e-3), (40_000, 1e-2)] {
            let x: Vec<f32> = (0..n).map(|_| (1000.0 + range * random.uniform()) as f32).collect();
            check(&x, &mut Scratch::default());
        }
    }

    #[test]
    fn tangents_follow_their_values() {
        let scratch = &mut Scratch::default();
        for n in SIZES {
            let x: Vec<_> = (0..n).map(|i| Dual::new((i * 7919 % 1009) as f32, i as f32)).collect();
            check(&x, scratch);
            let (order, sorted) = argsort(&x, false, scratch);
            assert!(order.iter().zip(sorted).all(|(&i, x)| x.d == i as f32));
        }
    }
}
