//! The perturbation gradient loss: a difference of optimal values in place of the value of a decision.
//!
//! $$\ell(\theta, t) = \frac{V(\theta - h t) - V(\theta)}{h}, \qquad
//! V(\theta) = \max_{y \in Y} \langle\theta, y\rangle$$
//!
//! for predicted scores $\theta$ and the true scores $t$, both `(n)`, and any [`Oracle`]. As $h \to 0$ it
//! becomes $-\langle t, y(\theta)\rangle$, less of which is better: the regret, but for a constant. With
//! `central`, it is $(V(\theta - h t) - V(\theta + h t)) / (2 h)$.
//!
//! * `step` is $h$, in units of θ over those of $t$. It is to shrink as there are more data.
//! * The hard form is $-\langle t, y(\theta)\rangle$. The one-sided loss is never below it; the central one
//!   is nearer on the whole, and neither below nor above. Both are differences of convex functions:
//!   continuous, piecewise linear, not convex.
//! * Gradient: almost everywhere, for an oracle that answers exactly. In $\theta$ it is
//!   $(y(\theta - h t) - y(\theta)) / h$, in $t$ it is $-y(\theta - h t)$; the central ones are like these.
//!   Second derivatives are zero.
//! * It is [`BlackboxInterpolation`](super::BlackboxInterpolation) on the loss $-\langle t, y\rangle$, with
//!   the step on the other side.
//! * Cost: two solves forward, none backward.
//!
//! Faults, for the item: scores that are not finite, and whatever the oracle reports.
//!
//! The paper minimises costs $-\theta$ and $-t$; the one-sided loss is its PGB, the central one its PGC.
//!
//! Huang and Gupta, *Decision-focused learning with directional gradients*, NeurIPS 2024,
//! <https://arxiv.org/abs/2402.03256>.

use super::solving::{finite, moved, positive};
use crate::perturb::Oracle;
use crate::perturb::sampling::{product, solution};
use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch};

/// The perturbation gradient loss, for any [`Oracle`].
///
/// ```
/// use supple_core::evaluate;
/// use supple_ops::decision::PerturbationGradient;
/// use supple_ops::perturb::oracles::TopK;
///
/// let loss = PerturbationGradient { oracle: TopK { k: 1 }, step: 0.1, central: false };
/// let target = ndarray::array![1.0, 3.0, 2.0].into_dyn();
/// let [right] = evaluate(&loss, [target.view(), target.view()])?;
/// let [wrong] = evaluate(&loss, [ndarray::array![4.0, 0.0, 2.0].into_dyn().view(), target.view()])?;
/// assert!(right[[]] < -2.9 && wrong[[]] > -1.1);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PerturbationGradient<S> {
    /// The solver.
    pub oracle: S,
    /// The step h.
    pub step: f64,
    /// Whether to take the central difference.
    pub central: bool,
}

/// The answers at $\theta - h t$ and at the other point.
#[derive(Debug, Default, Clone)]
pub struct Saved {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

impl<S: Oracle> PerturbationGradient<S> {
    /// Steps along the target to the other point, and between the two.
    fn steps(&self) -> (f64, f64) {
        if self.central { (self.step, 2.0 * self.step) } else { (0.0, self.step) }
    }

    /// The loss, given the answers.
    fn loss<T: Real>(&self, [theta, target]: [&[T]; 2], Saved { lower, upper }: &Saved) -> T {
        let (up, width) = self.steps();
        let along = (product(theta, lower) - product(theta, upper)) / T::Acc::of(width);
        let [down, up] = [self.step / width, up / width].map(T::Acc::of);
        T::narrow(along - down * product(target, lower) - up * product(target, upper))
    }
}

impl<S: Oracle> Operator<2> for PerturbationGradient<S> {
    const NAME: &'static str = "perturbation_gradient";
    const SIGNATURE: &'static str = "theta(n), target(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        positive(Self::NAME, "step", self.step)?;
        sizes.iter().try_for_each(|&n| self.oracle.validate(n))
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.oracle.work(sizes.iter().product()).saturating_mul(2)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        saved: &mut Saved,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (theta, target) = (finite("theta", at.x[0])?, finite("target", at.x[1])?);
        let answer = |step| match moved(&theta, step, &target) {
            Some(theta) => solution(&self.oracle, &theta),
            None => Err(Fault::Domain { argument: "theta", requirement: "in range", value: f64::NAN }),
        };
        *saved = Saved { lower: answer(-self.step)?, upper: answer(self.steps().0)? };
        loss[0] = self.loss(at.x, saved);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved, 2>,
        [dloss]: [&[T]; 1],
        [dtheta, dtarget]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let (up, width) = self.steps();
        let answers = at.saved.lower.iter().zip(&at.saved.upper);
        for ((dtheta, dtarget), (lower, upper)) in dtheta.iter_mut().zip(dtarget).zip(answers) {
            *dtheta = dloss[0] * T::of((lower - upper) / width);
            *dtarget = -dloss[0] * T::of((self.step * lower + up * upper) / width);
        }
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 2>,
        values: Point<'_, F, Saved, 2>,
        [loss]: [&mut [Dual<F>]; 1],
        saved: &mut Saved,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        *saved = values.saved.clone();
        loss[0] = self.loss(at.x, saved);
        Ok(())
    }

    /// `−⟨t, y(θ)⟩`.
    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (theta, target) = (finite("theta", at.x[0])?, finite("target", at.x[1])?);
        loss[0] = T::of(-product(&target, &solution(&self.oracle, &theta)?));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::solving::testing::{BruteForce, both, checked, dot, plus};
    use super::*;
    use supple_core::Stream;

    #[test]
    fn it_is_the_difference_of_values_and_bounds_the_decision() {
        let mut random = Stream::new(14, 0, 0);
        for case in 0..200 {
            let oracle = match case % 2 {
                0 => BruteForce::masks(5, 2),
                _ => BruteForce((0..9).map(|_| random.normals(5)).collect()),
            };
            let (theta, target) = (random.normals(5), random.normals(5));
            let step = [0.03, 0.5, 4.0][case % 3];
            let operator = |step, central| PerturbationGradient { oracle: oracle.clone(), step, central };
            let value = |step| oracle.value(&plus(&theta, step, &target));
            let decision = -dot(&target, &oracle.best(&theta));
            let (loss, _, worst) = checked(&operator(step, false), [&theta, &target]);
            assert!((loss - (value(-step) - value(0.0)) / step).abs() < 1e-11 && loss >= decision - 1e-11);
            assert!(worst < 1e-6, "{worst}");
            let (loss, _, worst) = checked(&operator(step, true), [&theta, &target]);
            assert!((loss - (value(-step) - value(step)) / (2.0 * step)).abs() < 1e-11 && worst < 1e-6);
            for central in [false, true] {
                let (loss, [dtheta, _]) = both(&operator(1e-9, central), [&theta, &target], &[1.0]).unwrap();
                assert!((loss[0] - decision).abs() < 1e-6 && dtheta == [0.0; 5]);
            }
        }
        let refused = PerturbationGradient { oracle: BruteForce::masks(3, 1), step: 0.0, central: true };
        let error = both(&refused, [&[1.0; 3], &[1.0; 3]], &[1.0]).unwrap_err();
        assert!(error.to_string().contains("`step` must be finite and > 0"));
    }
}
