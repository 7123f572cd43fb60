use super::*;
use crate::{Budget, Estimator, Supplies, WithGradient, estimate};
use supple_core::{Error, Fault};

/// The largest `|mean − exact|` in standard errors over the entries of a gradient, from independent estimates.
fn z<E: Estimator<State = ()>>(
    estimator: &E,
    function: &impl Supplies<E::Needs>,
    x: &[f64],
    evaluations: usize,
    exact: &[f64],
) -> f64 {
    let replicates = 3000;
    let budget = Budget { evaluations: evaluations * replicates, replicates, seed: 5 };
    let (estimate, ()) = estimate(estimator, function, x, budget, &()).unwrap();
    let errors = estimate.standard_error.expect("an estimator with a standard error");
    let gaps = estimate.gradient.iter().zip(exact).map(|(g, e)| (g - e).abs());
    gaps.zip(errors).map(|(gap, error)| gap / error.max(1e-12)).fold(0.0, f64::max)
}

/// A function of two numbers that jumps, with the mean and its gradient under any noise.
fn jumps(x: &[f64], y: &mut [f64]) -> Result<(), Fault> {
    y[0] = if x[0] > 0.0 { if x[1] > 0.3 { 5.0 } else { 4.0 } } else { 3.0 };
    Ok(())
}

fn jumps_exactly(x: &[f64], softness: f64, noise: Noise) -> (f64, [f64; 2]) {
    let [a, b] = [-x[0] / softness, (0.3 - x[1]) / softness];
    let [above_a, above_b] = [1.0 - noise.cdf(a), 1.0 - noise.cdf(b)];
    let gradient = [noise.density(a) * (1.0 + above_b), above_a * noise.density(b)];
    (3.0 + above_a * (1.0 + above_b), gradient.map(|g| g / softness))
}

const NOISES: [Noise; 7] = [
    Noise::Gaussian,
    Noise::Logistic,
    Noise::Gumbel,
    Noise::Laplace,
    Noise::Cauchy,
    Noise::Triangular,
    Noise::Uniform,
];
const BASELINES: [Baseline; 3] = [Baseline::LeaveOneOut, Baseline::Value, Baseline::None];
const DESIGNS: [Design; 7] = [
    Design::MonteCarlo,
    Design::Antithetic,
    Design::LatinHypercube,
    Design::Sobol,
    Design::RandomizedSobol,
    Design::Cartesian,
    Design::RandomizedCartesian,
];

