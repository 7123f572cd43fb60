//! Sparsemax: the argmax, smoothed by a square; most options get exactly zero.
//!
//! $$ p = \operatorname*{argmin}_{p \in \Delta} \lVert p - x / \varepsilon \rVert^2, \qquad
//! p_i = \max\left(\frac{x_i}{\varepsilon} - \tau, 0\right) $$
//!
//! with the threshold τ that makes $p$ sum to one.
//!
//! * Softness: the unit of `x`; ε. The paper has ε = 1, which is the default, as for
//!   [`softmax`](super::softmax()). It is one-hot where the largest value leads by ε or more.
//! * Hard limit: one-hot at the largest value. Ties share in the limit; the hard form takes the first.
//! * Gradient: centred on the support, zero elsewhere. An option that has just reached zero (a kink) counts
//!   as outside. The second derivative is zero almost everywhere.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) expected on any data, forward; O(n) backward. The backward pass reads the support from the
//!   output, which is zero exactly outside of it.
//!
//! Paper: Martins and Astudillo, *From softmax to sparsemax*, ICML 2016, <https://arxiv.org/abs/1602.02068>.

use super::softmax::one_hot;
use super::support;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};
use supple_numerics::simplex::scaled_simplex;

params! {
    /// Projection onto the simplex.
    pub struct Sparsemax {
        /// Lead at which the largest value takes all; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

impl Operator for Sparsemax {
    const NAME: &'static str = "sparsemax";
    const SIGNATURE: &'static str = "x(n>=1) -> p(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
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
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        support::forward(at.x[0], self.softness, p, scaled_simplex, |excess| excess, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, ()>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        support::vjp(at.y[0], dp, dx, T::of(1.0 / self.softness), |_| T::one(), scratch);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [p]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        one_hot(at.x[0], p);
        Ok(())
    }
}

impl Contract for Sparsemax {
    const SUMMARY: &'static str = "probabilities of a choice, most of them zero";
    const PAPER: &'static str = "Martins and Astudillo, ICML 2016, arXiv:1602.02068";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";

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

    /// The support by its definition on sorted values: the largest k with `1 + k z_k > z_1 + … + z_k`.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let z: Vec<f64> = at.x[0].iter().map(|x| x / self.softness).collect();
        let mut sorted = z.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let sum = |k: usize| sorted[..k].iter().sum::<f64>();
        let support = (1..=z.len()).rev().find(|&k| 1.0 + k as f64 * sorted[k - 1] > sum(k))?;
        let threshold = (sum(support) - 1.0) / support as f64;
        Some([z.into_iter().map(|z| (z - threshold).max(0.0)).collect()])
    }
}

/// Sparsemax along the last axis: the projection of $x / \varepsilon$ onto the probability simplex, in which
/// most options get exactly zero.
///
/// $$ p_i = \max\left(\frac{x_i}{\varepsilon} - \tau, 0\right), \qquad \sum_i p_i = 1 $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: ε, in the unit of `x`; 1 in the paper. One-hot where the largest value leads by ε or more.
/// * Hard limit: one-hot at the largest value; equal largest values share.
/// * Gradient: centred on the support, zero elsewhere; an option that has just reached zero counts as
///   outside. Second derivatives are zero almost everywhere.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For another axis, the one-hot form or ragged batches, call [`evaluate`](supple_core::evaluate) with a
/// [`Sparsemax`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::choice::sparsemax;
/// assert_eq!(sparsemax(&array![1.0, 0.5, -1.0], 1.0)?, array![0.75, 0.25, 0.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Martins and Astudillo, *From softmax to sparsemax: a sparse model of attention and multi-label
/// classification*, ICML 2016, <https://arxiv.org/abs/1602.02068>.
pub fn sparsemax<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&Sparsemax { softness }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    #[test]
    fn single_precision_keeps_the_sum_of_many() {
        for n in [32_000, 1_000_000] {
            let mut x = Array1::from_elem(n, -0.3f32);
            x[7] = 0.2;
            for softness in [1.0, 0.7] {
                let sum: f64 = sparsemax(&x, softness).unwrap().iter().map(|&p| f64::from(p)).sum();
                // What is left is the round-off of sums over n.
                assert!((sum - 1.0).abs() < 1e-11 * n as f64, "n = {n}, softness {softness}: {sum}");
            }
        }
    }
}
