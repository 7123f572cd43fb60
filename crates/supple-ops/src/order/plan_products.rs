//! Products of the matrix of entropic transport with several columns, without the matrix.
//!
//! With $p_{ij}$ the share of value i that goes to place j, the matrix is $Q_{ji} = p_{ij}$. Its products are what
//! arrives at a place, and the mean over a row.

use super::sinkhorn::{self, places, scatter};
use supple_core::{Dual, Fault, Float, Real, Scratch};
use supple_numerics::line_transport::{Line, Places, Saved};

/// The matrix, or its transpose.
#[derive(Clone, Copy)]
pub(super) struct Transport {
    pub softness: f64,
    pub descending: bool,
    pub transposed: bool,
}

impl Transport {
    fn places(&self, n: usize) -> Places {
        places(n, self.softness, self.descending)
    }

    /// Finds the plan for the keys, and carries a matrix of `d` columns.
    pub fn carry<T: Real>(
        &self,
        x: &[T],
        (v, d): (&[T], usize),
        y: &mut [T],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        match self.places(x.len()).solve(x, None, saved, scratch)? {
            Some(line) => product(&line, &saved.order, self.transposed, (v, d), y),
            None => y.fill(T::nan()),
        }
        Ok(())
    }

    /// The same at duals when the plan of the values is known.
    pub fn lift<F: Float>(
        &self,
        x: &[Dual<F>],
        (v, d): (&[Dual<F>], usize),
        y: &mut [Dual<F>],
        values: &Saved<F>,
        saved: &mut Saved<Dual<F>>,
    ) {
        match self.places(x.len()).lift(x, None, values, saved) {
            Some(line) => product(&line, &saved.order, self.transposed, (v, d), y),
            None => y.fill(Dual::nan()),
        }
    }

    /// Writes the gradients to keys and matrix.
    pub fn pull<T: Real>(
        &self,
        x: &[T],
        (v, dy, d): (&[T], &[T], usize),
        [dx, dv]: [&mut [T]; 2],
        saved: &Saved<T>,
    ) {
        let Some(line) = self.places(x.len()).at(x, None, saved) else {
            dx.fill(T::nan());
            return dv.fill(T::nan());
        };
        let (a, b) = if self.transposed { (v, dy) } else { (dy, v) };
        product(&line, &saved.order, !self.transposed, (dy, d), dv);
        pull_keys(&line, &saved.order, self.descending, (a, b, d), dx);
    }

    /// The rows of the matrix by its definition. For oracles.
    pub fn naive(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let n = x.len();
        let plan = sinkhorn::naive(x, &vec![1.0; n], self.softness);
        let row = |j: usize| (0..n).map(|i| n as f64 * plan[i * n + j]).collect();
        let mut rows: Vec<Vec<f64>> = (0..n).map(row).collect();
        if self.descending {
            rows.reverse();
        }
        rows
    }
}

/// One column of a matrix of `d`, its rows sorted if they are those of elements.
fn column<T: Real>(v: &[T], [d, c]: [usize; 2], order: Option<&[u32]>) -> Vec<T::Acc> {
    match order {
        Some(order) => order.iter().map(|&element| v[element as usize * d + c].widen()).collect(),
        None => v.iter().skip(c).step_by(d).map(|v| v.widen()).collect(),
    }
}

/// `out ← Q v` or `Qᵀ v`. Both have `d` columns.
fn product<T: Real>(
    line: &Line<T::Acc>,
    order: &[u32],
    transposed: bool,
    (v, d): (&[T], usize),
    out: &mut [T],
) {
    for c in 0..d {
        if transposed {
            let (means, _) = line.plan.means(&column(v, [d, c], None));
            order.iter().zip(means).for_each(|(&i, mean)| out[i as usize * d + c] = T::narrow(mean));
        } else {
            let totals = line.plan.totals(&column(v, [d, c], Some(order)));
            totals.into_iter().enumerate().for_each(|(j, total)| out[j * d + c] = T::narrow(total));
        }
    }
}

/// Writes the gradient of `⟨a, Q b⟩` in the keys. Both have `d` columns.
///
/// The potentials are found once: their load is a sum over columns.
fn pull_keys<T: Real>(
    line: &Line<T::Acc>,
    order: &[u32],
    negated: bool,
    (a, b, d): (&[T], &[T], usize),
    dx: &mut [T],
) {
    let (plan, n) = (&line.plan, order.len());
    let [mut own, mut mean, mut load] = [(); 3].map(|()| vec![T::Acc::zero(); n]);
    for c in 0..d {
        let (rows, elements) = (column(a, [d, c], None), column(b, [d, c], Some(order)));
        let (means, slopes) = plan.means(&rows);
        for (i, &element) in elements.iter().enumerate() {
            mean[i] += element * means[i];
            own[i] += element * slopes[i];
        }
        let arriving = plan.totals(&elements);
        load.iter_mut().zip(rows.iter().zip(&arriving)).for_each(|(load, (&row, &sum))| *load += row * sum);
    }
    let back = plan.totals(&mean);
    load.iter_mut().zip(&back).for_each(|(load, &back)| *load -= back);
    let (_, held) = plan.means(&plan.potentials(&load));
    let problem = plan.problem();
    let rate = T::Acc::of(if negated { -problem.rate } else { problem.rate });
    let change = |i: usize| rate * (own[i] - problem.weights[i] * held[i]);
    scatter(order, line, (0..n).map(change), dx);
}
