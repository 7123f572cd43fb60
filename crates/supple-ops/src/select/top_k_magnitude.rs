//! The k entries of largest magnitude with their values, the others zero; relaxed by p-norms.
//!
//! With $s = |x|$ and $r = 1 / (p - 1)$,
//!
//! $$ y_i = \operatorname{sign}(x_i) \min\left( s_i, t_i + \left(\frac{t_i}{\varepsilon}\right)^{r}
//! \right), \qquad t_i = \max(s_i - c, 0) $$
//!
//! where the threshold c makes the shares $m_i = \min(c^{-1} (t_i / \varepsilon)^r, 1)$ sum to k. For p = 2
//! that is $y_i = \operatorname{sign}(x_i) \min(s_i, (1 + \tfrac1\varepsilon) t_i)$.
//!
//! Where it comes from: half the sum of the k largest squares,
//! $f(x) = \max_{m \in C_k} \langle m, \tfrac12 x^2 \rangle$, has as its gradient the k entries of largest
//! magnitude. The paper takes φ(x) = ½x² in its construction, smooths f by
//!
//! $$ u = \operatorname*{argmax}_u \langle x, u \rangle - f^*(u)
//! - \frac{\varepsilon}{p} \lVert u \rVert_p^p $$
//!
//! and returns, as the authors' code has it, $y = u + \varepsilon \operatorname{sign}(u) |u|^{p - 1}$: the
//! last term undoes what the norm takes from the entries that are chosen for certain, so that they keep their
//! values.
//!
//! * Softness: ε. It has no unit for p = 2: the output is hard where the k-th magnitude is at least (1 + ε)
//!   times the next. For p = 3/2 its unit is the square root of that of `x`, for p = 4/3 the power 2/3.
//! * Hard limit: $x_i$ at the k largest magnitudes, 0 elsewhere; of equal magnitudes, the relaxation
//!   shares, and the hard form takes the first. For ε → ∞ the output tends to `x` itself.
//! * Gradient: exact but for kinks, where an entry reaches its full value, or 0 with p = 2; there it is that
//!   of the fixed entry. With p = 2 the second derivative is zero almost everywhere. At k = n the output is
//!   `x`. Where fewer than k entries are not zero, all of these keep their values, and the zeros share the
//!   slopes of the places that are left.
//! * ±∞ has the largest magnitude. NaN makes its item NaN, and so do more than k infinities, of
//!   which the hard form takes the first.
//! * Cost: O(n) expected: a selection, and passes over the entries between the certain and the excluded.
//!
//! Paper: Sander, Puigcerver, Djolonga, Peyré, Blondel, *Fast, differentiable and sparse top-k: a convex
//! analysis perspective*, ICML 2023, <https://arxiv.org/abs/2302.01425>.

use super::cut::{Cut, check_k, cut, hard_mask};
use super::shares::{Norm, Part, Shares, sign};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};

params! {
    /// The k entries of largest magnitude.
    pub struct TopKMagnitude {
        /// How many to keep; at most n.
        k: usize = 1, AtLeast(0.0);
        /// Strength of the norm; its unit depends on the norm, and is none for p = 2.
        softness: f64 = 0.1, Positive;
        /// The norm that smooths the selection.
        regularization: Norm = Norm::L2, Any;
    }
}

/// The threshold c; 0 where all but zeros keep their values, ∞ for k = 0, NaN for an item with NaN.
#[derive(Debug, Default)]
pub struct Saved<T: Real> {
    threshold: T::Acc,
}

impl TopKMagnitude {
    fn shares(&self) -> Shares {
        Shares { k: self.k, softness: self.softness, norm: self.regularization }
    }
}

