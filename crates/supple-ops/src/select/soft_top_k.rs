//! The mask of the k largest, by projection onto the capped simplex.
//!
//! On $C_k = \lbrace 0 \le y \le 1, \sum_i y_i = k\rbrace$, the convex hull of all masks of k options,
//!
//! $$ y = \operatorname*{argmax}_{y \in C_k} \langle y, x \rangle - \varepsilon \Omega(y) $$
//!
//! | `regularization` | $\Omega(y)$ | $y_i$, with $z_i = x_i / \varepsilon$ |
//! |---|---|---|
//! | `"l2"` | $\tfrac12 \sum_i y_i^2$ | $[z_i - \tau]_0^1$, the Euclidean projection of $z$ |
//! | `"entropic"` | $\sum_i y_i \ln y_i + (1 - y_i) \ln (1 - y_i)$ | $1 / (1 + e^{\tau - z_i})$ |
//! | `"shannon"` | $\sum_i y_i \ln y_i$ | $\min(e^{z_i - \tau}, 1)$ |
//! | `"p3/2"` | $\tfrac23 \sum_i y_i^{3/2}$ | $([z_i - \tau]_0^1)^2$ |
//! | `"p4/3"` | $\tfrac34 \sum_i y_i^{4/3}$ | $([z_i - \tau]_0^1)^3$ |
//!
//! where τ is the one threshold that makes the mask sum to k and $[t]_0^1 = \min(\max(t, 0), 1)$. At k = 1
//! the caps do not bind: then `"l2"` is [`sparsemax`](crate::choice::sparsemax()), `"shannon"` is
//! [`softmax`](crate::choice::softmax()), and a p-norm is [`entmax`](crate::choice::entmax()) with α = p at
//! softness (p − 1) ε. `"entropic"` is *not* softmax at k = 1: it is smoothed by the entropy of n yes-or-no
//! answers, not by that of one choice. It is the limited multi-label projection (LML).
//!
//! * Softness: the unit of `x`; ε. With L2 and p-norms the mask is hard where the k-th value leads the next
//!   by ε or more.
//! * Hard limit: the 0/1 mask of the k largest. Where the k-th value is tied, the ties share what is left
//!   in the limit; in the hard form the first positions win.
//! * Gradient: centred on the entries strictly between 0 and 1, zero elsewhere; an entry that has just
//!   reached 1, or 0 with L2 (a kink), counts as fixed. With L2 the second derivative is zero almost
//!   everywhere; the others have curvature. `"entropic"` has no kinks; `"shannon"` and the p-norms have them
//!   at 1 only. At k = 0 and k = n the mask is constant and the gradient zero.
//! * −∞ is never chosen; with fewer than k other entries, the item has no answer. NaN makes its item NaN,
//!   and so do more than k of +∞, of which the hard form takes the first.
//! * Cost: O(n) expected on any data; Newton's method on the threshold takes a few passes.
//!
//! Papers: Martins and Kreutzer, *Learning what's easy: fully differentiable neural easy-first taggers*,
//! EMNLP 2017 (budgets); Amos, Koltun, Kolter, *The limited multi-label projection layer*, 2019,
//! <https://arxiv.org/abs/1906.08707>; Sander, Puigcerver, Djolonga, Peyré, Blondel, *Fast, differentiable
//! and sparse top-k: a convex analysis perspective*, ICML 2023, <https://arxiv.org/abs/2302.01425> (p-norms).

use super::cut::{self, Centred, centre, check_k, hard_mask};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    choices, map, params,
};
use supple_numerics::elementary::{exp_slice, ln_slice};
use supple_numerics::simplex::{capped_exponential, capped_power, capped_simplex, logistic};

