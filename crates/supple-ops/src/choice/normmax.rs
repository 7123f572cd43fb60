//! Normmax: the argmax, smoothed by a norm of the probabilities.
//!
//! $$ p = \operatorname*{argmax}_{p \in \Delta} \langle p, x \rangle - \varepsilon \lVert p \rVert_\alpha,
//! \qquad p_i = \frac{u_i^{1 / (\alpha - 1)}}{\sum_j u_j^{1 / (\alpha - 1)}}, \quad
//! u_i = \max\left(\frac{x_i - \tau}{\varepsilon}, 0\right) $$
//!
//! with the threshold τ at which $\sum_i u_i^{\alpha / (\alpha - 1)} = 1$. τ is also the value of the problem.
//!
//! * Softness: the unit of `x`; ε. The paper has ε = 1, which is the default. It is one-hot where the largest
//!   value leads by ε or more, whatever α.
//! * It is [`entmax`](super::entmax()) of the same α at a temperature that it sets itself,
//!   $\varepsilon (\alpha - 1) / \lVert p \rVert_\alpha^{\alpha - 1}$: higher, the more options share.
//! * α > 1 is a parameter. Towards 1 it tends to the argmax for a fixed ε, and to softmax at temperature ε for
//!   a softness of $\varepsilon / (\alpha - 1)$. As α grows it tends to equal shares for all of the support.
//! * Hard limit: one-hot at the largest value. Ties share, in the limit too; the hard form takes the first. As
//!   ε grows, it tends to equal shares for all options.
//! * Gradient: continuous for α < 2; for α ≥ 2 it jumps where an option enters or leaves the support, for
//!   α > 2 from or to infinity; one that has just reached zero counts as outside.
//! * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
//! * Cost: O(n) and a few passes over the options within ε of the largest, forward; O(n) backward.
//!
//! Paper: Blondel, Martins and Niculae, *Learning with Fenchel-Young losses*, JMLR 2020,
//! <https://arxiv.org/abs/1901.02324>.

use super::softmax::{centred, one_hot};
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};
use supple_numerics::elementary::{dot, exp_slice, ln_slice};
use supple_numerics::simplex::squared_simplex;

params! {
    /// The argmax, smoothed by a norm of the probabilities.
    pub struct Normmax {
        /// Lead at which the largest value takes all; the unit of `x`.
        softness: f64 = 1.0, Positive;
        /// Order of the norm.
        alpha: f64 = 2.0, Between(1.0, f64::INFINITY);
    }
}

impl Normmax {
    /// The exponent of u in p.
    fn exponent(&self) -> f64 {
        1.0 / (self.alpha - 1.0)
    }

    /// The threshold for options of which the largest is 0, in units of the softness.
    fn threshold<T: Real>(&self, z: &[T], scratch: &mut Scratch<T>) -> T::Acc {
        let mut candidates = scratch.wide.empty();
        let threshold = if self.alpha == 2.0 {
            squared_simplex(z, &mut candidates)
        } else {
            candidates.extend(z.iter().filter(|z| z.as_f64() > -1.0).map(|z| z.widen()));
            let mut powers = scratch.wide.empty();
            let threshold = self.solve(&mut candidates, &mut powers);
            scratch.wide.give(powers);
            threshold
        };
        scratch.wide.give(candidates);
        threshold
    }

    /// Newton's method on the norm of u less 1, from −1, where it is 0 or more: it is convex in τ and falls,
    /// so that no step goes too far and the support only shrinks. For options that tie it is linear.
    fn solve<A: Real<Acc = A>>(&self, support: &mut Vec<A>, powers: &mut Vec<A>) -> A {
        let mut threshold = -1.0;
        loop {
            support.retain(|z| z.as_f64() > threshold);
            powers.clear();
            powers.extend(support.iter().map(|z| A::of(z.as_f64() - threshold)));
            power(powers, self.exponent());
            let (mut sum, mut slope) = (0.0, 0.0);
            for (z, q) in support.iter().zip(&*powers) {
                sum += (z.as_f64() - threshold) * q.as_f64();
                slope += q.as_f64();
            }
            // sum − sum^(1/α)
            let excess = -sum * ((1.0 / self.alpha - 1.0) * sum.ln()).exp_m1();
            let next = threshold + excess / slope;
            if next > threshold {
                threshold = next;
            } else {
                // NaN stops it too. The threshold moves by the mean of what the options move, weighted by p.
                let moves = support.iter().map(|&z| z - A::of(z.as_f64()));
                let mean: A = moves.zip(&*powers).map(|(dz, q)| dz * A::of(q.as_f64() / slope)).sum();
                return A::of(threshold) + mean;
            }
        }
    }
}

