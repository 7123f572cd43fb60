//! Entropic transport from values on a line to equally spaced places, in nearly linear time.
//!
//! For ascending values $x_i$ of masses $a_i$ and places $j$ of masses $b_j$, both summing to one, at the
//! cost of the squared distance,
//!
//! $$P_{ij} = a_i p_{ij}, \qquad
//! p_{ij} \propto e^{\kappa \sum_{k < j} (x_i - \theta_k)}, \qquad \sum_i a_i p_{ij} = b_j$$
//!
//! with $\kappa = 2 \delta / \varepsilon$ for places $\delta$ apart: the squares of value and place are absorbed
//! by the potentials, and only their product is left. Instead of a potential for each place there is a
//! threshold $\theta_k$ between neighbours, which is a quantile of the values, smoothed.
//! What is kept of a threshold is by how much it is shifted from the quantile: where values are many
//! $\varepsilon$ apart, the plan depends on digits that would be lost in the sum of the two.
//!
//! Method: start from the quantiles, which solve the problem without entropy; a few of Sinkhorn's sweeps;
//! then Newton's method on the dual, with steps from conjugate gradients. The thresholds come out exact to
//! round-off. Derivatives are those of the solution, by the implicit function theorem.

mod laplacian;
mod line;
mod rows;
mod solver;
#[cfg(test)]
mod tests;

use laplacian::Laplacian;
pub use line::{Line, Places, Saved, naive_plan};
use rows::{Family, Rows};
use solver::Solver;
use std::any::Any;
use std::ops::Range;
use supple_core::{Dual, Fault, Floats, Real};

/// What is to be transported.
#[derive(Debug, Clone, Default)]
pub struct Problem<A> {
    /// Finite values in ascending order.
    pub values: Vec<A>,
    /// Their masses, which sum to one. Values without mass have a row all the same.
    pub weights: Vec<A>,
    /// The masses of the places, above zero and of sum one.
    pub masses: Vec<f64>,
    /// $\kappa$.
    pub rate: f64,
}

/// The plan of a [`Problem`]; at duals with its tangent.
#[derive(Debug, Default)]
pub struct LineTransport<A> {
    problem: Problem<A>,
    quantiles: Vec<f64>,
    shifts: Vec<A>,
    rows: Rows,
    laplacian: Laplacian,
    tangents: Option<Tangents<A>>,
}

/// How rows move, by numbers without a value: $d \ln p_{ij} = \kappa j dx_i + dv_j - \dots$
#[derive(Debug)]
struct Tangents<A> {
    /// $\kappa dx$.
    x: Vec<A>,
    /// $dv$, the potentials of the places.
    v: Vec<A>,
    /// Row means of $dv$, and its covariances with the place.
    v_mean: Vec<A>,
    v_slope: Vec<A>,
    /// Row means and variances of the place, as constants.
    place: Vec<A>,
    variance: Vec<A>,
}

impl<A: Real<Acc = A>> Problem<A> {
    /// Finds the plan.
    pub fn solve(self) -> Result<LineTransport<A>, Fault> {
        let (x, a) = (values(&self.values), values(&self.weights));
        let quantiles = self.quantiles();
        let mut solver = Solver {
            x: &x,
            a: &a,
            b: &self.masses,
            rate: self.rate,
            quantiles: &quantiles,
            shifts: vec![0.0; quantiles.len()],
            ..Solver::default()
        };
        solver.solve()?;
        let Solver { shifts, rows, laplacian, .. } = solver;
        let plan = LineTransport { problem: self, rows, laplacian, quantiles, ..LineTransport::default() };
        Ok(plan.with_tangents_of_problem(&shifts))
    }

    /// The plan whose shifts are known as values; their tangents are found.
    pub fn solved(self, shifts: &[f64]) -> LineTransport<A> {
        LineTransport::of_values(self, shifts).with_tangents_of_problem(shifts)
    }

    /// The plan whose shifts are known.
    pub fn at(self, shifts: &[A]) -> LineTransport<A> {
        let mut plan = LineTransport::of_values(self, &values(shifts));
        plan.shifts = shifts.to_vec();
        plan.find_tangents();
        plan
    }

    /// The values at the borders of the places, were all mass moved in order. Where a border falls between
    /// two values, it is their middle.
    fn quantiles(&self) -> Vec<f64> {
        // Weights that are equal, and masses that are, are added up exactly: in units of the first.
        let unit = self.weights.iter().map(|a| a.as_f64()).find(|&a| a > 0.0).unwrap_or(1.0);
        let total: f64 = self.weights.iter().map(|a| a.as_f64() / unit).sum();
        let mass_unit = self.masses.first().copied().unwrap_or(1.0);
        let mass: f64 = self.masses.iter().map(|b| b / mass_unit).sum();
        let mut items = self.values.iter().zip(&self.weights).filter(|(_, a)| a.as_f64() > 0.0).peekable();
        let (mut level, mut reached) = (0.0, 0.0);
        let mut thresholds = Vec::with_capacity(self.masses.len());
        let mut value = 0.0;
        for b in &self.masses {
            level += b / mass_unit;
            let wanted = level / mass * total;
            while let Some((x, a)) = items.next_if(|_| reached < wanted - 1e-12 * total) {
                (value, reached) = (x.as_f64(), reached + a.as_f64() / unit);
            }
            let next = items.peek().map_or(value, |(x, _)| x.as_f64());
            let between = reached <= wanted + 1e-12 * total;
            thresholds.push(if between { value + 0.5 * (next - value) } else { value });
        }
        thresholds.pop();
        thresholds
    }
}

