//! Python's functions inside operators.

use numpy::{PyArray2, PyArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, MutexGuard};
use supple_core::Fault;
use supple_estimators::Function;
use supple_ops::perturb::Oracle;

/// A function of rows of numbers, inside an operator. The engine calls it from threads of its own, so it takes the
/// interpreter's lock, which whoever started the engine must have let go.
///
/// It has the function while the engine runs and no longer: see [`Held`].
#[derive(Clone)]
pub struct Callable(Arc<Inner>);

struct Inner {
    /// The function, and how many runs need it.
    lent: Mutex<Option<(Py<PyAny>, usize)>>,
    /// Whether a solver takes objectives of either sign.
    either_sign: bool,
    /// What it raised last.
    raised: Mutex<Option<PyErr>>,
}

/// The function that an operator calls, on the side of an object of Python's: there the garbage collector sees it, and
/// with it the cycles of a model whose own method it is.
pub struct Held {
    /// What the operator has.
    pub callable: Callable,
    function: Py<PyAny>,
}

impl Held {
    pub fn new(function: Py<PyAny>, either_sign: bool) -> Self {
        let inner = Inner { lent: Mutex::new(None), either_sign, raised: Mutex::new(None) };
        Self { callable: Callable(Arc::new(inner)), function }
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { callable: self.callable.clone(), function: self.function.clone_ref(py) }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)
    }

    /// Lends the function to the operator for as long as `work` takes. The second is what it raised meanwhile.
    pub fn during<R>(&self, py: Python<'_>, work: impl FnOnce() -> R) -> (R, Option<PyErr>) {
        let inner = &self.callable.0;
        locked(&inner.lent).get_or_insert_with(|| (self.function.clone_ref(py), 0)).1 += 1;
        let result = work();
        let mut lent = locked(&inner.lent);
        let runs = lent.as_mut().map_or(0, |(_, runs)| {
            *runs -= 1;
            *runs
        });
        let function = if runs == 0 { lent.take() } else { None };
        drop(lent);
        // Without the lock, for this may run code of Python's.
        drop(function);
        (result, locked(&inner.raised).take())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Callable {
    fn rows(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        Python::attach(|py| self.call(py, rows, points, values)).map_err(|error| {
            let fault = Fault::Oracle(error.to_string());
            *locked(&self.0.raised) = Some(error);
            fault
        })
    }

    fn call(&self, py: Python<'_>, rows: usize, points: &[f64], values: &mut [f64]) -> PyResult<()> {
        let array = ndarray::ArrayView2::from_shape((rows, points.len() / rows.max(1)), points);
        let array = array.map_err(|e| PyValueError::new_err(e.to_string()))?;
        let points = PyArray2::from_array(py, &array);
        let function = locked(&self.0.lent).as_ref().map(|(function, _)| function.clone_ref(py));
        let function = function.ok_or_else(|| PyRuntimeError::new_err("the engine does not run"))?;
        let result = function.call1(py, (points, values.len() / rows.max(1)))?;
        let result = result.bind(py).cast::<PyArray2<f64>>()?.try_readonly()?;
        values.iter_mut().zip(result.as_array()).for_each(|(value, &given)| *value = given);
        Ok(())
    }
}

impl Oracle for Callable {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.rows(1, theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        self.rows(thetas.len() / n.max(1), thetas, ys)
    }

    fn batch(&self, _: usize) -> Option<usize> {
        Some(usize::MAX)
    }

    fn takes_either_sign(&self) -> bool {
        self.0.either_sign
    }
}

impl Function for Callable {
    fn evaluate(&self, rows: usize, points: &[f64], values: &mut [f64]) -> Result<(), Fault> {
        self.rows(rows, points, values)
    }
}
