//! Errors of the engine as Python exceptions, with the same message.

use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::{PyErr, create_exception};
use supple_core::Error;

create_exception!(
    supple,
    Fault,
    PyValueError,
    "One item of the batch has no answer: a solver that did not converge, an index that points outside."
);

/// `ValueError` for what was asked wrongly, `Fault` for an item without an answer, `NotImplementedError` for
/// what an operator does not have.
pub fn raise(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Fault { .. } => Fault::new_err(message),
        Error::Unsupported { .. } => PyNotImplementedError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}
