//! Entmax: from softmax (α = 1) over entmax 1.5 to sparsemax (α = 2) and beyond, with α as an input.
//!
//! $$ p = \operatorname*{argmax}_{p \in \Delta} \Bigl\langle p, \frac{x}{\varepsilon} \Bigr\rangle +
//! \frac{1 - \sum_i p_i^\alpha}{\alpha (\alpha - 1)}, \qquad
//! p_i = \bigl[1 + (\alpha - 1)(x_i / \varepsilon - \tau)\bigr]_+^{1 / (\alpha - 1)} $$
//!
//! with the threshold τ that makes $p$ sum to one. The form on the right, which is not the paper's, has the
//! exponential as its limit at α = 1 and loses nothing near it.
//!
//! * Softness: the unit of `x`; ε. The paper has ε = 1, which is the default.
//! * α ≥ 1 is an input, one number for each item, and gets a gradient: it can be learnt. Above 1, options
//!   far from the largest get exactly zero.
//! * Hard limit: one-hot at the largest value. Ties share in the limit; the hard form takes the first.
//! * Gradient: continuous for α < 2, for α ≥ 2 it jumps where an option enters or leaves the support; one
//!   that has just reached zero counts as outside.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN; an α below 1 or not finite is a
//!   fault. So is, above α of about 4, an item with an option so near the edge of the support that double
//!   precision cannot resolve its share: at α = 5 that is very rare, at 7 one item in a hundred.
//! * Cost: O(n), and two to twenty passes over the options that may be in the support; O(n) backward.
//!
//! Papers: Peters, Niculae and Martins, *Sparse sequence-to-sequence models*, ACL 2019,
//! <https://arxiv.org/abs/1905.05702>; Correia, Niculae and Martins, *Adaptively sparse transformers*, EMNLP
//! 2019, <https://arxiv.org/abs/1909.00015>, for the gradient in α.

use super::softmax::{centred, one_hot};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Sample, Scaling,
    Scratch, Stream, evaluate, params,
};

params! {
    /// Entmax with α as an input.
    pub struct Entmax {
        /// Temperature; the unit of `x`.
        softness: f64 = 1.0, Positive;
    }
}

impl Operator<2> for Entmax {
    const NAME: &'static str = "entmax";
    const SIGNATURE: &'static str = "x(n>=1), alpha() -> p(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// The logarithm of the largest probability.
    type Saved<T: Real> = T::Acc;

    fn validate(&self, _: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        20 * sizes[0]
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [p]: [&mut [T]; 1],
        top: &mut T::Acc,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let [x, alpha] = at.x;
        let t = excess(alpha[0])?;
        if !centred(x, self.softness, p) {
            return Ok(());
        }
        let mut candidates = scratch.wide.empty();
        // Where the largest gets all, only what is less than 1/t below it could get anything; else still less.
        candidates.extend(p.iter().filter(|p| (t.as_f64() * p.as_f64()) > -1.0).map(|p| p.widen()));
        *top = solve(&candidates, t);
        scratch.wide.give(candidates);
        let (largest, stretch) = (top.exp(), stretch(*top, t));
        let mut sum = 0.0;
        for p in p {
            let wide = largest * power(p.widen() * stretch, t);
            sum += wide.as_f64();
            *p = T::narrow(wide);
        }
        // Where α is large, double precision may not resolve the share of an option at the edge of the support.
        let residual = (sum - 1.0).abs();
        if residual < RESOLVED { Ok(()) } else { Err(Fault::NotConverged { iterations: LIMIT, residual }) }
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, T::Acc, 2>,
        [dp]: [&[T]; 1],
        [dx, dalpha]: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        let ([x, alpha], [p]) = (at.x, at.y);
        let t = alpha[0].widen() - T::Acc::one();
        let mut z = scratch.reals.zeros(x.len());
        if centred(x, self.softness, &mut z) {
            let (top, stretch) = (*at.saved, stretch(*at.saved, t));
            let [mut slopes, mut mean, mut change, mut toward] = [T::Acc::zero(); 4];
            for ((dx, z), (&p, &dp)) in dx.iter_mut().zip(&z).zip(p.iter().zip(dp)) {
                if p > T::zero() {
                    let (p, dp) = (p.widen(), dp.widen());
                    let u = z.widen() * stretch;
                    let slope = p / (T::Acc::one() + t * u);
                    let by_alpha = p * log_power_slope(u, t) - slope * top * u;
                    slopes += slope;
                    mean += slope * dp;
                    change += by_alpha;
                    toward += by_alpha * dp;
                    *dx = T::narrow(slope);
                }
            }
            let mean = mean / slopes;
            dalpha[0] = T::narrow(toward - change * mean);
            let rate = T::Acc::of(1.0 / self.softness) * stretch;
            for (dx, dp) in dx.iter_mut().zip(dp) {
                *dx = T::narrow(rate * (dx.widen() * (dp.widen() - mean)));
            }
        }
        if p.first().is_some_and(|p| p.is_nan()) {
            dx.fill(T::nan());
            dalpha.fill(T::nan());
        }
        scratch.reals.give(z);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [p]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        excess(at.x[1][0])?;
        one_hot(at.x[0], p);
        Ok(())
    }
}

