//! Sobol's sequence in any number of dimensions.
//!
//! Point $i = \sum_b i_b 2^b$ has the coordinates $\bigoplus_b i_b v_b$: an exclusive or of direction numbers
//! $v_b = m_b / 2^{b+1}$. The first coordinate has all $m_b = 1$ (van der Corput's sequence); each other has
//! a primitive polynomial $x^s + a_1 x^{s-1} + \dots + a_{s-1} x + 1$ over GF(2), in order of size, and
//!
//! $$m_b = 2 a_1 m_{b-1} \oplus \dots \oplus 2^{s-1} a_{s-1} m_{b-s+1} \oplus 2^s m_{b-s} \oplus m_{b-s}$$
//!
//! after $s$ odd initial numbers $m_b < 2^{b+1}$. Those of the first 53 dimensions are Joe and Kuo's
//! (*Constructing Sobol sequences with better two-dimensional projections*, SIAM J. Sci. Comput. 2008, their
//! list new-joe-kuo-6.21201), chosen for good projections on pairs of coordinates. Beyond, they are random
//! but the same in all runs, and pairs may be bad: of few points, some coordinates are even equal. Each
//! coordinate alone is even: of the first $2^k$ points, one is in each cell of length $2^{-k}$.
//!
//! For `count` points, with $2^k$ the next power of two, points are put in the middle of these cells instead
//! of at their left ends, of which the first is 0. No point is left out, which would spoil the evenness
//! (Owen, *On dropping the first Sobol' point*, 2020). The order is that of $i$, not of its Gray code.
//!
//! Scrambled, each bit of a coordinate is flipped or not by a random bit that belongs to all bits above it
//! (nested uniform scrambling; Owen, *Randomly permuted (t, m, s)-nets and (t, s)-sequences*, 1995). Below
//! the first $k$ bits no two points share those above, so the rest of each point is a uniform of its own.
//! Points stay as even as they were, each is uniform, and coordinates are scrambled independently.
//!
//! Cost: O(1) for each number, O(k) scrambled. Polynomials are searched for once, in half a second for
//! 21 000 dimensions.

use std::sync::{Arc, Mutex, PoisonError};
use supple_core::Stream;

/// Initial numbers of dimensions 2 to 53, those with polynomials of degree up to 8.
const INITIAL: [&[u64]; 52] = [
    &[1],
    &[1, 3],
    &[1, 3, 1],
    &[1, 1, 1],
    &[1, 1, 3, 3],
    &[1, 3, 5, 13],
    &[1, 1, 5, 5, 17],
    &[1, 1, 5, 5, 5],
    &[1, 1, 7, 11, 19],
    &[1, 1, 5, 1, 1],
    &[1, 1, 1, 3, 11],
    &[1, 3, 5, 5, 31],
    &[1, 3, 3, 9, 7, 49],
    &[1, 1, 1, 15, 21, 21],
    &[1, 3, 1, 13, 27, 49],
    &[1, 1, 1, 15, 7, 5],
    &[1, 3, 1, 15, 13, 25],
    &[1, 1, 5, 5, 19, 61],
    &[1, 3, 7, 11, 23, 15, 103],
    &[1, 3, 7, 13, 13, 15, 69],
    &[1, 1, 3, 13, 7, 35, 63],
    &[1, 3, 5, 9, 1, 25, 53],
    &[1, 3, 1, 13, 9, 35, 107],
    &[1, 3, 1, 5, 27, 61, 31],
    &[1, 1, 5, 11, 19, 41, 61],
    &[1, 3, 5, 3, 3, 13, 69],
    &[1, 1, 7, 13, 1, 19, 1],
    &[1, 3, 7, 5, 13, 19, 59],
    &[1, 1, 3, 9, 25, 29, 41],
    &[1, 3, 5, 13, 23, 1, 55],
    &[1, 3, 7, 3, 13, 59, 17],
    &[1, 3, 1, 3, 5, 53, 69],
    &[1, 1, 5, 5, 23, 33, 13],
    &[1, 1, 7, 7, 1, 61, 123],
    &[1, 1, 7, 9, 13, 61, 49],
    &[1, 3, 3, 5, 3, 55, 33],
    &[1, 3, 1, 15, 31, 13, 49, 245],
    &[1, 3, 5, 15, 31, 59, 63, 97],
    &[1, 3, 1, 11, 11, 11, 77, 249],
    &[1, 3, 1, 11, 27, 43, 71, 9],
    &[1, 1, 7, 15, 21, 11, 81, 45],
    &[1, 3, 7, 3, 25, 31, 65, 79],
    &[1, 3, 1, 1, 19, 11, 3, 205],
    &[1, 1, 5, 9, 19, 21, 29, 157],
    &[1, 3, 7, 11, 1, 33, 89, 185],
    &[1, 3, 3, 3, 15, 9, 79, 71],
    &[1, 3, 7, 11, 15, 39, 119, 27],
    &[1, 1, 3, 1, 11, 31, 97, 225],
    &[1, 1, 1, 3, 23, 43, 57, 177],
    &[1, 3, 7, 7, 17, 17, 37, 71],
    &[1, 3, 1, 5, 27, 63, 123, 213],
    &[1, 1, 3, 5, 11, 43, 53, 133],
];

