//! Mellowmax: the maximum, smoothed from below.
//!
//! $$ y = \varepsilon \ln \frac{1}{n} \sum_i e^{x_i / \varepsilon} $$
//!
//! * Softness: the unit of `x`; ε, the paper's $1 / \omega$.
//! * Hard limit: the maximum. $y$ is below it by at most $\varepsilon \ln n$ and, as ε grows, tends to the mean:
//!   unlike [log-sum-exp](super::log_sum_exp()), it never leaves the range of `x`. It is a non-expansion, as
//!   the maximum is: $|y(x) - y(x')| \le \max_i |x_i - x'_i|$. For a smooth minimum, take −y(−x).
//! * Gradient: exact everywhere; the [softmax](super::softmax()) of `x`.
//! * −∞ counts as an option like any other, in n; where all are −∞, so is the value, and the gradient is
//!   zero. +∞ gives +∞ and a gradient of NaN, NaN gives NaN.
//! * Cost: O(n) forward and backward.
//!
//! Paper: Asadi and Littman, *An alternative softmax operator for reinforcement learning*, ICML 2017,
//! <https://arxiv.org/abs/1612.05628>.

use super::log_sum_exp::LogSumExp;
use super::softmax::centred;
use ndarray::{Array, ArrayView, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, params, reduce,
};
use supple_numerics::simplex::largest;

params! {
    /// The maximum by mellowmax.
    pub struct Mellowmax {
        /// Temperature; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

impl Mellowmax {
    /// Differs from mellowmax by $\varepsilon \ln n$.
    fn sum(&self) -> LogSumExp {
        LogSumExp { softness: self.softness }
    }
}

impl Operator for Mellowmax {
    const NAME: &'static str = "mellowmax";
    const SIGNATURE: &'static str = "x(n>=1) -> max()";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling> {
        self.sum().scaling()
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let mut z = scratch.reals.zeros(x.len());
        let top = T::constant(largest(x));
        y[0] = if centred(x, self.softness, &mut z) {
            // Near the mean, where ε is large, sums of exponentials would cancel.
            let sum: T::Acc = z.iter().map(|z| z.widen().exp_m1()).sum();
            let mean = sum / T::Acc::of(x.len() as f64);
            T::narrow(top.widen() + T::Acc::of(self.softness) * mean.ln_1p())
        } else {
            top
        };
        scratch.reals.give(z);
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, dy: [&[T]; 1], dx: [&mut [T]; 1], scratch: &mut Scratch<T>) {
        self.sum().vjp(at, dy, dx, scratch)
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.sum().hard(at, y, scratch)
    }
}

impl Contract for Mellowmax {
    const SUMMARY: &'static str = "maximum, smoothed from below";
    const PAPER: &'static str = "Asadi and Littman, ICML 2017, arXiv:1612.05628";
    const COST: &'static str = "O(n) forward and backward";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![Law::PermutationInvariant, Law::ShiftEquivariant, Law::Masks]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let sum: f64 = x.iter().map(|x| (x / self.softness).exp()).sum();
        Some([vec![self.softness * (sum / x.len() as f64).ln()]])
    }
}

/// The maximum along the last axis, smoothed from below by mellowmax.
///
/// $$ y = \varepsilon \ln \frac{1}{n} \sum_i e^{x_i / \varepsilon} $$
///
/// * Shapes: `(…, n)` to `(…)`, n ≥ 1.
/// * Softness: ε, in the unit of `x`; the paper's $1 / \omega$.
/// * Hard limit: the maximum, from below; the distance is at most $\varepsilon \ln n$. As ε grows, the mean.
///   For a smooth minimum, take −y(−x).
/// * Gradient: exact everywhere: the softmax of `x`.
/// * −∞ is a value like any other: it counts in n.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// ```
/// use supple_ops::choice::mellowmax;
/// let y = mellowmax(&[3.0, 3.0, 3.0], 0.5)?.into_scalar();
/// assert!((y - 3.0f64).abs() < 1e-15);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Asadi and Littman, *An alternative softmax operator for reinforcement learning*, ICML 2017,
/// <https://arxiv.org/abs/1612.05628>.
pub fn mellowmax<'a, T: Float, D: RemoveAxis>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error> {
    reduce(&Mellowmax { softness }, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tends_to_the_mean() {
        for softness in [20.0, 1e4, 1e8] {
            let y = mellowmax(&[0.25f32; 100], softness).unwrap().into_scalar();
            assert_eq!(y, 0.25);
            // The mean, and half the variance over ε.
            let y = mellowmax(&[0.0f64, 1.0], 1e4 * softness).unwrap().into_scalar();
            assert!((y - 0.5 - 0.125e-4 / softness).abs() < 1e-14, "{y}");
        }
    }
}
