//! The largest value, by any method.

use super::adapters::Expected;
use super::methods::front;
use super::reduced;
use crate::choice::{BoltzmannMax, Entmax15, LogSumExp, Mellowmax, Sparsemax};
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{Contract, Error, Float, Law, Mode};

front! {
    /// The largest value.
    pub struct Max("max", "x(n>=1) -> maximum()", 1) {
        /// What the method's own operator calls so; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
    /// How to relax a maximum.
    pub enum MaxMethod {
        /// From above, by at most ε ln n; convex.
        LogSumExp = "log_sum_exp", LogSumExp: |front| LogSumExp { softness: front.softness };
        /// From below, by at most ε ln n; convex.
        Mellowmax = "mellowmax", Mellowmax: |front| Mellowmax { softness: front.softness };
        /// What a softmax choice is worth; not monotone.
        Boltzmann = "boltzmann", BoltzmannMax: |front| BoltzmannMax { softness: front.softness };
        /// What a sparsemax choice is worth.
        Sparsemax = "sparsemax", Expected<Sparsemax>:
            |front| Expected(Sparsemax { softness: front.softness });
        /// What a 1.5-entmax choice is worth.
        Entmax15 = "entmax15", Expected<Entmax15>:
            |front| Expected(Entmax15 { softness: front.softness });
    }
    hard LogSumExp: |front| LogSumExp { softness: front.softness };
}

impl Max {
    pub(super) fn parameter_sets() -> [(MaxMethod, f64); 5] {
        use MaxMethod::*;
        [LogSumExp, Mellowmax, Boltzmann, Sparsemax, Entmax15].map(|method| (method, 0.7))
    }
}

impl Contract for Max {
    const SUMMARY: &'static str = "largest value, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        Self::parameter_sets().map(|(method, softness)| Self { method, softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::PermutationInvariant, Law::ShiftEquivariant]
    }
}

/// The largest value along the last axis, by the method of your choice.
///
/// * Shapes: `(…, n)` to `(…)`, n ≥ 1.
/// * Softness: as the [method](MaxMethod) has it; the unit of `x`.
/// * Hard form and limit: the largest value.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a [`Max`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_core::Mode;
/// use supple_ops::front::{MaxMethod, max};
/// let x = array![1.0, 1.5, 0.0];
/// assert_eq!(max(&x, MaxMethod::Sparsemax, 1.0, Mode::Soft)?, arr0(1.375));
/// assert!(max(&x, MaxMethod::LogSumExp, 1.0, Mode::Soft)?.into_scalar() > 1.5);
/// assert_eq!(max(&x, MaxMethod::LogSumExp, 1.0, Mode::Hard)?, arr0(1.5));
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn max<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: MaxMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D::Smaller>, Error> {
    reduced(&Max { method, softness }, x, mode)
}