/// `u ← u^exponent` for positive u.
fn power<A: Real>(u: &mut [A], exponent: f64) {
    if exponent != 1.0 {
        ln_slice(u);
        u.iter_mut().for_each(|u| *u *= A::of(exponent));
        exp_slice(u);
    }
}

impl Operator for Normmax {
    const NAME: &'static str = "normmax";
    const SIGNATURE: &'static str = "x(n>=1) -> p(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// τ, counted from the largest value, in units of the softness.
    type Saved<T: Real> = T::Acc;

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
        threshold: &mut T::Acc,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        if !centred(at.x[0], self.softness, p) {
            return Ok(());
        }
        *threshold = self.threshold(p, scratch);
        let mut powers = scratch.wide.empty();
        let excess = |z: T| z.widen() - *threshold;
        powers.extend(p.iter().map(|&z| excess(z)).filter(|&u| u > T::Acc::zero()));
        power(&mut powers, self.exponent());
        let total: T::Acc = powers.iter().copied().sum();
        let mut shares = powers.iter().map(|&q| T::narrow(q / total));
        for p in p {
            let share = if excess(*p) > T::Acc::zero() { shares.next() } else { None };
            *p = share.unwrap_or(T::zero());
        }
        scratch.wide.give(powers);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, T::Acc>,
        [dp]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        let ([x], [p]) = (at.x, at.y);
        let mut z = scratch.reals.zeros(x.len());
        if centred(x, self.softness, &mut z) {
            let mean = dot(p, dp);
            let rate = T::Acc::of(self.exponent() / self.softness);
            let mut total = T::Acc::zero();
            for ((dx, z), (&p, &dp)) in dx.iter_mut().zip(&z).zip(p.iter().zip(dp)) {
                if p > T::zero() {
                    let change = rate * p.widen() * (dp.widen() - mean) / (z.widen() - *at.saved);
                    total += change;
                    *dx = T::narrow(change);
                }
            }
            let total = T::narrow(total);
            dx.iter_mut().zip(p).for_each(|(dx, &p)| *dx -= p * total);
        } else {
            dx.fill(T::nan());
        }
        scratch.reals.give(z);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [p]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        one_hot(at.x[0], p);
        Ok(())
    }
}

impl Contract for Normmax {
    const SUMMARY: &'static str = "probabilities of a choice, by a norm; the temperature sets itself";
    const PAPER: &'static str = "Blondel, Martins and Niculae, JMLR 2020, arXiv:1901.02324";
    const COST: &'static str = "O(n) and a few passes over the support, O(n) backward, O(n) memory";

    fn cases() -> Vec<Self> {
        [(1.0, 2.0), (0.3, 1.5), (20.0, 1.2), (2.0, 1.7), (5.0, 2.0), (20.0, 3.0)]
            .map(|(softness, alpha)| Self { softness, alpha })
            .to_vec()
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

    /// The threshold by bisection, on the condition as it is written.
    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let z: Vec<f64> = at.x[0].iter().map(|x| x / self.softness).collect();
        let powers = |threshold: f64, exponent: f64| -> Vec<f64> {
            z.iter().map(|z| (z - threshold).max(0.0).powf(exponent)).collect()
        };
        let top = z.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let (mut low, mut high) = (top - 1.0, top);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            let sum: f64 = powers(middle, self.alpha / (self.alpha - 1.0)).iter().sum();
            if sum > 1.0 { low = middle } else { high = middle }
        }
        let q = powers(low, 1.0 / (self.alpha - 1.0));
        let total: f64 = q.iter().sum();
        Some([q.into_iter().map(|q| q / total).collect()])
    }
}

