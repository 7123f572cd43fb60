//! Log-sum-exp: the maximum, smoothed from above.
//!
//! $$ y = \varepsilon \ln \sum_i e^{x_i / \varepsilon}
//! = \max_{p \in \Delta} \langle p, x \rangle - \varepsilon \sum_i p_i \ln p_i $$
//!
//! * Softness: the unit of `x`; the temperature, ε.
//! * Hard limit: the maximum. $y$ is above it by at most $\varepsilon \ln n$. For a smooth minimum, take
//!   −y(−x).
//! * Gradient: exact everywhere; the [softmax](super::softmax()) of `x`.
//! * −∞ masks an option; where all are masked, the value is −∞ and the gradient zero. +∞ gives +∞ and a
//!   gradient of NaN, NaN gives NaN.
//! * Cost: O(n) forward and backward.
//!
//! Boyd and Vandenberghe, *Convex Optimization*, Cambridge University Press 2004, section 3.1.5.

use super::softmax::centred;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, params, reduce,
};
use supple_numerics::elementary::exp_sum;
use supple_numerics::simplex::largest;

params! {
    /// The maximum by log-sum-exp.
    pub struct LogSumExp {
        /// Temperature; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

impl Operator for LogSumExp {
    const NAME: &'static str = "log_sum_exp";
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
            Ok((top, sum)) => T::narrow(top + T::Acc::of(self.softness) * sum.ln()),
            Err(limit) => limit,
        };
        scratch.reals.give(weights);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        match exponentials(at.x[0], self.softness, dx) {
            Ok((_, sum)) => {
                let rate = T::narrow(dy[0].widen() / sum);
                dx.iter_mut().for_each(|dx| *dx *= rate);
            }
            Err(limit) => dx.fill(if limit == -T::infinity() { T::zero() } else { T::nan() }),
        }
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        y[0] = largest(at.x[0]);
        Ok(())
    }
}

/// Writes $e^{(x - \max x) / \varepsilon}$ and returns the largest value, as a constant, and their sum; or
/// the largest value alone, where it is not finite.
pub(super) fn exponentials<T: Real>(x: &[T], softness: f64, out: &mut [T]) -> Result<(T::Acc, T::Acc), T> {
    if centred(x, softness, out) {
        Ok((T::constant(largest(x)).widen(), exp_sum(out, T::zero())))
    } else {
        Err(T::constant(largest(x)))
    }
}

impl Contract for LogSumExp {
    const SUMMARY: &'static str = "maximum, smoothed from above";
    const PAPER: &'static str = "Boyd and Vandenberghe, Convex Optimization, 2004";
    const COST: &'static str = "O(n) forward and backward";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::PermutationInvariant, Law::ShiftEquivariant, Law::Masks]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let sum: f64 = at.x[0].iter().map(|x| (x / self.softness).exp()).sum();
        Some([vec![self.softness * sum.ln()]])
    }
}

/// The maximum along the last axis, smoothed from above by log-sum-exp.
///
/// $$ y = \varepsilon \ln \sum_i e^{x_i / \varepsilon} $$
///
/// * Shapes: `(…, n)` to `(…)`, n ≥ 1.
/// * Softness: the temperature ε, in the unit of `x`.
/// * Hard limit: the maximum, from above; the distance is at most $\varepsilon \ln n$. For a smooth minimum,
///   take −y(−x).
/// * Gradient: exact everywhere: the softmax of `x`.
/// * −∞ masks an option; where all are masked, the value is −∞ and the gradient zero.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// ```
/// use supple_ops::choice::log_sum_exp;
/// let y = log_sum_exp(&[1.0, 1.0], 0.5)?.into_scalar();
/// assert!((y - (1.0 + 0.5 * 2f64.ln())).abs() < 1e-15);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Boyd and Vandenberghe, *Convex Optimization*, Cambridge University Press 2004, section 3.1.5.
pub fn log_sum_exp<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    reduce(&LogSumExp { softness }, x)
}
