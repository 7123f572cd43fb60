//! The mask of the k largest, by projection onto the capped simplex.
//!
//! On $C_k = \{0 \le y \le 1, \sum_i y_i = k\}$, the convex hull of all masks of k options,
//!
//! $$ y = \operatorname*{argmax}_{y \in C_k} \; \langle y, x \rangle - \varepsilon \, \Omega(y) $$
//!
//! * `"l2"`: $\Omega = \tfrac12 \lVert y \rVert^2$ gives
//!   $y_i = \min(\max(x_i / \varepsilon - \tau, 0), 1)$, the Euclidean projection of $x / \varepsilon$.
//! * `"entropic"`: $\Omega = \sum_i y_i \ln y_i + (1 - y_i) \ln (1 - y_i)$ gives
//!   $y_i = 1 / (1 + e^{\tau - x_i / \varepsilon})$, known as the limited multi-label projection (LML). At k = 1
//!   this is not [`softmax`](crate::choice::softmax()), which is smoothed by the entropy of one choice and
//!   not of n yes-or-no answers.
//!
//! In either, τ is the one threshold that makes the mask sum to k.
//!
//! * Softness: the unit of `x`; ε. The L2 mask is hard where the k-th value leads the next by ε or more.
//! * Hard limit: the 0/1 mask of the k largest. Where the k-th value is tied, the ties share what is left
//!   in the limit; in the hard form the first positions win.
//! * Gradient: L2, centred on the entries strictly between 0 and 1, zero elsewhere; an entry that has just
//!   reached 0 or 1 (a kink) counts as fixed; the second derivative is zero almost everywhere. Entropic,
//!   exact, with curvature. At k = 0 and k = n the mask is constant and the gradient zero.
//! * −∞ is never chosen; with fewer than k other entries, the item has no answer. NaN makes its item NaN,
//!   and so do more than k of +∞.
//! * Cost: O(n) expected on any data; Newton's method on the threshold takes a few passes.
//!
//! Papers: Martins and Kreutzer, *Learning what's easy: fully differentiable neural easy-first taggers*,
//! EMNLP 2017 (budgets); Amos, Koltun, Kolter, *The limited multi-label projection layer*, 2019,
//! <https://arxiv.org/abs/1906.08707>.

use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch,
    choices, map, params,
};
use supple_numerics::elementary::exp_slice;
use supple_numerics::simplex::{capped_simplex, kth_largest, largest, logistic};

choices! {
    /// What smooths the mask.
    pub enum Regularization {
        /// Half the squared norm: sparse, piecewise linear.
        L2 = "l2",
        /// Binary entropy of each entry: smooth, never exactly 0 or 1 (LML).
        Entropic = "entropic",
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

impl Operator for SoftTopK {
    const NAME: &'static str = "soft_top_k";
    const SIGNATURE: &'static str = "x(n) -> mask(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = ();

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        match sizes.first() {
            Some(&n) if self.k > n => Err(Error::argument(Self::NAME, "k", format!("<= n = {n}"), self.k)),
            _ => Ok(()),
        }
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        _: &mut (),
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let Some(Cut { kth, next }) = cut(x, self.k, y, scratch)? else { return Ok(()) };
        let (softness, kth) = (T::of(self.softness), T::constant(kth));
        let gap = ((kth.value() - next) / softness.value()).to_f64();
        if !gap.is_finite() {
            // A hard choice; none at all between infinities.
            let chosen = |x: T| if gap.is_nan() { T::nan() } else { T::of(if x >= kth { 1.0 } else { 0.0 }) };
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = chosen(x));
            return Ok(());
        }
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - kth) / softness);
        match self.regularization {
            Regularization::L2 => {
                let mut buffer = scratch.wide.empty();
                let threshold = T::narrow(capped_simplex(y, self.k, -gap, &mut buffer));
                y.iter_mut().for_each(|y| *y = clamp(*y - threshold));
                scratch.wide.give(buffer);
            }
            Regularization::Entropic => {
                let mut buffer = scratch.reals.empty();
                let threshold = logistic(y, self.k, -gap, &mut buffer);
                buffer.clear();
                buffer.extend(y.iter().map(|&z| -(z - threshold).abs()));
                exp_slice(&mut buffer);
                for (y, &e) in y.iter_mut().zip(&buffer) {
                    let above = *y >= threshold;
                    *y = if above { T::one() } else { e } / (T::one() + e);
                }
                scratch.reals.give(buffer);
            }
        }
        Ok(())
    }

    fn vjp<T: Real>(&self, at: Point<'_, T, ()>, [dy]: [&[T]; 1], [dx]: [&mut [T]; 1], _: &mut Scratch<T>) {
        let entropic = self.regularization == Regularization::Entropic;
        // The slope of an entry in its own x, for a fixed threshold and in units of 1 / ε.
        let slope = |y: T| match entropic {
            true => y * (T::one() - y),
            false if y > T::zero() && y < T::one() => T::one(),
            false => T::zero(),
        };
        let (mut total, mut moved) = (T::Acc::zero(), T::Acc::zero());
        for (&y, &dy) in at.y[0].iter().zip(dy) {
            total += slope(y).widen();
            moved += (slope(y) * dy).widen();
        }
        if total == T::Acc::zero() {
            return;
        }
        let mean = T::narrow(moved / total);
        let rate = T::of(1.0 / self.softness);
        for ((dx, &y), &dy) in dx.iter_mut().zip(at.y[0]).zip(dy) {
            *dx = rate * slope(y) * (dy - mean);
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let Some(Cut { kth, .. }) = cut(x, self.k, y, scratch)? else { return Ok(()) };
        let mut ties = self.k - x.iter().filter(|&&x| x > kth).count();
        for (y, &x) in y.iter_mut().zip(x) {
            let tied = x == kth && ties > 0;
            ties -= tied as usize;
            *y = T::of(if x > kth || tied { 1.0 } else { 0.0 });
        }
        Ok(())
    }
}