impl<A: Real<Acc = A>> LineTransport<A> {
    fn of_values(problem: Problem<A>, shifts: &[f64]) -> Self {
        let mut plan = Self { quantiles: problem.quantiles(), problem, ..Self::default() };
        let Problem { values: x, weights, masses, rate } = &plan.problem;
        plan.rows = Rows::new(&values(x), Family { quantiles: &plan.quantiles, shifts, rate: *rate });
        plan.laplacian.refresh(&plan.rows, &values(weights), masses.len());
        plan
    }

    /// What it is the plan of.
    pub fn problem(&self) -> &Problem<A> {
        &self.problem
    }

    /// By how much the thresholds are shifted from the quantiles: one less than places.
    pub fn shifts(&self) -> &[A] {
        &self.shifts
    }

    /// For each value, the mean of `f` over its row, and the covariance of `f` with the place.
    pub fn means(&self, f: &[A]) -> (Vec<A>, Vec<A>) {
        let Some(t) = &self.tangents else { return self.rows.means(f) };
        let (base, base_slope) = self.rows.means(f);
        let moved: Vec<A> = f.iter().zip(&t.v).map(|(&f, &v)| f + f * v).collect();
        let placed: Vec<A> = f.iter().zip(places()).map(|(&f, j)| f * j).collect();
        let ((mut mean, mut slope), (_, skew)) = (self.rows.means(&moved), self.rows.means(&placed));
        for i in 0..mean.len() {
            mean[i] += t.x[i] * base_slope[i] - t.v_mean[i] * base[i];
            // Third moments, with v and with the place.
            slope[i] -= base[i] * t.v_slope[i] + t.v_mean[i] * base_slope[i];
            slope[i] += t.x[i] * (skew[i] - t.place[i] * base_slope[i] - base[i] * t.variance[i]);
        }
        (mean, slope)
    }

    /// For each value, the mean place, counted from 0.
    pub fn places(&self) -> Vec<A> {
        let lean = self.rows.blocks.iter().flat_map(|block| block.values.clone().map(|i| (i, block.home)));
        let mut means: Vec<A> = lean.map(|(i, home)| A::of(home as f64 + self.rows.lean[i])).collect();
        if let Some(t) = &self.tangents {
            for (i, mean) in means.iter_mut().enumerate() {
                *mean += t.x[i] * t.variance[i] + t.v_slope[i];
            }
        }
        means
    }

    /// For each place, the sum of `g` over the rows: of `g a`, over the plan.
    pub fn totals(&self, g: &[A]) -> Vec<A> {
        let m = self.problem.masses.len();
        let Some(t) = &self.tangents else { return self.rows.totals(g, m) };
        let pushed: Vec<A> = g.iter().zip(&t.x).map(|(&g, &x)| g * x).collect();
        let still =
            (0..g.len()).map(|i| g[i] - g[i] * t.v_mean[i] - pushed[i] * t.place[i]).collect::<Vec<_>>();
        let [base, pushed, still] = [g, &pushed, &still].map(|g| self.rows.totals(g, m));
        (0..m).map(|j| still[j] + t.v[j] * base[j] + A::of(j as f64) * pushed[j]).collect()
    }

    /// Solves $L \mu = h$ for the Hessian $L$ of the dual and a load that sums to zero: the change of the
    /// potentials of the places that brings them the masses `h`.
    pub fn potentials(&self, h: &[A]) -> Vec<A> {
        let solve = |mut load: Vec<f64>| {
            // What rounding leaves of the sum.
            let excess: f64 = load.iter().sum();
            load.iter_mut().zip(&self.problem.masses).for_each(|(h, b)| *h -= b * excess);
            self.laplacian.solve(&self.rows, &load, 1e-14)
        };
        let mut mu: Vec<A> = solve(values(h)).into_iter().map(A::of).collect();
        if self.tangents.is_some() {
            let (mean, _) = self.means(&mu);
            let back: Vec<A> = self.problem.weights.iter().zip(&mean).map(|(&a, &mean)| a * mean).collect();
            let (back, columns) = (self.totals(&back), self.totals(&self.problem.weights));
            let left = (0..h.len()).map(|j| tangent(h[j] - (columns[j] * mu[j] - back[j]))).collect();
            mu.iter_mut().zip(solve(left)).for_each(|(mu, d)| *mu += pure(d));
        }
        mu
    }

