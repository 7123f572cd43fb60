//! The maximum of a few numbers, smoothed, with its gradient: the step of a dynamic program.
//!
//! For numbers $x_1, \dots, x_n$ and a softness $\gamma > 0$, in the unit of $x$,
//!
//! $$\max\nolimits_\Omega(x) = \max_{p \ge 0,\ \sum p = 1} \langle p, x \rangle - \gamma \Omega(p),$$
//!
//! and the gradient is the maximiser $p$. $\Omega$ is zero at the vertices of the simplex and negative
//! inside, so that the maximum of one number is that number, and no smoothed maximum is less than the
//! largest entry.
//!
//! | | $\Omega(p)$ | $\max_\Omega(x)$ | gradient |
//! |---|---|---|---|
//! | [`Entropic`](SmoothMax::Entropic) | $\sum p \ln p$ | $\gamma \ln \sum e^{x / \gamma}$ | softmax |
//! | [`L2`](SmoothMax::L2) | $\tfrac12 (\lVert p \rVert^2 - 1)$ | | sparsemax |
//! | [`Hard`](SmoothMax::Hard) | 0 | $\max x$ | the first largest entry |
//!
//! Only entropy and the hard maximum nest: $\max(a, b, c) = \max(a, \max(b, c))$. A dynamic program
//! with L2 is therefore defined by its recursion, not by its set of paths.
//!
//! An entry of $-\infty$ is a choice that does not exist and gets no weight. Where no choice exists the
//! maximum is $-\infty$ and all weights are zero. $+\infty$ wins alone. NaN makes everything NaN.
//!
//! Paper: Mensch and Blondel, *Differentiable dynamic programming for structured prediction and
//! attention*, ICML 2018.

use supple_core::Real;

/// Which function Ω smooths the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmoothMax {
    /// Log-sum-exp; every choice gets some weight.
    Entropic,
    /// The squared norm; most choices get no weight.
    L2,
    /// No smoothing; the softness is not used.
    Hard,
}

impl SmoothMax {
    /// Returns the smoothed maximum of `x` and overwrites `x` with its gradient.
    ///
    /// ```
    /// use supple_numerics::smooth_max::SmoothMax;
    /// let mut x = [1.0, 3.0, 2.75];
    /// let max = SmoothMax::L2.max(1.0, &mut x);
    /// assert_eq!(x, [0.0, 0.625, 0.375]);
    /// assert_eq!(max, 3.140625);
    /// ```
    pub fn max<T: Real>(self, softness: f64, x: &mut [T]) -> T {
        if x.iter().any(|x| x.is_nan()) {
            x.fill(T::nan());
            return T::nan();
        }
        let largest = x.iter().fold(-T::infinity(), |a, &b| a.max(b));
        if !largest.is_finite() || self == Self::Hard {
            return hard(largest, x);
        }
        let gamma = T::of(softness);
        // Infinity times a constant would spoil the tangent of a dual.
        x.iter_mut().filter(|x| x.is_finite()).for_each(|x| *x = (*x - largest) / gamma);
        let above = match self {
            Self::Entropic => log_sum_exp(x),
            _ => sparsemax(x),
        };
        largest + gamma * above
    }

    /// Returns the smoothed minimum `−max(−x)` and overwrites `x` with its gradient.
    pub fn min<T: Real>(self, softness: f64, x: &mut [T]) -> T {
        x.iter_mut().for_each(|x| *x = -*x);
        -self.max(softness, x)
    }

    /// Overwrites a direction `v` with `∇²max · v`, which is how the weights change along `v`. The
    /// Hessian of the minimum is that of the maximum with the opposite sign.
    pub fn hessian_product<T: Real>(self, softness: f64, weights: &[T], v: &mut [T]) {
        let gamma = T::of(softness);
        let pairs = || weights.iter().zip(v.iter());
        match self {
            Self::Entropic => {
                let mean = T::sum_wide(pairs().map(|(&p, &v)| if p.is_zero() { p } else { p * v }));
                v.iter_mut()
                    .zip(weights)
                    .for_each(|(v, &p)| *v = if p.is_zero() { p } else { p * (*v - mean) / gamma });
            }
            Self::L2 => {
                let support = || pairs().filter(|(p, _)| **p > T::zero());
                let mean = T::sum_wide(support().map(|(_, &v)| v)) / T::of(support().count().max(1) as f64);
                let moved = |v: T, p: T| if p > T::zero() { (v - mean) / gamma } else { T::zero() };
                v.iter_mut().zip(weights).for_each(|(v, &p)| *v = moved(*v, p));
            }
            Self::Hard => v.fill(T::zero()),
        }
    }
}