/// The k-th largest value and the one after.
struct Cut<F> {
    kth: F,
    next: F,
}

/// Where the mask is cut, or `None` where there is nothing to find and `y` has been written.
fn cut<T: Real>(
    x: &[T],
    k: usize,
    y: &mut [T],
    scratch: &mut Scratch<T>,
) -> Result<Option<Cut<T::Value>>, Fault> {
    if largest(x).is_nan() {
        y.fill(T::nan());
        return Ok(None);
    }
    if k == 0 || k > x.len() {
        y.fill(T::zero());
        return Ok(None);
    }
    let mut keys = scratch.keys.empty();
    let (kth, next) = kth_largest(x, k, &mut keys);
    scratch.keys.give(keys);
    if kth == T::Value::of(f64::NEG_INFINITY) {
        return Err(Fault::Infeasible);
    }
    Ok(Some(Cut { kth, next }))
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
        "Amos et al., 2019, arXiv:1906.08707 (entropic); Martins and Kreutzer, EMNLP 2017";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let l2 = |k, softness| Self { k, softness, ..Self::default() };
        let entropic = |k, softness| Self { regularization: Regularization::Entropic, ..l2(k, softness) };
        vec![
            l2(1, 0.1),
            l2(3, 1.0),
            l2(2, 20.0),
            l2(0, 1.0),
            entropic(1, 0.1),
            entropic(3, 1.0),
            entropic(2, 20.0),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        vec![
            Law::SumsTo(Box::new(move |_| k)),
            Law::Within(Box::new(|_| (0.0, 1.0))),
            Law::PermutationEquivariant,
            Law::ShiftInvariant,
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

/// The mask of the `k` largest entries along the last axis, by projection of $x / \varepsilon$ onto the capped
/// simplex, with L2 regularization.
///
/// $$ y_i = \min\!\left(\max\!\left(\frac{x_i}{\varepsilon} - \tau, 0\right), 1\right), \qquad \sum_i y_i = k $$
///
/// * Shapes: `(…, n)` to `(…, n)`, k ≤ n.
/// * Softness: ε, in the unit of `x`. The mask is hard where the k-th value leads the next by ε or more.
/// * Hard limit: the 0/1 mask of the k largest; where the k-th value is tied, the ties share what is left.
/// * Gradient: centred on the entries strictly between 0 and 1, zero elsewhere; an entry that has just reached
///   0 or 1 counts as fixed. Second derivatives are zero almost everywhere; the
///   [entropic form](Regularization::Entropic) of [`SoftTopK`] has curvature. Zero for k = n.
/// * −∞ is never chosen; an item with fewer than k other entries is an error. NaN makes its item NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero; k > n.
///
/// For the entropic form, another axis, the hard mask or ragged batches, call
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
