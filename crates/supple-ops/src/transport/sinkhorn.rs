//! Entropic optimal transport.
//!
//! $$P = \arg\min_{P \ge 0} \langle C, P\rangle + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1)
//! \quad\text{subject to}\quad P 1 = a, P^\top 1 = b$$
//!
//! for costs $C$ `(m, n)` and histograms $a$ `(m)`, $b$ `(n)` of the same total; $\varepsilon$ is the
//! softness, in the unit of the costs. The plan is $P_{ij} = e^{(f_i + g_j - C_ij) / \varepsilon}$ with
//! potentials $f, g$ that Sinkhorn's iteration finds; Newton steps on the dual finish it, so that plan and
//! gradient are exact to round-off whatever the tolerance. As $\varepsilon \to 0$ the plan tends to
//! an optimal unregularised one, to that of largest entropy where there are several.
//!
//! **Gradient.** Not through the iteration but by the implicit function theorem: with $Q = \bar P \circ P$
//! and $H (\lambda, \mu) = (Q 1, Q^\top 1)$ for the Hessian $H$ of the dual,
//! $\bar C_{ij} = -P_{ij} (\bar P_{ij} - \lambda_i - \mu_j) / \varepsilon$, $\bar a = \lambda$ and
//! $\bar b = \mu$. Histograms move with $\sum a = \sum b$ only, which leaves $(\lambda + t, \mu - t)$
//! open; $t$ is such that $\sum \bar a = \sum \bar b$: the gradient is itself a direction in which
//! they may move. An entry without mass (below $10^{-100}$ of the total) is held at zero and gets no
//! gradient: give it a little if it is to grow. Cost $+\infty$ forbids a pair.
//!
//! Cost: $O(mn)$ for each of the sweeps, the number of which grows as $\varepsilon$ falls, and
//! $O(mn \min(m, n))$ for each of a few Newton steps and for the gradient.
//!
//! Faults, for the item: negative or infinite mass, totals that differ by more than
//! $4 (m + n)$ units in the last place, a cost that is NaN or $-\infty$, no plan of finite cost, marginals
//! further off than the tolerance after the last iteration.
//!
//! Cuturi, *Sinkhorn distances: lightspeed computation of optimal transport*, NeurIPS 2013.

mod potentials;
mod support;
#[cfg(test)]
mod tests;

use ndarray::{Array, ArrayView, Dimension};
use potentials::{Coupling, normalised};
use supple_core::{
    Args, Contract, Dual, Error, Evaluated, Fault, Float, Floats, Law, Operator, Params, Point, Real, Sample,
    Scaling, Scratch, Stream, evaluate, params,
};
pub use support::Saved;

params! {
    /// Entropic optimal transport plan between two histograms.
    pub struct Sinkhorn {
        /// Strength ε of the entropy, in the unit of the costs.
        softness: f64 = 0.1, Positive;
        /// Largest L1 error of the marginals, relative to the total mass, that still counts as converged.
        tolerance: f64 = 1e-9, Positive;
        /// Most sweeps and Newton steps.
        max_iterations: usize = 10_000, AtLeast(1.0);
    }
}

