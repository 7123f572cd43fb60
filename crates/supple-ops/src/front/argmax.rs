//! Which is largest, by any method.

use super::alike;
use super::methods::front;
use crate::choice::{Entmax15, GumbelSoftmax, Normmax, Softmax, Sparsemax};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{Contract, Error, Float, Law, Mode};

front! {
    /// Which is largest, as probabilities.
    pub struct Argmax("argmax", "x(n>=1) -> p(n)", 1) {
        /// What the method's own operator calls so; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// Seed of the noise, for `gumbel_softmax`; drawn anew at each call if not given.
        seed: Option<u64> = None, Any;
    }
    /// How to relax a choice.
    pub enum ArgmaxMethod {
        /// Entropy: every option has a part.
        Softmax = "softmax", Softmax: |front| Softmax { softness: front.softness };
        /// Euclidean projection onto the simplex: most options have none.
        Sparsemax = "sparsemax", Sparsemax: |front| Sparsemax { softness: front.softness };
        /// Between the two.
        Entmax15 = "entmax15", Entmax15: |front| Entmax15 { softness: front.softness };
        /// A norm instead of an entropy: options of equal value share alike.
        Normmax = "normmax", Normmax:
            |front| Normmax { softness: front.softness, ..Normmax::default() };
        /// Softmax with Gumbel noise of scale 1: a relaxed sample, and in straight-through mode a sample.
        GumbelSoftmax = "gumbel_softmax", GumbelSoftmax:
            |front| GumbelSoftmax { softness: front.softness, seed: front.seed };
    }
}

impl Contract for Argmax {
    const SUMMARY: &'static str = "probabilities of a choice, by any method";
    const PAPER: &'static str = "that of the method";
    const COST: &'static str = "that of the method";
    const ARGUMENTS: &'static [&'static str] = &["method", "softness"];

    fn cases() -> Vec<Self> {
        use ArgmaxMethod::*;
        let methods = [Softmax, Sparsemax, Entmax15, Normmax, GumbelSoftmax];
        methods.map(|method| Self { method, softness: 0.7, seed: Some(1) }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::SumsTo(Box::new(|_| 1.0)), Law::Within(Box::new(|_| (0.0, 1.0))), Law::ShiftInvariant]
    }
}

/// Probabilities of being the largest along the last axis, by the method of your choice.
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: as the [method](ArgmaxMethod) has it; the unit of `x`.
/// * Hard form and limit: one-hot at the first largest value; of `gumbel_softmax` alone, a sample of softmax.
/// * Cost, gradient, infinities: those of the method.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For an α of your own, which is an input that gets a gradient, see [`entmax`](crate::choice::entmax()).
///
/// For another axis, a seed or ragged batches, call [`evaluate`](supple_core::evaluate) with an [`Argmax`];
/// for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_core::Mode;
/// use supple_ops::front::{ArgmaxMethod, argmax};
/// let x = [1.0, 1.5, 0.0];
/// assert_eq!(argmax(&x, ArgmaxMethod::Sparsemax, 1.0, Mode::Soft)?.to_vec(), [0.25, 0.75, 0.0]);
/// assert_eq!(argmax(&x, ArgmaxMethod::Softmax, 1.0, Mode::Hard)?.to_vec(), [0.0, 1.0, 0.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
pub fn argmax<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    method: ArgmaxMethod,
    softness: f64,
    mode: Mode,
) -> Result<Array<T, D>, Error> {
    alike(&Argmax { method, softness, seed: None }, x, mode)
}
