use super::*;
use crate::problem::{CostOfSolution, Exact, Target};
use crate::reference::{self, Smoothed, Solutions};
use supple_core::Stream;
use supple_estimators::smoothing::{Baseline, Design, Noise, Smoothing};
use supple_estimators::{Budget, Differentiable, Estimator, Function, Values, estimate};

fn close(a: &Exact, b: &Exact, tolerance: f64) {
    let size = b.gradient.iter().map(|g| g.abs()).fold(0.0, f64::max);
    assert!((a.value - b.value).abs() <= tolerance * b.value.abs().max(1.0), "{a:?} {b:?}");
    for (a_i, b_i) in a.gradient.iter().zip(&b.gradient) {
        assert!((a_i - b_i).abs() <= tolerance * size, "{a:?} {b:?}");
    }
}

#[test]
fn names_differ_and_lengths_fit() {
    let all = all();
    let mut names: Vec<_> = all.iter().map(|problem| problem.name()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for problem in &all {
        let exact = problem.exact(&problem.x());
        assert_eq!(exact.gradient.len(), problem.x().len());
        assert!(
            exact.value.is_finite() && exact.gradient.iter().all(|g| g.is_finite()),
            "{}",
            problem.name()
        );
        assert!(exact.gradient.iter().any(|g| g.abs() > 1e-3), "{}", problem.name());
    }
}

/// References by closed forms, sums and smooth integrals. Those by sampled integrals have rougher values: see
/// below.
#[test]
fn gradients_are_the_slopes_of_the_values() {
    for problem in posed().into_iter().filter(|problem| problem.smoothed().is_none()) {
        let (step, tolerance) = if problem.name() == "simulator" { (1e-2, 1e-2) } else { (1e-4, 1e-6) };
        let x = problem.x();
        let gradient = problem.exact(&x).gradient;
        let size = gradient.iter().map(|g| g.abs()).fold(0.0, f64::max);
        for i in (0..x.len()).step_by(1 + x.len() / 6) {
            let value = |step: f64| {
                let mut x = x.clone();
                x[i] += step;
                problem.exact(&x).value
            };
            let slope = (value(step) - value(-step)) / (2.0 * step);
            let name = problem.name();
            assert!((slope - gradient[i]).abs() <= tolerance * size, "{name} {i}: {slope} {}", gradient[i]);
        }
    }
}

/// The gradient of each cost that has one, along random directions, between the solutions and samples too.
#[test]
fn costs_have_their_gradients() {
    let mut random = Stream::new(1, 0, 0);
    for problem in all() {
        let (Target::Perturbed { cost, .. } | Target::Sampled { cost, .. } | Target::Solved { cost, .. }) =
            problem.target();
        if problem.name().starts_with("step") {
            continue;
        }
        let positive = |z: f64| 0.3 + z.abs();
        let point: Vec<f64> = random.normals(problem.x().len()).into_iter().map(positive).collect();
        let mut slopes = vec![0.0; point.len()];
        cost.gradients(1, &point, &[2.0], &mut slopes).unwrap();
        for i in 0..point.len() {
            let value = |step: f64| {
                let mut point = point.clone();
                point[i] += step;
                let mut value = [0.0];
                cost.evaluate(1, &point, &mut value).unwrap();
                value[0]
            };
            let slope = (value(1e-5) - value(-1e-5)) / 1e-5;
            assert!((slope - slopes[i]).abs() < 1e-5 * (1.0 + slope.abs()), "{} {i}", problem.name());
        }
    }
}

/// The sampled integral against closed forms, and its own standard error.
#[test]
fn quadrature_of_solutions_is_exact() {
    for (problem, k) in [(argmax::argmax(), 1), (top_k::top_k(), 3)] {
        let Target::Solved { cost, softness, noise, .. } = problem.target() else { unreachable!() };
        let exact = problem.exact(&problem.x());
        close(&reference::top_k(&cost, k, &problem.x(), softness, noise), &exact, 1e-9);
        let solutions = Solutions::sets(problem.x().len(), |set| set.count_ones() == k as u32);
        let smoothed = Smoothed { cost, solutions, softness, noise, points: 1 << 14 };
        let (found, errors) = smoothed.exact(&problem.x());
        close(&found, &exact, 1e-3);
        within(&found, &errors, &exact);
    }
}

fn within(found: &Exact, errors: &[f64], exact: &Exact) {
    let size = exact.gradient.iter().map(|g| g.abs()).fold(0.0, f64::max);
    for ((found, error), exact) in found.gradient.iter().zip(errors).zip(&exact.gradient) {
        assert!(*error <= 1e-3 * size, "{error} {size}");
        assert!((found - exact).abs() <= 5.0 * error + 1e-9, "{found} {exact} {error}");
    }
}

/// A linear cost of ranks: the mean rank is 1 and the probabilities of being above each other.
#[test]
fn quadrature_of_ranks_is_exact() {
    let weights = [1.0, -0.5, 2.0, 0.3];
    let (theta, softness) = ([0.3, -0.2, 0.5, 0.1], 0.6);
    let own = weights;
    let linear = posed::cost(move |y| y.iter().zip(own).map(|(y, w)| y * w).sum(), |_, _| ());
    let mut exact = Exact { value: weights.iter().sum(), gradient: vec![0.0; 4] };
    let spread = softness * 2.0_f64.sqrt();
    for i in 0..4 {
        for j in (0..4).filter(|&j| j != i) {
            let t = (theta[i] - theta[j]) / spread;
            exact.value += weights[i] * Noise::Gaussian.cdf(t);
            let slope = weights[i] * Noise::Gaussian.density(t) / spread;
            exact.gradient[i] += slope;
            exact.gradient[j] -= slope;
        }
    }
    let (solutions, noise) = (Solutions::Ranks, Noise::Gaussian);
    let smoothed = Smoothed { cost: linear, solutions, softness, noise, points: 1 << 12 };
    let (found, errors) = smoothed.exact(&theta);
    close(&found, &exact, 1e-3);
    within(&found, &errors, &exact);
}

/// Of the solver problems that have no other reference.
#[test]
fn quadrature_knows_its_error() {
    for problem in
        [ranking::ranking(), shortest_path::shortest_path(), knapsack::knapsack(), matching::matching()]
    {
        let (exact, errors) = problem.smoothed().unwrap().exact(&problem.x());
        let size = exact.gradient.iter().map(|g| g.abs()).fold(0.0, f64::max);
        let worst = errors.iter().copied().fold(0.0, f64::max);
        assert!(worst <= 2e-3 * size, "{}: {worst} of {size}", problem.name());
    }
}

/// Means of many evaluations at a time against the reference, for a noise that has a score.
fn agrees(function: &impl Function, softness: f64, noise: Noise, x: &[f64], exact: &Exact, name: &str) {
    let (baseline, design) = (Baseline::LeaveOneOut, Design::MonteCarlo);
    let estimator = Smoothing { softness, noise, baseline, design };
    let (found, ()) = run(&estimator, function, x);
    let errors = found.standard_error.unwrap();
    for ((found, exact), error) in found.gradient.iter().zip(&exact.gradient).zip(errors) {
        assert!((found - exact).abs() <= 5.0 * error + 1e-12, "{name} {noise:?}: {found} {exact} ± {error}");
    }
}

fn run<E: Estimator<Needs = Values>>(
    estimator: &E,
    function: &impl Function,
    x: &[f64],
) -> (supple_estimators::Estimate, E::State) {
    let budget = Budget { evaluations: 60_000, replicates: 30, seed: 5 };
    estimate(estimator, function, x, budget, &E::State::default()).unwrap()
}

#[test]
fn references_agree_with_samples() {
    for problem in all() {
        let (x, exact) = (problem.x(), problem.exact(&problem.x()));
        match problem.target() {
            Target::Perturbed { cost, softness, noise } if noise != Noise::Uniform => {
                agrees(&cost, softness, noise, &x, &exact, problem.name());
            }
            Target::Solved { cost, solver, softness, noise } => {
                agrees(&CostOfSolution { cost, solver }, softness, noise, &x, &exact, problem.name());
            }
            _ => (),
        }
    }
}

/// Closed forms of steps under every noise.
#[test]
fn steps_agree_under_every_noise() {
    use Noise::*;
    for noise in [Gaussian, Logistic, Gumbel, Laplace, Cauchy, Triangular, Uniform] {
        for problem in [step::under(noise, ["step", ""]), steps::under(noise, ["steps", ""])] {
            let Target::Perturbed { cost, softness, .. } = problem.target() else { unreachable!() };
            let (x, exact) = (problem.x(), problem.exact(&problem.x()));
            // The score of triangular noise has no finite variance.
            if noise != Triangular {
                agrees(&cost, softness, noise, &x, &exact, problem.name());
            }
        }
    }
}