choices! {
    /// What smooths the mask.
    pub enum Regularization {
        /// Half the squared norm: sparse, piecewise linear.
        L2 = "l2",
        /// Binary entropy of each entry: smooth, never exactly 0 or 1 (LML).
        Entropic = "entropic",
        /// Shannon's entropy: never 0, and softmax at k = 1.
        Shannon = "shannon",
        /// The norm with p = 3/2: sparse, smooth at 0.
        ThreeHalves = "p3/2",
        /// The norm with p = 4/3: sparse, smoother at 0.
        FourThirds = "p4/3",
    }
}

params! {
    /// Mask of the k largest.
    pub struct SoftTopK {
        /// How many to choose; at most n.
        k: usize = 1, AtLeast(0.0);
        /// Lead at which a value is chosen for certain; the unit of `x`.
        softness: f64 = 0.1, Positive;
        /// What smooths the mask.
        regularization: Regularization = Regularization::L2, Any;
    }
}

/// Of the entropic form, what the data are centred on and the threshold then: entries that have come to 1 do not say
/// by how little they are below. `None` for the others, and where there is no threshold.
#[derive(Debug)]
pub struct Saved<T>(Option<(f64, T)>);

impl<T> Default for Saved<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl Operator for SoftTopK {
    const NAME: &'static str = "soft_top_k";
    const SIGNATURE: &'static str = "x(n) -> mask(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_k(Self::NAME, self.k, sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let centred = centre(at.x[0], self.k, self.softness, y, scratch)?;
        let Some(Centred { kth, next }) = centred else { return Ok(()) };
        match self.regularization {
            Regularization::L2 => {
                let mut buffer = scratch.wide.empty();
                let part = above(capped_simplex(y, self.k, next, &mut buffer));
                y.iter_mut().for_each(|y| *y = part(*y));
                scratch.wide.give(buffer);
            }
            Regularization::Entropic => {
                let mut buffer = scratch.reals.empty();
                let threshold = logistic(y, self.k, next, &mut buffer);
                buffer.clear();
                buffer.extend(y.iter().map(|&z| -(z - threshold).abs()));
                exp_slice(&mut buffer);
                for (y, &e) in y.iter_mut().zip(&buffer) {
                    let above = *y >= threshold;
                    *y = if above { T::one() } else { e } / (T::one() + e);
                }
                scratch.reals.give(buffer);
                saved.0 = Some((kth, threshold));
            }
            Regularization::Shannon => {
                let factor = T::narrow(capped_exponential(y, self.k));
                y.iter_mut().for_each(|y| *y = clamp(*y * factor));
            }
            Regularization::ThreeHalves => {
                let mut buffer = scratch.wide.empty();
                let part = above(capped_power::<2, T>(y, self.k, next, &mut buffer));
                y.iter_mut().for_each(|y| *y = part(*y).square());
                scratch.wide.give(buffer);
            }
            Regularization::FourThirds => {
                let mut buffer = scratch.wide.empty();
                let part = above(capped_power::<3, T>(y, self.k, next, &mut buffer));
                let cube = |y: T| y * y.square();
                y.iter_mut().for_each(|y| *y = cube(part(*y)));
                scratch.wide.give(buffer);
            }
        }
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let (y, zero, one) = (at.y[0], T::zero(), T::one());
        if y.first().is_some_and(|y| y.is_nan()) {
            return dx.fill(T::nan());
        }
        let inside = |y: T| y > zero && y < one;
        // The slopes of entries in their own x at a fixed threshold: y^{1 − 1/r} for an r-th power.
        let power = match self.regularization {
            Regularization::L2 => {
                dx.iter_mut().zip(y).for_each(|(dx, &y)| *dx = if inside(y) { one } else { zero });
                1.0
            }
            Regularization::Entropic => {
                let Saved(Some((kth, threshold))) = *at.saved else { return };
                let (kth, softness) = (T::of(kth), T::of(self.softness));
                let away = |x: T| ((x - kth) / softness - threshold).abs();
                dx.iter_mut().zip(at.x[0]).for_each(|(dx, &x)| *dx = -away(x));
                exp_slice(dx);
                dx.iter_mut().for_each(|dx| *dx = *dx / (one + *dx).square());
                1.0
            }
            Regularization::Shannon => {
                dx.iter_mut().zip(y).for_each(|(dx, &y)| *dx = if y < one { y } else { zero });
                1.0
            }
            Regularization::ThreeHalves => {
                dx.iter_mut().zip(y).for_each(|(dx, &y)| *dx = if inside(y) { y.sqrt() } else { zero });
                2.0
            }
            Regularization::FourThirds => {
                // Powers of 0 are slow and of no use.
                dx.iter_mut().zip(y).for_each(|(dx, &y)| *dx = if y > zero { y } else { one });
                ln_slice(dx);
                dx.iter_mut().for_each(|dx| *dx *= T::of(2.0 / 3.0));
                exp_slice(dx);
                dx.iter_mut().zip(y).for_each(|(dx, &y)| *dx = if inside(y) { *dx } else { zero });
                3.0
            }
        };
        cut::vjp(dy, dx, T::of(power / self.softness));
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        hard_mask(at.x[0], self.k, y, scratch)
    }
}

