//! The structured hinge loss, with a margin by the Hamming distance.
//!
//! $$\ell(\theta, t) = \max_{y \in Y} \bigl(\langle\theta, y\rangle + m \Delta(y, t)\bigr)
//! - \langle\theta, t\rangle, \qquad \Delta(y, t) = \sum_i \bigl(y_i (1 - t_i) + t_i (1 - y_i)\bigr)$$
//!
//! for scores $\theta$, a target $t$ in $Y$, both `(n)`, and any [`Oracle`] over 0/1 vectors that
//! [takes scores of either sign](Oracle::takes_either_sign). On those,
//! $\Delta$ is the number of entries that differ. It is linear in $y$, so that the maximum is the solver's at
//! the scores $\theta + m (1 - 2 t)$: no other solver is needed.
//!
//! * `margin` is $m$, in the unit of $\theta$ for each entry that differs.
//! * It is convex in $\theta$ and at least $m \Delta(y(\theta), t)$, which is the hard form: the distance of
//!   the solver's answer. It is 0 where the target beats every other $y$ by $m \Delta(y, t)$.
//! * Gradient: almost everywhere. With $\hat y$ the maximiser, it is $\hat y - t$ in $\theta$, a subgradient
//!   where answers are tied, and $m (1 - 2 \hat y) - \theta$ in $t$. Second derivatives are those of a
//!   function that is bilinear for a given $\hat y$.
//! * Answers that are not 0 or 1 are taken by the same formula, of which the distance of a $t$ from itself is
//!   then not 0.
//! * Cost: one solve forward, none backward.
//!
//! Faults, for the item: NaN in scores or target, and whatever the oracle reports. A score of −∞ takes an
//! entry out.
//!
//! Tsochantaridis, Joachims, Hofmann and Altun, *Large margin methods for structured and interdependent
//! output variables*, JMLR 2005; Taskar, Guestrin and Koller, *Max-margin Markov networks*, NeurIPS 2003.

use super::solving::either_sign;
use crate::perturb::Oracle;
use crate::perturb::sampling::{numbers, product, solution};
use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch};

/// The structured hinge loss, for any [`Oracle`].
///
/// ```
/// use supple_core::evaluate;
/// use supple_ops::decision::StructuredSvm;
/// use supple_ops::perturb::oracles::TopK;
///
/// let loss = StructuredSvm { oracle: TopK { k: 1 }, margin: 1.0 };
/// let target = ndarray::array![0.0, 1.0, 0.0].into_dyn();
/// let [far] = evaluate(&loss, [ndarray::array![0.0, 3.0, 1.0].into_dyn().view(), target.view()])?;
/// let [near] = evaluate(&loss, [ndarray::array![0.0, 3.0, 2.0].into_dyn().view(), target.view()])?;
/// assert_eq!((far.sum(), near.sum()), (0.0, 1.0));
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StructuredSvm<S> {
    /// The solver.
    pub oracle: S,
    /// Margin for each entry that differs.
    pub margin: f64,
}

impl<S: Oracle> StructuredSvm<S> {
    /// The loss, given the maximiser.
    fn loss<T: Real>(&self, [theta, target]: [&[T]; 2], y: &[f64]) -> T {
        let mut distance = T::Acc::zero();
        let mut score = T::Acc::zero();
        for ((&theta, t), &y) in theta.iter().zip(target).zip(y) {
            let t = t.widen();
            let y = T::Acc::of(y);
            distance += y + t - y * t - y * t;
            // A masked score counts only where the difference takes it.
            if !(y - t).is_zero() {
                score += theta.widen() * (y - t);
            }
        }
        T::narrow(score + T::Acc::of(self.margin) * distance)
    }
}

