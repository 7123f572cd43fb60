//! What a sorting network of soft comparators does to something that is carried along with its keys.
//!
//! A comparator of keys $(a, b)$ mixes what comes with them by the same shares:
//! $(v_a, v_b)$ becomes $((1 - w) v_a + w v_b, w v_a + (1 - w) v_b)$ with $w = F((a - b) / \varepsilon)$. All of
//! them together are the relaxed permutation matrix of the network. Every one is symmetric, so its transpose is
//! the same in reverse order.

use super::network::Network;
use super::swap::{Distribution, apart};
use supple_core::{Real, Scratch};

/// Columns that are carried through the network together.
const WIDE: usize = 8;

/// A network for keys, with its comparators' parameters.
#[derive(Clone, Copy)]
pub(crate) struct Carrier {
    pub softness: f64,
    pub network: Network,
    pub distribution: Distribution,
    pub descending: bool,
    /// Whether it is the transposed matrix that acts.
    pub transposed: bool,
}

/// What each comparator did, layer by layer.
#[derive(Debug)]
pub struct Passage<T> {
    /// How much of the second wire goes to the first: `w`.
    shares: Vec<T>,
    /// `∂w/∂a`, which is `−∂w/∂b`.
    rates: Vec<T>,
    /// `∂min′/∂b`.
    slopes: Vec<T>,
}

impl<T> Default for Passage<T> {
    fn default() -> Self {
        Self { shares: vec![], rates: vec![], slopes: vec![] }
    }
}

impl Carrier {
    /// Sends the keys through the network.
    pub fn keys<T: Real>(&self, x: &[T], scratch: &mut Scratch<T>) -> Passage<T> {
        let size = self.network.size(x.len());
        let [mut shares, mut rates, mut slopes] = [(); 3].map(|()| vec![T::zero(); size]);
        let mut keys = scratch.reals.empty();
        keys.extend(x.iter().map(|&x| if self.descending { -x } else { x }));
        let [mut a, mut b] = [(); 2].map(|()| scratch.reals.zeros(x.len() / 2));
        let (softness, rate) = (T::of(self.softness), T::of(1.0 / self.softness));
        self.network.for_each_layer(x.len(), false, |layer, pairs| {
            let (a, b) = (&mut a[..pairs.len()], &mut b[..pairs.len()]);
            let (shares, rates, slopes) =
                (&mut shares[pairs.clone()], &mut rates[pairs.clone()], &mut slopes[pairs]);
            layer.split(&mut keys, a, b);
            for ((t, &a), &b) in slopes.iter_mut().zip(&*a).zip(&*b) {
                *t = apart(a, b) * rate;
            }
            self.distribution.tails(slopes, shares, rates);
            let steps = shares.iter_mut().zip(rates).zip(slopes);
            for ((a, b), ((share, density), t)) in a.iter_mut().zip(b.iter_mut()).zip(steps) {
                let swapped = *b < *a;
                let (low, high) = if swapped { (*b, *a) } else { (*a, *b) };
                let (error, slope) = (softness * (*t * *share), *share - *t * *density);
                (*a, *b) = (low + error, high - error);
                *t = if swapped { T::one() - slope } else { slope };
                *share = if swapped { T::one() - *share } else { *share };
                *density *= rate;
            }
            layer.join(&mut keys, a, b);
        });
        [keys, a, b].into_iter().for_each(|buffer| scratch.reals.give(buffer));
        Passage { shares, rates, slopes }
    }

    /// Carries a matrix. `load(row, column)` says what it holds, `store` gets what becomes of it.
    pub fn carry<T: Real>(
        &self,
        passage: &Passage<T>,
        [n, columns]: [usize; 2],
        load: impl Fn(usize, usize) -> T,
        mut store: impl FnMut(usize, usize, T),
        scratch: &mut Scratch<T>,
    ) {
        let mut buffer = scratch.reals.zeros(n * WIDE);
        each_block(columns, |first, width| {
            let load = |row, lane| load(row, first + lane);
            let store = |row, lane, value| store(row, first + lane, value);
            match width {
                1 => self.carry_block::<T, 1>(passage, &mut buffer[..n], width, load, store),
                _ => self.carry_block::<T, WIDE>(passage, &mut buffer, width, load, store),
            }
        });
        scratch.reals.give(buffer);
    }

    fn carry_block<T: Real, const W: usize>(
        &self,
        passage: &Passage<T>,
        buffer: &mut [T],
        width: usize,
        load: impl Fn(usize, usize) -> T,
        store: impl FnMut(usize, usize, T),
    ) {
        let (rows, _) = buffer.as_chunks_mut::<W>();
        fill(rows, width, load);
        self.network.for_each_layer(rows.len(), self.transposed, |layer, pairs| {
            let shares = &passage.shares[pairs];
            layer.for_each_pair(rows, |k, a, b| {
                mix(shares[k], a, b);
            });
        });
        empty(rows, width, store);
    }

