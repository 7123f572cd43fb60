//! SPO+: a convex loss above the regret of a decision.
//!
//! $$\ell(\theta, t) = \max_{y \in Y} \langle 2\theta - t, y\rangle - \langle 2\theta - t, y(t)\rangle,
//! \qquad y(t) = \arg\max_{y \in Y} \langle t, y\rangle$$
//!
//! for predicted scores $\theta$ and the true scores $t$, both `(n)`, and any [`Oracle`] that
//! [takes scores of either sign](Oracle::takes_either_sign). It is convex in
//! $\theta$, at least the regret $\langle t, y(t) - y(\theta)\rangle$ of deciding on the prediction, and 0 at
//! $\theta = t$. The regret itself, which is the hard form, is a step function of $\theta$.
//!
//! * Gradient: almost everywhere, for an oracle that answers exactly. In $\theta$ it is the subgradient
//!   $2 (y(2\theta - t) - y(t))$, which is right where answers are tied too; in $t$ it is
//!   $y(t) - y(2\theta - t)$, without the jumps that the loss makes where $y(t)$ jumps. Second derivatives
//!   are zero.
//! * Cost: two solves forward, none backward. [`SolutionCache`](super::SolutionCache) saves solves.
//!
//! Faults, for the item: scores that are not finite, and whatever the oracle reports.
//!
//! The paper minimises costs: $\hat c = -\theta$ and $c = -t$.
//!
//! Elmachtoub and Grigas, *Smart "predict, then optimize"*, Management Science 2022,
//! <https://arxiv.org/abs/1710.08005>.

use super::solving::{either_sign, finite};
use crate::perturb::Oracle;
use crate::perturb::sampling::{product, solution};
use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch};

/// The SPO+ loss, for any [`Oracle`].
///
/// ```
/// use supple_core::evaluate;
/// use supple_ops::decision::SpoPlus;
/// use supple_ops::perturb::oracles::TopK;
///
/// let loss = SpoPlus { oracle: TopK { k: 1 } };
/// let target = ndarray::array![1.0, 3.0, 2.0].into_dyn();
/// let [right] = evaluate(&loss, [target.view(), target.view()])?;
/// let [wrong] = evaluate(&loss, [ndarray::array![4.0, 0.0, 2.0].into_dyn().view(), target.view()])?;
/// assert_eq!((right.sum(), wrong.sum()), (0.0, 10.0));
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpoPlus<S> {
    /// The solver.
    pub oracle: S,
}

/// The answers $y(2\theta - t)$ and $y(t)$.
#[derive(Debug, Default, Clone)]
pub struct Saved {
    spread: Vec<f64>,
    best: Vec<f64>,
}

impl Saved {
    fn loss<T: Real>(&self, [theta, target]: [&[T]; 2]) -> T {
        let sum = |y: &[f64]| {
            let theta = product(theta, y);
            theta + theta - product(target, y)
        };
        T::narrow(sum(&self.spread) - sum(&self.best))
    }
}

impl<S: Oracle> Operator<2> for SpoPlus<S> {
    const NAME: &'static str = "spo_plus";
    const SIGNATURE: &'static str = "theta(n), target(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        either_sign(Self::NAME, &self.oracle)?;
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
        let spread: Vec<f64> = theta.iter().zip(&target).map(|(theta, t)| 2.0 * theta - t).collect();
        *saved = Saved { spread: solution(&self.oracle, &spread)?, best: solution(&self.oracle, &target)? };
        loss[0] = saved.loss(at.x);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved, 2>,
        [dloss]: [&[T]; 1],
        [dtheta, dtarget]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let answers = at.saved.spread.iter().zip(&at.saved.best);
        for ((dtheta, dtarget), (spread, best)) in dtheta.iter_mut().zip(dtarget).zip(answers) {
            *dtarget = dloss[0] * T::of(best - spread);
            *dtheta = -*dtarget - *dtarget;
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
        loss[0] = saved.loss(at.x);
        Ok(())
    }

