//! Products of relaxed permutation matrices with several columns, without the matrices.
//!
//! Rows are output places. Columns are elements, in the order of the sorted values until the very end.

use super::laplace_rows::LaplaceRows;
use super::neural_rows::NeuralRows;
use super::permutahedron::finite;
use super::rows::{Projection, Pulled, Scores, for_each_row, infinite};
use std::ops::Range;
use supple_core::{Real, Scratch};
use supple_numerics::elementary::{dot, sum_by};
use supple_numerics::laplace::{Line, Side};

/// Weights below `exp(−60)` of a row's largest are left out.
const REACH: f64 = 60.0;

impl<A: Real<Acc = A>> NeuralRows<A> {
    /// Adds `P v` to `out`, or `Pᵀ v`. Both have `d` columns.
    fn product<T: Real<Acc = A>>(
        &self,
        transposed: bool,
        v: &[A],
        d: usize,
        out: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        for_each_row(self, self.z.len(), Projection::Softmax, REACH, scratch, |row| {
            let (own, others) = (columns(row.number..row.number + 1, d), columns(row.places, d));
            let factor = A::one() / row.sum;
            if transposed {
                spread(factor, row.weights, &v[own], &mut out[others]);
            } else {
                collect(factor, row.weights, &v[others], &mut out[own]);
            }
        });
    }

    /// Adds the gradient of `⟨a, P b⟩` in the sorted values to `dz`. Both have `d` columns.
    fn pull_columns<T: Real<Acc = A>>(
        &self,
        a: &[A],
        b: &[A],
        d: usize,
        dz: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let n = self.z.len();
        let mut sums = Pulled { z: scratch.wide.zeros(n), b: scratch.wide.zeros(n) };
        let mut changes = scratch.wide.stale(n);
        for_each_row(self, n, Projection::Softmax, REACH, scratch, |row| {
            let a = &a[columns(row.number..row.number + 1, d)];
            let b = &b[columns(row.places.clone(), d)];
            let changes = &mut changes[..row.weights.len()];
            inner_products(a, b, changes);
            let (factor, mean) = (A::one() / row.sum, dot(row.weights, changes) / row.sum);
            for (change, &weight) in changes.iter_mut().zip(row.weights) {
                *change = factor * weight * (*change - mean);
            }
            self.pull(row.number, row.places, changes, &mut sums);
        });
        self.finish(&mut sums);
        dz.iter_mut().zip(&sums.z).for_each(|(dz, &change)| *dz += change);
        [sums.z, sums.b, changes].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }
}

/// SoftSort's matrix of finite values: the kernel `exp(−|z_i − z_j| / ε)`, over its row sums.
struct SoftLine<A> {
    line: Line<A>,
    /// The sums of the rows.
    sums: Vec<A>,
    /// What of the sums lies above less what lies below.
    leans: Vec<A>,
    softness: f64,
}

impl<A: Real<Acc = A>> SoftLine<A> {
    /// From finite values in ascending order.
    fn new<T: Real<Acc = A>>(sorted: &[T], softness: f64, scratch: &mut Scratch<T>) -> Self {
        let line = Line::new(sorted, softness, scratch);
        let [mut sums, mut leans] = [(); 2].map(|()| scratch.wide.zeros(sorted.len()));
        sums.fill(A::one());
        line.shares(
            |_| [A::one()],
            |k, side, [share]| {
                sums[k] += share.sum;
                leans[k] += side.sign(share.sum);
            },
        );
        Self { line, sums, leans, softness }
    }

