//! A solver with the gradient of a piecewise linear interpolation.
//!
//! $$y(\theta) = \arg\max_{y \in Y} \langle\theta, y\rangle, \qquad
//! \bar\theta = \frac{y(\theta) - y(\theta - \lambda \bar y)}{\lambda}$$
//!
//! for an [`Oracle`] on $\theta$ `(n)` and the cotangent $\bar y$ of its answer. The answer is that of the
//! solver, unchanged. The gradient is the exact one, almost everywhere, of
//!
//! $$f_\lambda(\theta) = \frac{1}{\lambda} \Bigl(\max_{y \in Y} \langle\theta, y\rangle
//! - \max_{y \in Y} \langle\theta - \lambda \bar y, y\rangle\Bigr),$$
//!
//! which is continuous and piecewise linear, at most the linearised loss $\langle\bar y, y(\theta)\rangle$,
//! and equal to it wherever the step $\lambda \bar y$ does not change the answer.
//!
//! * `lambda` is λ: the step, in the unit of $\theta$ for a $\bar y$ of 1. As λ → 0 the gradient is exactly
//!   zero, but where θ is on the edge between two answers; a large one sees far, and interpolates coarsely.
//! * Gradient: a surrogate, not linear in $\bar y$. Second derivatives are refused. A $\bar y$ of zero gives
//!   zero without a solve; where the solver has no answer at the second point, the gradient is NaN.
//! * Cost: one solve forward, one backward.
//!
//! Faults, for the item: $\theta$ with NaN, and whatever the oracle reports.
//!
//! The paper minimises costs $w = -\theta$.
//!
//! Vlastelica, Paulus, Musil, Martius and Rolínek, *Differentiation of blackbox combinatorial solvers*, ICLR
//! 2020, <https://arxiv.org/abs/1912.02175>.

use super::solving::{moved, positive, quotient, values};
use crate::perturb::Oracle;
use crate::perturb::sampling::{numbers, solution};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch};

/// A solver with the gradient of an interpolation, for any [`Oracle`].
///
/// ```
/// use supple_core::linearize;
/// use supple_ops::decision::BlackboxInterpolation;
/// use supple_ops::perturb::oracles::TopK;
///
/// let layer = BlackboxInterpolation { oracle: TopK { k: 1 }, lambda: 10.0 };
/// let theta = ndarray::array![0.3, 0.1, 2.0].into_dyn();
/// let at = linearize(&layer, [theta.view()])?;
/// assert_eq!(at.outputs()[0], ndarray::array![0.0, 0.0, 1.0].into_dyn());
/// // The loss falls where the first is chosen instead of the last.
/// let [gradient] = at.vjp([ndarray::array![-1.0, 0.0, 1.0].into_dyn().view()])?;
/// assert_eq!(gradient, ndarray::array![-0.1, 0.0, 0.1].into_dyn());
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BlackboxInterpolation<S> {
    /// The solver.
    pub oracle: S,
    /// The step λ.
    pub lambda: f64,
}