/// Fills `u` with the middles of the cells of `count >= 1` points in `n >= 1` dimensions.
pub(super) fn fill(count: usize, n: usize, u: &mut [f64]) {
    each_coordinate(count, n, |coordinate, bits, column| {
        let cell = 1.0 / (1u64 << bits) as f64;
        let u = u[coordinate..].iter_mut().step_by(n);
        u.zip(column).for_each(|(u, x)| *u = (*x as f64 + 0.5) * cell);
    });
}

/// As [`fill`], scrambled by the stream of each coordinate.
pub(super) fn fill_scrambled(count: usize, n: usize, stream: impl Fn(usize) -> Stream, u: &mut [f64]) {
    let mut flips = vec![];
    each_coordinate(count, n, |coordinate, bits, column| {
        let mut stream = stream(coordinate);
        flips.clear();
        flips.extend((0..(1usize << bits).div_ceil(64)).map(|_| stream.bits()));
        for (u, x) in u[coordinate..].iter_mut().step_by(n).zip(column) {
            let mut scrambled = *x;
            for below in 0..bits {
                // The bits above this one, with a leading 1: a node of the tree of cells.
                let node = (1u64 << bits | *x) >> (below + 1);
                scrambled ^= (flips[node as usize / 64] >> (node % 64) & 1) << below;
            }
            let rest = stream.bits() >> 12 >> bits;
            *u = ((scrambled << (52 - bits) | rest) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64);
        }
    });
}

/// Calls `visit(coordinate, bits, column)` with each coordinate of the first `count` points, in units of
/// $2^{-bits}$.
fn each_coordinate(count: usize, n: usize, mut visit: impl FnMut(usize, u32, &[u64])) {
    let bits = count.next_power_of_two().trailing_zeros();
    let polynomials = polynomials(n - 1);
    let mut column = vec![0; count];
    for coordinate in 0..n {
        for (bit, m) in numbers(coordinate, &polynomials, bits as usize).into_iter().enumerate() {
            let direction = m << (bits as usize - bit - 1);
            let (done, next) = column.split_at_mut(1 << bit);
            next.iter_mut().zip(done).for_each(|(next, done)| *next = *done ^ direction);
        }
        visit(coordinate, bits, &column);
    }
}

/// The first `count` of the numbers `m` of a coordinate.
fn numbers(coordinate: usize, polynomials: &[u64], count: usize) -> Vec<u64> {
    let Some(before) = coordinate.checked_sub(1) else { return vec![1; count] };
    let polynomial = polynomials[before];
    let degree = polynomial.ilog2() as usize;
    let mut m: Vec<u64> = match INITIAL.get(before) {
        Some(initial) => initial.to_vec(),
        None => {
            let mut stream = Stream::new(0, coordinate, 0);
            (1..=degree).map(|bits| stream.bits() >> (64 - bits) | 1).collect()
        }
    };
    for i in degree..count {
        let terms = (1..=degree).filter(|back| polynomial >> (degree - back) & 1 == 1);
        let next = terms.fold(m[i - degree], |next, back| next ^ m[i - back] << back);
        m.push(next);
    }
    m.truncate(count);
    m
}

