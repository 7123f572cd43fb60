//! Euclidean projection onto the transport polytope, the plans between two histograms.
//!
//! $$ P = \operatorname*{argmin}_{P \ge 0,\ P 1 = a,\ P^\top 1 = b} \tfrac12 \lVert P - X \rVert^2, \qquad
//! P = \max(X + u 1^\top + 1 v^\top, 0) $$
//!
//! At $X = -C / \varepsilon$ it is transport at the costs $C$, smoothed by
//! $\tfrac\varepsilon2 \lVert P \rVert^2$: sparse, where [`sinkhorn`](crate::transport::sinkhorn()) is
//! positive everywhere.
//!
//! **Gradient.** On the support $S$, where $P > 0$, with the potentials λ, μ that solve
//! $\sum_{j \in S_i} (\lambda_i + \mu_j) = \sum_{j \in S_i} \bar P_{ij}$ and the same for the columns,
//! $$ \bar X_{ij} = \bar P_{ij} - \lambda_i - \mu_j \text{ on } S, \qquad \bar a = \lambda, \quad \bar b = \mu. $$
//! An entry that has just reached zero (a kink) counts as outside. The second derivative is zero almost
//! everywhere.
//!
//! The histograms may move only with equal totals, and where the support falls apart into several parts, as
//! at a permutation, only with equal totals on each part: in any other direction there is a kink. The
//! gradient to them is that along the directions in which the plan can follow; its sums over the rows and the
//! columns of each part are equal. An entry without mass gets the derivative to the right.
//!
//! * −∞ in X forbids an entry. NaN and +∞ make the item NaN. A histogram that is negative or not finite, and
//!   totals that differ by more than $4 (m + n)$ units in the last place, are faults of their item; so are
//!   entries that are forbidden such that no plan is left (infeasible, or not converged). A point whose
//!   distances are beyond 10³⁰⁸ times the masses may be one too (not converged).
//! * Cost: semismooth Newton's method on the dual, about ten steps of $O(mn + \min(m, n)^3)$ and of the
//!   squares of the rows' supports; the gradient $O(mn + \min(m, n)^2)$. Done in `f64` for `f32` too.
//!
//! Papers: Blondel, Seguy, Rolet, *Smooth and sparse optimal transport*, AISTATS 2018,
//! <https://arxiv.org/abs/1710.06276>; Lorenz, Manns, Meyer, *Quadratically regularized optimal transport*,
//! Applied Mathematics and Optimization 2021, <https://arxiv.org/abs/1903.01112>.

mod dual;
mod support;
#[cfg(test)]
mod tests;

use super::common::{project, tangent, twice};
use dual::Plan;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Dual, Error, Evaluated, Fault, Float, Floats, Gradient, Law, Operator, Params, Point,
    Real, Sample, Scratch, Stream, params,
};
use support::Edges;
pub use support::Support;

params! {
    /// Projection onto the plans between two histograms.
    pub struct TransportProjection {}
}

impl Operator<3> for TransportProjection {
    const NAME: &'static str = "transport_projection";
    const SIGNATURE: &'static str = "x(m>=1,n>=1), a(m), b(n) -> plan(m,n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Support;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let least = sizes.iter().copied().min().unwrap_or(0);
        10 * least.pow(3) + 100 * sizes.iter().product::<usize>()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 3>,
        [plan]: [&mut [T]; 1],
        saved: &mut Support,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        check(at.x)?;
        *saved = solve(at.x, plan)?;
        follow(at.x, saved, plan);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 3>,
        values: Point<'_, F, Support, 3>,
        [plan]: [&mut [Dual<F>]; 1],
        saved: &mut Support,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        saved.clone_from(values.saved);
        plan.iter_mut().zip(values.y[0]).for_each(|(p, &value)| *p = Dual::constant(value));
        follow(at.x, saved, plan);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Support, 3>,
        [dy]: [&[T]; 1],
        dx: [&mut [T]; 3],
        _: &mut Scratch<T>,
    ) {
        pull_back(at.saved, dy, dx);
    }
}

/// The values of the plan, and its support, which is empty for an item with a NaN. Totals are to be equal.
pub(super) fn solve<T: Real>([x, a, b]: [&[T]; 3], plan: &mut [T]) -> Result<Support, Fault> {
    if x.iter().any(|x| x.is_nan() || x.as_f64() == f64::INFINITY) {
        plan.fill(T::nan());
        return Ok(Support::default());
    }
    let values = |x: &[T]| x.iter().map(|x| x.as_f64()).collect::<Vec<_>>();
    let (width, [mut long, mut short]) = (b.len(), [a, b].map(values));
    let swapped = long.len() < short.len();
    let mut z = values(x);
    if swapped {
        std::mem::swap(&mut long, &mut short);
        let columns = (0..width).flat_map(|j| x.iter().skip(j).step_by(width));
        z = columns.map(|x| x.as_f64()).collect();
    }
    let [of_long, of_short] = [&long, &short].map(|mass| mass.iter().sum::<f64>());
    if of_long == 0.0 {
        return Ok(Support::new(Edges::empty(long.len()), short.len(), swapped, width));
    }
    short.iter_mut().for_each(|x| *x *= of_long / of_short);
    let (values, support) = Plan { z, a: &long, b: &short }.solve(swapped, width)?;
    support.offsets().zip(values).for_each(|(i, value)| plan[i] = T::of(value));
    Ok(support)
}