impl<S: Oracle> Operator for BlackboxInterpolation<S> {
    const NAME: &'static str = "blackbox_interpolation";
    const SIGNATURE: &'static str = "theta(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    /// The solution in full precision.
    type Saved<T: Real> = Vec<f64>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        positive(Self::NAME, "lambda", self.lambda)?;
        sizes.iter().try_for_each(|&n| self.oracle.validate(n))
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.oracle.work(sizes.iter().product())
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Vec<f64>,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        *saved = solution(&self.oracle, &numbers("theta", at.x[0])?)?;
        y.iter_mut().zip(saved).for_each(|(y, &mut solution)| *y = T::of(solution));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<f64>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let (theta, dy) = (values(at.x[0]), values(dy));
        if dy.iter().all(|dy| *dy == 0.0) {
            return;
        }
        let lower = moved(&theta, -self.lambda, &dy).and_then(|theta| solution(&self.oracle, &theta).ok());
        quotient(Some(at.saved), lower.as_deref(), self.lambda, dx);
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.forward(at, y, &mut vec![], scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::solving::testing::{BruteForce, both, dot, plus};
    use super::*;
    use supple_core::Stream;

    fn random_solver(random: &mut Stream, n: usize) -> BruteForce {
        BruteForce((0..12).map(|_| random.normals(n)).collect())
    }

    #[test]
    fn the_gradient_is_that_of_the_interpolation() {
        let mut random = Stream::new(1, 0, 0);
        let mut moved = 0;
        for case in 0..200 {
            let oracle = random_solver(&mut random, 4);
            let (theta, dy) = (random.normals(4), random.normals(4));
            let lambda = [0.01, 0.3, 3.0][case % 3];
            let interpolation =
                |theta: &[f64]| (oracle.value(theta) - oracle.value(&plus(theta, -lambda, &dy))) / lambda;
            let operator = BlackboxInterpolation { oracle: oracle.clone(), lambda };
            let (y, [dx]) = both(&operator, [&theta], &dy).unwrap();
            assert_eq!(y, oracle.best(&theta));
            let v = random.normals(4);
            let slope =
                (interpolation(&plus(&theta, 1e-7, &v)) - interpolation(&plus(&theta, -1e-7, &v))) / 2e-7;
            assert!((dot(&dx, &v) - slope).abs() < 1e-4 * (1.0 + slope.abs()), "{slope} {dx:?}");
            // Never above the linearised loss, and on it where the answer stays.
            let (loss, own) = (dot(&dy, &y), interpolation(&theta));
            assert!(own <= loss + 1e-9);
            let stays = oracle.best(&plus(&theta, -lambda, &dy)) == y;
            assert_eq!((own - loss).abs() < 1e-9, stays);
            assert_eq!(dx.iter().all(|d| *d == 0.0), stays);
            moved += !stays as usize;
        }
        assert!(moved > 50);
    }

    #[test]
    fn a_small_step_has_no_gradient_and_a_step_down_lowers_the_loss() {
        let mut random = Stream::new(2, 0, 0);
        for _ in 0..100 {
            let oracle = random_solver(&mut random, 5);
            let (theta, dy) = (random.normals(5), random.normals(5));
            let at = |lambda| BlackboxInterpolation { oracle: oracle.clone(), lambda };
            let (y, [dx]) = both(&at(1e-9), [&theta], &dy).unwrap();
            assert_eq!(dx, [0.0; 5]);
            // One step down the gradient, of length λ², is on the way to the better answer.
            let (_, [dx]) = both(&at(2.0), [&theta], &dy).unwrap();
            let better = oracle.best(&plus(&theta, -2.0, &dy));
            assert!(dot(&dy, &better) <= dot(&dy, &y));
            assert_eq!(dx, plus(&y, -1.0, &better).iter().map(|d| d / 2.0).collect::<Vec<_>>());
        }
    }

    #[test]
    fn refusals_and_failures() {
        let oracle = |theta: &[f64], y: &mut [f64]| {
            y.copy_from_slice(theta);
            if theta[0] < 0.0 { Err(Fault::Infeasible) } else { Ok(()) }
        };
        let operator = BlackboxInterpolation { oracle, lambda: 1.0 };
        let (_, [dx]) = both(&operator, [&[1.0]], &[2.0]).unwrap();
        assert!(dx[0].is_nan());
        assert_eq!(both(&operator, [&[1.0]], &[0.0]).unwrap().1, [[0.0]]);
        assert!(both(&operator, [&[-1.0]], &[2.0]).is_err());
        assert!(both(&operator, [&[f64::NAN]], &[2.0]).is_err());
        for lambda in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = both(&BlackboxInterpolation { oracle, lambda }, [&[1.0]], &[2.0]).unwrap_err();
            assert!(error.to_string().contains("`lambda` must be finite and > 0"));
        }
    }
}