    /// The regret `⟨t, y(t) − y(θ)⟩`.
    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (theta, target) = (finite("theta", at.x[0])?, finite("target", at.x[1])?);
        let value = |scores: &[f64]| Ok(product(&target, &solution(&self.oracle, scores)?));
        loss[0] = T::of(value(&target)? - value(&theta)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::solving::testing::{BruteForce, both, checked, dot, plus};
    use super::*;
    use ndarray::aview1;
    use supple_core::{Inputs, Mode, Options, Stream, evaluate, linearize};

    #[test]
    fn it_is_convex_and_above_the_regret() {
        let mut random = Stream::new(11, 0, 0);
        for case in 0..300 {
            let oracle = match case % 3 {
                0 => BruteForce::masks(5, 2),
                1 => BruteForce::sets(4, |set| set & 0b11 != 0b11),
                _ => BruteForce((0..9).map(|_| random.normals(4)).collect()),
            };
            let n = oracle.0[0].len();
            let operator = SpoPlus { oracle: oracle.clone() };
            let loss = |theta: &[f64], target: &[f64]| both(&operator, [theta, target], &[1.0]).unwrap().0[0];
            let (theta, other, target) = (random.normals(n), random.normals(n), random.normals(n));
            let regret = dot(&target, &oracle.best(&target)) - dot(&target, &oracle.best(&theta));
            assert!(loss(&theta, &target) >= regret - 1e-12 && regret >= 0.0);
            assert_eq!(loss(&target, &target), 0.0);
            // As the paper has it, in costs.
            let (c, predicted) = (plus(&[0.0; 5][..n], -1.0, &target), plus(&[0.0; 5][..n], -1.0, &theta));
            let best = oracle.best(&target);
            let inner = oracle.0.iter().map(|y| dot(&c, y) - 2.0 * dot(&predicted, y));
            let paper =
                inner.fold(f64::NEG_INFINITY, f64::max) + 2.0 * dot(&predicted, &best) - dot(&c, &best);
            assert!((loss(&theta, &target) - paper).abs() < 1e-12);
            let middle: Vec<f64> = theta.iter().zip(&other).map(|(a, b)| 0.3 * a + 0.7 * b).collect();
            let chord = 0.3 * loss(&theta, &target) + 0.7 * loss(&other, &target);
            assert!(loss(&middle, &target) <= chord + 1e-12);
            // A subgradient: the plane through the point is below the loss.
            let (value, [dtheta, _], worst) = checked(&operator, [&theta, &target]);
            let plane = value + dot(&dtheta, &plus(&other, -1.0, &theta));
            assert!(loss(&other, &target) >= plane - 1e-12);
            assert!(worst < 1e-6, "{worst}");
            let options = Options { mode: Mode::Hard, ..Options::default() };
            let x = [&theta, &target].map(|x| aview1(x).into_dyn());
            let [hard] = evaluate(&operator, Inputs { x, k: [], options }).unwrap();
            assert!((hard.sum() - regret).abs() < 1e-12);
        }
    }

    #[test]
    fn tangents_and_faults() {
        let operator = SpoPlus { oracle: BruteForce::masks(4, 1) };
        let (theta, target) = ([0.5, 1.0, -1.0, 0.2], [0.0, -1.0, 2.0, 1.0]);
        let x = [&theta, &target].map(|x| aview1(x).into_dyn());
        let at = linearize(&operator, x.clone()).unwrap();
        let [tangent] = at.jvp(x).unwrap();
        // Homogeneous: the derivative along the point is the value.
        assert!((tangent.sum() - at.outputs()[0].sum()).abs() < 1e-12);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = both(&operator, [&[bad, 0.0, 0.0, 0.0], &target], &[1.0]).unwrap_err();
            assert!(error.to_string().contains("`theta` must be finite"));
        }
    }

    #[test]
    fn solvers_that_count_negative_costs_as_zero_are_refused() {
        let grid = crate::perturb::oracles::GridPath::new(2, 2, 4).unwrap();
        let error = SpoPlus { oracle: grid }.validate(&[4]).unwrap_err().to_string();
        assert!(error.starts_with("spo_plus: `oracle` must be one that maximises for scores of either sign"));
    }
}
