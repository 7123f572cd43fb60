//! The smallest value, by any method.

use super::adapters::Negated;
use super::max::{Max, MaxMethod};
use super::methods::alias;
use super::reduced;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{Contract, Error, Float, Law, Mode, params};

params! {
    /// The smallest value: minus the [largest](Max) of what is negated.
    pub struct Min {
        /// Which relaxation.
        method: MaxMethod = MaxMethod::default(), Any;
        /// What the method's own operator calls so; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

alias! {
    Min("min", "x(n>=1) -> minimum()"), Negated<Max>:
        |front| Negated(Max { method: front.method, softness: front.softness })
}

impl Contract for Min {
    const SUMMARY: &'static str = "smallest value, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        Max::parameter_sets().map(|(method, softness)| Self { method, softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::PermutationInvariant, Law::ShiftEquivariant]
    }
}

/// The smallest value along the last axis, by the method of your choice: $-\max(-x)$, so that a method that
/// lies above the largest value lies below the smallest.
///
/// * Shapes: `(…, n)` to `(…)`, n ≥ 1.
/// * Softness: as the [method](MaxMethod) has it; the unit of `x`.
/// * Hard form and limit: the smallest value.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a [`Min`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_core::Mode;
/// use supple_ops::front::{MaxMethod, min};
/// let x = array![1.0, 1.5, 3.0];
/// assert_eq!(min(&x, MaxMethod::Sparsemax, 1.0, Mode::Soft)?, arr0(1.125));
/// assert_eq!(min(&x, MaxMethod::Sparsemax, 1.0, Mode::Hard)?, arr0(1.0));
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn min<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: MaxMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D::Smaller>, Error> {
    reduced(&Min { method, softness }, x, mode)
}
