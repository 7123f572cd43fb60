//! Linear systems in the Hessian of the dual, by conjugate gradients.
//!
//! With masses $a_i$ and rows $p_i$, it is $L = \mathrm{diag}(c) - \sum_i a_i p_i p_i^\top$ for the column
//! sums $c$: the Laplacian of a graph on the places. On functions that vary slowly it acts as the chain of
//! neighbours with the conductances $\sum_i a_i \sum_{j > k} p_{ij} (j - r_i)$, where $r_i$ is the
//! mean place of row i, and exceeds it nowhere; on functions that vary fast, as the diagonal. The sum of the
//! inverses of both is an inverse up to a small factor, whatever the softness.

use super::rows::{Rows, multiply, subtract_transposed};
use crate::elementary::sum_by;

/// Exchanges of mass between neighbours below this are lost in rounding.
const LEAST: f64 = 1e-14;
/// Most iterations of conjugate gradients, and most without progress.
const MOST: usize = 200;
const PATIENCE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Laplacian {
    /// The mass of each row.
    a: Vec<f64>,
    /// Column sums.
    pub columns: Vec<f64>,
    /// The part of the column sums that comes from each block of several values, one after the other.
    parts: Vec<f64>,
    /// Conductances of the chain.
    chain: Vec<f64>,
    /// What has been added to the conductances, in the Laplacian too.
    added: Vec<f64>,
}

impl Laplacian {
    pub fn refresh(&mut self, rows: &Rows, a: &[f64], m: usize) {
        self.a.clear();
        self.a.extend(a);
        for (buffer, n) in [(&mut self.columns, m), (&mut self.chain, m.max(1) - 1)] {
            buffer.clear();
            buffer.resize(n, 0.0);
        }
        self.added.clear();
        self.added.resize(m.max(1) - 1, 0.0);
        self.parts.clear();
        let (mut masses, mut leans, mut excess) = (vec![], vec![], vec![]);
        let pulls: Vec<f64> = a.iter().zip(&rows.lean).map(|(a, lean)| a * lean).collect();
        for block in &rows.blocks {
            let values = block.values.clone();
            rows.gather(block, a[values.clone()].iter().map(|a| -a), &mut masses);
            rows.gather(block, pulls[values].iter().copied(), &mut leans);
            let width = block.columns.len();
            let start = self.parts.len();
            self.parts.resize(start + width, 0.0);
            let part = &mut self.parts[start..];
            excess.clear();
            excess.resize(width, 0.0);
            subtract_transposed(rows.kernel(block), &masses, part);
            subtract_transposed(rows.kernel(block), &leans, &mut excess);
            for ((column, part), (excess, j)) in self.columns[block.columns.clone()]
                .iter_mut()
                .zip(&*part)
                .zip(excess.iter_mut().zip(block.columns.clone()))
            {
                *column += part;
                *excess += part * (j as f64 - block.home as f64);
            }
            // The sums to the right of each edge; left of home, less those to the left, which are equal.
            let home = block.home - block.columns.start;
            let edges = &mut self.chain[block.columns.start..block.columns.end - 1];
            let mut sum = 0.0;
            for (edge, excess) in edges[home..].iter_mut().zip(&excess[home + 1..]).rev() {
                sum += excess;
                *edge += f64::max(sum, 0.0);
            }
            sum = 0.0;
            for (edge, excess) in edges[..home].iter_mut().zip(&excess) {
                sum -= excess;
                *edge += f64::max(sum, 0.0);
            }
            if block.values.len() == 1 {
                self.parts.truncate(start);
            }
        }
        for (chain, added) in self.chain.iter_mut().zip(&mut self.added) {
            *added = (LEAST - *chain).max(0.0);
            *chain += *added;
        }
    }

    /// Makes the chain so stiff that a load of `h` changes no neighbours' difference by more than
    /// about two.
    pub fn stiffen(&mut self, h: &[f64]) {
        let mut load = 0.0;
        for ((chain, added), h) in self.chain.iter_mut().zip(&mut self.added).zip(h) {
            load += h;
            let more = (0.5 * f64::abs(load) - *chain).max(0.0);
            *added += more;
            *chain += more;
        }
    }

