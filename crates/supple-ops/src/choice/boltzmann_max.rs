//! The Boltzmann operator: the mean of the values under their softmax.
//!
//! $$ y = \sum_i p_i x_i, \qquad p = \mathrm{softmax}(x / \varepsilon) $$
//!
//! * Softness: the unit of `x`; the temperature, ε.
//! * Hard limit: the maximum, from below; as ε grows, the mean. Of the smooth maxima here it is the only
//!   one that is the expected value of a choice. For a smooth minimum, take −y(−x).
//! * Gradient: exact everywhere, $p_i (1 + (x_i - y) / \varepsilon)$. It is negative where $x_i < y - \varepsilon$:
//!   raising a poor option lowers the value. [Log-sum-exp](super::log_sum_exp()) and
//!   [mellowmax](super::mellowmax()) are monotone.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) forward and backward.
//!
//! Paper: Asadi and Littman, *An alternative softmax operator for reinforcement learning*, ICML 2017,
//! <https://arxiv.org/abs/1612.05628>, compares it with mellowmax.

use super::log_sum_exp::exponentials;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, params, reduce,
};
use supple_numerics::elementary::sum_by;
use supple_numerics::simplex::largest;

params! {
    /// The maximum by the Boltzmann operator.
    pub struct BoltzmannMax {
        /// Temperature; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

impl Operator for BoltzmannMax {
    const NAME: &'static str = "boltzmann_max";
    const SIGNATURE: &'static str = "x(n>=1) -> max()";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let mut weights = scratch.reals.zeros(at.x[0].len());
        y[0] = match exponentials(at.x[0], self.softness, &mut weights) {
            Ok((top, sum)) => T::narrow(top + excess(at.x[0], &weights, top) / sum),
            Err(_) => T::nan(),
        };
        scratch.reals.give(weights);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let Ok((top, sum)) = exponentials(at.x[0], self.softness, dx) else { return dx.fill(T::nan()) };
        // Counted from the largest value, so that nothing is lost where that is large.
        let mean = excess(at.x[0], dx, top) / sum;
        let (rate, slope) = (dy[0].widen() / sum, T::Acc::of(1.0 / self.softness));
        for (dx, x) in dx.iter_mut().zip(at.x[0]) {
            if *dx > T::zero() {
                let above = x.widen() - top - mean;
                *dx = T::narrow(rate * dx.widen() * (T::Acc::one() + slope * above));
            }
        }
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        let largest = largest(at.x[0]);
        y[0] = if largest.is_finite() { largest } else { T::nan() };
        Ok(())
    }
}

/// `Σ w (x − top)`; an option without weight counts for nothing.
fn excess<T: Real>(x: &[T], weights: &[T], top: T::Acc) -> T::Acc {
    sum_by(weights, x, |w, x| if w > T::zero() { w.widen() * (x.widen() - top) } else { T::Acc::zero() })
}

impl Contract for BoltzmannMax {
    const SUMMARY: &'static str = "expected value of a softmax choice";
    const PAPER: &'static str = "Asadi and Littman, ICML 2017, arXiv:1612.05628";
    const COST: &'static str = "O(n) forward and backward";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::PermutationInvariant, Law::ShiftEquivariant, Law::Masks]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let weights: Vec<f64> = at.x[0].iter().map(|x| (x / self.softness).exp()).collect();
        let mean: f64 = weights.iter().zip(at.x[0]).map(|(w, x)| w * x).sum();
        Some([vec![mean / weights.iter().sum::<f64>()]])
    }
}

/// The maximum along the last axis as the expected value of a softmax choice: the Boltzmann operator.
///
/// $$ y = \sum_i p_i x_i, \qquad p = \mathrm{softmax}(x / \varepsilon) $$
///
/// * Shapes: `(…, n)` to `(…)`, n ≥ 1.
/// * Softness: the temperature ε, in the unit of `x`.
/// * Hard limit: the maximum, from below. As ε grows, the mean. For a smooth minimum, take −y(−x).
/// * Gradient: exact everywhere, and negative for options below $y - \varepsilon$: the operator is not
///   monotone.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// ```
/// use supple_ops::choice::boltzmann_max;
/// let y = boltzmann_max(&[0.0, 1.0], 1.0)?.into_scalar();
/// assert!((y - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-15);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Asadi and Littman, *An alternative softmax operator for reinforcement learning*, ICML 2017,
/// <https://arxiv.org/abs/1612.05628>.
pub fn boltzmann_max<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    reduce(&BoltzmannMax { softness }, x)
}
