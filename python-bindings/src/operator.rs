//! An operator with its parameters.

use crate::arrays::{Given, Typed, options, plain, read, tuple};
use crate::callable::Held;
use crate::error::raise;
use crate::named::Named;
use crate::pullback::{Derivatives, Pullback};
use crate::{catalogue, engine, estimator, solver};
use numpy::Element;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use supple_core::{AnyOperator, Erased, Error, Float, Options};

/// An operator of the catalogue by name, with its parameters in the order of its schema.
#[pyclass(frozen, module = "supple._core")]
pub struct Operator {
    inner: Box<dyn AnyOperator>,
    /// The function of Python's that it holds.
    held: Option<Held>,
}

#[pymethods]
impl Operator {
    #[new]
    fn new(name: &str, parameters: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self { inner: catalogue::make(name, parameters)?, held: None })
    }

    /// An operator around a solver: a function of objectives, one a row, and their length, that gives as many
    /// rows of solutions.
    #[staticmethod]
    #[pyo3(signature = (name, solve, either_sign, **parameters))]
    fn solving(
        py: Python<'_>,
        name: &str,
        solve: Py<PyAny>,
        either_sign: bool,
        parameters: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let held = Held::new(solve, either_sign);
        let parameters = parameters.map_or_else(|| PyDict::new(py), Clone::clone);
        let given = Named { operator: name, parameters: &parameters };
        Ok(Self { inner: solver::make(name, held.callable.clone(), &given)?, held: Some(held) })
    }

    /// The mean of a function under an estimator's noise: a function of points, one a row, and the number of its
    /// values, `outputs`, that gives as many rows of values.
    #[staticmethod]
    #[pyo3(signature = (estimator, function, outputs, **parameters))]
    fn estimating(
        py: Python<'_>,
        estimator: &str,
        function: Py<PyAny>,
        outputs: usize,
        parameters: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let held = Held::new(function, true);
        let parameters = parameters.map_or_else(|| PyDict::new(py), Clone::clone);
        let given = Named { operator: estimator, parameters: &parameters };
        let inner = estimator::make(estimator, held.callable.clone(), outputs, &given)?;
        Ok(Self { inner, held: Some(held) })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.held.as_ref().map_or(Ok(()), |held| held.traverse(&visit))
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    /// The size of a symbol that outputs have and no input has, such as the `k` of `x(n) -> y(k)`.
    fn size(&self, symbol: &str) -> Option<usize> {
        self.inner.size(symbol)
    }

    /// Which gradient it has: `"exact"`, `"almost everywhere"`, `"stochastic"` or `"surrogate"`.
    #[getter]
    fn gradient(&self) -> &'static str {
        self.inner.gradient().name()
    }

    /// Outputs; the first item without an answer raises `Fault`. One output comes alone, and a number where it
    /// has no axes.
    #[pyo3(signature = (inputs, axis=None, mode=None, lengths=None))]
    fn __call__<'py>(
        &self,
        inputs: &Bound<'py, PyTuple>,
        axis: Option<&Bound<'py, PyAny>>,
        mode: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = options(self.inner.name(), axis, mode, lengths)?;
        match read(self.inner.name(), self.inner.signature().map_err(raise)?, inputs)? {
            Given::Single(given) => self.evaluate::<f32>(inputs.py(), &*self.inner, &given, options),
            Given::Double(given) => self.evaluate::<f64>(inputs.py(), &*self.inner, &given, options),
        }
    }

    /// A tuple of outputs, and their derivatives.
    #[pyo3(signature = (inputs, axis=None, mode=None, lengths=None))]
    fn linearize<'py>(
        &self,
        inputs: &Bound<'py, PyTuple>,
        axis: Option<&Bound<'py, PyAny>>,
        mode: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyTuple>, Pullback)> {
        let options = options(self.inner.name(), axis, mode, lengths)?;
        let py = inputs.py();
        let held = self.held.as_ref().map(|held| held.clone_ref(py));
        match read(self.inner.name(), self.inner.signature().map_err(raise)?, inputs)? {
            Given::Single(given) => {
                let (y, pullback) = self.differentiate::<f32>(py, &*self.inner, &given, options)?;
                Ok((y, Pullback { operator: self.inner.name(), typed: Derivatives::Single(pullback), held }))
            }
            Given::Double(given) => {
                let (y, pullback) = self.differentiate::<f64>(py, &*self.inner, &given, options)?;
                Ok((y, Pullback { operator: self.inner.name(), typed: Derivatives::Double(pullback), held }))
            }
        }
    }
}

impl Operator {
    fn evaluate<'py, T: Float + Element>(
        &self,
        py: Python<'py>,
        kernel: &dyn Erased<T>,
        given: &Typed<'py, T>,
        options: Options,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inputs = given.inputs(options);
        let y = engine::run(py, self.held.as_ref(), || {
            let (y, faults) = kernel.evaluate(inputs)?;
            Error::first(self.inner.name(), &faults).map(|()| y)
        })?;
        let mut y = y.into_iter().map(|y| plain(y, py)).collect::<PyResult<Vec<_>>>()?;
        if y.len() > 1 { Ok(PyTuple::new(py, y)?.into_any()) } else { Ok(y.swap_remove(0)) }
    }

    fn differentiate<'py, T: Float + Element>(
        &self,
        py: Python<'py>,
        kernel: &dyn Erased<T>,
        given: &Typed<'py, T>,
        options: Options,
    ) -> PyResult<(Bound<'py, PyTuple>, Box<dyn supple_core::Pullback<T>>)> {
        let inputs = given.inputs(options);
        let (y, pullback) = engine::run(py, self.held.as_ref(), || {
            let (y, pullback) = kernel.linearize(inputs)?;
            Error::first(self.inner.name(), pullback.faults()).map(|()| (y, pullback))
        })?;
        Ok((tuple(py, y)?, pullback))
    }
}