    /// Gives the room back.
    fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        self.line.give(scratch);
        scratch.wide.give(self.sums);
        scratch.wide.give(self.leans);
    }

    /// Visits every entry of `w`, which has `d` columns, from both sides, with its row and what it gets from
    /// the entries of its column there.
    #[inline(always)]
    fn shares(&self, w: &[A], d: usize, mut visit: impl FnMut(usize, usize, Side, A)) {
        const TOGETHER: usize = 4;
        let mut first = 0;
        while first + TOGETHER <= d {
            let weights = |k: usize| std::array::from_fn(|i| w[k * d + first + i]);
            self.line.shares::<TOGETHER>(weights, |k, side, shares| {
                let places = (k * d + first..).zip(shares);
                places.for_each(|(place, share)| visit(place, k, side, share.sum));
            });
            first += TOGETHER;
        }
        for column in first..d {
            let weights = |k: usize| [w[k * d + column]];
            self.line.shares(weights, |k, side, [share]| visit(k * d + column, k, side, share.sum));
        }
    }

    /// Adds `P v` to `out`, or `Pᵀ v`. Both have `d` columns.
    fn product<T: Real<Acc = A>>(
        &self,
        transposed: bool,
        v: &[A],
        d: usize,
        out: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let mut w = scratch.wide.copy(v);
        if transposed {
            self.divide(&mut w, d);
        }
        let mut sums = scratch.wide.copy(&w);
        self.shares(&w, d, |place, _, _, share| sums[place] += share);
        if !transposed {
            self.divide(&mut sums, d);
        }
        out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out += sum);
        scratch.wide.give(w);
        scratch.wide.give(sums);
    }

    /// Adds the gradient of `⟨a, P b⟩` in the sorted values to `dz`. Both have `d` columns.
    ///
    /// With `u = a` over the row sums, `D w` what `w` has above less what it has below and `e` the inner
    /// products of `u` with the rows of `P b`, the gradient is `⟨u, D b⟩ − e D 1 + ⟨b, D u⟩ − D e`, row by row.
    fn pull_columns<T: Real<Acc = A>>(
        &self,
        a: &[A],
        b: &[A],
        d: usize,
        dz: &mut [A],
        scratch: &mut Scratch<T>,
    ) {
        let n = dz.len();
        let mut u = scratch.wide.copy(a);
        self.divide(&mut u, d);
        let [mut e, mut change] = [(); 2].map(|()| scratch.wide.zeros(n));
        self.shares(b, d, |place, k, side, share| {
            let product = u[place] * share;
            e[k] += product;
            change[k] += side.sign(product);
        });
        for (k, (e, &sum)) in e.iter_mut().zip(&self.sums).enumerate() {
            let own = columns(k..k + 1, d);
            *e = (*e + dot(&u[own.clone()], &b[own])) / sum;
        }
        self.shares(&u, d, |place, k, side, share| change[k] += side.sign(b[place] * share));
        self.shares(&e, 1, |_, k, side, share| change[k] -= side.sign(share));
        let rate = A::of(1.0 / self.softness);
        for (((dz, &change), &e), &lean) in dz.iter_mut().zip(&change).zip(&e).zip(&self.leans) {
            *dz += rate * (change - e * lean);
        }
        [u, e, change].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    /// Divides the rows of a matrix of `d` columns by the row sums.
    fn divide(&self, w: &mut [A], d: usize) {
        for (row, &sum) in w.chunks_exact_mut(d.max(1)).zip(&self.sums) {
            row.iter_mut().for_each(|w| *w /= sum);
        }
    }
}

/// The relaxed permutation matrix of sorted values.
pub(super) struct Matrix<'a, A> {
    rows: Rows<A>,
    /// Where the finite ones lie.
    finite: Range<usize>,
    /// The sorting permutation.
    order: &'a [u32],
}

enum Rows<A> {
    Neural(NeuralRows<A>),
    Soft(SoftLine<A>),
    Laplace(LaplaceRows<A>),
}

impl<'a, A: Real<Acc = A>> Matrix<'a, A> {
    /// NeuralSort's, from values in ascending order, none of them NaN, and their order.
    pub fn neural<T: Real<Acc = A>>(
        sorted: &[T],
        order: &'a [u32],
        softness: f64,
        scratch: &mut Scratch<T>,
    ) -> Self {
        let rows = Rows::Neural(NeuralRows::new(sorted, softness, scratch));
        Self { rows, finite: finite(sorted), order }
    }

    /// SoftSort's.
    pub fn soft<T: Real<Acc = A>>(
        sorted: &[T],
        order: &'a [u32],
        softness: f64,
        scratch: &mut Scratch<T>,
    ) -> Self {
        let finite = finite(sorted);
        let rows = Rows::Soft(SoftLine::new(&sorted[finite.clone()], softness, scratch));
        Self { rows, finite, order }
    }

    /// LapSum's.
    pub fn laplace<T: Real<Acc = A>>(
        sorted: &[T],
        order: &'a [u32],
        softness: f64,
        scratch: &mut Scratch<T>,
    ) -> Self {
        let finite = finite(sorted);
        let rows = Rows::Laplace(LaplaceRows::new(&sorted[finite.clone()], softness, scratch));
        Self { rows, finite, order }
    }

    /// Gives the room back.
    pub fn give<T: Real<Acc = A>>(self, scratch: &mut Scratch<T>) {
        match self.rows {
            Rows::Neural(rows) => rows.give(scratch),
            Rows::Soft(line) => line.give(scratch),
            Rows::Laplace(rows) => rows.give(scratch),
        }
    }

    /// `out ← P v` or `Pᵀ v`. Both have `d` columns.
    pub fn product<T: Real<Acc = A>>(
        &self,
        transposed: bool,
        v: &[T],
        d: usize,
        out: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let v = self.arranged(!transposed, v, d, scratch);
        let mut sums = scratch.wide.zeros(v.len());
        let inside = columns(self.finite.clone(), d);
        let (from, to) = (&v[inside.clone()], &mut sums[inside]);
        match &self.rows {
            Rows::Neural(rows) => rows.product(transposed, from, d, to, scratch),
            Rows::Soft(line) => line.product(transposed, from, d, to, scratch),
            Rows::Laplace(rows) => rows.product(transposed, from, d, to, scratch),
        }
        for infinite in infinite(&self.finite, self.order.len()) {
            // Equal infinities share.
            let share = A::of(1.0 / infinite.len() as f64);
            let (from, to) = (&v[columns(infinite.clone(), d)], &mut sums[columns(infinite, d)]);
            let mut rows = to.chunks_exact_mut(d.max(1));
            if let Some(mean) = rows.next() {
                for from in from.chunks_exact(d.max(1)) {
                    mean.iter_mut().zip(from).for_each(|(mean, &value)| *mean += share * value);
                }
                rows.for_each(|row| row.copy_from_slice(mean));
            }
        }
        for (k, (row, &element)) in sums.chunks_exact(d.max(1)).zip(self.order).enumerate() {
            let place = if transposed { element as usize } else { k };
            let out = &mut out[columns(place..place + 1, d)];
            out.iter_mut().zip(row).for_each(|(out, &sum)| *out = T::narrow(sum));
        }
        scratch.wide.give(v);
        scratch.wide.give(sums);
    }