fn hard<T: Real>(largest: T, x: &mut [T]) -> T {
    let winner = if largest > -T::infinity() { x.iter().position(|&x| x == largest) } else { None };
    x.fill(T::zero());
    if let Some(winner) = winner {
        x[winner] = T::one();
    }
    largest
}

/// `ln Σ exp u` for entries of which the largest is zero; leaves the softmax.
fn log_sum_exp<T: Real>(u: &mut [T]) -> T {
    u.iter_mut().for_each(|u| *u = u.exp());
    let sum = T::sum_wide(u.iter().copied());
    u.iter_mut().for_each(|u| *u /= sum);
    sum.ln()
}

/// `max ⟨p, u⟩ − ½(‖p‖² − 1)` for entries of which the largest is zero; leaves the sparsemax.
///
/// Michelot's method: entries below the threshold that the others imply leave until none does. No
/// buffer, and for the few entries of a dynamic program no slower than sorting.
fn sparsemax<T: Real>(u: &mut [T]) -> T {
    // The largest entry weighs at most 1, so the threshold is at least −1.
    let mut threshold = -T::one();
    let mut members = usize::MAX;
    loop {
        let above = || u.iter().copied().filter(|&u| u > threshold);
        let count = above().count();
        // Members only leave: one that comes back does so by rounding, and would come and go for ever.
        if count >= members {
            break;
        }
        let next = (T::sum_wide(above()) - T::one()) / T::of(count as f64);
        (members, threshold) = (count, next);
    }
    u.iter_mut().for_each(|u| *u = if *u > threshold { *u - threshold } else { T::zero() });
    let half = T::of(0.5);
    half * T::sum_wide(u.iter().map(|p| p.square())) + threshold + half
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use supple_core::Dual;

    const ALL: [SmoothMax; 3] = [SmoothMax::Entropic, SmoothMax::L2, SmoothMax::Hard];
    const NONE: f64 = f64::NEG_INFINITY;

    #[test]
    fn a_threshold_that_rounds_back_and_forth_ends() {
        let ulp = f64::EPSILON / 2.0;
        let mut x = [0.0, 0.5 + 3.0 * ulp, 0.75 + ulp];
        SmoothMax::L2.min(1.0, &mut x);
        assert!((x.iter().sum::<f64>() - 1.0).abs() < 1e-15, "{x:?}");
    }

    fn solve(kind: SmoothMax, softness: f64, x: &[f64]) -> (f64, Vec<f64>) {
        let mut p = x.to_vec();
        (kind.max(softness, &mut p), p)
    }

    fn objective(kind: SmoothMax, softness: f64, x: &[f64], p: &[f64]) -> f64 {
        let omega: f64 = match kind {
            SmoothMax::Entropic => p.iter().map(|p| if *p > 0.0 { p * p.ln() } else { 0.0 }).sum(),
            SmoothMax::L2 => 0.5 * (p.iter().map(|p| p * p).sum::<f64>() - 1.0),
            SmoothMax::Hard => 0.0,
        };
        p.iter().zip(x).map(|(p, x)| p * x).sum::<f64>() - softness * omega
    }

    fn few() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, f64)> {
        (1usize..7).prop_flat_map(|n| {
            let numbers = || prop::collection::vec(-3.0..3.0, n);
            (numbers(), numbers(), 0.1..3.0)
        })
    }

    proptest! {
        #[test]
        fn the_weights_are_the_best_of_the_simplex((x, other, softness) in few()) {
            for kind in ALL {
                let (max, p) = solve(kind, softness, &x);
                prop_assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p.iter().all(|p| *p >= 0.0));
                prop_assert!((max - objective(kind, softness, &x, &p)).abs() < 1e-12);
                prop_assert!(max >= x.iter().fold(NONE, |a, b| a.max(*b)));
                let sum: f64 = other.iter().map(|v| v.exp()).sum();
                let rival: Vec<f64> = other.iter().map(|v| v.exp() / sum).collect();
                prop_assert!(max >= objective(kind, softness, &x, &rival) - 1e-12);
                let near: Vec<f64> = p.iter().zip(&rival).map(|(p, r)| 0.999 * p + 0.001 * r).collect();
                prop_assert!(max >= objective(kind, softness, &x, &near) - 1e-12);
            }
        }

        #[test]
        fn duals_give_the_weights_and_their_change((x, v, softness) in few()) {
            for kind in ALL {
                let (_, p) = solve(kind, softness, &x);
                let mut duals: Vec<_> = x.iter().zip(&v).map(|(&x, &v)| Dual::new(x, v)).collect();
                let max = kind.max(softness, &mut duals);
                let expected: f64 = p.iter().zip(&v).map(|(p, v)| p * v).sum();
                prop_assert!((max.d - expected).abs() < 1e-12);
                let mut change = v.clone();
                kind.hessian_product(softness, &p, &mut change);
                for (dual, change) in duals.iter().zip(&change) {
                    prop_assert!((dual.d - change).abs() < 1e-11);
                }
            }
        }

        #[test]
        fn the_minimum_mirrors_the_maximum((x, _, softness) in few()) {
            for kind in ALL {
                let minus: Vec<f64> = x.iter().map(|x| -x).collect();
                let (max, p) = solve(kind, softness, &minus);
                let mut q = x.clone();
                prop_assert_eq!(kind.min(softness, &mut q), -max);
                prop_assert_eq!(p, q);
            }
        }
    }

    #[test]
    fn entropy_nests_and_l2_does_not() {
        let at = |kind, x: &[f64]| solve(kind, 1.0, x).0;
        let gap = |kind| (at(kind, &[0.1, 0.4, 0.3]) - at(kind, &[0.1, at(kind, &[0.4, 0.3])])).abs();
        assert!(gap(SmoothMax::Entropic) < 1e-15);
        assert!(gap(SmoothMax::L2) > 1e-2);
    }

    #[test]
    fn missing_choices_get_no_weight() {
        for kind in ALL {
            assert_eq!(solve(kind, 1.0, &[]), (NONE, vec![]));
            assert_eq!(solve(kind, 1.0, &[NONE, NONE]), (NONE, vec![0.0, 0.0]));
            assert_eq!(solve(kind, 1.0, &[NONE, 4.0]), (4.0, vec![0.0, 1.0]));
            assert_eq!(solve(kind, 1.0, &[f64::INFINITY, 4.0]), (f64::INFINITY, vec![1.0, 0.0]));
            let (max, p) = solve(kind, 1.0, &[f64::NAN, 4.0]);
            assert!(max.is_nan() && p.iter().all(|p| p.is_nan()));
            let mut v = [NONE, 3.0];
            kind.hessian_product(1.0, &[0.0, 1.0], &mut v);
            assert_eq!(v, [0.0, 0.0]);
            let mut x = [Dual::new(NONE, 0.0), Dual::new(4.0, 2.0)];
            let max = kind.max(1.0, &mut x);
            assert_eq!((max.v, max.d, x[0].d, x[1].d), (4.0, 2.0, 0.0, 0.0));
        }
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        for kind in ALL {
            let (max, p) = solve(kind, 1e-9, &[1e9, -1e9, 1e9 - 1.0]);
            assert_eq!((max, p), (1e9, vec![1.0, 0.0, 0.0]));
        }
        assert!((solve(SmoothMax::Entropic, 1.0, &[1e9, 1e9]).0 - 1e9 - 2f64.ln()).abs() < 1e-6);
    }
}
