//! Operators that hold a solver: a function of Python's that maximises a linear objective.

use crate::callable::Callable;
use crate::error::raise;
use crate::named::Named;
use pyo3::prelude::*;
use supple_core::{AnyOperator, Error, choices, erase};
use supple_ops::decision::{
    AdaptiveImle, AdaptiveState, BlackboxInterpolation, IdentityGradient, Imle, ImleNoise,
    PerturbationGradient, Projection, SpoPlus, StructuredSvm,
};
use supple_ops::perturb::{FenchelYoung, PerturbedArgmax, RegularizedArgmax, RegularizedFenchelYoung};

choices! {
    /// What [`IdentityGradient`] takes out of the scores.
    pub enum Removed {
        /// The mean, then the length.
        Std = "std",
        /// The mean.
        Mean = "mean",
        /// The length.
        Norm = "norm",
        /// Nothing.
        None = "none",
    }
}

impl From<Removed> for Projection {
    fn from(removed: Removed) -> Self {
        match removed {
            Removed::Std => Self::Std,
            Removed::Mean => Self::Mean,
            Removed::Norm => Self::Norm,
            Removed::None => Self::None,
        }
    }
}

/// The operator `name` around a solver.
pub fn make(name: &str, oracle: Callable, given: &Named<'_, '_>) -> PyResult<Box<dyn AnyOperator>> {
    Ok(match name {
        "perturbed_argmax" => Box::new(erase(perturbed(oracle, given)?)),
        "perturbed_fenchel_young" => Box::new(erase(FenchelYoung(perturbed(oracle, given)?))),
        "regularized_argmax" => Box::new(erase(regularized(oracle, given)?)),
        "regularized_fenchel_young" => Box::new(erase(RegularizedFenchelYoung(regularized(oracle, given)?))),
        "blackbox_interpolation" => {
            Box::new(erase(BlackboxInterpolation { oracle, lambda: given.get("step")? }))
        }
        "identity_gradient" => {
            let projection = given.get::<Removed>("projection")?.into();
            Box::new(erase(IdentityGradient { oracle, projection }))
        }
        "imle" => {
            let (lambda, softness) = (given.get("step")?, given.get("softness")?);
            let (samples, noise, seed) = (given.get("samples")?, imle_noise(given)?, given.get("seed")?);
            Box::new(erase(Imle { oracle, lambda, softness, samples, noise, seed }))
        }
        "adaptive_imle" => {
            let state = AdaptiveState { alpha: given.get("alpha")?, ..AdaptiveState::default() };
            let (central, softness) = (given.get("central")?, given.get("softness")?);
            let (samples, noise, seed) = (given.get("samples")?, imle_noise(given)?, given.get("seed")?);
            Box::new(erase(AdaptiveImle { oracle, state, central, softness, samples, noise, seed }))
        }
        "spo_plus" => Box::new(erase(SpoPlus { oracle })),
        "structured_svm" => Box::new(erase(StructuredSvm { oracle, margin: given.get("margin")? })),
        "perturbation_gradient" => {
            let (step, central) = (given.get("step")?, given.get("central")?);
            Box::new(erase(PerturbationGradient { oracle, step, central }))
        }
        _ => {
            return Err(raise(Error::argument(
                "Operator",
                "name",
                "that of an operator with a solver",
                name,
            )));
        }
    })
}

fn perturbed(oracle: Callable, given: &Named<'_, '_>) -> PyResult<PerturbedArgmax<Callable>> {
    Ok(PerturbedArgmax {
        oracle,
        perturbation: given.get("perturbation")?,
        softness: given.get("softness")?,
        samples: given.get("samples")?,
        noise: given.get("noise")?,
        seed: given.get("seed")?,
    })
}

fn regularized(oracle: Callable, given: &Named<'_, '_>) -> PyResult<RegularizedArgmax<Callable>> {
    Ok(RegularizedArgmax { oracle, softness: given.get("softness")?, iterations: given.get("iterations")? })
}

/// Noise by name, or with `ones` and `terms` the sum of Gamma variables.
fn imle_noise(given: &Named<'_, '_>) -> PyResult<ImleNoise> {
    if given.has("ones") {
        return Ok(ImleNoise::SumOfGamma { k: given.get("ones")?, terms: given.get("terms")? });
    }
    Ok(ImleNoise::Independent(given.get("noise")?))
}