impl Operator for TopKMagnitude {
    const NAME: &'static str = "top_k_magnitude";
    const SIGNATURE: &'static str = "x(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_k(Self::NAME, self.k, sizes)
    }

    /// With p = 2, softness has no unit: see the module's docs.
    fn scaling(&self) -> Option<Scaling> {
        let units = |power, x| Some(Scaling { softness: self.softness, power, inputs: [x], outputs: [x] });
        match self.regularization {
            Norm::L2 => None,
            Norm::ThreeHalves => units(1, 2),
            Norm::FourThirds => units(2, 3),
        }
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let ([x], shares) = (at.x, self.shares());
        let mut size = scratch.reals.empty();
        size.extend(x.iter().map(|x| x.abs()));
        let found = cut(&size, self.k, y, scratch)?;
        saved.threshold = if let Some(Cut { kth, next }) = found {
            let mut undecided = scratch.wide.empty();
            let threshold = shares.threshold(&size, kth.to_f64(), next.to_f64(), &mut undecided);
            scratch.wide.give(undecided);
            let spare = shares.spare_slope(x, threshold);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = match shares.part(x, threshold) {
                    _ if threshold.is_nan() => T::nan(),
                    Part::Nothing => x * spare,
                    Part::All => x,
                    Part::Some { excess, share, .. } => sign(x) * T::narrow(excess + share),
                };
            }
            threshold
        } else if y.first().is_some_and(|y| y.is_nan()) {
            T::Acc::nan()
        } else {
            // Nothing is kept.
            T::Acc::infinity()
        };
        scratch.reals.give(size);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let (x, shares, threshold) = (at.x[0], self.shares(), at.saved.threshold);
        if threshold.is_nan() {
            return dx.fill(T::nan());
        }
        if threshold == T::Acc::infinity() {
            return;
        }
        let spare = shares.spare_slope(x, threshold);
        // The threshold moves by Σ h′ ds / (Σ h′ + places), where the parts share that many places.
        let (mut moved, mut slopes, mut places) = (T::Acc::zero(), T::Acc::zero(), self.k as f64);
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            match shares.part(x, threshold) {
                Part::Nothing => *dx = dy * spare,
                Part::All => {
                    places -= 1.0;
                    *dx = dy;
                }
                Part::Some { slope, .. } => {
                    let whole = (T::Acc::one() + slope) * dy.widen();
                    moved += if x < T::zero() { -whole } else { whole };
                    slopes += slope;
                    *dx = T::narrow(whole);
                }
            }
        }
        let mean = moved / (slopes + T::Acc::of(places));
        for (dx, &x) in dx.iter_mut().zip(x) {
            if let Part::Some { slope, .. } = shares.part(x, threshold) {
                *dx -= sign(x) * T::narrow(slope * mean);
            }
        }
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x] = at.x;
        let mut size = scratch.reals.empty();
        size.extend(x.iter().map(|x| x.abs()));
        let done = hard_mask(&size, self.k, y, scratch);
        scratch.reals.give(size);
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = if y.is_zero() { T::zero() } else { *y * x });
        done
    }
}

impl Contract for TopKMagnitude {
    const SUMMARY: &'static str = "the k entries of largest magnitude, with their values";
    const PAPER: &'static str = "Sander et al., ICML 2023, arXiv:2302.01425";
    const COST: &'static str = "O(n) expected forward, O(n) backward, O(n) memory";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let case = |regularization, k, softness| Self { k, softness, regularization };
        vec![
            case(Norm::L2, 1, 0.1),
            case(Norm::L2, 3, 1.0),
            case(Norm::L2, 2, 20.0),
            case(Norm::L2, 0, 1.0),
            case(Norm::ThreeHalves, 2, 0.5),
            case(Norm::ThreeHalves, 1, 5.0),
            case(Norm::FourThirds, 3, 0.2),
            case(Norm::FourThirds, 1, 1.0),
            case(Norm::FourThirds, 2, 30.0),
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let larger = |at: supple_core::Evaluated<'_>| -> f64 {
            at.x[0].iter().zip(at.y[0]).map(|(x, y)| (y.abs() - x.abs()).max(0.0)).sum()
        };
        vec![
            Law::PermutationEquivariant,
            Law::Reversal(Box::new(|y, _| -y)),
            Law::Vanishes("larger_than_x", Box::new(larger)),
        ]
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        [0, 1, 2, 6].map(|more| vec![self.k + more]).to_vec()
    }

    /// The shares m by bisection on the threshold; then $f^*$ in its variational form: for each entry the v
    /// that minimises $\frac{(s - v)^q}{q \varepsilon^{q - 1}} + \tfrac12 m v^2$, also by bisection, with
    /// u = m v and q = p / (p − 1).
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let [x] = at.x;
        let h = |t: f64| (t.max(0.0) / self.softness).powi(self.regularization.power());
        let bisect = |mut low: f64, mut high: f64, above: &dyn Fn(f64) -> bool| {
            for _ in 0..2000 {
                let middle = 0.5 * (low + high);
                if above(middle) { low = middle } else { high = middle }
            }
            low
        };
        let share = |s: f64, c: f64| if h(s - c) >= c { (s > c) as u8 as f64 } else { h(s - c) / c };
        let sum = |c: f64| x.iter().map(|x| share(x.abs(), c)).sum::<f64>();
        let top = x.iter().fold(0.0, |a: f64, x| a.max(x.abs()));
        let c = bisect(0.0, top, &|c| sum(c) >= self.k as f64);
        let entry = |&x: &f64| {
            let s = x.abs();
            let m = share(s, c);
            let v = bisect(0.0, s, &|v| h(s - v) > m * v);
            // u + ε u^{p − 1}, with u = m v: for what v solves, ε u^{p − 1} = s − v.
            x.signum() * (m * v + s - v)
        };
        Some([x.iter().map(entry).collect()])
    }
}