/// α − 1, if it is not negative.
fn excess<T: Real>(alpha: T) -> Result<T::Acc, Fault> {
    let value = alpha.as_f64();
    if value >= 1.0 && value.is_finite() {
        Ok(alpha.widen() - T::Acc::one())
    } else {
        Err(Fault::Domain { argument: "alpha", requirement: "finite and at least 1", value })
    }
}

/// Most iterations of the solver.
const LIMIT: usize = 100;
/// How far from one the probabilities may sum.
const RESOLVED: f64 = 1e-6;

/// Below this the logarithm is taken by its series: differences of nearly equal numbers would lose digits.
const SMALL: f64 = 0.05;

/// `(1 + t u)₊^(1/t)`, the exponential at t = 0.
fn power<A: Real>(u: A, t: A) -> A {
    let s = t * u;
    // An option that is masked has s = NaN at t = 0.
    if s.as_f64() <= -1.0 || u.as_f64() == f64::NEG_INFINITY {
        return A::zero();
    }
    let log = if s.as_f64().abs() < SMALL {
        // ln(1 + s) / s
        u * (0..13).rev().fold(A::zero(), |sum, k| A::of(1.0 / (k + 1) as f64) - s * sum)
    } else {
        s.ln_1p() / t
    };
    log.exp()
}

/// `∂/∂t ln (1 + t u)^(1/t)`.
fn log_power_slope<A: Real>(u: A, t: A) -> A {
    let s = t * u;
    if s.as_f64().abs() < SMALL {
        // The derivative of ln(1 + s) / s, times u².
        let series = (0..13).rev().fold(A::zero(), |sum, k| A::of((k + 1) as f64 / (k + 2) as f64) - s * sum);
        -u.square() * series
    } else {
        (s / (A::one() + s) - s.ln_1p()) / t.square()
    }
}

/// `e^(−t ln p₁)` for the largest probability p₁, of which that of an option z below is then
/// `(1 + t z e^(−t ln p₁))₊^(1/t)`: from the logarithm, nothing is lost where p₁ is small and t large.
fn stretch<A: Real>(top: A, t: A) -> A {
    (-t * top).exp().min(A::of(f64::MAX))
}

