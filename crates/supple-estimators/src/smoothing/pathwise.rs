//! The gradient of a smoothed function as the mean of gradients (reparametrisation).
//!
//! $$ \nabla \mathrm{E} f(x + \sigma Z) = \mathrm{E} \nabla f(x + \sigma Z) $$
//!
//! Right in expectation where $f$ is continuous, and usually of much less variance than a score function. Of
//! a jump it sees nothing: the gradient of a step is zero at every sample.
//!
//! Cost: one evaluation and one gradient for each sample.
//!
//! Kingma and Welling, *Auto-encoding variational Bayes*, ICLR 2014; Suh, Simchowitz, Zhang and Tedrake, *Do
//! differentiable simulators give better policy gradients?*, ICML 2022.

use super::points::{noise, shifted};
use super::{Design, Noise};
use crate::estimator::{add_rows, check_budget, check_positive};
use crate::{Asked, Draws, Estimator, Gradients, Told};
use supple_core::{Error, Fault};

/// Smoothing of a function that has gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pathwise {
    /// Scale σ of the noise, in the unit of `x`.
    pub softness: f64,
    /// Distribution of the noise.
    pub noise: Noise,
    /// How the noise is arranged.
    pub design: Design,
}

/// Gaussian noise of scale 1, independent samples.
impl Default for Pathwise {
    fn default() -> Self {
        Self { softness: 1.0, noise: Noise::Gaussian, design: Design::MonteCarlo }
    }
}

impl Estimator for Pathwise {
    const NAME: &'static str = "pathwise";
    type Needs = Gradients;
    type State = ();
    type Plan = ();

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check_positive(Self::NAME, "softness", self.softness)?;
        check_budget(Self::NAME, self.design.rows(evaluations, n), 1)
    }

    fn bias(&self) -> Option<&'static str> {
        (!self.design.is_random()).then_some("the integral by a fixed set of points")
    }

    fn has_standard_error(&self) -> bool {
        self.design.is_random()
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(x.to_vec())
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<()>, Fault> {
        let samples = self.design.rows(evaluations, x.len());
        let z = noise(self.noise, self.design, draws, samples, x.len());
        let points = shifted(x, self.softness, &z);
        Ok(Asked { points, weights: vec![1.0 / samples as f64; samples], plan: () })
    }

    fn tell(&self, _: &[f64], asked: &Asked<()>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        add_rows(gradient, told.slopes, |s| asked.weights[s]);
    }
}