/// At least the first `count` primitive polynomials over GF(2), bit `i` for $x^i$.
fn polynomials(count: usize) -> Arc<Vec<u64>> {
    static FOUND: Mutex<Option<Arc<Vec<u64>>>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let known = found.get_or_insert_default();
    if known.len() < count {
        let from = known.last().map_or(3, |last| last + 2);
        let more = (from..).step_by(2).filter(|polynomial| is_primitive(*polynomial));
        *known = Arc::new(known.iter().copied().chain(more).take(count).collect());
    }
    known.clone()
}

/// Whether the powers of $x$ run through all polynomials of lower degree but 0.
fn is_primitive(polynomial: u64) -> bool {
    let order = (1 << polynomial.ilog2()) - 1;
    let is_one = |exponent: u64| power_of_x(exponent, polynomial) == 1;
    // With an even number of terms, x + 1 is a factor.
    let has_root = polynomial.count_ones().is_multiple_of(2) && polynomial != 3;
    !has_root && is_one(order) && prime_factors(order).all(|prime| !is_one(order / prime))
}

/// $x^e$ modulo a polynomial.
fn power_of_x(exponent: u64, polynomial: u64) -> u64 {
    let degree = polynomial.ilog2();
    let times_x = |a: u64| if a >> (degree - 1) == 1 { a << 1 ^ polynomial } else { a << 1 };
    let square = |a: u64| (0..degree).rev().fold(0, |sum, bit| times_x(sum) ^ (a * (a >> bit & 1)));
    let bits = (0..u64::BITS - exponent.leading_zeros()).rev();
    bits.fold(1, |power, bit| {
        let square = square(power);
        if exponent >> bit & 1 == 1 { times_x(square) } else { square }
    })
}

/// The primes that divide a number.
fn prime_factors(mut number: u64) -> impl Iterator<Item = u64> {
    let mut candidate = 1;
    std::iter::from_fn(move || {
        if number == 1 {
            return None;
        }
        while candidate == 1 || !number.is_multiple_of(candidate) {
            candidate = if candidate * candidate > number { number } else { candidate + 1 };
        }
        while number.is_multiple_of(candidate) {
            number /= candidate;
        }
        Some(candidate)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_primitive_polynomials_as_there_should_be() {
        // φ(2ᵈ − 1) / d of degree d.
        let counts = [1, 1, 2, 2, 6, 6, 18, 16, 48, 60, 176, 144, 630];
        let found = polynomials(counts.iter().sum::<usize>() + 1);
        for (degree, count) in (1..).zip(counts) {
            assert_eq!(found.iter().filter(|p| p.ilog2() == degree).count(), count, "degree {degree}");
        }
        // The middle coefficients of those of degree 5 and 8, as Joe and Kuo list them.
        let middle = |of: std::ops::Range<usize>, degree| {
            found[of].iter().map(|p| (p ^ (1u64 << degree)) >> 1).collect::<Vec<_>>()
        };
        assert_eq!(middle(6..12, 5), [2u64, 4, 7, 11, 13, 14]);
        assert_eq!(middle(36..52, 8), [14u64, 21, 22, 38, 47, 49, 50, 52, 56, 67, 70, 84, 97, 103, 115, 122]);
    }

    #[test]
    fn factors_are_prime() {
        let factors = |n| prime_factors(n).collect::<Vec<_>>();
        assert_eq!(factors(1), []);
        assert_eq!(factors((1 << 11) - 1), [23, 89]);
        assert_eq!(factors((1 << 12) - 1), [3, 5, 7, 13]);
        assert_eq!(factors((1 << 13) - 1), [8191]);
    }

    #[test]
    fn numbers_are_odd_and_in_range() {
        let polynomials = polynomials(1999);
        for coordinate in 0..2000 {
            let m = numbers(coordinate, &polynomials, 20);
            assert_eq!(m.len(), 20);
            assert!(m.iter().enumerate().all(|(i, m)| m % 2 == 1 && *m < 2 << i), "{coordinate}: {m:?}");
        }
        let table = polynomials.iter().zip(INITIAL);
        assert!(table.into_iter().all(|(p, initial)| p.ilog2() as usize == initial.len()));
    }
}
