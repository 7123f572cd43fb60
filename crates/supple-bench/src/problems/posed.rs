//! What all problems are made of.

use crate::problem::{Cost, Distribution, Exact, Problem, Solver, Target};
use crate::reference::{Smoothed, Solutions};
use std::sync::{Arc, OnceLock};
use supple_core::Fault;
use supple_estimators::WithGradient;
use supple_estimators::smoothing::Noise;
use supple_ops::perturb::Oracle;

/// Quadrature has so many times fewer points elsewhere than where gradients are compared: a descent asks
/// often.
const ELSEWHERE: usize = 16;

/// Where the exact gradient comes from.
pub(super) enum Reference {
    /// A closed form, or a sum.
    Known(Box<dyn Fn(&[f64]) -> Exact + Send + Sync>),
    /// Quadrature.
    Smoothed(Smoothed),
}

/// A problem: its name, what it is, where it starts and what is right.
pub struct Posed {
    name: &'static str,
    summary: &'static str,
    x: Vec<f64>,
    target: Target,
    reference: Reference,
    /// The reference at `x`.
    at_x: OnceLock<Exact>,
}

impl Posed {
    pub(super) fn new(
        [name, summary]: [&'static str; 2],
        x: &[f64],
        target: Target,
        exact: impl Fn(&[f64]) -> Exact + Send + Sync + 'static,
    ) -> Self {
        Self::with([name, summary], x, target, Reference::Known(Box::new(exact)))
    }

    fn with([name, summary]: [&'static str; 2], x: &[f64], target: Target, reference: Reference) -> Self {
        Self { name, summary, x: x.to_vec(), target, reference, at_x: OnceLock::new() }
    }

    /// A cost of the solution of a solver under Gaussian noise, its reference by quadrature.
    pub(super) fn solved(
        text: [&'static str; 2],
        theta: &[f64],
        softness: f64,
        cost: Cost,
        solver: impl Oracle + 'static,
        (solutions, points): (Solutions, usize),
    ) -> Self {
        let noise = Noise::Gaussian;
        let target = Target::Solved { cost: cost.clone(), solver: Solver(Arc::new(solver)), softness, noise };
        let smoothed = Smoothed { cost, solutions, softness, noise, points };
        Self::with(text, theta, target, Reference::Smoothed(smoothed))
    }

    /// The quadrature behind the reference.
    #[cfg(test)]
    pub(super) fn smoothed(&self) -> Option<&Smoothed> {
        match &self.reference {
            Reference::Smoothed(smoothed) => Some(smoothed),
            Reference::Known(_) => None,
        }
    }

    /// A cost of a sample, its reference by a sum over all values.
    pub(super) fn sampled(
        text: [&'static str; 2],
        x: &[f64],
        cost: Cost,
        distribution: Distribution,
    ) -> Self {
        let target = Target::Sampled { cost: cost.clone(), distribution: distribution.clone() };
        Self::new(text, x, target, move |x| distribution.exact(&cost, x))
    }
}

impl Problem for Posed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn x(&self) -> Vec<f64> {
        self.x.clone()
    }

    fn target(&self) -> Target {
        self.target.clone()
    }

    fn exact(&self, x: &[f64]) -> Exact {
        let exact = || match &self.reference {
            Reference::Known(exact) => exact(x),
            Reference::Smoothed(smoothed) if x == self.x => smoothed.exact(x).0,
            Reference::Smoothed(smoothed) => {
                Smoothed { points: smoothed.points / ELSEWHERE, ..smoothed.clone() }.exact(x).0
            }
        };
        if x == self.x { self.at_x.get_or_init(exact).clone() } else { exact() }
    }
}

/// A cost from its value and its gradient.
pub(super) fn cost(
    value: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    gradient: impl Fn(&[f64], &mut [f64]) + Send + Sync + 'static,
) -> Cost {
    Cost(Arc::new(WithGradient {
        value: move |x: &[f64], y: &mut [f64]| -> Result<(), Fault> {
            y[0] = value(x);
            Ok(())
        },
        gradient: move |x: &[f64], dy: &[f64], dx: &mut [f64]| -> Result<(), Fault> {
            gradient(x, dx);
            dx.iter_mut().for_each(|dx| *dx *= dy[0]);
            Ok(())
        },
    }))
}
