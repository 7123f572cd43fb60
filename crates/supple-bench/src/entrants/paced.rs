//! A runner that counts otherwise, or says more of its bias.

use crate::entrant::Runner;
use supple_core::Error;
use supple_estimators::Estimate;

/// A runner under conditions.
pub(super) struct Paced {
    pub runner: Box<dyn Runner>,
    /// What its gradient is biased towards, where the runner does not say.
    pub bias: Option<&'static str>,
    /// Evaluations that one of its samples takes.
    pub each: usize,
    /// Most samples that make sense; 1 where nothing is random.
    pub most: usize,
    /// Fewest evaluations for a number of parameters.
    pub least: fn(usize) -> usize,
}

impl Paced {
    pub(super) fn new(runner: Box<dyn Runner>) -> Self {
        Self { runner, bias: None, each: 1, most: usize::MAX, least: |_| 1 }
    }

    fn samples(&self, evaluations: usize) -> usize {
        (evaluations / self.each).min(self.most)
    }
}

impl Runner for Paced {
    fn estimate(&mut self, x: &[f64], evaluations: usize, seed: u64) -> Result<Estimate, Error> {
        let mut estimate = self.runner.estimate(x, self.samples(evaluations), seed)?;
        estimate.evaluations *= self.each;
        Ok(estimate)
    }

    fn bias(&self) -> Option<&'static str> {
        self.bias.or_else(|| self.runner.bias())
    }

    fn is_random(&self) -> bool {
        self.most > 1
    }

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        let least = (self.least)(n).max(self.each);
        if evaluations < least {
            return Err(Error::argument("bench", "evaluations", format!("at least {least}"), evaluations));
        }
        self.runner.validate(n, self.samples(evaluations))
    }
}
