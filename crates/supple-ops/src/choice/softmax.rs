//! Softmax: the argmax, smoothed by entropy.
//!
//! $$ p_i = \frac{e^{x_i / \varepsilon}}{\sum_j e^{x_j / \varepsilon}}
//! = \operatorname*{argmax}_{p \in \Delta} \langle p, x \rangle - \varepsilon \sum_i p_i \ln p_i $$
//!
//! * Softness: the unit of `x`; the temperature, ε. The default is 1, as in every other library, where the
//!   temperature is left out.
//! * Hard limit: one-hot at the largest value. Ties share in the limit; the hard form takes the first.
//! * Gradient: exact everywhere; no option ever gets exactly zero before round-off.
//! * −∞ masks an option: its probability and its gradient are zero. An item of −∞ only, or with NaN or +∞,
//!   is NaN.
//! * Cost: O(n) forward and backward.
//!
//! Paper: Bridle, *Training stochastic model recognition algorithms as networks can lead to maximum mutual
//! information estimation of parameters*, NIPS 1989.

use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};
use supple_numerics::elementary::{dot, exp_sum};
use supple_numerics::simplex::largest;

params! {
    /// Softmax at a temperature.
    pub struct Softmax {
        /// Temperature; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

impl Operator for Softmax {
    const NAME: &'static str = "softmax";
    const SIGNATURE: &'static str = "x(n>=1) -> p(n)";
    type Saved<T: Real> = ();

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [p]: [&mut [T]; 1],
        _: &mut (),
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        if centred(at.x[0], self.softness, p) {
            let factor = T::narrow(T::Acc::one() / exp_sum(p, T::zero()));
            p.iter_mut().for_each(|p| *p *= factor);
        }
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dp]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let [p] = at.y;
        let mean = T::narrow(dot(p, dp));
        let rate = T::of(1.0 / self.softness);
        for ((dx, &p), &dp) in dx.iter_mut().zip(p).zip(dp) {
            *dx = rate * p * (dp - mean);
        }
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [p]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        one_hot(at.x[0], p);
        Ok(())
    }
}

/// Writes `z = (x − max x) / softness`, or NaN where the largest value is not finite: `false`.
pub(super) fn centred<T: Real>(x: &[T], softness: f64, z: &mut [T]) -> bool {
    let top = T::constant(largest(x));
    if !top.is_finite() {
        z.fill(T::nan());
        return false;
    }
    let softness = T::of(softness);
    z.iter_mut().zip(x).for_each(|(z, &x)| *z = (x - top) / softness);
    true
}

/// Writes one at the first largest entry of `x` into zeros, or NaN where it is not finite.
pub(super) fn one_hot<X: Real, T: Float>(x: &[X], p: &mut [T]) {
    let top = X::constant(largest(x));
    if !top.is_finite() {
        return p.fill(T::nan());
    }
    if let Some(p) = x.iter().position(|&x| x == top).and_then(|first| p.get_mut(first)) {
        *p = T::one();
    }
}

impl Contract for Softmax {
    const SUMMARY: &'static str = "probabilities of a choice, by entropy";
    const PAPER: &'static str = "Bridle, NIPS 1989";
    const COST: &'static str = "O(n) forward and backward, O(1) extra memory";

    fn cases() -> Vec<Self> {
        [1.0, 0.1, 20.0].map(|softness| Self { softness }).to_vec()
    }

    fn laws(&self) -> Vec<Law> {
        vec![
            Law::SumsTo(Box::new(|_| 1.0)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            Law::Masks,
        ]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let weights: Vec<f64> = at.x[0].iter().map(|x| (x / self.softness).exp()).collect();
        let total: f64 = weights.iter().sum();
        Some([weights.into_iter().map(|w| w / total).collect()])
    }
}

/// Softmax along the last axis: probabilities proportional to $e^{x_i / \varepsilon}$.
///
/// $$ p_i = \frac{e^{x_i / \varepsilon}}{\sum_j e^{x_j / \varepsilon}} $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: the temperature ε, in the unit of `x`; 1 is what is commonly called softmax.
/// * Hard limit: one-hot at the largest value; equal largest values share.
/// * Gradient: exact everywhere, as are second derivatives.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) forward and backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For another axis, the one-hot form or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`Softmax`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use supple_ops::choice::softmax;
/// let p = softmax(&[0.0, 2.0f64.ln(), f64::NEG_INFINITY], 1.0)?;
/// assert!((p[0] - 1.0 / 3.0).abs() < 1e-15 && (p[1] - 2.0 / 3.0).abs() < 1e-15 && p[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Bridle, *Training stochastic model recognition algorithms as networks can lead to maximum mutual
/// information estimation of parameters*, NIPS 1989.
pub fn softmax<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&Softmax { softness }, x)
}
