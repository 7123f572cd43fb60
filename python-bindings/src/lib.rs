//! The compiled half of the Python package `supple`: operators of the catalogue on NumPy arrays, with their
//! derivatives. What people call is Python, generated from the catalogue by `cargo xtask gen`.

mod arrays;
mod callable;
mod catalogue;
mod engine;
mod error;
mod estimator;
mod named;
mod operator;
mod pullback;
mod solver;

use pyo3::prelude::*;

/// Operators and their derivatives on NumPy arrays.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::catalogue::entries;
    #[pymodule_export]
    use crate::catalogue::fresh_seed;
    #[pymodule_export]
    use crate::error::Fault;
    #[pymodule_export]
    use crate::estimator::estimate_at;
    #[pymodule_export]
    use crate::operator::Operator;
    #[pymodule_export]
    use crate::pullback::Pullback;

    /// The version of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::engine::load();
        Ok(())
    }
}
