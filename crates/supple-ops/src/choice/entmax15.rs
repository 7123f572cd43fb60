//! Entmax at α = 1.5: halfway between softmax and sparsemax, in closed form.
//!
//! $$ p_i = \max\left(\frac{x_i}{2\varepsilon} - \tau, 0\right)^2 $$
//!
//! with the threshold τ that makes $p$ sum to one: the argmax smoothed by Tsallis's entropy of order 3/2.
//!
//! * Softness: the unit of `x`; ε. The paper has ε = 1, which is the default. It is one-hot where the
//!   largest value leads by 2 ε or more.
//! * Hard limit: one-hot at the largest value. Ties share in the limit; the hard form takes the first.
//! * Gradient: continuous everywhere; the second derivative jumps where an option enters or leaves.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) and a few passes over the options within 2 ε of the largest, forward; O(n) backward.
//!
//! Paper: Peters, Niculae and Martins, *Sparse sequence-to-sequence models*, ACL 2019,
//! <https://arxiv.org/abs/1905.05702>.

use super::softmax::one_hot;
use super::support;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Law, Operator, Params, Point, Real, Scaling, Scratch, map, params,
};
use supple_numerics::simplex::scaled_squared_simplex;

params! {
    /// Entmax at α = 1.5.
    pub struct Entmax15 {
        /// Half the lead at which the largest value takes all; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

impl Operator for Entmax15 {
    const NAME: &'static str = "entmax15";
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
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        support::forward(at.x[0], 2.0 * self.softness, p, scaled_squared_simplex, T::square, scratch);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, ()>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        support::vjp(at.y[0], dp, dx, T::of(1.0 / self.softness), T::sqrt, scratch);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [p]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        one_hot(at.x[0], p);
        Ok(())
    }
}

impl Contract for Entmax15 {
    const SUMMARY: &'static str = "probabilities of a choice, between softmax and sparsemax";
    const PAPER: &'static str = "Peters et al., ACL 2019, arXiv:1905.05702";
    const COST: &'static str = "O(n) and a few passes over the support, O(n) backward, O(n) memory";

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

    /// The support by its definition on sorted values: the largest k of which the k-th is above the
    /// threshold of the first k.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let top = at.x[0].iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let z: Vec<f64> = at.x[0].iter().map(|x| (x - top) / (2.0 * self.softness)).collect();
        let mut sorted = z.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        // The smaller root of Σ (z − τ)² = 1.
        let threshold = |k: usize| {
            let mean = sorted[..k].iter().sum::<f64>() / k as f64;
            let spread: f64 = sorted[..k].iter().map(|z| (z - mean).powi(2)).sum();
            mean - ((1.0 - spread) / k as f64).sqrt()
        };
        let support = (1..=z.len()).rev().find(|&k| threshold(k) < sorted[k - 1])?;
        let threshold = threshold(support);
        Some([z.into_iter().map(|z| (z - threshold).max(0.0).powi(2)).collect()])
    }
}

/// Entmax at α = 1.5 along the last axis: sparse as sparsemax, with a continuous gradient as softmax.
///
/// $$ p_i = \max\left(\frac{x_i}{2\varepsilon} - \tau, 0\right)^2, \qquad \sum_i p_i = 1 $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: ε, in the unit of `x`; 1 in the paper. One-hot where the largest value leads by 2 ε or more.
/// * Hard limit: one-hot at the largest value; equal largest values share.
/// * Gradient: continuous everywhere. Second derivatives jump where an option enters or leaves the support;
///   there they are those of the smaller support.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) and a few passes over the options within 2 ε of the largest, forward; O(n) backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For another axis, the one-hot form or ragged batches, call [`evaluate`](supple_core::evaluate) with an
/// [`Entmax15`]; for gradients, [`linearize`](supple_core::linearize). For another α, see
/// [`entmax`](super::entmax()).
///
/// ```
/// use ndarray::array;
/// use supple_ops::choice::entmax15;
/// let p = entmax15(&array![1.0_f64, 1.0, -2.0], 1.0)?;
/// assert!((p[0] - 0.5).abs() < 1e-15 && p[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Peters, Niculae and Martins, *Sparse sequence-to-sequence models*, ACL 2019,
/// <https://arxiv.org/abs/1905.05702>.
pub fn entmax15<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&Entmax15 { softness }, x)
}