/// Gives a plan the tangents of its inputs.
pub(super) fn follow<T: Real>([x, a, b]: [&[T]; 3], support: &Support, plan: &mut [T]) {
    if support.is_spoilt() || !matches!(T::floats(&mut []), Floats::Dual) {
        return;
    }
    let moved: Vec<T::Acc> = support.offsets().map(|i| tangent(x[i])).collect();
    let (mut rho, mut kappa) = support.sums(&moved);
    let (long, short) = if support.is_swapped() { (b, a) } else { (a, b) };
    rho.iter_mut().zip(long).for_each(|(rho, &mass)| *rho = tangent(mass) - *rho);
    kappa.iter_mut().zip(short).for_each(|(kappa, &mass)| *kappa = tangent(mass) - *kappa);
    support.solve(&mut rho, &mut kappa);
    for ((place, moved), (i, j)) in support.offsets().zip(moved).zip(support.edges()) {
        plan[place] += T::narrow(moved + rho[i] + kappa[j]);
    }
}

/// The gradients to the point and the histograms.
pub(super) fn pull_back<T: Real>(support: &Support, dy: &[T], [dx, da, db]: [&mut [T]; 3]) {
    if support.is_spoilt() {
        return [dx, da, db].into_iter().for_each(|d| d.fill(T::nan()));
    }
    let of_edges: Vec<T::Acc> = support.offsets().map(|i| dy[i].widen()).collect();
    let (mut lambda, mut mu) = support.sums(&of_edges);
    support.solve(&mut lambda, &mut mu);
    support.balance(&mut lambda, &mut mu);
    for ((place, dy), (i, j)) in support.offsets().zip(of_edges).zip(support.edges()) {
        dx[place] = T::narrow(dy - lambda[i] - mu[j]);
    }
    let (long, short) = if support.is_swapped() { (db, da) } else { (da, db) };
    long.iter_mut().zip(lambda).for_each(|(d, l)| *d = T::narrow(l));
    short.iter_mut().zip(mu).for_each(|(d, m)| *d = T::narrow(m));
}

/// Refuses what is no pair of histograms of equal total.
fn check<T: Real>([_, a, b]: [&[T]; 3]) -> Result<(), Fault> {
    let refuse = |argument, requirement, value| Err(Fault::Domain { argument, requirement, value });
    for (argument, mass) in [("a", a), ("b", b)] {
        if let Some(x) = mass.iter().find(|x| !(x.is_finite() && x.as_f64() >= 0.0)) {
            return refuse(argument, "finite and >= 0", x.as_f64());
        }
    }
    let [of_a, of_b] = [a, b].map(|mass| mass.iter().map(|x| x.as_f64()).sum::<f64>());
    let slack = 4.0 * T::Value::EPSILON * (a.len() + b.len()) as f64;
    match (of_a - of_b).abs() <= slack * of_a.max(of_b) {
        true => Ok(()),
        false => refuse("b", "of the same total as `a`", of_b),
    }
}

impl Contract<3> for TransportProjection {
    const SUMMARY: &'static str = "nearest plan between two histograms";
    const PAPER: &'static str = "Blondel et al., AISTATS 2018, arXiv:1710.06276";
    const COST: &'static str =
        "about ten steps of O(mn + min(m, n)³), O(mn + min(m, n)²) backward; O(mn) memory";
    const ARGUMENTS: &'static [&'static str] = &[];

    fn cases() -> Vec<Self> {
        vec![Self {}]
    }

    fn laws(&self) -> Vec<Law> {
        let rows = |at: Evaluated<'_>| {
            let rows = at.y[0].chunks_exact(at.sizes[1]).map(|row| row.iter().sum::<f64>());
            rows.zip(at.x[1]).map(|(have, want)| (have - want).abs()).fold(0.0, f64::max)
        };
        let columns = |at: Evaluated<'_>| {
            let n = at.sizes[1];
            let columns = (0..n).map(|j| at.y[0].iter().skip(j).step_by(n).sum::<f64>());
            columns.zip(at.x[2]).map(|(have, want)| (have - want).abs()).fold(0.0, f64::max)
        };
        vec![
            Law::Vanishes("row_sums", Box::new(rows)),
            Law::Vanishes("column_sums", Box::new(columns)),
            Law::Within(Box::new(|_| (0.0, f64::INFINITY))),
            Law::ShiftInvariant,
            twice(self),
        ]
    }

    /// Each row and each column in turn, until nothing changes.
    fn oracle(&self, at: Args<'_, f64, 3>) -> Option<[Vec<f64>; 1]> {
        Some([alternate(at.x)])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        vec![vec![1, 1], vec![1, 4], vec![5, 2], vec![4, 4], vec![7, 9]]
    }

    /// Histograms of total 1 in units of 2⁻²⁰, so that the totals are equal in single precision too; with an
    /// empty entry where there are more than three.
    fn sample(&self, _: &[usize], [mn, m, n]: [usize; 3], random: &mut Stream) -> Sample<3> {
        let units = (1 << 20) as f64;
        let mut histogram = |n: usize| {
            let mut mass: Vec<f64> =
                (0..n).map(|i| if n > 3 && i == 2 { 0.0 } else { 0.2 + random.uniform() }).collect();
            let total: f64 = mass.iter().sum();
            mass.iter_mut().for_each(|x| *x = (*x / total * units).floor() / units);
            mass[0] += 1.0 - mass.iter().sum::<f64>();
            mass
        };
        let (a, b) = (histogram(m), histogram(n));
        Sample { x: [random.normals(mn).into_iter().map(|x| 0.2 * x).collect(), a, b], k: [] }
    }

    fn free(&self) -> [bool; 3] {
        [true, false, false]
    }

    /// Keeps both totals equal and empty entries empty.
    fn direction(&self, [x, a, b]: [&[f64]; 3], random: &mut Stream) -> [Vec<f64>; 3] {
        let mut mass = |x: &[f64]| -> Vec<f64> {
            x.iter().map(|&x| if x > 0.0 { 0.2 * random.normal() } else { 0.0 }).collect()
        };
        let (mut a, b) = (mass(a), mass(b));
        a[0] += b.iter().sum::<f64>() - a.iter().sum::<f64>();
        [random.normals(x.len()), a, b]
    }
}

