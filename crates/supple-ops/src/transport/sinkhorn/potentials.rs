//! The entropic plan on plain values: Sinkhorn's iteration, then Newton's.

use supple_core::Fault;
use supple_numerics::bipartite::{Laplacian, STALE};
use supple_numerics::elementary::{dot, exp_slice, exp_sum};

/// Entries below are taken as zero, and scalings are kept far from their inverse: products neither
/// overflow nor become subnormal.
pub(super) const NEGLIGIBLE: f64 = 1e-200;
const LARGE: f64 = 1e60;
/// Relative marginal errors at which a plan counts as exact.
const ROUND_OFF: f64 = 4e-15;
/// From here one Newton step is exact and seldom makes its factor stale.
const NEARLY: f64 = 1e-9;

/// A plan in the making: $P_{ij} = x_i p_{ij} y_j$ with $p_{ij} = e^{K_{ij} + u_i + v_j}$.
///
/// The scalings are absorbed into the potentials $u, v$ whenever they leave the range of floats; between
/// two absorptions, a sweep is a product with a matrix instead of exponentials.
pub(super) struct Coupling<'a> {
    /// $K = -C / \varepsilon$, row-major; at least as many rows as columns.
    pub kernel: &'a [f64],
    /// Positive marginals with the same sum.
    pub a: &'a [f64],
    pub b: &'a [f64],
    pub p: Vec<f64>,
    u: Vec<f64>,
    v: Vec<f64>,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl<'a> Coupling<'a> {
    pub fn new(kernel: &'a [f64], a: &'a [f64], b: &'a [f64]) -> Self {
        let (p, u, v) = (kernel.to_vec(), vec![0.0; a.len()], vec![0.0; b.len()]);
        Self { kernel, a, b, p, u, v, x: vec![1.0; a.len()], y: vec![1.0; b.len()] }
    }

    /// Iterates until the plan is exact to round-off, or fails after `limit` sweeps and Newton steps if the
    /// marginal error is above `tolerance`. Returns the factor at the plan.
    pub fn solve(&mut self, tolerance: f64, limit: usize) -> Result<Laplacian, Fault> {
        self.sweep_logarithms()?;
        let (mut spent, mut patience) = (1, 8);
        let mut errors = [f64::INFINITY; 4];
        loop {
            let error = self.sweep()?;
            spent += 1;
            let before = errors[spent % 4];
            errors[spent % 4] = error;
            let exhausted = spent >= limit;
            if error <= NEARLY || exhausted || (spent >= patience && self.newton_pays(before, error)) {
                self.absorb();
                let steps = if exhausted { 1 } else { limit - spent };
                let (factor, exact) = self.newton(steps.min(40), &mut spent);
                if exact {
                    return Ok(factor);
                }
                let residual = self.marginal_error();
                if spent >= limit {
                    let fault = Fault::NotConverged { iterations: limit, residual };
                    return if residual <= tolerance { Ok(factor) } else { Err(fault) };
                }
                self.sweep_logarithms()?;
                patience = 2 * spent;
            }
        }
    }

    /// Whether squaring the error by a Newton step is cheaper than by sweeps.
    fn newton_pays(&self, four_ago: f64, error: f64) -> bool {
        let rate = 0.25 * (four_ago / error).ln();
        let sweeps = -error.ln() / rate.max(1e-300);
        error < 1.0 && sweeps > 4.0 + self.b.len() as f64 / 3.0 || rate.is_nan()
    }

    /// Scales the rows and then the columns to their marginals; returns how far the columns were off,
    /// relative to the total.
    fn sweep(&mut self) -> Result<f64, Fault> {
        let n = self.b.len();
        let mut columns = vec![0.0; n];
        for ((row, x), a) in self.p.chunks_exact(n).zip(&mut self.x).zip(self.a) {
            *x = a / dot(row, &self.y);
            columns.iter_mut().zip(row).for_each(|(c, p)| *c += *x * p);
        }
        let error: f64 = self.y.iter().zip(&columns).zip(self.b).map(|((y, c), b)| (y * c - b).abs()).sum();
        self.y.iter_mut().zip(&columns).zip(self.b).for_each(|((y, c), b)| *y = b / c);
        let in_range = |x: &f64| *x < LARGE && *x > 1.0 / LARGE;
        if !(self.x.iter().all(in_range) && self.y.iter().all(in_range)) {
            self.sweep_logarithms()?;
            return Ok(f64::INFINITY);
        }
        Ok(error / self.a.iter().sum::<f64>())
    }

    /// The same with logarithms, which cannot leave the range: columns, then rows. Absorbs the scalings.
    fn sweep_logarithms(&mut self) -> Result<(), Fault> {
        let Self { kernel, a, b, p, u, v, x, y } = self;
        let n = b.len();
        for (u, x) in u.iter_mut().zip(x) {
            *u += if *x > 0.0 && x.is_finite() { x.ln() } else { 0.0 };
            *x = 1.0;
        }
        y.fill(1.0);
        let mut top = vec![f64::NEG_INFINITY; n];
        for ((row, kernel), &u) in p.chunks_exact_mut(n).zip(kernel.chunks_exact(n)).zip(&*u) {
            for ((p, k), top) in row.iter_mut().zip(kernel).zip(&mut top) {
                *p = k + u;
                *top = top.max(*p);
            }
        }
        let mut sums = vec![0.0; n];
        for row in p.chunks_exact_mut(n) {
            row.iter_mut().zip(&top).for_each(|(p, top)| *p -= top);
            exp_slice(row);
            sums.iter_mut().zip(row).for_each(|(s, p)| *s += *p);
        }
        v.iter_mut().enumerate().for_each(|(j, v)| *v = b[j].ln() - top[j] - sums[j].ln());
        let rows = p.chunks_exact_mut(n).zip(kernel.chunks_exact(n)).zip(u.iter_mut().zip(*a));
        for ((row, kernel), (u, &a)) in rows {
            row.iter_mut().zip(kernel).zip(&*v).for_each(|((p, k), v)| *p = k + v);
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum = exp_sum(row, top);
            *u = a.ln() - top - sum.ln();
            let scale = a / sum;
            row.iter_mut().for_each(|p| *p = if *p * scale < NEGLIGIBLE { 0.0 } else { *p * scale });
        }
        // A row or column without a finite cost.
        if u.iter().chain(&*v).all(|u| u.is_finite()) { Ok(()) } else { Err(Fault::Infeasible) }
    }

    /// Makes `p` the plan.
    fn absorb(&mut self) {
        let Self { p, u, v, x, y, .. } = self;
        scale(p, x, y);
        u.iter_mut().zip(&*x).for_each(|(u, x)| *u += x.ln());
        v.iter_mut().zip(&*y).for_each(|(v, y)| *v += y.ln());
        x.fill(1.0);
        y.fill(1.0);
    }

    /// Newton's method on the concave dual $\langle a, u\rangle + \langle b, v\rangle - \sum P$, with
    /// steps kept short and halved until they gain. Leaves the best plan found; returns the factor there
    /// and whether the plan is exact.
    fn newton(&mut self, steps: usize, spent: &mut usize) -> (Laplacian, bool) {
        let mut state = Marginals::new(&self.p, self.a, self.b);
        let mut factor = Laplacian::new(&self.p, &state.rows);
        for _ in 0..steps {
            *spent += 1;
            let mut du: Vec<f64> = self.a.iter().zip(&state.rows).map(|(a, r)| a - r).collect();
            let dc: Vec<f64> = self.b.iter().zip(&state.columns).map(|(b, c)| b - c).collect();
            let dv = factor.solve_bipartite(&self.p, &mut du, &dc);
            let longest = du.iter().chain(&dv).fold(0.0, |most: f64, d| most.max(d.abs()));
            if !longest.is_finite() {
                return (factor, false);
            }
            let Some(next) = self.step(&state, &du, &dv, (4.0 / longest).min(1.0)) else {
                return (factor, state.error <= NEARLY);
            };
            let stalled = next.error > 0.5 * state.error && next.error <= NEARLY;
            state = next;
            if longest > STALE {
                factor = Laplacian::new(&self.p, &state.rows);
            }
            if state.error <= ROUND_OFF || stalled {
                return (factor, true);
            }
        }
        (factor, false)
    }

    /// Moves along the direction, less far each time that it does not gain; `None` when it never does.
    fn step(&mut self, from: &Marginals, du: &[f64], dv: &[f64], longest: f64) -> Option<Marginals> {
        let before = self.p.clone();
        let slope = dot(self.a, du) + dot(self.b, dv);
        let mut length = longest;
        for _ in 0..8 {
            let exponentials = |d: &[f64]| d.iter().map(|d| (length * d).exp()).collect::<Vec<_>>();
            let (x, y) = (exponentials(du), exponentials(dv));
            scale(&mut self.p, &x, &y);
            let next = Marginals::new(&self.p, self.a, self.b);
            let gain = length * slope - (next.total - from.total);
            if next.error < from.error || gain > 1e-10 * from.total {
                self.u.iter_mut().zip(du).for_each(|(u, d)| *u += length * d);
                self.v.iter_mut().zip(dv).for_each(|(v, d)| *v += length * d);
                return Some(next);
            }
            self.p.copy_from_slice(&before);
            length *= 0.25;
        }
        None
    }

    /// $\lVert P1 - a\rVert_1 + \lVert P^\top 1 - b\rVert_1$ of the absorbed plan, relative to the total.
    fn marginal_error(&self) -> f64 {
        let Marginals { rows, columns, .. } = Marginals::new(&self.p, self.a, self.b);
        let gap = |have: &[f64], want: &[f64]| have.iter().zip(want).map(|(h, w)| (h - w).abs()).sum::<f64>();
        (gap(&rows, self.a) + gap(&columns, self.b)) / self.a.iter().sum::<f64>()
    }
}

