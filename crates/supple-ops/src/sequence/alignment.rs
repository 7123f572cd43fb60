//! The dynamic program of soft-DTW and its derivatives.
//!
//! With $r_{ij} = c_{ij} + \min_\gamma(r_{i-1,j-1}, r_{i-1,j}, r_{i,j-1})$ and the weights $w$ of the
//! three predecessors in the smoothed minimum, the expected alignment is
//! $e_{ij} = \sum_s w_{s \to ij} e_s$ over the successors $s$ of a cell, from $e_{mn} = 1$.
//!
//! Cells of one anti-diagonal do not wait for each other, so the sweeps go by anti-diagonals and are
//! vector code. The entries of a diagonal count from the smallest entry of the one before, so that long
//! series lose nothing in single precision.

use super::diagonals::{Diagonal, Diagonals, LANES};
use super::single::{exp_negative, ln_1p_to_2};
use multiversion::multiversion;
use supple_core::{Float, Floats, Real, Scratch};
use supple_numerics::elementary::{exp, ln};

/// Neighbouring cells of one diagonal.
type Lanes<T> = [T; LANES];

/// Cells that are visited with less than this probability count as not visited: subnormal numbers are slow.
const NEVER: f64 = 1e-30;

/// Packed arrays of one problem: its costs, then its expected alignment, and the weights between.
pub(super) struct Work<T> {
    buffer: Vec<T>,
    len: usize,
}

impl<T: Real> Work<T> {
    /// Room for a problem whose cells are all forbidden as yet.
    pub fn new(cells: &Diagonals, scratch: &mut Scratch<T>) -> Self {
        let (len, mut buffer) = (cells.len(), scratch.reals.empty());
        buffer.resize(len, T::infinity());
        buffer.resize(4 * len + 3 * row(cells), T::zero());
        Self { buffer, len }
    }

    /// The packed costs in units of the softness; after [`align`](Self::align), the expected alignment.
    pub fn cells(&mut self) -> &mut [T] {
        &mut self.buffer[..self.len]
    }

    /// Replaces the costs by the expected alignment and returns the value.
    pub fn align(&mut self, cells: &Diagonals, softness: f64) -> T {
        let work = &mut self.buffer[..];
        let value = match T::floats(work) {
            Floats::F32(work) => T::Acc::of(sweeps_f32(cells, work)),
            Floats::F64(work) => T::Acc::of(sweeps_f64(cells, work)),
            Floats::Dual => sweeps(cells, work, T::exp, T::ln_1p),
        };
        T::narrow(if value.is_finite() { value * T::Acc::of(softness) } else { value })
    }

    /// Replaces a packed change `v` of the costs by the change of the expected alignment that it makes:
    /// the Hessian of the value times `v`. To be called after [`align`](Self::align).
    pub fn hessian_product(
        &mut self,
        cells: &Diagonals,
        softness: f64,
        v: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let (alignment, rest) = self.buffer.split_at_mut(self.len);
        let (weights, rows) = rest.split_at_mut(3 * self.len);
        let weights = thirds(weights).map(|w| &*w);
        let mut changes = scratch.reals.zeros(3 * self.len);
        rows.fill(T::zero());
        alignment.iter_mut().for_each(|e| *e /= T::of(softness));
        change_forward(cells, weights, alignment, v, &mut thirds(&mut changes), thirds(rows));
        rows.fill(T::zero());
        backward(cells, weights, Some(thirds(&mut changes).map(|w| &*w)), v, thirds(rows));
        scratch.reals.give(changes);
    }

    /// Gives the room back.
    pub fn give(self, scratch: &mut Scratch<T>) {
        scratch.reals.give(self.buffer);
    }
}

/// The length of a buffer that holds one diagonal by rows, with one place before the first row.
fn row(cells: &Diagonals) -> usize {
    cells.shape().0 + 2 * LANES + 1
}

fn thirds<T>(x: &mut [T]) -> [&mut [T]; 3] {
    let n = x.len() / 3;
    let (a, rest) = x.split_at_mut(n);
    let (b, c) = rest.split_at_mut(n);
    [a, b, c]
}

fn lanes<T: Real>(x: &[T], from: usize) -> Lanes<T> {
    x[from..].first_chunk().copied().unwrap_or([T::zero(); LANES])
}

