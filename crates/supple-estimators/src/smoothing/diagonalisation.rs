//! A softness that shrinks while a descent goes on.
//!
//! A function with branches, made smooth by [`soft_heaviside`](supple_ops::elementwise::soft_heaviside()) at
//! softness η, has [`Pathwise`](super::Pathwise) gradients of little variance, but of another function: the
//! minimum at a fixed η is not that of the function with jumps. Let step $k$ take
//!
//! $$ \eta_k = \eta_1 k^{-p}, \qquad x_{k+1} = x_k - \gamma_k \nabla f_{\eta_k}(x_k + \sigma Z_k) $$
//!
//! The variance of the gradient grows as η shrinks, like $\eta^{-1}$ where one branch counts, and the steps must
//! make up for it: $\sum \gamma_k = \infty$ and $\sum \gamma_k^2 / \eta_k < \infty$. With $\gamma_k \propto 1/k$
//! that is $p < 1$; where ℓ branches multiply, the variance grows like $\eta^{-\ell}$, and $p < 1/\ell$. Under
//! these conditions the descent converges to stationary points of the mean of the function with jumps.
//!
//! Wagner, Khajwal and Ong, *Diagonalisation SGD: Fast & convergent SGD for non-differentiable models via
//! reparameterisation and smoothing*, AISTATS 2024.

use crate::estimator::check_positive;
use supple_core::Error;

/// The softness of each step of a descent.
///
/// ```
/// use supple_estimators::smoothing::Diagonalisation;
///
/// let schedule = Diagonalisation { first: 0.4, exponent: 0.5 };
/// assert_eq!([1, 4, 16].map(|step| schedule.softness(step)), [0.4, 0.2, 0.1]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diagonalisation {
    /// Softness of the first step, in the unit of what the branches compare.
    pub first: f64,
    /// How fast it shrinks, between 0 and 1.
    pub exponent: f64,
}

/// One over the root of the number of steps, from 1 on.
impl Default for Diagonalisation {
    fn default() -> Self {
        Self { first: 1.0, exponent: 0.5 }
    }
}

impl Diagonalisation {
    /// Refuses a softness that is not finite and above zero, and exponents that are not between 0 and 1.
    pub fn validate(&self) -> Result<(), Error> {
        check_positive("diagonalisation", "first", self.first)?;
        if !(self.exponent > 0.0 && self.exponent < 1.0) {
            return Err(Error::argument("diagonalisation", "exponent", "between 0 and 1", self.exponent));
        }
        Ok(())
    }

    /// The softness of a step; steps count from 1.
    pub fn softness(&self, step: usize) -> f64 {
        self.first * (step.max(1) as f64).powf(-self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Noise, Pathwise};
    use super::*;
    use crate::{Budget, WithGradient, estimate};
    use supple_core::Fault;

    const JUMP: f64 = 2.0;

    /// The slope of `E (x + Z)² / 2 + 2 · [x + Z > 1]` in x.
    fn slope(x: f64) -> f64 {
        x + JUMP * Noise::Gaussian.density(1.0 - x)
    }

    /// Where the descent with these softnesses ends.
    fn descend(softness: impl Fn(usize) -> f64) -> f64 {
        let mut x = 0.0;
        for step in 1..=20_000 {
            let eta = softness(step);
            let gate = move |z: f64| 1.0 / (1.0 + (-(z - 1.0) / eta).exp());
            let smooth = WithGradient {
                value: move |z: &[f64], y: &mut [f64]| -> Result<(), Fault> {
                    y[0] = 0.5 * z[0] * z[0] + JUMP * gate(z[0]);
                    Ok(())
                },
                gradient: move |z: &[f64], dy: &[f64], dz: &mut [f64]| -> Result<(), Fault> {
                    let p = gate(z[0]);
                    dz[0] = dy[0] * (z[0] + JUMP * p * (1.0 - p) / eta);
                    Ok(())
                },
            };
            let budget = Budget::new(1, step as u64);
            let (found, ()) = estimate(&Pathwise::default(), &smooth, &[x], budget, &()).unwrap();
            x -= found.gradient[0] / step as f64;
        }
        x
    }

    #[test]
    fn the_descent_ends_at_the_minimum_of_the_function_with_jumps() {
        // The minimum, by bisection.
        let (mut low, mut high) = (-3.0, 0.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            *(if slope(middle) > 0.0 { &mut high } else { &mut low }) = middle;
        }
        let schedule = Diagonalisation { first: 2.0, exponent: 0.5 };
        let shrinking = (descend(|step| schedule.softness(step)) - low).abs();
        let fixed = (descend(|_| schedule.first) - low).abs();
        assert!(shrinking < 0.03 && fixed > 0.05, "{shrinking} and {fixed} from {low}");
    }

    #[test]
    fn schedules_that_do_not_converge_are_refused() {
        for (first, exponent, argument) in
            [(0.0, 0.5, "first"), (1.0, 1.0, "exponent"), (1.0, 0.0, "exponent")]
        {
            let error = Diagonalisation { first, exponent }.validate().unwrap_err().to_string();
            assert!(error.contains(argument), "{error}");
        }
    }
}