/// The logarithm of the largest probability, for options that hold the support, of which the largest is 0: Newton's
/// method on the logarithm of what they sum to, between bounds, on values; then one step that carries tangents.
fn solve<A: Real<Acc = A, Value = f64>>(z: &[A], t: A) -> A {
    let value = t.value();
    let sums = |top: f64| {
        let (largest, stretch) = (top.exp(), stretch(top, value));
        z.iter().fold((0.0, 0.0), |(sum, slope), z| {
            let u = z.value() * stretch;
            let p = largest * power(u, value);
            if p > 0.0 { (sum + p, slope + p / (1.0 + value * u)) } else { (sum, slope) }
        })
    };
    // At least 1 / n, at most 1. Equal shares are not at the bound itself, or Newton's step to them would go astray.
    let mut bounds = (-(z.len() as f64).ln() * (1.0 + 1e-12) - 1e-12, 0.0);
    let (mut top, mut step) = (bounds.1, f64::INFINITY);
    for _ in 0..LIMIT {
        let (sum, slope) = sums(top);
        *(if sum > 1.0 { &mut bounds.1 } else { &mut bounds.0 }) = top;
        let newton = top - sum.ln() * sum / slope;
        // Where the sum is still off, the step is small because an option enters the support at an infinite slope.
        if (newton - top).abs() <= f64::EPSILON * (1.0 - top) && (sum - 1.0).abs() < 1e-9 {
            top = newton;
            break;
        }
        // A step that is not half of the last one goes astray.
        let near = bounds.0 < newton && newton < bounds.1 && (newton - top).abs() < 0.5 * step;
        let next = if near { newton } else { 0.5 * (bounds.0 + bounds.1) };
        step = (next - top).abs();
        top = next;
        if step <= f64::EPSILON * (1.0 - top) {
            break;
        }
    }
    let at = A::of(top);
    let (largest, stretch) = (at.exp(), stretch(at, t));
    let (excess, slope) = z.iter().fold((-A::one(), 0.0), |(sum, slope), &z| {
        let u = z * stretch;
        let p = largest * power(u, t);
        if p > A::zero() { (sum + p, slope + p.value() / (1.0 + value * u.value())) } else { (sum, slope) }
    });
    at - excess / A::of(slope)
}

impl Contract<2> for Entmax {
    const SUMMARY: &'static str = "probabilities of a choice, from softmax to sparsemax by a learnable α";
    const PAPER: &'static str = "Peters et al., ACL 2019, arXiv:1905.05702; Correia et al., EMNLP 2019";
    const COST: &'static str = "O(n) and two to twenty passes over the support, O(n) backward, O(n) memory";

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

    /// The paper's form of the threshold, by bisection.
    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [x, alpha] = at.x;
        let t = alpha[0] - 1.0;
        let z: Vec<f64> = x.iter().map(|x| t * x / self.softness).collect();
        let top = z.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let p = |threshold: f64| -> Vec<f64> {
            z.iter().map(|z| (z - threshold).max(0.0).powf(1.0 / t)).collect()
        };
        let (mut low, mut high) = (top - 1.0, top);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if p(middle).iter().sum::<f64>() > 1.0 { low = middle } else { high = middle }
        }
        Some([p(low)])
    }

    /// α where the gradient is tame.
    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        Sample { x: [random.normals(n), vec![1.2 + 0.7 * random.uniform()]], k: [] }
    }

    fn free(&self) -> [bool; 2] {
        [true, false]
    }
}