#[multiversion(targets("x86_64+avx2"))]
fn sweeps_f32(cells: &Diagonals, work: &mut [f32]) -> f64 {
    sweeps(cells, work, exp_negative, ln_1p_to_2)
}

#[multiversion(targets("x86_64+avx2"))]
fn sweeps_f64(cells: &Diagonals, work: &mut [f64]) -> f64 {
    sweeps(cells, work, exp, |u| ln(1.0 + u))
}

#[inline(always)]
fn sweeps<T: Real>(
    cells: &Diagonals,
    work: &mut [T],
    exp: impl Fn(T) -> T,
    ln_1p: impl Fn(T) -> T,
) -> T::Acc {
    let (packed, rest) = work.split_at_mut(cells.len());
    let (weights, rows) = rest.split_at_mut(3 * cells.len());
    let mut weights = thirds(weights);
    rows.fill(T::infinity());
    let value = forward(cells, packed, &mut weights, thirds(rows), exp, ln_1p);
    rows.fill(T::zero());
    if value.is_finite() {
        backward(cells, weights.map(|w| &*w), None, packed, thirds(rows));
    } else {
        let nothing = if value == T::Acc::infinity() { T::zero() } else { T::nan() };
        packed.fill(nothing);
    }
    value
}

/// Fills the weights and returns the value.
#[inline(always)]
fn forward<T: Real>(
    cells: &Diagonals,
    cost: &[T],
    [diagonal, above, left]: &mut [&mut [T]; 3],
    [mut two, mut one, mut here]: [&mut [T]; 3],
    exp: impl Fn(T) -> T,
    ln_1p: impl Fn(T) -> T,
) -> T::Acc {
    // What the entries of the two diagonals before count from, less what those of this one count from.
    let (mut shift_one, mut shift_two) = (T::Value::zero(), T::Value::zero());
    let mut origin = 0.0;
    two[0] = T::zero();
    for &cell in cells.iter() {
        let (first, end) = (cell.first, cell.first + cell.padded());
        let places = cell.places();
        step(
            &two[first..end],
            &one[first..end],
            &one[first + 1..end + 1],
            T::constant(shift_two),
            T::constant(shift_one),
            &cost[places.clone()],
            &mut diagonal[places.clone()],
            &mut above[places.clone()],
            &mut left[places],
            &mut here[first + 1..end + 1],
            &exp,
            &ln_1p,
        );
        let least = least(&here[first + 1..end + 1]);
        here[first] = T::infinity();
        origin += shift_one.to_f64();
        (shift_two, shift_one) = (shift_one, if least.is_finite() { least } else { T::Value::zero() });
        (two, one, here) = (one, here, two);
    }
    one[cells.shape().0].widen() + T::Acc::of(origin)
}

/// One diagonal from the two before it. The slices have one length, a multiple of [`LANES`].
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn step<T: Real>(
    a: &[T],
    b: &[T],
    c: &[T],
    shift_two: T,
    shift_one: T,
    cost: &[T],
    wa: &mut [T],
    wb: &mut [T],
    wc: &mut [T],
    here: &mut [T],
    exp: impl Fn(T) -> T,
    ln_1p: impl Fn(T) -> T,
) {
    let n = here.len();
    let (a, b, c, cost) = (&a[..n], &b[..n], &c[..n], &cost[..n]);
    let (wa, wb, wc) = (&mut wa[..n], &mut wb[..n], &mut wc[..n]);
    for i in 0..n {
        let (min, weights) = smooth_min([a[i] - shift_two, b[i], c[i]], &exp, &ln_1p);
        [wa[i], wb[i], wc[i]] = weights;
        here[i] = (min - shift_one) + cost[i];
    }
}

/// The least value; NaN is passed over.
#[inline(always)]
fn least<T: Real>(x: &[T]) -> T::Value {
    let mut least = [T::infinity(); LANES];
    for x in x.as_chunks::<LANES>().0 {
        for l in 0..LANES {
            least[l] = if x[l] < least[l] { x[l] } else { least[l] };
        }
    }
    least.into_iter().fold(T::infinity(), T::min).value()
}

