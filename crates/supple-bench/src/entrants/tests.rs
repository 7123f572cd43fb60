use super::*;
use crate::entrant::Entrant;
use crate::problem::{Exact, Problem, Target};
use crate::problems;
use ndarray::aview1;
use std::sync::atomic::{AtomicUsize, Ordering};
use supple_core::{Error, evaluate};
use supple_ops::perturb::{Oracle, RegularizedArgmax};

const REPLICATES: usize = 400;
const EVALUATIONS: usize = 16;

/// The largest `|mean − exact|` over coordinates, in standard errors, and the mean.
fn worst(runner: &mut dyn Runner, x: &[f64], exact: &Exact, evaluations: usize) -> (f64, Vec<f64>) {
    let rows: Vec<Vec<f64>> =
        (0..REPLICATES).map(|seed| runner.estimate(x, evaluations, seed as u64).unwrap().gradient).collect();
    let count = REPLICATES as f64;
    let z = |i: usize| {
        let mean = rows.iter().map(|row| row[i]).sum::<f64>() / count;
        let variance = rows.iter().map(|row| (row[i] - mean).powi(2)).sum::<f64>() / (count - 1.0);
        // Nothing random is left where all values are drawn, or where an estimator is exact. References by
        // quadrature have errors of their own.
        let error = (variance / count).sqrt() + 1e-3 * exact.gradient[i].abs() + 1e-9;
        ((mean - exact.gradient[i]).abs() / error, mean)
    };
    let columns: Vec<(f64, f64)> = (0..x.len()).map(z).collect();
    (columns.iter().map(|c| c.0).fold(0.0, f64::max), columns.iter().map(|c| c.1).collect())
}

fn each(mut visit: impl FnMut(&dyn Problem, &Entrant, Box<dyn Runner>)) {
    let entrants = all();
    for problem in problems::all() {
        let target = problem.target();
        for entrant in &entrants {
            if let Some(runner) = (entrant.enter)(&target) {
                visit(problem.as_ref(), entrant, runner);
            }
        }
    }
}

/// Refused for what it takes at these parameters.
fn needs_more(error: &Error) -> bool {
    matches!(error, Error::Argument { operator, argument, .. }
        if operator == "regularized_argmax" && argument == "evaluations")
}

#[test]
fn names_differ_and_all_take_part() {
    let mut seen = std::collections::BTreeSet::new();
    each(|_, entrant, _| {
        seen.insert(entrant.name);
    });
    let mut names: Vec<_> = all().iter().map(|entrant| entrant.name).collect();
    names.sort();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), names);
}

/// Every entrant that claims to be right in expectation is, on every problem.
#[test]
fn unbiased_entrants_are_right_in_expectation() {
    let mut wrong = vec![];
    let mut count = 0;
    each(|problem, entrant, mut runner| {
        let x = problem.x();
        if runner.bias().is_some() || runner.validate(x.len(), EVALUATIONS).is_err() {
            return;
        }
        count += 1;
        let exact = problem.exact(&x);
        let (z, mean) = worst(runner.as_mut(), &x, &exact, EVALUATIONS);
        // NaN too.
        if z.is_nan() || z >= 5.0 {
            wrong.push(format!(
                "{} {}: z {z:.1}, {mean:?} for {:?}",
                problem.name(),
                entrant.name,
                exact.gradient
            ));
        }
    });
    assert!(count > 100, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The others run, on budgets that they accept, and most are of use: along the gradient.
#[test]
fn biased_entrants_give_an_estimate() {
    each(|problem, entrant, mut runner| {
        let x = problem.x();
        if runner.bias().is_none() || runner.validate(x.len(), 64).is_err() {
            return;
        }
        let found = match runner.estimate(&x, 64, 3) {
            Err(error) if needs_more(&error) => return,
            found => found.unwrap(),
        };
        assert!(found.evaluations <= 64 && found.gradient.len() == x.len());
        assert!(found.gradient.iter().all(|g| g.is_finite()), "{} {}", problem.name(), entrant.name);
    });
}

/// ReinMax is exact in expectation for quadratics of one choice.
#[test]
fn rein_max_is_exact_for_quadratics() {
    for name in ["bernoulli/one", "categorical/one"] {
        let problem = problems::all().into_iter().find(|problem| problem.name() == name).unwrap();
        let entrant = all().into_iter().find(|entrant| entrant.name == "rein_max").unwrap();
        let mut runner = (entrant.enter)(&problem.target()).unwrap();
        let x = problem.x();
        let (z, mean) = worst(runner.as_mut(), &x, &problem.exact(&x), EVALUATIONS);
        assert!(z < 5.0, "{name}: {z} {mean:?}");
    }
}

/// Every solve of a regularised solver is charged, and a budget below is refused.
#[test]
fn regularised_solutions_are_charged_for_all_solves() {
    let entrant = all().into_iter().find(|entrant| entrant.name == "regularized_argmax").unwrap();
    let mut most = 0;
    for problem in problems::all() {
        let Some(mut runner) = (entrant.enter)(&problem.target()) else { continue };
        let Target::Solved { solver, softness, .. } = problem.target() else { panic!("{}", problem.name()) };
        let x = problem.x();
        let found = runner.estimate(&x, 10_000, 1).unwrap();
        let solves = AtomicUsize::new(0);
        let counted = |theta: &[f64], y: &mut [f64]| {
            solves.fetch_add(1, Ordering::Relaxed);
            solver.solve(theta, y)
        };
        let operator = RegularizedArgmax { softness, ..RegularizedArgmax::new(counted) };
        evaluate(&operator, [aview1(&x).into_dyn()]).unwrap();
        assert_eq!(found.evaluations, solves.into_inner(), "{}", problem.name());
        assert!(needs_more(&runner.estimate(&x, found.evaluations - 1, 1).unwrap_err()));
        most = most.max(found.evaluations);
    }
    assert!(most > 2, "{most}");
}

/// The least budget is what `validate` says it is: below, an error, and not a panic.
#[test]
fn budgets_are_checked() {
    each(|problem, entrant, mut runner| {
        let x = problem.x();
        let least = (0..40).find(|&evaluations| runner.validate(x.len(), evaluations).is_ok());
        let name = format!("{} {}", problem.name(), entrant.name);
        assert!(least != Some(0), "{name}");
        if let Some(least) = least {
            let found = match runner.estimate(&x, least, 1) {
                Err(error) if needs_more(&error) => return,
                found => found.unwrap(),
            };
            assert!((1..=least).contains(&found.evaluations), "{name}: {} of {least}", found.evaluations);
        }
    });
}