/// The plan by thresholds of rows and columns in turn. For oracles.
pub(super) fn alternate([x, a, b]: [&[f64]; 3]) -> Vec<f64> {
    let n = b.len();
    let (mut u, mut v) = (vec![0.0; a.len()], vec![0.0; n]);
    // τ with Σ max(z − τ, 0) = sum, by its definition on sorted values.
    let threshold = |mut z: Vec<f64>, sum: f64| {
        z.sort_by(|p, q| q.total_cmp(p));
        let mut above = 0.0;
        let mut threshold = z[0] - sum;
        for (k, z) in (1..).zip(&z) {
            above += z;
            let bound = (above - sum) / f64::from(k);
            threshold = if bound < *z { bound } else { threshold };
        }
        threshold
    };
    for _ in 0..100_000 {
        let before = (u.clone(), v.clone());
        for i in 0..a.len() {
            u[i] = -threshold((0..n).map(|j| x[i * n + j] + v[j]).collect(), a[i]);
        }
        for j in 0..n {
            v[j] = -threshold((0..a.len()).map(|i| x[i * n + j] + u[i]).collect(), b[j]);
        }
        let changes = u.iter().zip(&before.0).chain(v.iter().zip(&before.1)).map(|(p, q)| (p - q).abs());
        if changes.fold(0.0, f64::max) < 1e-16 {
            break;
        }
    }
    (0..x.len()).map(|k| (x[k] + u[k / n] + v[k % n]).max(0.0)).collect()
}

/// The plan between the histograms `a` `(…, m)` and `b` `(…, n)` that is nearest to `x` `(…, m, n)`; the
/// result is shaped as `x`, whose leading axes are the batch.
///
/// $$ P = \operatorname*{argmin}_{P \ge 0,\ P 1 = a,\ P^\top 1 = b} \lVert P - X \rVert^2 $$
///
/// It is sparse, and exact to round-off. At $X = -C / \varepsilon$ it is transport at costs $C$, smoothed by
/// squares.
///
/// * Gradient: to `x` on the support; to the histograms along the directions in which the plan can follow,
///   which keep their totals equal, on each part where the support falls apart. Second derivatives are zero
///   almost everywhere.
/// * −∞ forbids an entry. NaN and +∞ make the item NaN.
/// * Cost: about ten Newton steps of $O(mn + \min(m, n)^3)$.
/// * Errors: shapes that do not fit; negative or infinite mass, different totals; no plan that avoids what is
///   forbidden.
///
/// For gradients call [`linearize`](supple_core::linearize) with a [`TransportProjection`]; for ragged
/// batches, [`evaluate`](supple_core::evaluate).
///
/// ```
/// use ndarray::array;
/// use supple_ops::project::transport_projection;
/// let x = array![[0.5, 0.0], [0.0, 0.25]];
/// let plan = transport_projection(&x, &array![0.5, 0.5], &array![0.25, 0.75])?;
/// assert!((plan - array![[0.25, 0.25], [0.0, 0.5]]).iter().all(|gap: &f64| gap.abs() < 1e-15));
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Seguy, Rolet, *Smooth and sparse optimal transport*, AISTATS 2018,
/// <https://arxiv.org/abs/1710.06276>.
pub fn transport_projection<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    a: impl Into<ArrayView<'a, T, E>>,
    b: impl Into<ArrayView<'a, T, E>>,
) -> Result<Array<T, D>, Error> {
    let inputs = [x.into().into_dyn(), a.into().into_dyn(), b.into().into_dyn()];
    project(&TransportProjection {}, inputs)
}
