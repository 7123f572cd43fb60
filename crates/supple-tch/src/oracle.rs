//! Solvers that are functions of tensors.

use std::sync::{Mutex, PoisonError};
use supple_core::Fault;
use supple_ops::perturb::Oracle;
use tch::{Device, Kind, Tensor, no_grad};

/// A solver that is a function of tensors: it gets the perturbations of one item at once, `(samples, n)`, and
/// returns as many solutions. It goes wherever an [`Oracle`] does.
///
/// The function is called from one thread at a time, without a graph. For a function that is to get the points
/// of a whole batch, see [`estimate`](crate::estimate()).
///
/// ```no_run
/// use supple_ops::perturb::PerturbedArgmax;
/// use supple_tch::{TensorOracle, apply};
/// use tch::{Kind, Tensor};
///
/// let argmax = |theta: &Tensor| {
///     let n = theta.size()[1];
///     theta.argmax(-1, false).one_hot(n).to_kind(Kind::Double)
/// };
/// let theta = Tensor::from_slice(&[0.5, -0.2]).set_requires_grad(true);
/// let smooth = PerturbedArgmax::new(std::sync::Arc::new(TensorOracle::new(argmax)));
/// let [y] = apply(&smooth, [&theta])?;
/// # Ok::<(), supple_tch::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorOracle<F> {
    function: Mutex<F>,
    kind: Kind,
    device: Device,
}

impl<F: Fn(&Tensor) -> Tensor + Send> TensorOracle<F> {
    /// A function of double-precision tensors on the host.
    pub fn new(function: F) -> Self {
        Self { function: Mutex::new(function), kind: Kind::Double, device: Device::Cpu }
    }

    /// What the function's argument is to be.
    pub fn with(self, kind: Kind, device: Device) -> Self {
        Self { kind, device, ..self }
    }

    fn call(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), tch::TchError> {
        let rows = thetas.len().checked_div(n).unwrap_or(1) as i64;
        let thetas = Tensor::f_from_slice(thetas)?.f_reshape([rows, n as i64])?;
        let thetas = thetas.f_to_kind(self.kind)?.f_to_device(self.device)?;
        // A function that has panicked before is asked again.
        let function = self.function.lock().unwrap_or_else(PoisonError::into_inner);
        let y = no_grad(|| function(&thetas));
        if y.size() != [rows, n as i64] {
            let found = format!("a solution for each of {rows} rows of {n}, got shape {:?}", y.size());
            return Err(tch::TchError::Torch(format!("the oracle must return {found}")));
        }
        let y = y.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_contiguous()?;
        y.f_copy_data(ys, ys.len())
    }
}

impl<F: Fn(&Tensor) -> Tensor + Send> Oracle for TensorOracle<F> {
    fn solve(&self, theta: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        self.solve_many(theta.len(), theta, y)
    }

    fn solve_many(&self, n: usize, thetas: &[f64], ys: &mut [f64]) -> Result<(), Fault> {
        self.call(n, thetas, ys).map_err(|error| Fault::Oracle(error.to_string()))
    }

    fn batch(&self, _: usize) -> Option<usize> {
        Some(usize::MAX)
    }
}