    /// `out = L v`, as sums of differences within the rows.
    fn apply(&self, rows: &Rows, v: &[f64], work: &mut Work) {
        let Work { out, rise, sums, means, back } = work;
        out.fill(0.0);
        let mut parts = &self.parts[..];
        for block in &rows.blocks {
            let at_home = v[block.home];
            rise.clear();
            rise.extend(v[block.columns.clone()].iter().map(|v| v - at_home));
            let (kernel, out) = (rows.kernel(block), &mut out[block.columns.clone()]);
            if block.values.len() == 1 {
                let a = self.a[block.values.start];
                let mean: f64 = kernel.iter().zip(&*rise).map(|(p, v)| p * v).sum();
                for ((out, p), v) in out.iter_mut().zip(kernel).zip(&*rise) {
                    *out += a * p * (v - mean);
                }
                continue;
            }
            sums.resize(block.nodes, 0.0);
            multiply(kernel, rise, sums);
            means.clear();
            rows.hand_out(block, sums, |i, mean| means.push(self.a[i] * mean));
            rows.gather(block, means.iter().copied(), back);
            let (part, later) = parts.split_at(rise.len());
            parts = later;
            out.iter_mut().zip(part).zip(&*rise).for_each(|((out, part), v)| *out += part * v);
            subtract_transposed(kernel, back, out);
        }
        for (j, &added) in self.added.iter().enumerate().filter(|(_, added)| **added > 0.0) {
            let flow = added * (v[j + 1] - v[j]);
            out[j] -= flow;
            out[j + 1] += flow;
        }
    }

    /// `z = (diag(c)⁻¹ + chain⁻¹) h` for a load that sums to zero.
    fn precondition(&self, h: &[f64], z: &mut [f64]) {
        let (mut load, mut potential, mut total) = (0.0, 0.0, 0.0);
        for (j, ((z, h), c)) in z.iter_mut().zip(h).zip(&self.columns).enumerate() {
            *z = potential;
            total += c * potential;
            if let Some(chain) = self.chain.get(j) {
                load += h;
                potential -= load / chain;
            }
        }
        let mean = total / self.columns.iter().sum::<f64>();
        for ((z, h), c) in z.iter_mut().zip(h).zip(&self.columns) {
            *z += h / c.max(LEAST) - mean;
        }
    }

    /// Solves L v = h for a load that sums to zero, until the residual is less than this fraction of it.
    pub fn solve(&self, rows: &Rows, h: &[f64], fraction: f64) -> Vec<f64> {
        let m = h.len();
        let size = |x: &[f64]| x.iter().map(|x| x.abs()).sum::<f64>();
        let inner = |x: &[f64], y: &[f64]| sum_by(x, y, |x, y| x * y);
        let mut work = Work { out: vec![0.0; m], ..Work::default() };
        let (mut v, mut best) = (vec![0.0; m], vec![0.0; m]);
        let (mut residual, mut z) = (h.to_vec(), vec![0.0; m]);
        self.precondition(&residual, &mut z);
        let mut direction = z.clone();
        let mut decrease = inner(&residual, &z);
        let (mut least, wanted, mut fruitless) = (size(h), fraction * size(h), 0);
        for _ in 0..MOST {
            self.apply(rows, &direction, &mut work);
            let step = decrease / inner(&direction, &work.out);
            // Written so that NaN stops it.
            if !(step > 0.0 && step.is_finite()) {
                break;
            }
            v.iter_mut().zip(&direction).for_each(|(v, d)| *v += step * d);
            residual.iter_mut().zip(&work.out).for_each(|(r, out)| *r -= step * out);
            let left = size(&residual);
            fruitless += 1;
            if left < least {
                (least, fruitless) = (left, 0);
                best.copy_from_slice(&v);
            }
            if left <= wanted || fruitless > PATIENCE {
                break;
            }
            self.precondition(&residual, &mut z);
            let next = inner(&residual, &z);
            let keep = next / decrease;
            decrease = next;
            direction.iter_mut().zip(&z).for_each(|(d, z)| *d = z + keep * *d);
        }
        best
    }
}

#[derive(Default)]
struct Work {
    out: Vec<f64>,
    rise: Vec<f64>,
    sums: Vec<f64>,
    means: Vec<f64>,
    back: Vec<f64>,
}