impl<S: Oracle> Operator<2> for StructuredSvm<S> {
    const NAME: &'static str = "structured_svm";
    const SIGNATURE: &'static str = "theta(n), target(n) -> loss()";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// The maximiser.
    type Saved<T: Real> = Vec<f64>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        if !(self.margin >= 0.0 && self.margin.is_finite()) {
            return Err(Error::argument(Self::NAME, "margin", "finite and >= 0", self.margin));
        }
        either_sign(Self::NAME, &self.oracle)?;
        sizes.iter().try_for_each(|&n| self.oracle.validate(n))
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.oracle.work(sizes.iter().product())
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        saved: &mut Vec<f64>,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (theta, target) = (numbers("theta", at.x[0])?, numbers("target", at.x[1])?);
        let with_margin = theta.iter().zip(&target).map(|(theta, t)| theta + self.margin * (1.0 - 2.0 * t));
        *saved = solution(&self.oracle, &with_margin.collect::<Vec<_>>())?;
        loss[0] = self.loss(at.x, saved);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<f64>, 2>,
        [dloss]: [&[T]; 1],
        [dtheta, dtarget]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        if dloss[0].is_zero() {
            return;
        }
        let [theta, target] = at.x;
        for (i, &y) in at.saved.iter().enumerate() {
            dtheta[i] = dloss[0] * (T::of(y) - target[i]);
            dtarget[i] = dloss[0] * (T::of(self.margin * (1.0 - 2.0 * y)) - theta[i]);
        }
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 2>,
        values: Point<'_, F, Vec<f64>, 2>,
        [loss]: [&mut [Dual<F>]; 1],
        saved: &mut Vec<f64>,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        *saved = values.saved.clone();
        loss[0] = self.loss(at.x, saved);
        Ok(())
    }

    /// `m Δ(y(θ), t)`.
    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (theta, target) = (numbers("theta", at.x[0])?, numbers("target", at.x[1])?);
        let y = solution(&self.oracle, &theta)?;
        let distance = y.iter().sum::<f64>() + target.iter().sum::<f64>() - 2.0 * product(&y, &target);
        loss[0] = T::of(self.margin * distance);
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
    fn it_is_the_margin_by_definition_convex_and_above_the_distance() {
        let mut random = Stream::new(12, 0, 0);
        for case in 0..300 {
            let oracle = match case % 2 {
                0 => BruteForce::masks(5, 2),
                _ => BruteForce::sets(5, |set| set & 0b11 != 0b11),
            };
            let margin = [0.0, 0.2, 1.5][case % 3];
            let operator = StructuredSvm { oracle: oracle.clone(), margin };
            let loss = |theta: &[f64], target: &[f64]| both(&operator, [theta, target], &[1.0]).unwrap().0[0];
            let (theta, other) = (random.normals(5), random.normals(5));
            let target = oracle.0[random.below(oracle.0.len())].clone();
            let hamming = |y: &[f64]| y.iter().zip(&target).filter(|(y, t)| y != t).count() as f64;
            let with_margin = oracle.0.iter().map(|y| dot(&theta, y) + margin * hamming(y));
            let naive = with_margin.fold(f64::NEG_INFINITY, f64::max) - dot(&theta, &target);
            assert!((loss(&theta, &target) - naive).abs() < 1e-12);
            let distance = margin * hamming(&oracle.best(&theta));
            assert!(naive >= distance - 1e-12);
            let middle: Vec<f64> = theta.iter().zip(&other).map(|(a, b)| 0.3 * a + 0.7 * b).collect();
            let chord = 0.3 * loss(&theta, &target) + 0.7 * loss(&other, &target);
            assert!(loss(&middle, &target) <= chord + 1e-12);
            let (value, [dtheta, _], worst) = checked(&operator, [&theta, &target]);
            let plane = value + dot(&dtheta, &plus(&other, -1.0, &theta));
            assert!(loss(&other, &target) >= plane - 1e-12 && worst < 1e-6, "{worst}");
            let options = Options { mode: Mode::Hard, ..Options::default() };
            let x = [&theta, &target].map(|x| aview1(x).into_dyn());
            let [hard] = evaluate(&operator, Inputs { x, k: [], options }).unwrap();
            assert!((hard.sum() - distance).abs() < 1e-12);
            // Far enough on the target's side nothing is lost.
            let sure: Vec<f64> = target.iter().map(|t| 4.0 * (t - 0.5)).collect();
            assert_eq!(loss(&sure, &target), 0.0);
        }
    }

    #[test]
    fn masks_tangents_and_refusals() {
        let oracle = crate::perturb::oracles::TopK { k: 1 };
        let operator = StructuredSvm { oracle, margin: 0.5 };
        let target = [1.0, 0.0, 0.0];
        let masked = [1.0, f64::NEG_INFINITY, 0.8];
        let (loss, [dtheta, _]) = both(&operator, [&masked, &target], &[1.0]).unwrap();
        assert!((loss[0] - 0.8).abs() < 1e-15);
        assert_eq!(dtheta, [-1.0, 0.0, 1.0]);
        let theta = [1.0, -3.0, 0.8];
        let x = [&theta, &target].map(|x| aview1(x).into_dyn());
        let at = linearize(&operator, x.clone()).unwrap();
        let v = [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]];
        let [tangent] = at.jvp(v.each_ref().map(|v| aview1(v).into_dyn())).unwrap();
        let (_, [dtheta, dtarget]) = both(&operator, [&theta, &target], &[1.0]).unwrap();
        assert!((tangent.sum() - dot(&dtheta, &v[0]) - dot(&dtarget, &v[1])).abs() < 1e-12);
        let error = both(&StructuredSvm { margin: -1.0, ..operator }, [&theta, &target], &[1.0]).unwrap_err();
        assert!(error.to_string().contains("`margin` must be finite and >= 0"));
    }
}
