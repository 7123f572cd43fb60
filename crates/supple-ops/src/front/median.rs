//! The median, by any method.

use super::adapters::{Given, Second};
use super::methods::alias;
use super::quantile::{Quantile, QuantileMethod};
use super::reduced;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{Contract, Error, Float, Law, Mode, params};

params! {
    /// The median: the [quantile](Quantile) at one half.
    pub struct Median {
        /// Which relaxation.
        method: QuantileMethod = QuantileMethod::default(), Any;
        /// What the method's own operator calls so, with the unit that the method has.
        softness: f64 = 0.1, Positive;
    }
}

alias! {
    Median("median", "x(n>=1) -> median()"), Given<Quantile>: |front| Given {
        operator: Quantile { method: front.method, softness: front.softness },
        second: Second::Number(0.5),
    }
}

impl Contract for Median {
    const SUMMARY: &'static str = "median, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        Quantile::parameter_sets().map(|(method, softness)| Self { method, softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        // Which wires of a network meet depends on where the values stand.
        if self.method == QuantileMethod::SortingNetwork { vec![] } else { vec![Law::PermutationInvariant] }
    }
}

/// The median along the last axis, by the method of your choice: the [quantile](super::quantile()) at one half.
///
/// * Shapes: `(…, n)` to `(…)`, n ≥ 1.
/// * Softness: as the [method](QuantileMethod) has it; its unit differs.
/// * Hard form and limit: the median; of an even number of values, the mean of the middle two, as NumPy has it
///   and unlike LibTorch, which takes the lower one.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For another axis or ragged batches, call [`evaluate`](supple_core::evaluate) with a [`Median`]; for
/// gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_core::Mode;
/// use supple_ops::front::{QuantileMethod, median};
/// assert_eq!(median(&array![4.0, 1.0, 9.0], QuantileMethod::L2, 0.1, Mode::Soft)?, arr0(4.0));
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn median<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: QuantileMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D::Smaller>, Error> {
    reduced(&Median { method, softness }, x, mode)
}