impl Operator<3> for Sinkhorn {
    const NAME: &'static str = "sinkhorn";
    const SIGNATURE: &'static str = "cost(m>=1,n>=1), a(m), b(n) -> plan(m,n)";
    type Saved<T: Real> = Saved;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let least = sizes.iter().copied().min().unwrap_or(0);
        sizes.iter().product::<usize>() * (100 + least)
    }

    fn scaling(&self) -> Option<Scaling<3>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [plan]: [&mut [T]; 1],
        saved: &mut Saved,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let total = check(at)?;
        *saved = Saved::of_support(at.x[1], at.x[2], total);
        if saved.short.is_empty() {
            return Ok(());
        }
        let values = self.solve(at, total, saved)?;
        match T::floats(&mut []) {
            Floats::Dual => self.newton_step(at, &values, saved, plan),
            _ => saved.scatter(values.iter().map(|&p| T::of(p)), plan),
        }
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 3>,
        values: Point<'_, F, Saved, 3>,
        [plan]: [&mut [Dual<F>]; 1],
        saved: &mut Saved,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        saved.clone_from(values.saved);
        let p: Vec<f64> = saved.offsets().map(|i| values.y[0][i].to_f64()).collect();
        self.newton_step(at, &p, saved, plan);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved, 3>,
        [dy]: [&[T]; 1],
        [dcost, da, db]: [&mut [T]; 3],
        scratch: &mut Scratch<T>,
    ) {
        let saved = at.saved;
        let n = saved.short.len().max(1);
        let mut p = scratch.wide.empty();
        p.extend(saved.offsets().map(|i| at.y[0][i].widen()));
        let mut q = scratch.wide.empty();
        q.extend(saved.offsets().zip(&p).map(|(i, &p)| dy[i].widen() * p));
        let mut lambda: Vec<T::Acc> = q.chunks_exact(n).map(|row| row.iter().copied().sum()).collect();
        let mut mu = vec![T::Acc::zero(); saved.short.len()];
        q.chunks_exact(n).for_each(|row| mu.iter_mut().zip(row).for_each(|(m, &q)| *m += q));
        let mu = saved.factor.solve_bipartite(&p, &mut lambda, &mu);

        let scale = T::Acc::of(-1.0 / self.softness);
        for ((row, p), &lambda) in q.chunks_exact_mut(n).zip(p.chunks_exact(n)).zip(&lambda) {
            for ((q, &p), &mu) in row.iter_mut().zip(p).zip(&mu) {
                *q = scale * (*q - p * (lambda + mu));
            }
        }
        saved.scatter(q.iter().map(|&q| T::narrow(q)), dcost);
        let (dlong, dshort) = if saved.swapped { (db, da) } else { (da, db) };
        let (long, short) = saved.entries(dlong.len(), dshort.len());
        long.zip(&lambda).for_each(|(i, &l)| dlong[i] = T::narrow(l));
        short.zip(&mu).for_each(|(j, &m)| dshort[j] = T::narrow(m));
        scratch.wide.give(p);
        scratch.wide.give(q);
    }
}

impl Sinkhorn {
    /// The plan's values on the support.
    fn solve<T: Real>(&self, at: Args<'_, T, 3>, total: f64, saved: &mut Saved) -> Result<Vec<f64>, Fault> {
        let [cost, a, b] = at.x;
        let (long, short) = if saved.swapped { (b, a) } else { (a, b) };
        let (rows, columns) = saved.entries(long.len(), short.len());
        let long: Vec<f64> = rows.map(|i| long[i].as_f64()).collect();
        let short: Vec<f64> = columns.map(|j| short[j].as_f64()).collect();
        let kernel: Vec<f64> = saved.offsets().map(|i| -cost[i].as_f64() / self.softness).collect();
        let (long, short) = (normalised(long), normalised(short));
        let mut coupling = Coupling::new(&kernel, &long, &short);
        saved.factor = coupling.solve(self.tolerance, self.max_iterations)?;
        let mut plan = coupling.p;
        saved.factor.scale(total);
        plan.iter_mut().for_each(|p| *p *= total);
        Ok(plan)
    }

    /// One Newton step on the dual in `T`: at an exact plan it leaves the values and brings the tangents.
    fn newton_step<T: Real>(&self, at: Args<'_, T, 3>, values: &[f64], saved: &Saved, plan: &mut [T]) {
        let [cost, a, b] = at.x;
        let n = saved.short.len().max(1);
        let (long, short) = if saved.swapped { (b, a) } else { (a, b) };
        let (rows, columns) = saved.entries(long.len(), short.len());
        let mut rho: Vec<T::Acc> = rows.map(|i| long[i].widen()).collect();
        let mut kappa: Vec<T::Acc> = columns.map(|j| short[j].widen()).collect();
        let one = T::Acc::one();
        let scale = T::Acc::of(-1.0 / self.softness);
        // P (1 + dK): K has values in P already.
        let moved: Vec<T::Acc> = (saved.offsets().zip(values))
            .map(|(i, &p)| match p > 0.0 {
                true => T::Acc::of(p) * (one + scale * (cost[i] - T::constant(cost[i].value())).widen()),
                false => T::Acc::zero(),
            })
            .collect();
        for (row, rho) in moved.chunks_exact(n).zip(&mut rho) {
            for (kappa, &p) in kappa.iter_mut().zip(row) {
                *rho -= p;
                *kappa -= p;
            }
        }
        spread_difference(&mut rho, &mut kappa);
        let constants: Vec<T::Acc> = values.iter().map(|&p| T::Acc::of(p)).collect();
        let dv = saved.factor.solve_bipartite(&constants, &mut rho, &kappa);
        let entries = moved.iter().zip(&constants).enumerate();
        saved.scatter(entries.map(|(i, (&moved, &p))| T::narrow(moved + p * (rho[i / n] + dv[i % n]))), plan);
    }
}

