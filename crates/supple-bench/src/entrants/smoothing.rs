//! Estimators for functions of perturbed parameters; of solvers, they see the cost of the solution.
//!
//! The baseline of mirrored pairs and of fixed points is the mean of other costs. That of random points which
//! depend on each other is the cost without noise, with which they are right in expectation.

use super::entrant;
use super::paced::Paced;
use crate::entrant::{Entrant, Run, Runner};
use crate::problem::{CostOfSolution, Target};
use supple_estimators::smoothing::{
    Baseline, Design, EvolutionStrategy, Mixture, Noise, Pathwise, Smoothing, Spsa, Utilities,
};
use supple_estimators::{Estimator, Values};

const JUMPS: &str = "gradients of samples, which see nothing of jumps";

/// These entrants.
pub fn all() -> Vec<Entrant> {
    use Baseline::{LeaveOneOut, None as Nothing, Value};
    use Design::*;
    vec![
        entrant("smoothing/none", "score function, no baseline", |t| smoothing(t, Nothing, MonteCarlo)),
        entrant("smoothing/leave_one_out", "score function, the mean of other costs as baseline", |t| {
            smoothing(t, LeaveOneOut, MonteCarlo)
        }),
        entrant("smoothing/value", "score function, the cost without noise as baseline", |t| {
            smoothing(t, Value, MonteCarlo)
        }),
        entrant("smoothing/antithetic", "score function, mirrored pairs (Nesterov and Spokoiny 2017)", |t| {
            smoothing(t, LeaveOneOut, Antithetic)
        }),
        entrant(
            "smoothing/latin_hypercube",
            "score function, each coordinate spread evenly (Petersen et al. 2024)",
            |t| smoothing(t, Value, LatinHypercube),
        ),
        entrant("smoothing/sobol", "score function, Sobol points (Petersen et al. 2024)", |t| {
            smoothing(t, LeaveOneOut, Sobol)
        }),
        entrant(
            "smoothing/randomized_sobol",
            "score function, scrambled Sobol points (Petersen et al. 2024)",
            |t| smoothing(t, Value, RandomizedSobol),
        ),
        entrant("smoothing/cartesian", "score function, a grid (Petersen et al. 2024)", |t| {
            grid(t, LeaveOneOut, Cartesian)
        }),
        entrant(
            "smoothing/randomized_cartesian",
            "score function, a point in each cell of a grid (Petersen et al. 2024)",
            |t| grid(t, Value, RandomizedCartesian),
        ),
        entrant("pathwise", "mean of gradients (Kingma and Welling 2014)", |t| {
            let Target::Perturbed { cost, softness, noise } = t else { return None };
            let estimator = Pathwise { softness: *softness, noise: *noise, design: MonteCarlo };
            jumping(Run::start(estimator, cost.clone())?)
        }),
        entrant(
            "mixture",
            "mean of gradients and score function, by their variances (Suh et al. 2022)",
            |t| {
                let Target::Perturbed { cost, softness, noise } = t else { return None };
                let estimator = Mixture { softness: *softness, noise: *noise, alpha: None };
                jumping(scored(*noise).and_then(|()| Run::start(estimator, cost.clone()))?)
            },
        ),
        entrant("evolution_strategy", "ranks of costs, mirrored pairs (Salimans et al. 2017)", |t| {
            evolution(t, Utilities::Centred)
        }),
        entrant(
            "evolution_strategy/logarithmic",
            "logarithmic utilities of ranks, mirrored pairs (Wierstra et al. 2014)",
            |t| evolution(t, Utilities::Logarithmic),
        ),
        entrant("spsa", "differences along random signs (Spall 1992)", |t| {
            perturbed(t, |softness, _| Some(Spsa { softness }))
        }),
    ]
}

/// A runner for the estimator that is made of softness and noise.
fn perturbed<E: Estimator<Needs = Values> + 'static>(
    target: &Target,
    make: impl FnOnce(f64, Noise) -> Option<E>,
) -> Option<Box<dyn Runner>> {
    match target {
        Target::Perturbed { cost, softness, noise } => Run::start(make(*softness, *noise)?, cost.clone()),
        Target::Solved { cost, solver, softness, noise } => {
            let function = CostOfSolution { cost: cost.clone(), solver: solver.clone() };
            Run::start(make(*softness, *noise)?, function)
        }
        Target::Sampled { .. } => None,
    }
}

/// Without a score, baselines make no difference: one of them takes part.
fn smoothing(target: &Target, baseline: Baseline, design: Design) -> Option<Box<dyn Runner>> {
    let repeated = design == Design::MonteCarlo && baseline != Baseline::LeaveOneOut;
    perturbed(target, |softness, noise| {
        (noise.has_score() || !repeated).then_some(Smoothing { softness, noise, baseline, design })
    })
}

/// A grid has two levels at least in each coordinate, and what else a sample takes.
fn grid(target: &Target, baseline: Baseline, design: Design) -> Option<Box<dyn Runner>> {
    let least = |n: usize| 1usize.checked_shl(n as u32).unwrap_or(usize::MAX).saturating_mul(3);
    let runner = smoothing(target, baseline, design)?;
    Some(Box::new(Paced { least, ..Paced::new(runner) }))
}

fn evolution(target: &Target, utilities: Utilities) -> Option<Box<dyn Runner>> {
    perturbed(target, |softness, noise| {
        (noise == Noise::Gaussian).then_some(EvolutionStrategy { softness, utilities })
    })
}

fn scored(noise: Noise) -> Option<()> {
    noise.has_score().then_some(())
}

/// All functions of the suite that have gradients jump too.
fn jumping(runner: Box<dyn Runner>) -> Option<Box<dyn Runner>> {
    Some(Box::new(Paced { bias: Some(JUMPS), ..Paced::new(runner) }))
}
