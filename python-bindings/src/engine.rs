//! Calls of the engine: without the interpreter's lock, and with threads also after a fork.

use crate::callable::Held;
use crate::error::{Fault, raise};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::process;
use std::sync::{Arc, LazyLock, Mutex};
use supple_core::Error;

/// Does `work` without the interpreter's lock, which a function of Python's inside an operator takes again.
///
/// What that function raised is the cause of the engine's error; what is no ordinary exception, such as an
/// interrupt from the keyboard, comes as it is.
pub fn run<R: Send>(
    py: Python<'_>,
    held: Option<&Held>,
    work: impl FnOnce() -> Result<R, Error> + Send,
) -> PyResult<R> {
    let detached = || {
        py.detach(|| match pool() {
            Some(pool) => pool.install(work),
            None => work(),
        })
    };
    let Some(held) = held else { return detached().map_err(raise) };
    let (result, raised) = held.during(py, detached);
    let Some(raised) = raised else { return result.map_err(raise) };
    if !raised.is_instance_of::<PyException>(py) {
        return Err(raised);
    }
    // A derivative has no errors of its own: what failed in it is NaN.
    let error = result.map_or_else(raise, |_| Fault::new_err(raised.to_string()));
    error.set_cause(py, Some(raised));
    Err(error)
}

/// The threads to use where those of the process are gone: a fork copies the memory and one thread, so that in
/// a child whoever waits for the others waits for ever. `None` where they are all there.
fn pool() -> Option<Arc<ThreadPool>> {
    static LOADED: LazyLock<u32> = LazyLock::new(process::id);
    static FORKED: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);
    let here = process::id();
    if here == *LOADED {
        return None;
    }
    let mut forked = FORKED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((_, pool)) = forked.as_ref().filter(|(process, _)| *process == here) {
        return Some(pool.clone());
    }
    let pool = Arc::new(ThreadPoolBuilder::new().build().ok()?);
    if let Some((_, gone)) = forked.replace((here, pool.clone())) {
        // Of a parent: to drop it would be to wait for its threads.
        std::mem::forget(gone);
    }
    Some(pool)
}

/// Notes which process has the threads.
pub fn load() {
    pool();
}
