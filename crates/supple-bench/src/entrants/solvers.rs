//! Solvers with a gradient of their own, for costs of solutions that have gradients.
//!
//! An evaluation is a solve; those of a backward pass count. Where nothing is random, one sample is all.

use super::entrant;
use super::paced::Paced;
use crate::entrant::{Entrant, Run, Runner};
use crate::problem::{Cost, Solver, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use supple_core::{Error, Fault, Mode, Operator};
use supple_estimators::smoothing::Noise;
use supple_estimators::{Budget, Estimate, Through, estimate};
use supple_ops::decision::{
    AdaptiveImle, AdaptiveState, BlackboxInterpolation, IdentityGradient, Imle, ImleNoise, Projection,
};
use supple_ops::perturb::{Oracle, Perturbation, PerturbedArgmax, RegularizedArgmax};

const STAND_IN: &str = "a gradient of its own in the place of the solver's";
const UNPERTURBED: &str = "the solution without noise, with a gradient of its own";
const AT_MEAN: &str = "the cost at the mean solution, not the mean of the cost";
const REGULARIZED: &str = "the cost at a regularised solution, not the mean of the cost";

/// These entrants.
pub fn all() -> Vec<Entrant> {
    vec![
        entrant(
            "blackbox_interpolation",
            "one solution, the difference along a step, λ = σ (Vlastelica et al. 2020)",
            |t| {
                let (_, solver, lambda, _) = solved(t)?;
                through(t, UNPERTURBED, [2, 1], move |_| BlackboxInterpolation {
                    oracle: solver.clone(),
                    lambda,
                })
            },
        ),
        entrant(
            "identity",
            "one solution, passed straight through, scores normalised (Sahoo et al. 2023)",
            |t| {
                let (_, solver, ..) = solved(t)?;
                through(t, UNPERTURBED, [1, 1], move |_| IdentityGradient {
                    oracle: solver.clone(),
                    projection: Projection::Norm,
                })
            },
        ),
        entrant(
            "imle",
            "perturbed solutions, differences along a step, λ = σ (Niepert et al. 2021)",
            |t| {
                let (_, oracle, softness, noise) = solved(t)?;
                through(t, STAND_IN, [2, usize::MAX], move |seed| {
                    let noise = ImleNoise::Independent(noise);
                    let seed = Some(seed);
                    Imle { noise, softness, lambda: softness, seed, ..Imle::new(oracle.clone()) }
                })
            },
        ),
        entrant("adaptive_imle", "I-MLE with a learned step, central (Minervini et al. 2023)", |t| {
            let (cost, solver, softness, noise) = solved(t)?;
            let state = AdaptiveState::default();
            Some(Box::new(Adaptive { cost, solver, softness, noise, state }))
        }),
        entrant(
            "perturbed_argmax",
            "the cost at the mean of perturbed solutions (Berthet et al. 2020)",
            |t| {
                let (cost, solver, softness, noise) = solved(t)?;
                Some(Box::new(AtMean { cost, solver, softness, noise }))
            },
        ),
        entrant("regularized_argmax", "the cost at a regularised solution (Niculae et al. 2018)", |t| {
            let (cost, solver, softness, _) = solved(t)?;
            Some(Box::new(Regularized { cost, solver, softness }))
        }),
    ]
}

/// Cost, solver, softness and noise.
fn solved(target: &Target) -> Option<(Cost, Solver, f64, Noise)> {
    let Target::Solved { cost, solver, softness, noise } = target else { return None };
    Some((cost.clone(), solver.clone(), *softness, *noise))
}

/// A runner through an operator of which a sample takes `each` solves, and `most` samples make sense.
fn through<P: Operator + 'static>(
    target: &Target,
    bias: &'static str,
    [each, most]: [usize; 2],
    operator: impl Fn(u64) -> P + Send + Sync + 'static,
) -> Option<Box<dyn Runner>> {
    let runner = Run::start(Through::new(operator, Mode::Soft), solved(target)?.0)?;
    Some(Box::new(Paced { bias: Some(bias), each, most, ..Paced::new(runner) }))
}