#[test]
fn smoothing_is_right_in_expectation_where_it_says_so() {
    let (x, softness) = ([0.2, -0.1], 0.7);
    let mut tried = 0;
    for noise in NOISES {
        let (_, exact) = jumps_exactly(&x, softness, noise);
        for (baseline, design) in BASELINES.into_iter().flat_map(|b| DESIGNS.map(|d| (b, d))) {
            let smoothing = Smoothing { softness, noise, baseline, design };
            if smoothing.bias().is_some() || !smoothing.has_standard_error() {
                continue;
            }
            for evaluations in [smoothing.least(2), 60] {
                let z = z(&smoothing, &jumps, &x, evaluations, &exact);
                assert!(z < 4.5, "{smoothing:?} with {evaluations}: {z}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 2 * (5 * 12 + 15));
}

#[test]
fn biased_and_deterministic_designs_converge() {
    let (x, softness) = ([0.2, -0.1], 0.7);
    for noise in NOISES.into_iter().filter(|noise| *noise != Noise::Triangular) {
        let (value, exact) = jumps_exactly(&x, softness, noise);
        for (baseline, design) in BASELINES.into_iter().flat_map(|b| DESIGNS.map(|d| (b, d))) {
            let smoothing = Smoothing { softness, noise, baseline, design };
            let (found, ()) = estimate(&smoothing, &jumps, &x, Budget::new(60_000, 3), &()).unwrap();
            // Four standard errors of independent samples.
            assert!((found.value - value).abs() < 0.02, "{smoothing:?}: {} for {value}", found.value);
            for (found, exact) in found.gradient.iter().zip(exact) {
                let bound = if baseline == Baseline::None { 0.12 } else { 0.03 };
                assert!((found - exact).abs() < bound, "{smoothing:?}: {found} for {exact}");
            }
        }
    }
}

#[test]
fn a_baseline_and_mirrored_noise_take_variance_away() {
    let x = [0.2, -0.1];
    let error = |baseline, design| {
        let smoothing = Smoothing { softness: 0.7, baseline, design, ..Smoothing::default() };
        let budget = Budget { evaluations: 40_000, replicates: 1000, seed: 1 };
        estimate(&smoothing, &jumps, &x, budget, &()).unwrap().0.standard_error.unwrap()[0]
    };
    let none = error(Baseline::None, Design::MonteCarlo);
    for better in [
        error(Baseline::LeaveOneOut, Design::MonteCarlo),
        error(Baseline::Value, Design::MonteCarlo),
        error(Baseline::None, Design::Antithetic),
    ] {
        assert!(better < 0.35 * none, "{better} for {none}");
    }
}

#[test]
fn scales_have_the_gradient_of_a_quadratic() {
    let quadratic = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
        y[0] = x[0] * x[0] + 3.0 * x[0] * x[1] - x[1];
        Ok(())
    };
    let ([a, b], scale) = ([0.5, -1.0], [0.8, 0.3, -0.2, 0.6]);
    let [l00, l01, l10, l11] = scale;
    // E f = f(x) + (L Lᵀ)₀₀ + 3 (L Lᵀ)₀₁
    let exact = [
        2.0 * a + 3.0 * b,
        3.0 * a - 1.0,
        2.0 * l00 + 3.0 * l10,
        2.0 * l01 + 3.0 * l11,
        3.0 * l00,
        3.0 * l01,
    ];
    let parameters = [a, b, l00, l01, l10, l11];
    for baseline in BASELINES {
        for design in [Design::MonteCarlo, Design::Antithetic] {
            let estimator = ScaledSmoothing(Smoothing { baseline, design, ..Smoothing::default() });
            let z = z(&estimator, &quadratic, &parameters, 11, &exact);
            assert!(z < 4.5, "{estimator:?}: {z}");
        }
    }
    // A scale that is a multiple of the identity is a softness.
    let scaled = ScaledSmoothing(Smoothing { softness: 0.5, ..Smoothing::default() });
    let budget = Budget::new(50, 7);
    let (with_scale, ()) = estimate(&scaled, &jumps, &[0.2, 0.1, 2.0, 0.0, 0.0, 2.0], budget, &()).unwrap();
    let (plain, ()) = estimate(&Smoothing::default(), &jumps, &[0.2, 0.1], budget, &()).unwrap();
    for (a, b) in plain.gradient.iter().zip(&with_scale.gradient) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
    }
}

#[test]
fn scales_that_cannot_be_are_refused() {
    let scaled = ScaledSmoothing::default();
    let refused = |x: &[f64]| estimate(&scaled, &jumps, x, Budget::new(50, 7), &()).unwrap_err().to_string();
    assert_eq!(
        refused(&[0.2, 0.1, 2.0]),
        "scaled_smoothing: `x` must be n + n² numbers: a point and the rows of a matrix, got 3"
    );
    assert!(refused(&[0.2, 0.1, 1.0, 2.0, 0.5, 1.0]).contains("the scale does not have full rank"));
    let cauchy = ScaledSmoothing(Smoothing { noise: Noise::Cauchy, ..Smoothing::default() });
    assert!(cauchy.validate(6, 50).is_err() && cauchy.validate(2, 50).is_ok());
    let uniform = ScaledSmoothing(Smoothing { noise: Noise::Uniform, ..Smoothing::default() });
    assert!(uniform.validate(2, 50).is_err());
}

/// Continuous, with a kink.
fn kink() -> WithGradient<
    impl Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync,
    impl Fn(&[f64], &[f64], &mut [f64]) -> Result<(), Fault> + Send + Sync,
> {
    WithGradient {
        value: |x: &[f64], y: &mut [f64]| {
            y[0] = x[0].abs() + x[0] * x[1];
            Ok(())
        },
        gradient: |x: &[f64], dy: &[f64], dx: &mut [f64]| {
            (dx[0], dx[1]) = (dy[0] * (x[0].signum() + x[1]), dy[0] * x[0]);
            Ok(())
        },
    }
}

#[test]
fn gradients_of_continuous_functions_are_right_in_expectation() {
    let (x, softness) = ([0.2, -0.4], 0.7);
    let exact = [1.0 - 2.0 * Noise::Gaussian.cdf(-x[0] / softness) + x[1], x[0]];
    for design in DESIGNS.into_iter().filter(|design| design.is_random()) {
        let z = z(&Pathwise { softness, design, ..Pathwise::default() }, &kink(), &x, 8, &exact);
        assert!(z < 4.5, "{design:?}: {z}");
    }
    for alpha in [0.0, 0.3, 1.0] {
        let z = z(&Mixture { softness, alpha: Some(alpha), ..Mixture::default() }, &kink(), &x, 8, &exact);
        assert!(z < 4.5, "{alpha}: {z}");
    }
    let chosen = Mixture { softness, ..Mixture::default() };
    let (found, ()) = estimate(&chosen, &kink(), &x, Budget::new(100_000, 2), &()).unwrap();
    assert!(found.gradient.iter().zip(exact).all(|(g, exact)| (g - exact).abs() < 0.01), "{found:?}");
}

#[test]
fn signs_are_exact_on_quadratics_and_ranks_point_uphill() {
    let quadratic = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
        y[0] = x[0] * x[0] + 3.0 * x[0] * x[1] - x[1];
        Ok(())
    };
    let (x, exact) = ([0.5, -1.0], [-2.0, 0.5]);
    assert!(z(&Spsa { softness: 0.3 }, &quadratic, &x, 6, &exact) < 4.5);
    for utilities in [Utilities::Centred, Utilities::Logarithmic] {
        let strategy = EvolutionStrategy { softness: 0.1, utilities };
        let (found, ()) = estimate(&strategy, &quadratic, &x, Budget::new(2000, 4), &()).unwrap();
        let [dot, a, b] = [
            found.gradient.iter().zip(exact).map(|(g, e)| g * e).sum::<f64>(),
            found.gradient.iter().map(|g| g * g).sum(),
            exact.iter().map(|g| g * g).sum(),
        ];
        assert!(dot / (a * b).sqrt() > 0.95, "{found:?}");
    }
}

#[test]
fn what_is_not_finite_does_not_win() {
    let cost = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
        y[0] = if x[0] > 0.5 { f64::NAN } else { x[0] };
        Ok(())
    };
    let strategy = EvolutionStrategy::default();
    let (found, ()) = estimate(&strategy, &cost, &[0.0], Budget::new(64, 1), &()).unwrap();
    assert!(found.gradient[0].is_nan());
    let explodes = WithGradient {
        value: |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
            y[0] = x[0];
            Ok(())
        },
        gradient: |x: &[f64], _: &[f64], dx: &mut [f64]| -> Result<(), Fault> {
            dx[0] = if x[0] > 0.5 { f64::INFINITY } else { 1.0 };
            Ok(())
        },
    };
    let (found, ()) = estimate(&Mixture::default(), &explodes, &[0.0], Budget::new(1000, 1), &()).unwrap();
    assert!((found.gradient[0] - 1.0).abs() < 0.2, "{found:?}");
}

#[test]
fn budgets_and_parameters_are_checked() {
    let message = |e: Result<(), Error>| e.unwrap_err().to_string();
    let smoothing =
        Smoothing { design: Design::Antithetic, baseline: Baseline::Value, ..Smoothing::default() };
    assert_eq!(message(smoothing.validate(2, 2)), "smoothing: `evaluations` must be at least 3, got 2");
    let grid = Smoothing { design: Design::Cartesian, ..Smoothing::default() };
    assert_eq!(message(grid.validate(10, 1000)), "smoothing: `evaluations` must be at least 1024, got 1000");
    assert!(grid.validate(100, usize::MAX - 1).is_err());
    let cold = Smoothing { softness: 0.0, ..Smoothing::default() };
    assert_eq!(message(cold.validate(2, 9)), "smoothing: `softness` must be finite and > 0, got 0");
    let mixture = Mixture { alpha: Some(1.5), ..Mixture::default() };
    assert_eq!(message(mixture.validate(2, 9)), "mixture: `alpha` must be in 0..=1, got 1.5");
}
