//! From data to an exact solution, or to the reason why there is none.

use crate::dense::{add_gram, largest};
use crate::interior_point::{Iterate, Stopped, minimize};
use crate::polish::{Polish, Rejected, Solution};
use crate::problem::{Data, Problem};
use supple_core::Fault;
use supple_numerics::factor::{cholesky, dot};

/// Minimises. The interior point method runs until the set of inequalities with λ > s stands still and
/// the point that this set determines satisfies the optimality conditions to `tolerance`.
pub fn solve(problem: &Problem, limit: usize, tolerance: f64) -> Result<Solution, Fault> {
    let mut polish = Polish::new(problem, tolerance);
    if !polish.is_definite() {
        check_semidefinite(problem)?;
    }
    if problem.inequalities() == 0 {
        let stopped = Stopped { at: Iterate::default(), iterations: 0, residual: f64::INFINITY };
        return polish.solve(vec![], &[]).map_err(|rejected| diagnose(problem, rejected, stopped));
    }
    let base = base(problem, polish.is_definite());
    let (mut previous, mut tried) = (None, None);
    let accept = |at: &Iterate| {
        let guess = Some(guess(at));
        let stands = guess == previous && guess != tried;
        previous.clone_from(&guess);
        if !stands {
            return None;
        }
        tried.clone_from(&guess);
        polish.solve(guess?, &at.lambda).ok()
    };
    let stopped = match minimize(problem, &base, limit, accept) {
        Ok(solution) => return Ok(solution),
        Err(stopped) => stopped,
    };
    let last = polish.solve(guess(&stopped.at), &stopped.at.lambda);
    last.map_err(|rejected| diagnose(problem, rejected, stopped))
}

/// The inequalities that an interior point takes for active.
fn guess(at: &Iterate) -> Vec<u32> {
    let pairs = at.lambda.iter().zip(&at.s).enumerate();
    pairs.filter(|(_, (lambda, s))| lambda > s).map(|(i, _)| i as u32).collect()
}

/// Q, or where that is singular, Q + AᵀA and a little more: the same problem on the equalities.
fn base(problem: &Problem, definite: bool) -> Vec<f64> {
    let mut base = problem.quadratic.clone();
    if !definite {
        let ones = vec![1.0; problem.b.len()];
        add_gram(&mut base, &problem.a, &ones, problem.n, &mut vec![0.0; problem.a.len()]);
        base.iter_mut().step_by(problem.n + 1).for_each(|x| *x += 1e-11);
    }
    base
}

/// Refuses a Q with a negative pivot that rounding cannot explain.
fn check_semidefinite(problem: &Problem) -> Result<(), Fault> {
    let mut q = problem.quadratic.clone();
    let shift = 1e-9 * largest(&q) + f64::MIN_POSITIVE;
    q.iter_mut().step_by(problem.n + 1).for_each(|x| *x += shift);
    cholesky(&mut q, problem.n, 0.0).map_err(|breakdown| Fault::Domain {
        argument: "Q",
        requirement: "positive semidefinite",
        value: breakdown.pivot,
    })
}

/// Why a problem has no solution that satisfies the optimality conditions.
fn diagnose(problem: &Problem, rejected: Rejected, stopped: Stopped) -> Fault {
    if is_infeasible(problem) {
        Fault::Infeasible
    } else if is_unbounded(problem) {
        Fault::Unbounded
    } else if rejected == Rejected::NotUnique {
        Fault::RankDeficient { matrix: "the KKT matrix" }
    } else {
        Fault::NotConverged { iterations: stopped.iterations, residual: stopped.residual }
    }
}

/// Iterations for the problems below, which always have a unique solution.
const LIMIT: usize = 100;

/// Minimises ½t² over Gz ≤ h + t, Az = b, with a little curvature in z: t stays positive where no
/// point satisfies all constraints.
fn is_infeasible(problem: &Problem) -> bool {
    let (n, m) = (problem.n, problem.inequalities());
    let wide = n + 1;
    let widen = |rows: &[f64], count: usize, last: f64| -> Vec<f64> {
        (0..count).flat_map(|i| rows[i * n..(i + 1) * n].iter().copied().chain([last])).collect()
    };
    let mut quadratic = vec![0.0; wide * wide];
    quadratic.iter_mut().step_by(wide + 1).for_each(|x| *x = 1e-10);
    quadratic[wide * wide - 1] = 1.0;
    let data = [
        quadratic,
        vec![0.0; wide],
        widen(&problem.g, m, -1.0),
        problem.h.clone(),
        widen(&problem.a, problem.b.len(), 0.0),
        problem.b.clone(),
    ];
    strictly_convex(data).is_some_and(|z| z[n] > 1e-6 * (1.0 + largest(&z[..n])))
}

/// Minimises qᵀd + ½|d|² with a heavy penalty on dᵀQd over Gd ≤ 0, Ad = 0: d stays away from zero where
/// the objective falls for ever along a feasible ray.
fn is_unbounded(problem: &Problem) -> bool {
    let n = problem.n;
    let mut quadratic: Vec<f64> = problem.quadratic.iter().map(|q| 1e6 * q).collect();
    quadratic.iter_mut().step_by(n + 1).for_each(|x| *x += 1.0);
    let data = [
        quadratic,
        problem.linear.clone(),
        problem.g.clone(),
        vec![0.0; problem.inequalities()],
        problem.a.clone(),
        vec![0.0; problem.b.len()],
    ];
    let q = &problem.linear;
    strictly_convex(data).is_some_and(|d| dot(q, &d, |x| x) < -1e-5 * dot(q, q, |x| x))
}

/// A nearly optimal point of a strictly convex problem, in the units of its data.
fn strictly_convex(data: Data) -> Option<Vec<f64>> {
    let problem = Problem::new(data).ok()?;
    let z = if problem.inequalities() == 0 {
        Polish::new(&problem, 1e-9).solve(vec![], &[]).ok()?.z
    } else {
        minimize::<()>(&problem, &problem.quadratic, LIMIT, |_| None).err()?.at.z
    };
    Some(z.into_iter().map(|z| z * problem.scale.z).collect())
}
