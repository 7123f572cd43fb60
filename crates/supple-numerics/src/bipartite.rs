//! Linear systems in the Hessian of the duals of transport.
//!
//! For a matrix $P \ge 0$ with row and column sums $r, c$ it is
//! $H = \begin{pmatrix} \mathrm{diag}(r) & P \cr P^\top & \mathrm{diag}(c) \end{pmatrix}$: up to the sign of
//! the second half, the Laplacian of a graph that joins row $i$ to column $j$ with weight $P_{ij}$. Where
//! transport is smoothed by entropy, $P$ is the plan; by squares, it is 1 where the plan has mass.
//!
//! Eliminating a node joins its neighbours by $w_{jk} \mathrel{+}= w_{ij} w_{ik} / \sum_l w_{il}$; all terms
//! are positive, so that nothing cancels and the factor is right to a few units in the last place of each
//! weight, however nearly the graph falls apart. Nodes that are the last of their component get the
//! potential 0.

use crate::elementary::dot;
use supple_core::Real;

/// How far a plan may move, relative to each entry, before its factor must be computed anew.
pub const STALE: f64 = 1e-7;

/// The factor of the Laplacian that is left on the columns when the rows are eliminated.
#[derive(Debug, Clone, Default)]
pub struct Laplacian {
    n: usize,
    /// Row-major; above the diagonal the share $w_{jk} / \sum_{l > j} w_{jl}$ of each later
    /// neighbour, on it the sum.
    shares: Vec<f64>,
}