/// Normmax at α = 2 along the last axis: the argmax over the simplex of
/// $\langle p, x \rangle - \varepsilon \lVert p \rVert$.
///
/// $$ p_i = \frac{u_i}{\sum_j u_j}, \qquad u_i = \max\left(\frac{x_i - \tau}{\varepsilon}, 0\right), \quad
/// \sum_i u_i^2 = 1 $$
///
/// * Shapes: `(…, n)` to `(…, n)`, n ≥ 1.
/// * Softness: ε, in the unit of `x`; 1 in the paper. One-hot where the largest value leads by ε or more, as
///   [`sparsemax`](super::sparsemax()), which it is at the softness $\varepsilon / \lVert p \rVert$: it shares
///   among more options where several are near the top.
/// * Hard limit: one-hot at the largest value; equal largest values share.
/// * Gradient: zero outside the support; it jumps where an option enters or leaves it, and one that has just
///   reached zero counts as outside.
/// * −∞ masks an option. An item of −∞ only, or with NaN or +∞, is NaN.
/// * Cost: O(n) and a few passes over the options within ε of the largest, forward; O(n) backward.
/// * Errors: a softness that is not finite and above zero; n = 0.
///
/// For another α, another axis, the one-hot form or ragged batches, call [`evaluate`](supple_core::evaluate)
/// with a [`Normmax`]; for gradients, [`linearize`](supple_core::linearize).
///
/// ```
/// use ndarray::array;
/// use supple_ops::choice::normmax;
/// // u = (0.8, 0.6, 0)
/// let p = normmax(&array![0.8_f64, 0.6, -0.5], 1.0)?;
/// assert!((p[0] - 4.0 / 7.0).abs() < 1e-15 && (p[1] - 3.0 / 7.0).abs() < 1e-15 && p[2] == 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Blondel, Martins and Niculae, *Learning with Fenchel-Young losses*, JMLR 2020,
/// <https://arxiv.org/abs/1901.02324>.
pub fn normmax<'a, T: Float, D: Dimension>(
    x: impl Into<ArrayView<'a, T, D>>,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&Normmax { softness, ..Normmax::default() }, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::{entmax, softmax};
    use ndarray::{Array1, arr0, array};
    use supple_core::{Stream, evaluate};

    fn p(x: &Array1<f64>, softness: f64, alpha: f64) -> Array1<f64> {
        let [p] = evaluate(&Normmax { softness, alpha }, [x.view().into_dyn()]).unwrap();
        p.into_dimensionality().unwrap()
    }

    fn norm(p: &Array1<f64>, alpha: f64) -> f64 {
        p.mapv(|p| p.powf(alpha)).sum().powf(1.0 / alpha)
    }

    #[test]
    fn values_of_the_entmax_package() {
        let x = array![0.3, 1.7, -0.4, 1.1, 0.9];
        let expected = [
            (1.25, [0.9738697830997713, 0.024622976328090868, 0.0015072405721377152]),
            (1.5, [0.8448440492784097, 0.1267980197263918, 0.028357930995198496]),
            (2.0, [0.6666666666666665, 0.23809523809523814, 0.09523809523809527]),
            (3.0, [0.535060524767338, 0.30233046368083827, 0.16260901155182372]),
        ];
        for (alpha, [second, fourth, fifth]) in expected {
            let gap = p(&x, 1.0, alpha) - array![0.0, second, 0.0, fourth, fifth];
            assert!(gap.iter().all(|gap| gap.abs() < 1e-12), "{alpha}: {gap}");
        }
    }

    #[test]
    fn nothing_on_the_simplex_is_better() {
        let mut random = Stream::new(3, 0, 0);
        for (softness, alpha) in [(0.5, 2.0), (2.0, 1.1), (3.0, 1.6), (1.0, 4.0), (10.0, 30.0)] {
            let x = Array1::from(random.normals(7));
            let value = |p: &Array1<f64>| p.dot(&x) - softness * norm(p, alpha);
            let best = p(&x, softness, alpha);
            for i in 0..1000 {
                let other = softmax(&Array1::from(random.normals(7)), 0.3).unwrap();
                let step = 2f64.powi(-(i % 20));
                let other = &best * (1.0 - step) + other * step;
                assert!(value(&other) <= value(&best) + 1e-13, "{softness} {alpha} {step}");
            }
        }
    }

    #[test]
    fn it_is_entmax_at_its_own_temperature() {
        let x = array![0.3, 1.7, -0.4, 1.1, f64::NEG_INFINITY, 0.9];
        for (softness, alpha) in [(1.0, 2.0), (0.7, 1.5), (4.0, 1.3), (2.0, 2.5)] {
            let p = p(&x, softness, alpha);
            let temperature = softness * (alpha - 1.0) / norm(&p, alpha).powf(alpha - 1.0);
            let gap = &p - entmax(&x, &arr0(alpha), temperature).unwrap();
            assert!(gap.iter().all(|gap| gap.abs() < 1e-12), "{gap}");
        }
        // Towards 1 at a softness that grows, that is softmax.
        let gap = p(&x, 0.5 * 1e6, 1.0 + 1e-6) - softmax(&x, 0.5).unwrap();
        assert!(gap.iter().all(|gap| gap.abs() < 1e-5), "{gap}");
    }

    #[test]
    fn extreme_softness_and_order() {
        let x = Array1::from_shape_fn(1000, |i| (i as f64).sin());
        for (softness, alpha) in
            [(1e-9, 2.0), (1e9, 2.0), (1e9, 1.01), (1e-3, 50.0), (1.0, 1e6), (1.0, 1.0 + 1e-9)]
        {
            let p = p(&x, softness, alpha);
            assert!((p.sum() - 1.0).abs() < 1e-12 && p.iter().all(|&p| p >= 0.0), "{softness} {alpha}");
        }
        assert!(p(&x, 1e12, 2.0).iter().all(|p| (p - 1e-3).abs() < 1e-12));
        assert_eq!(p(&array![1.0, 1.0, 0.0], 0.5, 3.0), array![0.5, 0.5, 0.0]);
    }
}