/// The `k` entries of largest magnitude along the last axis with their values, the others zero; relaxed by
/// the norm with p = 2.
///
/// $$ y_i = \operatorname{sign}(x_i) \min\left( |x_i|,
/// \left(1 + \tfrac1\varepsilon\right) \max(|x_i| - c, 0) \right) $$
///
/// where the threshold c makes the shares $\min(\max(|x_i| - c, 0) / (\varepsilon c), 1)$ sum to k.
///
/// * Shapes: `(…, n)` to `(…, n)`, k ≤ n.
/// * Softness: ε, without a unit. The output is hard where the k-th magnitude is at least 1 + ε times the
///   next.
/// * Hard limit: $x_i$ at the k largest magnitudes, 0 elsewhere; equal magnitudes share.
/// * Gradient: exact but for kinks, where an entry reaches 0 or its full value. Second derivatives are zero
///   almost everywhere; the [other norms](Norm) have curvature.
/// * ±∞ has the largest magnitude. NaN makes its item NaN.
/// * Cost: O(n) expected forward, O(n) backward.
/// * Errors: a softness that is not finite and above zero; k > n.
///
/// For another norm, another axis, the hard form or ragged batches, call [`evaluate`](supple_core::evaluate)
/// with a [`TopKMagnitude`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::select::top_k_magnitude;
/// assert_eq!(top_k_magnitude(&array![-5.0, -2.0, 3.0, 1.0], 2, 0.5)?, array![-5.0, 0.0, 3.0, 0.0]);
/// let soft = top_k_magnitude(&array![-5.0_f64, -2.0, 3.0, 1.0], 2, 1.0)?;
/// assert!(soft[0] == -5.0 && -1.0 < soft[1] && soft[1] < 0.0 && soft[2] < 3.0 && soft[3] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Sander, Puigcerver, Djolonga, Peyré, Blondel, *Fast, differentiable and sparse top-k: a convex analysis
/// perspective*, ICML 2023, <https://arxiv.org/abs/2302.01425>.
pub fn top_k_magnitude<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&TopKMagnitude { k, softness, ..TopKMagnitude::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use supple_core::linearize;

    #[test]
    fn nan_reaches_the_gradient_even_where_nothing_is_kept() {
        let x = array![[1.0, f64::NAN], [1.0, 2.0]].into_dyn();
        let operator = TopKMagnitude { k: 0, ..TopKMagnitude::default() };
        let at = linearize(&operator, [x.view()]).unwrap();
        let [dx] = at.vjp([x.mapv(|_| 1.0).view()]).unwrap();
        for found in [&at.outputs()[0], &dx] {
            assert!(found.iter().take(2).all(|d| d.is_nan()) && found.iter().skip(2).all(|&d| d == 0.0));
        }
    }
}
