//! The plan on plain values, by Newton's method on the dual.
//!
//! With multipliers u and v of the row and column sums, $P = \max(X + u 1^\top + 1 v^\top, 0)$, and the
//! concave dual $\langle a, u \rangle + \langle b, v \rangle - \tfrac12 \lVert P \rVert^2$ has the gradient
//! $(a - P 1, b - P^\top 1)$. It is quadratic on each piece, where a set of entries is positive, so a Newton
//! step that stays on its piece is the last one.

use super::support::{Edges, Support};
use supple_core::Fault;
use supple_numerics::bipartite::Laplacian;
use supple_numerics::elementary::dot;
use supple_numerics::simplex::{largest, simplex};

/// Most Newton steps for one size of the point.
const STEPS: usize = 200;
/// How much larger the point becomes at once.
const GROWTH: f64 = 8.0;
/// Weight of the ground in the graph of a Newton step, which makes parts of it move together that are not
/// joined.
const GROUND: f64 = 1e-12;
/// Errors of the sums, relative to the total, from which a step is taken without trying its length.
const NEARLY: f64 = 1e-9;
/// Entries below this part of their row's and their column's mass are round-off.
const NEGLIGIBLE: f64 = 1e-13;

/// A plan in the making: what it would be without its positive part.
pub(super) struct Plan<'a> {
    /// $X + u 1^\top + 1 v^\top$, row-major, with at least as many rows as columns.
    pub z: Vec<f64>,
    /// Sums of the rows, and of the columns; of the same total.
    pub a: &'a [f64],
    pub b: &'a [f64],
}

/// What the rows and the columns lack.
struct Missing {
    rows: Vec<f64>,
    columns: Vec<f64>,
    /// The sum of their sizes, relative to the total.
    error: f64,
}