/// The smoothed minimum at softness 1 of three numbers, and its gradient.
#[inline(always)]
fn smooth_min<T: Real>([a, b, c]: [T; 3], exp: impl Fn(T) -> T, ln_1p: impl Fn(T) -> T) -> (T, [T; 3]) {
    let b_first = b <= c;
    let (low, high) = if b_first { (b, c) } else { (c, b) };
    let a_first = a <= low;
    let (min, other) = if a_first { (a, low) } else { (low, a) };
    // Two forbidden cells are infinitely far apart, not NaN.
    let below = |x: T| if x == T::infinity() { -T::infinity() } else { min - x };
    let (e_other, e_high) = (exp(below(other)), exp(below(high)));
    let rest = e_other + e_high;
    let w_min = T::one() / (T::one() + rest);
    let (w_other, w_high) = (e_other * w_min, e_high * w_min);
    let (w_a, w_low) = if a_first { (w_min, w_other) } else { (w_other, w_min) };
    let (w_b, w_c) = if b_first { (w_low, w_high) } else { (w_high, w_low) };
    (min - ln_1p(rest), [w_a, w_b, w_c])
}

/// Fills the expected alignment from the weights or, where the changes of the weights are given, its
/// change.
#[inline(always)]
fn backward<T: Real>(
    cells: &Diagonals,
    weights: [&[T]; 3],
    changes: Option<[&[T]; 3]>,
    packed: &mut [T],
    [mut two, mut one, mut here]: [&mut [T]; 3],
) {
    let (mut cell_one, mut cell_two) = (None, None);
    for &cell in cells.iter().rev() {
        for (group, e) in packed[cell.places()].as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let at = cell.first + group * LANES;
            let [w0, w1, w2] = successors(weights, at, cell_one, cell_two);
            let (e0, e1, e2) = (lanes(two, at + 1), lanes(one, at + 1), lanes(one, at));
            for l in 0..LANES {
                e[l] = w0[l] * e0[l] + w1[l] * e1[l] + w2[l] * e2[l];
            }
            if let Some(changes) = changes {
                let [c0, c1, c2] = successors(changes, at, cell_one, cell_two);
                for l in 0..LANES {
                    e[l] += c0[l] + c1[l] + c2[l];
                }
            } else {
                let kept = |e: T| if e < T::of(NEVER) { T::zero() } else { e };
                (0..LANES).for_each(|l| e[l] = kept(e[l]));
                if cell_one.is_none() {
                    e[0] = T::one();
                }
            }
            here[at..at + LANES].copy_from_slice(e);
        }
        here[cell.end..cell.end + LANES].fill(T::zero());
        (cell_one, cell_two) = (Some(cell), cell_one);
        (two, one, here) = (one, here, two);
    }
}

/// What packed arrays hold for the diagonal, lower and right successors of the cells from this row on.
#[inline(always)]
fn successors<T: Real>(
    [diagonal, above, left]: [&[T]; 3],
    row: usize,
    one: Option<Diagonal>,
    two: Option<Diagonal>,
) -> [Lanes<T>; 3] {
    let none = [T::zero(); LANES];
    [
        two.map_or(none, |two| lanes(diagonal, two.base + row + 1)),
        one.map_or(none, |one| lanes(above, one.base + row + 1)),
        one.map_or(none, |one| lanes(left, one.base + row)),
    ]
}

/// Fills the changes of the weights, times the alignment of their cell, when the costs change by `v`.
fn change_forward<T: Real>(
    cells: &Diagonals,
    [diagonal, above, left]: [&[T]; 3],
    alignment: &[T],
    v: &[T],
    changes: &mut [&mut [T]; 3],
    [mut two, mut one, mut here]: [&mut [T]; 3],
) {
    for &cell in cells.iter() {
        for (row, place) in (cell.first..).zip(cell.places()) {
            let before = [two[row], one[row], one[row + 1]];
            let weights = [diagonal[place], above[place], left[place]];
            let mean = weights[0] * before[0] + weights[1] * before[1] + weights[2] * before[2];
            for (k, change) in changes.iter_mut().enumerate() {
                change[place] = weights[k] * (mean - before[k]) * alignment[place];
            }
            here[row + 1] = mean + v[place];
        }
        here[cell.first] = T::zero();
        (two, one, here) = (one, here, two);
    }
}