impl Laplacian {
    /// Eliminates the rows of `p`, whose sums are `r` > 0, and then the columns one by one.
    pub fn new(p: &[f64], r: &[f64]) -> Self {
        let n = p.len() / r.len().max(1);
        let mut w = vec![0.0; n * n];
        let mut scaled = [vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n]];
        for (rows, r) in p.chunks(4 * n.max(1)).zip(r.chunks(4)) {
            scaled.iter_mut().skip(r.len()).for_each(|s| s.fill(0.0));
            for ((s, row), r) in scaled.iter_mut().zip(rows.chunks_exact(n)).zip(r) {
                s.iter_mut().zip(row).for_each(|(s, p)| *s = p / r);
            }
            add_products(&mut w, n, &scaled, rows);
        }
        let mut this = Self { n, shares: w };
        this.eliminate();
        this
    }

    /// The same for rows of weights 1: the columns that each is joined to. All rows and the `n` columns are
    /// also joined to the ground, a node with the potential 0, by this weight, which may be 0. Rows that are
    /// joined to nothing are passed over.
    pub fn of_edges<'a>(n: usize, rows: impl Iterator<Item = &'a [u32]>, ground: f64) -> Self {
        let mut this = Self { n: n + 1, shares: vec![0.0; (n + 1) * (n + 1)] };
        let w = &mut this.shares;
        (0..n).for_each(|j| w[j * (n + 1) + n] = ground);
        for row in rows {
            let weight = 1.0 / (row.len() as f64 + ground);
            for (place, &j) in row.iter().enumerate() {
                let to = &mut w[j as usize * (n + 1)..][..n + 1];
                row[place + 1..].iter().for_each(|&k| to[k as usize] += weight);
                to[n] += ground * weight;
            }
        }
        this.eliminate();
        this
    }

    fn eliminate(&mut self) {
        let n = self.n;
        for j in 0..n {
            let (done, rest) = self.shares.split_at_mut((j + 1) * n);
            let row = &mut done[j * n + j..];
            let sum: f64 = row[1..].iter().sum();
            row[0] = sum;
            if sum > 0.0 {
                for (k, below) in rest.chunks_exact_mut(n).enumerate() {
                    let share = row[k + 1] / sum;
                    let (_, later) = row.split_at(k + 2);
                    below[j + k + 2..].iter_mut().zip(later).for_each(|(w, &l)| *w += share * l);
                }
                row[1..].iter_mut().for_each(|w| *w /= sum);
            }
        }
    }

    /// The factor of the Laplacian with all weights scaled.
    pub fn scale(&mut self, by: f64) {
        self.shares.iter_mut().step_by(self.n + 1).for_each(|sum| *sum *= by);
    }

    /// Solves the system of the columns in place. What `x` has for the last column of a component, or for the
    /// ground, is taken to be what makes the sum zero, whatever it is.
    pub fn solve<A: Real>(&self, x: &mut [A]) {
        let n = self.n;
        for (j, row) in self.shares.chunks_exact(n.max(1)).enumerate() {
            let (head, tail) = x.split_at_mut(j + 1);
            let (sum, shares) = (row[j], &row[j + 1..]);
            tail.iter_mut().zip(shares).for_each(|(x, &share)| *x += A::of(share) * head[j]);
            head[j] = if sum > 0.0 { head[j] / A::of(sum) } else { A::zero() };
        }
        for (j, row) in self.shares.chunks_exact(n.max(1)).enumerate().rev() {
            let sum: A = row[j + 1..].iter().zip(&x[j + 1..]).map(|(&share, &x)| A::of(share) * x).sum();
            x[j] += sum;
        }
    }

    /// Solves $H (\lambda, \mu) = (\rho, \kappa)$ for the plan `p`, where $\sum\rho = \sum\kappa$. `rho`
    /// becomes $\lambda$; returns $\mu$. The potentials are known up to $(+t, -t)$; on return
    /// $\sum\lambda = \sum\mu$.
    ///
    /// The factor has values only, of a plan that may differ by [`STALE`] in each entry. Each of three rounds
    /// of refinement takes the error of the values down by that factor; at duals, the first leaves
    /// the tangents without the part that comes from the tangents of `p`, which the others bring.
    pub fn solve_bipartite<A: Real<Acc = A>>(&self, p: &[A], rho: &mut [A], kappa: &[A]) -> Vec<A> {
        let n = self.n.max(1);
        let r: Vec<A> = p.chunks_exact(n).map(|row| row.iter().copied().sum()).collect();
        let mut c = vec![A::zero(); self.n];
        p.chunks_exact(n).for_each(|row| c.iter_mut().zip(row).for_each(|(c, &p)| *c += p));
        let mut mu = vec![A::zero(); self.n];
        let lambda = |mu: &[A], i: usize| (rho[i] - dot(&p[i * n..][..n], mu)) / r[i];
        let mut error = vec![A::zero(); self.n];
        for _ in 0..3 {
            error.iter_mut().enumerate().for_each(|(j, e)| *e = kappa[j] - c[j] * mu[j]);
            for (i, row) in p.chunks_exact(n).enumerate() {
                let lambda = lambda(&mu, i);
                error.iter_mut().zip(row).for_each(|(e, &p)| *e -= p * lambda);
            }
            self.solve(&mut error);
            mu.iter_mut().zip(&error).for_each(|(mu, &e)| *mu += e);
        }
        let result: Vec<A> = (0..r.len()).map(|i| lambda(&mu, i)).collect();
        rho.copy_from_slice(&result);
        let sums = [rho.iter().copied().sum::<A>(), mu.iter().copied().sum()];
        let shift = (sums[1] - sums[0]) / A::of((rho.len() + mu.len()).max(1) as f64);
        rho.iter_mut().for_each(|l| *l += shift);
        mu.iter_mut().for_each(|m| *m -= shift);
        mu
    }
}

/// `w[j][k] += Σ_i scaled[i][j] rows[i][k]` for k > j, four rows at once.
fn add_products(w: &mut [f64], n: usize, scaled: &[Vec<f64>; 4], rows: &[f64]) {
    let empty = vec![];
    let zeros = if rows.len() < 4 * n { vec![0.0; n] } else { empty };
    let row = |i: usize| rows.get(i * n..(i + 1) * n).unwrap_or(&zeros);
    let [p0, p1, p2, p3] = [row(0), row(1), row(2), row(3)];
    for (j, w) in w.chunks_exact_mut(n).enumerate() {
        let [s0, s1, s2, s3] = [scaled[0][j], scaled[1][j], scaled[2][j], scaled[3][j]];
        let tails = p0[j..].iter().zip(&p1[j..]).zip(p2[j..].iter().zip(&p3[j..]));
        for (w, ((&p0, &p1), (&p2, &p3))) in w[j..].iter_mut().zip(tails) {
            *w += (s0 * p0 + s1 * p1) + (s2 * p2 + s3 * p3);
        }
    }
}