/// How far an entry is above the threshold, into `[0, 1]`. The threshold comes in two parts: rounded, it would be off
/// for all entries alike.
fn above<T: Real>(threshold: T::Acc) -> impl Fn(T) -> T {
    let first = T::narrow(threshold);
    let rest = T::narrow(threshold - first.widen());
    move |z| clamp(z - first - rest)
}

/// Into `[0, 1]`; at the ends without a tangent.
fn clamp<T: Real>(y: T) -> T {
    if y >= T::one() {
        T::one()
    } else if y <= T::zero() {
        T::zero()
    } else {
        y
    }
}

impl Contract for SoftTopK {
    const SUMMARY: &'static str = "mask of the k largest";
    const PAPER: &'static str =
        "Martins and Kreutzer, EMNLP 2017; Amos et al., 2019 (entropic); Sander et al., ICML 2023 (p-norms)";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        use Regularization::*;
        let case = |regularization, k, softness| Self { k, softness, regularization };
        vec![
            case(L2, 1, 0.1),
            case(L2, 3, 1.0),
            case(L2, 2, 20.0),
            case(L2, 0, 1.0),
            case(Entropic, 1, 0.1),
            case(Entropic, 3, 1.0),
            case(Entropic, 2, 20.0),
            case(Shannon, 1, 0.1),
            case(Shannon, 3, 0.5),
            case(Shannon, 2, 20.0),
            case(ThreeHalves, 1, 0.1),
            case(ThreeHalves, 3, 2.0),
            case(FourThirds, 2, 3.0),
            case(FourThirds, 3, 0.2),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        vec![
            Law::SumsTo(Box::new(move |_| k)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
            Law::Masks,
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 6].map(|more| vec![self.k + more]).to_vec()
    }

    /// The threshold by bisection.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let z: Vec<f64> = at.x[0].iter().map(|x| x / self.softness).collect();
        let mask = |threshold: f64| -> Vec<f64> {
            let entry = |z: &f64| match self.regularization {
                Regularization::L2 => (z - threshold).clamp(0.0, 1.0),
                Regularization::Entropic => 1.0 / (1.0 + (threshold - z).exp()),
                Regularization::Shannon => (z - threshold).exp().min(1.0),
                Regularization::ThreeHalves => (z - threshold).clamp(0.0, 1.0).powi(2),
                Regularization::FourThirds => (z - threshold).clamp(0.0, 1.0).powi(3),
            };
            z.iter().map(entry).collect()
        };
        let reach = 50.0 + z.iter().fold(0.0, |a: f64, z| a.max(z.abs()));
        let (mut low, mut high) = (-reach, reach);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if mask(middle).iter().sum::<f64>() >= self.k as f64 { low = middle } else { high = middle }
        }
        Some([mask(low)])
    }
}

