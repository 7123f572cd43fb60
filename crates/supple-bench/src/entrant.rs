//! An entrant: an estimator with its parameters, under a name.

use crate::problem::Target;
use supple_core::Error;
use supple_estimators::{Budget, Estimate, Estimator, Supplies, estimate};

/// An estimator with its parameters.
pub struct Entrant {
    /// Name in the tables and on the command line, such as `rloo` or `smoothing/antithetic`.
    pub name: &'static str,
    /// What it does, in one line, with its paper.
    pub summary: &'static str,
    /// Makes a runner for a problem; `None` where the estimator does not apply.
    pub enter: fn(&Target) -> Option<Box<dyn Runner>>,
}

/// An estimator at work on one problem. It keeps what it learns from one estimate to the next.
pub trait Runner: Send {
    /// One estimate at `x`.
    fn estimate(&mut self, x: &[f64], evaluations: usize, seed: u64) -> Result<Estimate, Error>;
    /// What the gradient is biased towards; `None` if it is right in expectation.
    fn bias(&self) -> Option<&'static str>;
    /// Whether estimates with other seeds may differ.
    fn is_random(&self) -> bool {
        true
    }
    /// Refuses budgets that are too small. Where that depends on the parameters, `estimate` does.
    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error>;
}

/// An estimator with its function and what it has learnt.
pub struct Run<E: Estimator, F> {
    estimator: E,
    function: F,
    state: E::State,
}

impl<E: Estimator + 'static, F: Supplies<E::Needs> + 'static> Run<E, F> {
    /// Starts without having learnt anything.
    pub fn start(estimator: E, function: F) -> Option<Box<dyn Runner>> {
        Some(Box::new(Self { estimator, function, state: E::State::default() }))
    }
}

impl<E: Estimator, F: Supplies<E::Needs>> Runner for Run<E, F> {
    fn estimate(&mut self, x: &[f64], evaluations: usize, seed: u64) -> Result<Estimate, Error> {
        let budget = Budget::new(evaluations, seed);
        let (estimate, state) = estimate(&self.estimator, &self.function, x, budget, &self.state)?;
        self.state = state;
        Ok(estimate)
    }

    fn bias(&self) -> Option<&'static str> {
        self.estimator.bias()
    }

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        self.estimator.validate(n, evaluations)
    }
}
