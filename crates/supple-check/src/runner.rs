//! Who computes: the engine itself, or a bridge that must give the same.

use crate::problem::views;
use ndarray::ArrayD;
use supple_core::{AnyContract, AnyInputs, Error, Float};

/// A way to run an operator. The checks of derivatives are written against this, so that a bridge to
/// another framework passes the same ones.
pub trait Runner<T: Float>: Sync {
    /// The outputs.
    fn evaluate(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
    ) -> Result<Vec<ArrayD<T>>, String>;
    /// `Jᵀ dy`.
    fn vjp(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
        dy: &[ArrayD<T>],
    ) -> Result<Vec<ArrayD<T>>, String>;
    /// The derivative of [`vjp`](Self::vjp) along `v`: the cotangents of `dy` and of `x`.
    fn vjp_derivative(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
        dy: &[ArrayD<T>],
        v: &[ArrayD<T>],
    ) -> Result<(Vec<ArrayD<T>>, Vec<ArrayD<T>>), String>;
}

/// The engine.
pub struct Engine;

impl<T: Float> Runner<T> for Engine {
    fn evaluate(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
    ) -> Result<Vec<ArrayD<T>>, String> {
        let (y, faults) = T::calls(operator).evaluate(inputs).map_err(text)?;
        Error::first(operator.name(), &faults).map_err(text)?;
        Ok(y)
    }

    fn vjp(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
        dy: &[ArrayD<T>],
    ) -> Result<Vec<ArrayD<T>>, String> {
        let x = inputs.x.clone();
        let (y, pullback) = T::calls(operator).linearize(inputs).map_err(text)?;
        pullback.vjp(&x, &views(&y), &views(dy)).map_err(text)
    }

    fn vjp_derivative(
        &self,
        operator: &dyn AnyContract,
        inputs: AnyInputs<'_, T>,
        dy: &[ArrayD<T>],
        v: &[ArrayD<T>],
    ) -> Result<(Vec<ArrayD<T>>, Vec<ArrayD<T>>), String> {
        let x = inputs.x.clone();
        let (y, pullback) = T::calls(operator).linearize(inputs).map_err(text)?;
        pullback.vjp_derivative(&x, &views(&y), &views(dy), &views(v)).map_err(text)
    }
}

pub(crate) fn text(error: Error) -> String {
    error.to_string()
}