/// $p_{ij} \leftarrow x_i p_{ij} y_j$.
fn scale(p: &mut [f64], x: &[f64], y: &[f64]) {
    for (row, x) in p.chunks_exact_mut(y.len()).zip(x) {
        row.iter_mut().zip(y).for_each(|(p, y)| *p *= x * y);
    }
}

/// Sums of a plan, and the largest relative error of one.
struct Marginals {
    rows: Vec<f64>,
    columns: Vec<f64>,
    total: f64,
    error: f64,
}

impl Marginals {
    fn new(p: &[f64], a: &[f64], b: &[f64]) -> Self {
        let mut columns = vec![0.0; b.len()];
        let mut rows = Vec::with_capacity(a.len());
        for row in p.chunks_exact(b.len()) {
            columns.iter_mut().zip(row).for_each(|(c, p)| *c += p);
            rows.push(row.iter().sum::<f64>());
        }
        let relative = |(have, want): (&f64, &f64)| (have / want - 1.0).abs();
        let error = rows.iter().zip(a).chain(columns.iter().zip(b)).map(relative).fold(0.0, f64::max);
        let error = if rows.iter().all(|r| r.is_finite()) { error } else { f64::INFINITY };
        let total = rows.iter().sum();
        Self { rows, columns, total, error }
    }
}

/// Mass of total 1.
pub(super) fn normalised(mut mass: Vec<f64>) -> Vec<f64> {
    let total: f64 = mass.iter().sum();
    mass.iter_mut().for_each(|x| *x /= total);
    mass
}