    /// Visits the rows, as far as shares are above `exp(−depth)` of the largest, with their places.
    pub fn for_each_row(&self, depth: f64, mut visit: impl FnMut(usize, Range<usize>, &[A])) {
        let shifts = values(&self.shifts);
        let family = Family { quantiles: &self.quantiles, shifts: &shifts, rate: self.problem.rate };
        let (mut shares, mut row) = (vec![], vec![]);
        for (i, x) in self.problem.values.iter().enumerate() {
            shares.clear();
            let columns = family.row(x.as_f64(), depth, &mut shares);
            row.clear();
            row.extend(shares.iter().map(|&p| A::of(p)));
            if let Some(t) = &self.tangents {
                for (j, p) in columns.clone().zip(&mut row) {
                    let from_mean = A::of(j as f64) - t.place[i];
                    *p += *p * (t.x[i] * from_mean + t.v[j] - t.v_mean[i]);
                }
            }
            visit(i, columns, &row);
        }
    }

    /// The adjoint of all rows: what the values get, where the share of place j in row i has the cotangent
    /// `to_share(i, j)`.
    pub fn pull(&self, depth: f64, to_share: impl Fn(usize, usize) -> A) -> Vec<A> {
        let Problem { weights, masses, rate, .. } = &self.problem;
        let (places, mut load) = (self.places(), vec![A::zero(); masses.len()]);
        let mut dx = vec![A::zero(); places.len()];
        self.for_each_row(depth, |i, columns, row| {
            let shares = || columns.clone().zip(row).map(|(j, &p)| (j, p, p * to_share(i, j)));
            let mean: A = shares().map(|(_, _, change)| change).sum();
            for (j, p, change) in shares() {
                let excess = change - p * mean;
                load[j] += excess;
                dx[i] += (A::of(j as f64) - places[i]) * excess;
            }
        });
        let (_, slopes) = self.means(&self.potentials(&load));
        let held = weights.iter().zip(slopes).map(|(&a, slope)| a * slope);
        dx.iter_mut().zip(held).for_each(|(dx, held)| *dx = A::of(*rate) * (*dx - held));
        dx
    }

    /// The shifts from their values, with the tangents that follow from those of the problem.
    fn with_tangents_of_problem(mut self, shifts: &[f64]) -> Self {
        self.shifts = shifts.iter().map(|&t| A::of(t)).collect();
        if is_dual::<A>() {
            let Problem { values: x, weights, masses, rate } = &self.problem;
            let [mut away, mut near] = [vec![], vec![]];
            for (i, block) in self.rows.blocks.iter().flat_map(|b| b.values.clone().map(move |i| (i, b))) {
                let push = weights[i] * A::of(*rate) * pure(tangent(x[i]));
                away.push(push);
                near.push(
                    pure::<A>(tangent(weights[i])) - push * A::of(block.home as f64 + self.rows.lean[i]),
                );
            }
            let m = masses.len();
            let [away, near] = [away, near].map(|g| self.rows.totals(&g, m));
            let load: Vec<A> = near.iter().zip(&away).zip(places()).map(|((&n, &a), j)| -n - a * j).collect();
            let load: Vec<f64> = load.into_iter().map(tangent).collect();
            let excess: f64 = load.iter().sum();
            let load: Vec<f64> = load.iter().zip(masses).map(|(h, b)| h - b * excess).collect();
            let v = self.laplacian.solve(&self.rows, &load, 1e-14);
            for (shift, v) in self.shifts.iter_mut().zip(v.windows(2)) {
                *shift += pure((v[0] - v[1]) / *rate);
            }
        }
        self.find_tangents();
        self
    }

    fn find_tangents(&mut self) {
        if !is_dual::<A>() {
            return;
        }
        let rate = A::of(self.problem.rate);
        let x = self.problem.values.iter().map(|&x| rate * pure(tangent(x))).collect();
        let mut v = vec![A::zero()];
        for &shift in &self.shifts {
            v.push(v[v.len() - 1] - rate * pure(tangent(shift)));
        }
        let (v_mean, v_slope) = self.rows.means(&v);
        let (place, variance) = self.rows.means(&places().take(v.len()).collect::<Vec<A>>());
        self.tangents = Some(Tangents { x, v, v_mean, v_slope, place, variance });
    }
}

/// 0, 1, 2, …
fn places<A: Real>() -> impl Iterator<Item = A> {
    (0..).map(|j: u32| A::of(f64::from(j)))
}

fn values<A: Real>(x: &[A]) -> Vec<f64> {
    x.iter().map(|x| x.as_f64()).collect()
}

fn is_dual<A: Real>() -> bool {
    matches!(A::floats(&mut []), Floats::Dual)
}

/// The tangent of a dual number; 0 for a plain one.
fn tangent<A: Real>(x: A) -> f64 {
    (&x as &dyn Any).downcast_ref::<Dual<f64>>().map_or(0.0, |x| x.d)
}

/// A dual number with this tangent and the value 0; 0 where there are no tangents.
fn pure<A: Real>(tangent: f64) -> A {
    (&Dual::new(0.0, tangent) as &dyn Any).downcast_ref::<A>().copied().unwrap_or(A::zero())
}