/// Refuses fewer solves than a sample takes, and what the solver refuses.
fn check(name: &str, solver: &Solver, n: usize, evaluations: usize, least: usize) -> Result<(), Error> {
    if evaluations < least {
        return Err(Error::argument(name, "evaluations", format!("at least {least}"), evaluations));
    }
    solver.validate(n)
}

/// A perturbed solver as a layer: one cost, at the mean of all solutions.
struct AtMean {
    cost: Cost,
    solver: Solver,
    softness: f64,
    noise: Noise,
}

impl Runner for AtMean {
    fn estimate(&mut self, x: &[f64], evaluations: usize, seed: u64) -> Result<Estimate, Error> {
        let (softness, noise) = (self.softness, self.noise);
        let operator = |seed| {
            let perturbation = Perturbation::Additive;
            let oracle = self.solver.clone();
            PerturbedArgmax { oracle, perturbation, softness, samples: evaluations, noise, seed: Some(seed) }
        };
        let through = Through::new(operator, Mode::Soft);
        let (found, ()) = estimate(&through, &self.cost, x, Budget::new(1, seed), &())?;
        Ok(Estimate { evaluations, ..found })
    }

    fn bias(&self) -> Option<&'static str> {
        Some(AT_MEAN)
    }

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check("perturbed_argmax", &self.solver, n, evaluations, 1)
    }
}

/// A regularised solver: as many solves as its method takes steps, which the parameters decide.
struct Regularized {
    cost: Cost,
    solver: Solver,
    softness: f64,
}

impl Runner for Regularized {
    fn estimate(&mut self, x: &[f64], evaluations: usize, seed: u64) -> Result<Estimate, Error> {
        let solves = Arc::new(AtomicUsize::new(0));
        let operator = |_| {
            let counted = Counted { solver: self.solver.clone(), solves: solves.clone() };
            RegularizedArgmax { softness: self.softness, ..RegularizedArgmax::new(counted) }
        };
        let through = Through::new(operator, Mode::Soft);
        let (found, ()) = estimate(&through, &self.cost, x, Budget::new(1, seed), &())?;
        // `Through` goes forward twice, the same way, where a layer does once; backward takes none.
        let solves = solves.load(Ordering::Relaxed) / 2;
        if solves > evaluations {
            let least = format!("at least {solves}");
            return Err(Error::argument("regularized_argmax", "evaluations", least, evaluations));
        }
        Ok(Estimate { evaluations: solves, ..found })
    }

    fn bias(&self) -> Option<&'static str> {
        Some(REGULARIZED)
    }

    fn is_random(&self) -> bool {
        false
    }

    /// How many solves it takes is known only at the parameters: `estimate` refuses the rest.
    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check("regularized_argmax", &self.solver, n, evaluations, 1)
    }
}

/// A solver that counts.
struct Counted {
    solver: Solver,
    solves: Arc<AtomicUsize>,
}

impl Oracle for Counted {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solves.fetch_add(1, Ordering::Relaxed);
        self.solver.solve(theta, y)
    }

    fn validate(&self, n: usize) -> Result<(), Error> {
        self.solver.validate(n)
    }
}

/// Adaptive I-MLE, with what it has learnt: three solves a sample.
struct Adaptive {
    cost: Cost,
    solver: Solver,
    softness: f64,
    noise: Noise,
    state: AdaptiveState,
}

impl Runner for Adaptive {
    fn estimate(&mut self, x: &[f64], evaluations: usize, seed: u64) -> Result<Estimate, Error> {
        let operator = |seed| AdaptiveImle {
            state: self.state,
            softness: self.softness,
            noise: ImleNoise::Independent(self.noise),
            seed: Some(seed),
            ..AdaptiveImle::new(self.solver.clone())
        };
        let through = Through::new(operator, Mode::Soft);
        let (found, ()) = estimate(&through, &self.cost, x, Budget::new(evaluations / 3, seed), &())?;
        self.state = self.state.updated(&found.gradient, 1);
        Ok(Estimate { evaluations: 3 * found.evaluations, ..found })
    }

    fn bias(&self) -> Option<&'static str> {
        Some(STAND_IN)
    }

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check("adaptive_imle", &self.solver, n, evaluations, 3)
    }
}