/// The total mass, if the inputs are in the domain.
fn check<T: Real>(at: Args<'_, T, 3>) -> Result<f64, Fault> {
    let [cost, a, b] = at.x;
    let domain = |argument, requirement, value| Err(Fault::Domain { argument, requirement, value });
    for (argument, mass) in [("a", a), ("b", b)] {
        if let Some(x) = mass.iter().find(|x| !(x.as_f64() >= 0.0 && x.is_finite())) {
            return domain(argument, "finite and >= 0", x.as_f64());
        }
    }
    if let Some(x) = cost.iter().find(|x| x.is_nan() || x.as_f64() == f64::NEG_INFINITY) {
        return domain("cost", "a number above -inf", x.as_f64());
    }
    let [total, other] = [a, b].map(|mass| mass.iter().map(|x| x.as_f64()).sum::<f64>());
    let slack = 4.0 * T::Value::EPSILON * (a.len() + b.len()) as f64;
    if (total - other).abs() <= slack * total.max(other) {
        Ok(total)
    } else {
        domain("b", "of the same total as `a`", other)
    }
}

/// Takes half of the difference of the two sums from each: what the plan cannot follow.
fn spread_difference<A: Real>(rho: &mut [A], kappa: &mut [A]) {
    let [left, right] = [&*rho, &*kappa].map(|x| x.iter().copied().sum::<A>());
    let each = (left - right) / A::of((rho.len() + kappa.len()).max(1) as f64);
    rho.iter_mut().for_each(|x| *x -= each);
    kappa.iter_mut().for_each(|x| *x += each);
}

impl Contract<3> for Sinkhorn {
    const SUMMARY: &'static str = "entropic optimal transport plan between two histograms";
    const PAPER: &'static str = "Cuturi, NeurIPS 2013";
    const COST: &'static str = "O(mn) a sweep, O(mn min(m, n)) backward; O(mn) memory";

    fn cases() -> Vec<Self> {
        let default = Self::default();
        vec![
            Self { softness: 1.0, ..default },
            Self { softness: 0.2, tolerance: 1e-3, ..default },
            Self { softness: 7.0, max_iterations: 1000, ..default },
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let gap = |have: f64, want: f64| (have - want).abs();
        let rows = move |at: Evaluated<'_>| {
            let rows = at.y[0].chunks_exact(at.sizes[1]).map(|row| row.iter().sum());
            rows.zip(at.x[1]).map(|(have, &want)| gap(have, want)).fold(0.0, f64::max)
        };
        let columns = move |at: Evaluated<'_>| {
            let n = at.sizes[1];
            let columns = (0..n).map(|j| at.y[0].iter().skip(j).step_by(n).sum());
            columns.zip(at.x[2]).map(|(have, &want)| gap(have, want)).fold(0.0, f64::max)
        };
        vec![
            Law::Vanishes("row_marginals", Box::new(rows)),
            Law::Vanishes("column_marginals", Box::new(columns)),
        ]
    }

    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        let [cost, a, b] = at.x;
        let n = b.len();
        let (mut f, mut g) = (vec![0.0; a.len()], vec![0.0; n]);
        let softmin = |of: &mut dyn Iterator<Item = f64>| {
            let x: Vec<f64> = of.collect();
            let least = x.iter().copied().fold(f64::INFINITY, f64::min);
            least - self.softness * x.iter().map(|x| ((least - x) / self.softness).exp()).sum::<f64>().ln()
        };
        for _ in 0..200_000 {
            let before = g.clone();
            for i in 0..f.len() {
                f[i] = self.softness * a[i].ln() + softmin(&mut (0..n).map(|j| cost[i * n + j] - g[j]));
            }
            for j in 0..n {
                g[j] = self.softness * b[j].ln() + softmin(&mut (0..f.len()).map(|i| cost[i * n + j] - f[i]));
            }
            if before.iter().zip(&g).all(|(x, y)| x == y || (x - y).abs() < 1e-15 * self.softness) {
                break;
            }
        }
        let plan = |i: usize| ((f[i / n] + g[i % n] - cost[i]) / self.softness).exp();
        Some([(0..cost.len()).map(plan).collect()])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        vec![vec![1, 1], vec![1, 4], vec![5, 2], vec![4, 4], vec![7, 9]]
    }

    /// Histograms of total 1 in units of 2⁻²⁰, so that the totals are equal in single precision too; with
    /// an empty entry where there are more than three.
    fn sample(&self, _: &[usize], [mn, m, n]: [usize; 3], random: &mut Stream) -> Sample<3> {
        let mut histogram = |n: usize| {
            let full = |i: usize| n <= 3 || i != 1;
            let mass = (0..n).map(|i| if full(i) { 0.2 + random.uniform() } else { 0.0 }).collect();
            let units = (1 << 20) as f64;
            let mut mass: Vec<f64> = normalised(mass).iter().map(|x| (x * units).floor() / units).collect();
            let missing = 1.0 - mass.iter().sum::<f64>();
            mass.iter_mut().take(1).for_each(|x| *x += missing);
            mass
        };
        let (a, b) = (histogram(m), histogram(n));
        Sample { x: [random.normals(mn), a, b], k: [] }
    }

    fn free(&self) -> [bool; 3] {
        [true, false, false]
    }

    /// Keeps both totals equal and empty entries empty.
    fn direction(&self, x: [&[f64]; 3], random: &mut Stream) -> [Vec<f64>; 3] {
        let [cost, a, b] = x;
        let mut mass = |x: &[f64]| -> Vec<f64> {
            x.iter().map(|&x| if x > 0.0 { random.normal() } else { 0.0 }).collect()
        };
        let (mut a, b) = (mass(a), mass(b));
        let difference = b.iter().sum::<f64>() - a.iter().sum::<f64>();
        a.iter_mut().take(1).for_each(|a| *a += difference);
        [random.normals(cost.len()), a, b]
    }
}