impl Plan<'_> {
    /// Finds the values of the plan on its support.
    ///
    /// A point that is large against the masses is first made small, where a few steps do, and then grows to
    /// its size by and by, from plan to plan: the support of each is a good guess at the next.
    pub fn solve(mut self, swapped: bool, width: usize) -> Result<(Vec<f64>, Support), Fault> {
        let total: f64 = self.a.iter().sum();
        let finite = || self.z.iter().copied().filter(|z| z.is_finite());
        let range = finite().fold(f64::NEG_INFINITY, f64::max) - finite().fold(f64::INFINITY, f64::min);
        let mut smaller = f64::max(range / total * self.a.len() as f64, 1.0).min(f64::MAX);
        self.z.iter_mut().for_each(|z| *z /= smaller);
        self.sweep()?;
        let mut spent = 0;
        loop {
            self.newton(total, &mut spent)?;
            if smaller <= 1.0 {
                return Ok(self.polish(swapped, width));
            }
            let factor = smaller.min(GROWTH);
            smaller /= factor;
            self.grow(factor);
        }
    }

    /// Makes the point larger, and the plan what it is then if its support stays.
    fn grow(&mut self, factor: f64) {
        self.z.iter_mut().for_each(|z| *z *= factor);
        let edges = Edges::of(&self.z, self.b.len(), |_, _, z| z > 0.0);
        let Missing { mut rows, mut columns, .. } = self.missing(1.0);
        let factor = Laplacian::of_edges(self.b.len(), edges.rows(), GROUND);
        edges.solve(&factor, GROUND, &mut rows, &mut columns);
        self.step(&rows, &columns, 1.0);
    }

    /// Newton's method, with steps as long as they gain.
    fn newton(&mut self, total: f64, spent: &mut usize) -> Result<(), Fault> {
        let mut before = f64::INFINITY;
        for _ in 0..STEPS {
            let missing = self.missing(total);
            let nearly = missing.error <= NEARLY;
            // Round-off, where a step gains nothing more.
            if missing.error <= f64::EPSILON || nearly && missing.error > 0.1 * before {
                return Ok(());
            }
            before = missing.error;
            let edges = Edges::of(&self.z, self.b.len(), |_, _, z| z > 0.0);
            *spent += 1;
            let ground = missing.error.clamp(GROUND, 1e-3);
            let factor = Laplacian::of_edges(self.b.len(), edges.rows(), ground);
            let (mut rows, mut columns) = (missing.rows.clone(), missing.columns.clone());
            edges.solve(&factor, ground, &mut rows, &mut columns);
            let slope = dot(&missing.rows, &rows) + dot(&missing.columns, &columns);
            let length = if nearly { 1.0 } else { self.length(&rows, &columns, slope) };
            self.step(&rows, &columns, length);
        }
        Err(Fault::NotConverged { iterations: *spent, residual: self.missing(total).error })
    }

    /// Sets each row and then each column to its sum, by a threshold.
    fn sweep(&mut self) -> Result<(), Fault> {
        let n = self.b.len();
        let mut candidates = vec![];
        let mut threshold = |z: &[f64], sum: f64| match largest(z) {
            top if top == f64::NEG_INFINITY => {
                if sum > 0.0 {
                    Err(Fault::Infeasible)
                } else {
                    Ok(0.0)
                }
            }
            top if sum > 0.0 => Ok(simplex(z, top, sum, &mut candidates)),
            top => Ok(top),
        };
        for (row, &a) in self.z.chunks_exact_mut(n).zip(self.a) {
            let threshold = threshold(row, a)?;
            row.iter_mut().for_each(|z| *z -= threshold);
        }
        let mut column = vec![];
        for (j, &b) in self.b.iter().enumerate() {
            column.clear();
            column.extend(self.z.iter().skip(j).step_by(n));
            let threshold = threshold(&column, b)?;
            self.z.iter_mut().skip(j).step_by(n).for_each(|z| *z -= threshold);
        }
        Ok(())
    }

    fn missing(&self, total: f64) -> Missing {
        let n = self.b.len();
        let (mut rows, mut columns) = (self.a.to_vec(), self.b.to_vec());
        for (row, missing) in self.z.chunks_exact(n).zip(&mut rows) {
            for (&z, column) in row.iter().zip(&mut columns) {
                let p = if z > 0.0 { z } else { 0.0 };
                *missing -= p;
                *column -= p;
            }
        }
        let error = rows.iter().chain(&columns).map(|x| x.abs()).sum::<f64>() / total;
        Missing { rows, columns, error }
    }

    fn step(&mut self, du: &[f64], dv: &[f64], length: f64) {
        for (row, du) in self.z.chunks_exact_mut(dv.len()).zip(du) {
            row.iter_mut().zip(dv).for_each(|(z, dv)| *z += length * (du + dv));
        }
    }

    /// The slope of the dual along a direction, at some length.
    fn slope(&self, du: &[f64], dv: &[f64], length: f64) -> f64 {
        let mut slope = dot(self.a, du) + dot(self.b, dv);
        for (row, du) in self.z.chunks_exact(dv.len()).zip(du) {
            for (z, dv) in row.iter().zip(dv) {
                let step = du + dv;
                let p = z + length * step;
                slope -= if p > 0.0 { p * step } else { 0.0 };
            }
        }
        slope
    }

    /// A length at which little is left of the slope.
    fn length(&self, du: &[f64], dv: &[f64], first: f64) -> f64 {
        let (mut low, mut high) = ((0.0, first), (f64::INFINITY, 0.0));
        let mut at = 1.0;
        for _ in 0..40 {
            let slope = self.slope(du, dv, at);
            if slope.abs() <= 0.1 * first {
                return at;
            }
            *(if slope > 0.0 { &mut low } else { &mut high }) = (at, slope);
            at = if high.0.is_finite() {
                // Between the root of the chord and the middle, for neither end to stay for ever.
                let part = (low.1 / (low.1 - high.1)).clamp(0.1, 0.9);
                low.0 + part * (high.0 - low.0)
            } else {
                4.0 * at
            };
        }
        if low.0 > 0.0 { low.0 } else { at }
    }

    /// The support, without what is round-off, and the plan that is exact on it.
    fn polish(mut self, swapped: bool, width: usize) -> (Vec<f64>, Support) {
        let n = self.b.len();
        let (a, b) = (self.a, self.b);
        // Where a sum is 0, the entry that would grow first.
        let mut first_of_row = vec![None; a.len()];
        let mut first_of_column = vec![None; n];
        let larger = |place: &mut Option<(usize, f64)>, at: usize, z: f64| {
            if z > place.map_or(f64::NEG_INFINITY, |(_, most)| most) {
                *place = Some((at, z));
            }
        };
        for (i, row) in self.z.chunks_exact(n).enumerate() {
            for (j, &z) in row.iter().enumerate() {
                if a[i] == 0.0 && b[j] > 0.0 {
                    larger(&mut first_of_row[i], j, z);
                }
                if b[j] == 0.0 && a[i] > 0.0 {
                    larger(&mut first_of_column[j], i, z);
                }
            }
        }
        let edges = Edges::of(&self.z, n, |i, j, z| {
            let least = NEGLIGIBLE * a[i].min(b[j]);
            let first = |place: Option<(usize, f64)>, at| place.is_some_and(|(i, _)| i == at);
            least > 0.0 && z > least || first(first_of_row[i], j) || first(first_of_column[j], i)
        });
        for (k, z) in self.z.iter_mut().enumerate() {
            if a[k / n] == 0.0 || b[k % n] == 0.0 {
                *z = 0.0;
            }
        }
        let support = Support::new(edges, n, swapped, width);
        let mut plan: Vec<f64> = support.edges().map(|(i, j)| self.z[i * n + j]).collect();
        for _ in 0..2 {
            let (mut rows, mut columns) = support.sums(&plan);
            rows.iter_mut().zip(a).for_each(|(x, a)| *x = a - *x);
            columns.iter_mut().zip(b).for_each(|(x, b)| *x = b - *x);
            support.solve(&mut rows, &mut columns);
            let steps = support.edges().map(|(i, j)| rows[i] + columns[j]);
            plan.iter_mut().zip(steps).for_each(|(p, step)| *p = (*p + step).max(0.0));
        }
        (plan, support)
    }
}
