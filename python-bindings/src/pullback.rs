//! Derivatives of a call.

use crate::arrays::{same, tuple, views};
use crate::callable::Held;
use crate::engine;
use ndarray::{ArrayD, ArrayViewD};
use numpy::Element;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use supple_core::{Error, Float};

/// The derivatives at the inputs of one call. The arrays stay with the caller, who hands in the same inputs `x`
/// (the real ones) and outputs `y` each time.
#[pyclass(frozen, module = "supple._core")]
pub struct Pullback {
    pub operator: &'static str,
    pub typed: Derivatives,
    /// The function of Python's that the operator holds.
    pub held: Option<Held>,
}

/// Those of one dtype.
pub enum Derivatives {
    Single(Box<dyn supple_core::Pullback<f32>>),
    Double(Box<dyn supple_core::Pullback<f64>>),
}

type Views<'a, T> = [ArrayViewD<'a, T>];
type Pair<'py> = (Bound<'py, PyTuple>, Bound<'py, PyTuple>);

#[pymethods]
impl Pullback {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.held.as_ref().map_or(Ok(()), |held| held.traverse(&visit))
    }

    /// `Jᵀ dy`.
    fn vjp<'py>(
        &self,
        x: &Bound<'py, PyTuple>,
        y: &Bound<'py, PyTuple>,
        dy: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        match &self.typed {
            Derivatives::Single(p) => self.first(x, y, ("dy", dy), |x, y, dy| p.vjp(x, y, dy)),
            Derivatives::Double(p) => self.first(x, y, ("dy", dy), |x, y, dy| p.vjp(x, y, dy)),
        }
    }

    /// `J v`.
    fn jvp<'py>(
        &self,
        x: &Bound<'py, PyTuple>,
        y: &Bound<'py, PyTuple>,
        v: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        match &self.typed {
            Derivatives::Single(p) => self.first(x, y, ("v", v), |x, y, v| p.jvp(x, y, v)),
            Derivatives::Double(p) => self.first(x, y, ("v", v), |x, y, v| p.jvp(x, y, v)),
        }
    }

    /// The derivative of `vjp` along `v`: what belongs to `dy`, which is `J v`, and what belongs to `x`.
    fn vjp_derivative<'py>(
        &self,
        x: &Bound<'py, PyTuple>,
        y: &Bound<'py, PyTuple>,
        dy: &Bound<'py, PyTuple>,
        v: &Bound<'py, PyTuple>,
    ) -> PyResult<Pair<'py>> {
        match &self.typed {
            Derivatives::Single(p) => self.second(&**p, x, y, dy, v),
            Derivatives::Double(p) => self.second(&**p, x, y, dy, v),
        }
    }
}

impl Pullback {
    fn first<'py, T: Float + Element>(
        &self,
        x: &Bound<'py, PyTuple>,
        y: &Bound<'py, PyTuple>,
        (name, along): (&str, &Bound<'py, PyTuple>),
        derivative: impl FnOnce(&Views<'_, T>, &Views<'_, T>, &Views<'_, T>) -> Result<Vec<ArrayD<T>>, Error>
        + Send,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = x.py();
        let read = |name, arrays| same::<T>(self.operator, name, arrays);
        let (x, y, along) = (read("x", x)?, read("y", y)?, read(name, along)?);
        let (x, y, along) = (views(&x), views(&y), views(&along));
        tuple(py, engine::run(py, self.held.as_ref(), || derivative(&x, &y, &along))?)
    }

    fn second<'py, T: Float + Element>(
        &self,
        pullback: &dyn supple_core::Pullback<T>,
        x: &Bound<'py, PyTuple>,
        y: &Bound<'py, PyTuple>,
        dy: &Bound<'py, PyTuple>,
        v: &Bound<'py, PyTuple>,
    ) -> PyResult<Pair<'py>> {
        let py = x.py();
        let read = |name, arrays| same::<T>(self.operator, name, arrays);
        let (x, y, dy, v) = (read("x", x)?, read("y", y)?, read("dy", dy)?, read("v", v)?);
        let (x, y, dy, v) = (views(&x), views(&y), views(&dy), views(&v));
        let held = self.held.as_ref();
        let (jv, hv) = engine::run(py, held, || pullback.vjp_derivative(&x, &y, &dy, &v))?;
        Ok((tuple(py, jv)?, tuple(py, hv)?))
    }
}