/// Entmax along the last axis of `x` `(…, n)`, with `alpha` `(…)` at least 1: softmax at α = 1, sparsemax at
/// α = 2, and sparse for every α above 1.
///
/// $$ p_i = \bigl[1 + (\alpha - 1)(x_i / \varepsilon - \tau)\bigr]_+^{1 / (\alpha - 1)}, \qquad \sum_i p_i = 1 $$
///
/// * Shapes: `(…, n)` and `(…)`, which broadcast, to `(…, n)`; n ≥ 1.
/// * Softness: ε, in the unit of `x`; 1 in the paper.
/// * Hard limit: one-hot at the largest value; equal largest values share.
/// * Gradient: to `x` and to `alpha`. Continuous for α < 2; from there on it jumps where an option enters or
///   leaves the support, and one that has just reached zero counts as outside.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n), and two to twenty passes over the options that may be in the support; O(n) backward.
/// * Errors: a softness that is not finite and above zero; α below 1 or not finite, or so large that the
///   share of an option at the edge of the support cannot be resolved (not below about 4); n = 0.
///
/// ```
/// use ndarray::{arr0, array};
/// use supple_ops::choice::{entmax, softmax};
/// let x = array![1.0_f64, 0.5, -1.0];
/// let sparse = entmax(&x, &arr0(2.0), 1.0)?;
/// assert!((sparse[0] - 0.75).abs() < 1e-15 && sparse[2] == 0.0);
/// let smooth = entmax(&x, &arr0(1.0), 1.0)?;
/// assert!((smooth[2] - softmax(&x, 1.0)?[2]).abs() < 1e-15);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Peters, Niculae and Martins, *Sparse sequence-to-sequence models*, ACL 2019,
/// <https://arxiv.org/abs/1905.05702>.
pub fn entmax<'a, T: Float, D: Dimension, E: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    alpha: impl Into<ArrayView<'a, T, E>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    let [p] = evaluate(&Entmax { softness }, [x.into().into_dyn(), alpha.into().into_dyn()])?;
    p.into_dimensionality().map_err(|e| Error::unsupported(Entmax::NAME, "an output of the input's rank", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::{entmax15, softmax, sparsemax};
    use ndarray::{arr0, array};

    #[test]
    fn named_members_of_the_family_agree() {
        let x = array![0.3, 1.7, -0.4, 1.1, f64::NEG_INFINITY, 0.9];
        let named = [
            (1.0, softmax(&x, 0.8).unwrap()),
            (1.0 + 1e-9, softmax(&x, 0.8).unwrap()),
            (1.5, entmax15(&x, 0.8).unwrap()),
            (2.0, sparsemax(&x, 0.8).unwrap()),
        ];
        for (alpha, expected) in named {
            let p = entmax(&x, &arr0(alpha), 0.8).unwrap();
            let apart = (&p - &expected).iter().fold(0.0, |worst: f64, d| worst + d.abs());
            assert!(apart < 1e-8, "{alpha}: {p} for {expected}");
        }
    }

    #[test]
    fn the_gradient_in_alpha_has_no_gap_at_one() {
        let x = array![0.3, 1.7, -0.4].into_dyn();
        let slope = |alpha: f64| {
            let operator = Entmax::default();
            let alpha = arr0(alpha).into_dyn();
            let at = supple_core::linearize(&operator, [x.view(), alpha.view()]).unwrap();
            at.vjp([array![1.0, 0.0, -2.0].into_dyn().view()]).unwrap()[1].sum()
        };
        let (at, near) = (slope(1.0), slope(1.0 + 1e-6));
        assert!((at - near).abs() < 1e-5 && at != 0.0, "{at} {near}");
    }

    #[test]
    fn large_alphas_are_right_or_a_fault() {
        for n in [1, 2, 10, 1000, 32_000] {
            for alpha in [1.0, 2.5, 3.0, 3.5, 4.0, 5.0, 7.0, 20.0, 60.0] {
                for spread in [0.0, 1e-6, 0.01, 1.0] {
                    let x = ndarray::Array1::from_shape_fn(n, |i| spread * (i as f64).sin());
                    match entmax(&x, &arr0(alpha), 1.0) {
                        Ok(p) => assert!((p.sum() - 1.0).abs() < 1e-5, "{n} {alpha} {spread}: {}", p.sum()),
                        Err(error) => assert!(alpha >= 5.0 && spread > 0.0, "{error}"),
                    }
                }
            }
        }
    }

    #[test]
    fn ties_share_whatever_their_number() {
        for (n, alpha) in [(2, 60.0), (1000, 5.0), (32_000, 4.0), (1_000_000, 3.0), (1_000_000, 20.0)] {
            let (x, alpha) = (ndarray::Array1::<f64>::zeros(n).into_dyn(), arr0(alpha).into_dyn());
            let operator = Entmax::default();
            let at = supple_core::linearize(&operator, [x.view(), alpha.view()]).unwrap();
            // A sum over n has so much round-off.
            let (share, round_off) = (1.0 / n as f64, 1e-14 + 1e-16 * n as f64);
            let [p] = at.outputs();
            assert!(p.iter().all(|p| (p / share - 1.0).abs() < round_off), "{n} {alpha}: {}", p[0]);
            let dp = ndarray::Array1::from_shape_fn(n, |i| (i == 0) as u8 as f64).into_dyn();
            let [dx, dalpha] = at.vjp([dp.view()]).unwrap();
            let expected = share.powf(2.0 - alpha.sum()) * (1.0 - share);
            let apart = (dx[0] / expected - 1.0).abs();
            assert!(apart < 100.0 * round_off, "{n} {alpha}: {} for {expected}", dx[0]);
            assert!(dalpha.sum().abs() < 1e-9, "{n} {alpha}: {dalpha}");
        }
    }

    #[test]
    fn an_alpha_below_one_is_a_fault() {
        let error = entmax(&array![1.0, 2.0], &arr0(0.5), 1.0).unwrap_err().to_string();
        assert_eq!(error, "entmax: item 0: `alpha` must be finite and at least 1, got 0.5");
    }
}