    /// Writes the gradient of `⟨a, P b⟩` in the values before they were sorted. Both have `d` columns.
    pub fn pull<T: Real<Acc = A>>(&self, a: &[T], b: &[T], d: usize, dx: &mut [T], scratch: &mut Scratch<T>) {
        let (a, b) = (self.arranged(false, a, d, scratch), self.arranged(true, b, d, scratch));
        let mut dz = scratch.wide.zeros(self.finite.len());
        let inside = columns(self.finite.clone(), d);
        let (rows, elements) = (&a[inside.clone()], &b[inside]);
        match &self.rows {
            Rows::Neural(matrix) => matrix.pull_columns(rows, elements, d, &mut dz, scratch),
            Rows::Soft(matrix) => matrix.pull_columns(rows, elements, d, &mut dz, scratch),
            Rows::Laplace(matrix) => matrix.pull_columns(rows, elements, d, &mut dz, scratch),
        }
        for (&element, &dz) in self.order[self.finite.clone()].iter().zip(&dz) {
            dx[element as usize] = T::narrow(dz);
        }
        [a, b, dz].into_iter().for_each(|buffer| scratch.wide.give(buffer));
    }

    /// A matrix of `d` columns in the accumulator's precision, its rows sorted if they are those of elements.
    fn arranged<T: Real<Acc = A>>(
        &self,
        elements: bool,
        v: &[T],
        d: usize,
        scratch: &mut Scratch<T>,
    ) -> Vec<A> {
        let mut wide = scratch.wide.empty();
        if elements {
            let rows = self.order.iter().map(|&element| columns(element as usize..element as usize + 1, d));
            rows.for_each(|row| wide.extend(v[row].iter().map(|v| v.widen())));
        } else {
            wide.extend(v.iter().map(|v| v.widen()));
        }
        wide
    }
}

/// The entries of some rows of a matrix of `d` columns.
fn columns(rows: Range<usize>, d: usize) -> Range<usize> {
    rows.start * d..rows.end * d
}

/// `into += factor · Σ weights[k] rows[k]`.
fn collect<A: Real<Acc = A>>(factor: A, weights: &[A], rows: &[A], into: &mut [A]) {
    if let [into] = into {
        *into += factor * dot(weights, rows);
        return;
    }
    for (&weight, row) in weights.iter().zip(rows.chunks_exact(into.len().max(1))) {
        let weight = factor * weight;
        into.iter_mut().zip(row).for_each(|(into, &value)| *into += weight * value);
    }
}

/// `into[k] += factor · weights[k] row`.
fn spread<A: Real<Acc = A>>(factor: A, weights: &[A], row: &[A], into: &mut [A]) {
    if let [value] = row {
        let value = factor * *value;
        return into.iter_mut().zip(weights).for_each(|(into, &weight)| *into += weight * value);
    }
    for (&weight, into) in weights.iter().zip(into.chunks_exact_mut(row.len().max(1))) {
        let weight = factor * weight;
        into.iter_mut().zip(row).for_each(|(into, &value)| *into += weight * value);
    }
}

/// `into[k] = ⟨row, rows[k]⟩`.
fn inner_products<A: Real<Acc = A>>(row: &[A], rows: &[A], into: &mut [A]) {
    match row {
        [] => return into.fill(A::zero()),
        [value] => return into.iter_mut().zip(rows).for_each(|(into, &other)| *into = *value * other),
        _ => {}
    }
    for (into, other) in into.iter_mut().zip(rows.chunks_exact(row.len())) {
        *into = sum_by(row, other, |a, b| a * b);
    }
}

#[cfg(test)]
mod tests {
    use crate::order::SortWith;
    use ndarray::array;
    use supple_core::{Contract, Inputs, Mode, evaluate};

    #[test]
    fn equal_keys_share_however_hard_and_not_in_the_hard_form() {
        let x = array![1.0, 1.0].into_dyn();
        let payload = array![[0.0], [1.0]].into_dyn();
        for method in SortWith::cases().into_iter().map(|operator| operator.method) {
            let inputs = |mode| Inputs::from([x.view(), payload.view()]).mode(mode);
            let operator = SortWith { softness: 1e-6, method, ..SortWith::default() };
            let [soft] = evaluate(&operator, inputs(Mode::Soft)).unwrap();
            assert!(soft.iter().all(|y: &f64| (y - 0.5).abs() < 1e-12), "{operator:?}: {soft}");
            let [hard] = evaluate(&operator, inputs(Mode::Hard)).unwrap();
            assert_eq!(hard, payload, "{operator:?}");
        }
    }
}