/// The mask of the `k` largest entries along the last axis, by projection of $x / \varepsilon$ onto the
/// capped simplex, with L2 regularization.
///
/// $$ y_i = \min\left(\max\left(\frac{x_i}{\varepsilon} - \tau, 0\right), 1\right), \qquad \sum_i y_i = k $$
///
/// * Shapes: `(…, n)` to `(…, n)`, k ≤ n.
/// * Softness: ε, in the unit of `x`. The mask is hard where the k-th value leads the next by ε or more.
/// * Hard limit: the 0/1 mask of the k largest; where the k-th value is tied, the ties share what is left.
/// * Gradient: centred on the entries strictly between 0 and 1, zero elsewhere; an entry that has just
///   reached 0 or 1 counts as fixed. Second derivatives are zero almost everywhere; the other
///   [regularizations](Regularization) of [`SoftTopK`] have curvature. Zero for k = n.
/// * −∞ is never chosen; an item with fewer than k other entries is an error. NaN makes its item NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero; k > n.
///
/// For the entropic forms and the p-norms, another axis, the hard mask or ragged batches, call
/// [`evaluate`](supple_core::evaluate) with a [`SoftTopK`]; for gradients,
/// [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::select::soft_top_k;
/// assert_eq!(soft_top_k(&array![3.0, 1.0, 2.5, 2.0], 2, 1.0)?, array![1.0, 0.0, 0.75, 0.25]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Martins and Kreutzer, *Learning what's easy: fully differentiable neural easy-first taggers*, EMNLP 2017.
pub fn soft_top_k<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&SoftTopK { k, softness, ..SoftTopK::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};
    use supple_core::{evaluate, linearize};

    #[test]
    fn single_precision_keeps_the_sum_of_many() {
        use Regularization::*;
        let mut x = Array1::from_elem(1_000_000, -0.3f32);
        x[7] = 0.2;
        for (regularization, k) in [(L2, 1), (L2, 2), (ThreeHalves, 1), (FourThirds, 1)] {
            let operator = SoftTopK { k, softness: 1.0, regularization };
            let [mask] = evaluate(&operator, [x.view().into_dyn()]).unwrap();
            let sum: f64 = mask.iter().map(|&y| f64::from(y)).sum();
            assert!((sum - k as f64).abs() < 1e-6, "{regularization:?}, k = {k}: {sum}");
        }
    }

    #[test]
    fn entries_near_one_keep_their_slopes() {
        for gap in [30.0, 40.0, 60.0] {
            let x = array![gap, 0.0f32].into_dyn();
            let operator = SoftTopK { k: 1, softness: 1.0, regularization: Regularization::Entropic };
            let at = linearize(&operator, [x.view()]).unwrap();
            let [dx] = at.vjp([array![1.0, -1.0f32].into_dyn().view()]).unwrap();
            // The threshold is in the middle.
            let slope = (-0.5 * gap).exp();
            assert!((dx[0] / slope - 1.0).abs() < 1e-4 && (dx[1] / slope + 1.0).abs() < 1e-4, "{gap}: {dx}");
        }
    }

    #[test]
    fn nan_reaches_the_gradient_of_its_item_and_no_other() {
        use Regularization::*;
        let x = array![[1.0, 2.0, f64::NAN], [1.0, 1.2, 0.9]].into_dyn();
        for regularization in [L2, Entropic, Shannon, ThreeHalves, FourThirds] {
            let operator = SoftTopK { k: 1, softness: 1.0, regularization };
            let at = linearize(&operator, [x.view()]).unwrap();
            let [dx] = at.vjp([array![[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]].into_dyn().view()]).unwrap();
            let (spoilt, clean) = (dx.index_axis(ndarray::Axis(0), 0), dx.index_axis(ndarray::Axis(0), 1));
            assert!(spoilt.iter().all(|d| d.is_nan()), "{regularization:?}: {dx}");
            assert!(clean.iter().all(|d| d.is_finite()) && clean[[0]] > 0.0, "{regularization:?}: {dx}");
        }
    }
}