/// The entropic optimal transport plan between histograms `a` `(…, m)` and `b` `(…, n)` at costs `cost`
/// `(…, m, n)`; the result is shaped as `cost`, whose leading axes are the batch.
///
/// $$P = \arg\min_{P \ge 0} \langle C, P\rangle + \varepsilon \sum_{ij} P_{ij} (\ln P_{ij} - 1)
/// \quad\text{subject to}\quad P 1 = a, P^\top 1 = b$$
///
/// `softness` is ε, in the unit of the costs; as it goes to 0 the plan tends to an unregularised one. The
/// plan is exact to round-off. Its gradient is exact on histograms of equal totals; it is that along
/// which the totals stay equal, and zero at entries without mass.
///
/// Cost: O(mn) for each sweep, O(mn min(m, n)) for a few Newton steps and for the gradient.
///
/// # Errors
/// `softness` not above 0; shapes that do not fit; negative mass, different totals, a cost that is NaN or
/// −∞, no plan of finite cost, or no convergence in 10,000 iterations: set
/// [`Sinkhorn::max_iterations`] for more.
///
/// ```
/// use ndarray::array;
/// use supple_ops::transport::sinkhorn;
///
/// let cost = array![[0.0, 1.0], [1.0, 0.0]];
/// let (a, b) = (array![0.5, 0.5], array![0.25, 0.75]);
/// let plan = sinkhorn(&cost, &a, &b, 0.01)?;
/// assert!((plan - array![[0.25, 0.25], [0.0, 0.5]]).iter().all(|gap: &f64| gap.abs() < 1e-12));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Cuturi, *Sinkhorn distances: lightspeed computation of optimal transport*, NeurIPS 2013.
pub fn sinkhorn<'a, T: Float, D: Dimension, E: Dimension>(
    cost: impl Into<ArrayView<'a, T, D>>,
    a: impl Into<ArrayView<'a, T, E>>,
    b: impl Into<ArrayView<'a, T, E>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    let operator = Sinkhorn { softness, ..Sinkhorn::default() };
    let inputs = [cost.into().into_dyn(), a.into().into_dyn(), b.into().into_dyn()];
    let [plan] = evaluate(&operator, inputs)?;
    let narrower = |e| Error::unsupported(Sinkhorn::NAME, "an output of the rank of `cost`", e);
    plan.into_dimensionality().map_err(narrower)
}