    /// The gradients of [`carry`](Self::carry): `load` gives what was carried and the cotangent of what came
    /// of it, `store` gets the gradient to the matrix, and `dx` that to the keys.
    pub fn pull<T: Real>(
        &self,
        passage: &Passage<T>,
        [n, columns]: [usize; 2],
        load: impl Fn(usize, usize) -> [T; 2],
        mut store: impl FnMut(usize, usize, T),
        dx: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let size = passage.shares.len();
        let (mut buffer, mut record) = (scratch.reals.zeros(n * WIDE), scratch.reals.zeros(size * WIDE));
        let mut changes = scratch.wide.zeros(size);
        each_block(columns, |first, width| {
            let load = |row, lane| load(row, first + lane);
            let store = |row, lane, value| store(row, first + lane, value);
            let (passage, changes) = (passage, &mut changes[..]);
            match width {
                1 => {
                    let room = [&mut buffer[..n], &mut record[..size]];
                    self.pull_block::<T, 1>(passage, room, width, load, store, changes);
                }
                _ => {
                    let room = [&mut buffer[..], &mut record[..]];
                    self.pull_block::<T, WIDE>(passage, room, width, load, store, changes);
                }
            }
        });
        self.pull_keys(passage, &changes, dx, scratch);
        scratch.reals.give(buffer);
        scratch.reals.give(record);
        scratch.wide.give(changes);
    }

    /// Adds to `changes` those of the shares.
    fn pull_block<T: Real, const W: usize>(
        &self,
        passage: &Passage<T>,
        [buffer, record]: [&mut [T]; 2],
        width: usize,
        load: impl Fn(usize, usize) -> [T; 2],
        store: impl FnMut(usize, usize, T),
        changes: &mut [T::Acc],
    ) {
        let ((rows, _), (record, _)) = (buffer.as_chunks_mut::<W>(), record.as_chunks_mut::<W>());
        fill(rows, width, |row, lane| load(row, lane)[0]);
        self.network.for_each_layer(rows.len(), self.transposed, |layer, pairs| {
            let (shares, record) = (&passage.shares[pairs.clone()], &mut record[pairs]);
            layer.for_each_pair(rows, |k, a, b| record[k] = mix(shares[k], a, b));
        });
        fill(rows, width, |row, lane| load(row, lane)[1]);
        self.network.for_each_layer(rows.len(), !self.transposed, |layer, pairs| {
            let (shares, record) = (&passage.shares[pairs.clone()], &record[pairs.clone()]);
            let changes = &mut changes[pairs];
            layer.for_each_pair(rows, |k, a, b| {
                let differences = mix(shares[k], a, b);
                let products = differences.iter().zip(&record[k]).map(|(&a, &b)| (a * b).widen());
                changes[k] -= products.sum::<T::Acc>();
            });
        });
        empty(rows, width, store);
    }

    /// Writes what changes of the shares come from, in the keys.
    fn pull_keys<T: Real>(
        &self,
        passage: &Passage<T>,
        changes: &[T::Acc],
        dx: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        dx.fill(T::zero());
        let [mut a, mut b] = [(); 2].map(|()| scratch.reals.zeros(dx.len() / 2));
        self.network.for_each_layer(dx.len(), true, |layer, pairs| {
            let (a, b) = (&mut a[..pairs.len()], &mut b[..pairs.len()]);
            let factors = passage.slopes[pairs.clone()].iter().zip(&passage.rates[pairs.clone()]);
            layer.split(dx, a, b);
            for (((a, b), (&slope, &rate)), &change) in
                a.iter_mut().zip(&mut *b).zip(factors).zip(&changes[pairs])
            {
                let moved = slope * (*b - *a) + rate * T::narrow(change);
                *a += moved;
                *b -= moved;
            }
            layer.join(dx, a, b);
        });
        if self.descending {
            dx.iter_mut().for_each(|dx| *dx = -*dx);
        }
        scratch.reals.give(a);
        scratch.reals.give(b);
    }
}

/// Calls with the first column and the width of each block: [`WIDE`], or 1 where that is less work.
fn each_block(columns: usize, mut visit: impl FnMut(usize, usize)) {
    let mut first = 0;
    while first < columns {
        let left = columns - first;
        let width = if left < 3 { 1 } else { left.min(WIDE) };
        visit(first, width);
        first += width;
    }
}

/// Loads rows whose first `width` lanes are in use.
fn fill<T: Real, const W: usize>(rows: &mut [[T; W]], width: usize, load: impl Fn(usize, usize) -> T) {
    for (row, values) in rows.iter_mut().enumerate() {
        *values = [T::zero(); W];
        values.iter_mut().take(width).enumerate().for_each(|(lane, value)| *value = load(row, lane));
    }
}

/// Stores them.
fn empty<T: Real, const W: usize>(rows: &[[T; W]], width: usize, mut store: impl FnMut(usize, usize, T)) {
    for (row, values) in rows.iter().enumerate() {
        values.iter().take(width).enumerate().for_each(|(lane, &value)| store(row, lane, value));
    }
}

/// Takes a share of each to the other. Returns how far apart they were.
#[inline(always)]
fn mix<T: Real, const W: usize>(share: T, a: &mut [T; W], b: &mut [T; W]) -> [T; W] {
    let mut differences = [T::zero(); W];
    for ((difference, a), b) in differences.iter_mut().zip(a).zip(b) {
        *difference = *b - *a;
        let moved = share * *difference;
        *a += moved;
        *b -= moved;
    }
    differences
}
