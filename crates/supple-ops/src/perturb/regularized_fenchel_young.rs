//! A loss that a solver smoothed by a square minimises at the target: the SparseMAP loss.
//!
//! $$L(\theta, t) = \max_{\mu \in \mathrm{conv}(Y)} \Bigl(\langle\theta, \mu\rangle
//! - \tfrac\varepsilon2 \lVert\mu\rVert^2\Bigr)
//! + \tfrac\varepsilon2 \lVert t \rVert^2 - \langle\theta, t\rangle$$
//!
//! for scores $\theta$ and a target $t$ in the convex hull of $Y$, both `(n)`; ε is the softness. It is the
//! Fenchel-Young loss of $\tfrac\varepsilon2 \lVert\cdot\rVert^2$ on the hull: convex in $\theta$, never
//! negative, and 0 only where the solution $y_\varepsilon(\theta)$ of [`RegularizedArgmax`] is $t$, which it
//! is at all $\theta$ that are far enough on the right side. It is computed as $\langle\theta - \varepsilon
//! y, y - t\rangle + \tfrac\varepsilon2 \lVert y - t\rVert^2$, two terms that are not negative. As ε → 0 it
//! becomes the loss of the structured perceptron.
//!
//! **Gradient**: $y_\varepsilon(\theta) - t$ in $\theta$, $\varepsilon t - \theta$ in $t$: exact everywhere.
//! Second derivatives are those of [`RegularizedArgmax`], almost everywhere.
//!
//! Cost and faults are those of [`RegularizedArgmax`], but for the gradient of the loss, which is O(n). An
//! infinite loss comes of a target that takes what is masked by −∞.
//!
//! Niculae, Martins, Blondel and Cardie, *SparseMAP: differentiable sparse structured inference*, ICML 2018,
//! <https://arxiv.org/abs/1802.04223>; Blondel, Martins and Niculae, *Learning with Fenchel-Young losses*,
//! JMLR 2020.

use super::fenchel_young::perceptron;
use super::sampling::numbers;
use super::{Oracle, RegularizedArgmax};
use supple_core::{Args, Dual, Error, Fault, Float, Operator, Point, Real, Scaling, Scratch};

/// The Fenchel-Young loss of a solver smoothed by a square, for any [`Oracle`].
///
/// ```
/// use supple_core::evaluate;
/// use supple_ops::perturb::{RegularizedArgmax, RegularizedFenchelYoung, oracles::TopK};
///
/// let loss = RegularizedFenchelYoung(RegularizedArgmax::new(TopK { k: 1 }));
/// let target = ndarray::array![0.0, 1.0, 0.0].into_dyn();
/// let right = ndarray::array![0.0, 1.5, 0.3].into_dyn();
/// let wrong = ndarray::array![0.0, 0.3, 1.5].into_dyn();
/// assert_eq!(evaluate(&loss, [right.view(), target.view()])?, [ndarray::arr0(0.0).into_dyn()]);
/// let [wrong] = evaluate(&loss, [wrong.view(), target.view()])?;
/// assert!((wrong.sum() - 1.2_f64).abs() < 1e-14);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RegularizedFenchelYoung<S>(
    /// The solver and its softness.
    pub RegularizedArgmax<S>,
);

/// The solution, and the directions in which it can move.
#[derive(Debug)]
pub struct Saved<T> {
    solution: Vec<T>,
    basis: Vec<f64>,
}

impl<T> Default for Saved<T> {
    fn default() -> Self {
        Self { solution: vec![], basis: vec![] }
    }
}

impl<S: Oracle> RegularizedFenchelYoung<S> {
    /// The loss for a solution as a constant: it is best, so its tangents count for nothing.
    fn loss<T: Real>(&self, [theta, target]: [&[T]; 2], solution: &[T]) -> T {
        let softness = T::Acc::of(self.0.softness);
        let term = |((theta, target), y): ((&T, &T), &T)| {
            let y = T::Acc::of(y.as_f64());
            let step = y - target.widen();
            if step.is_zero() {
                // A masked score is −∞.
                return T::Acc::zero();
            }
            (theta.widen() - softness * y) * step + T::Acc::of(0.5) * softness * step.square()
        };
        T::narrow(theta.iter().zip(target).zip(solution).map(term).sum())
    }
}

impl<S: Oracle> Operator<2> for RegularizedFenchelYoung<S> {
    const NAME: &'static str = "regularized_fenchel_young";
    const SIGNATURE: &'static str = "theta(n), target(n) -> loss()";
    type Saved<T: Real> = Saved<T>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.0.check(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.0.softness, power: 1, inputs: [1, 0], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        saved: &mut Saved<T>,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        numbers("target", at.x[1])?;
        let (solution, basis) = self.0.solve(at.x[0])?;
        let mut solution: Vec<T> = solution.into_iter().map(T::of).collect();
        self.0.follow(&basis, at.x[0], &mut solution);
        loss[0] = self.loss(at.x, &solution);
        *saved = Saved { solution, basis };
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>, 2>,
        values: Point<'_, F, Saved<F>, 2>,
        [loss]: [&mut [Dual<F>]; 1],
        saved: &mut Saved<Dual<F>>,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        saved.basis.clone_from(&values.saved.basis);
        saved.solution = values.saved.solution.iter().map(|&y| Dual::constant(y)).collect();
        self.0.follow(&saved.basis, at.x[0], &mut saved.solution);
        loss[0] = self.loss(at.x, &saved.solution);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved<T>, 2>,
        [dloss]: [&[T]; 1],
        [dtheta, dtarget]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let [theta, target] = at.x;
        for ((d, &y), &target) in dtheta.iter_mut().zip(&at.saved.solution).zip(target) {
            *d = dloss[0] * (y - target);
        }
        let softness = T::of(self.0.softness);
        for ((d, &theta), &target) in dtarget.iter_mut().zip(theta).zip(target) {
            // A masked score is −∞; without a cotangent it has no gradient.
            *d = if dloss[0].is_zero() { T::zero() } else { dloss[0] * (softness * target - theta) };
        }
    }

    /// `max ⟨θ, y⟩ − ⟨θ, target⟩`: the loss of the structured perceptron.
    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        loss[0] = perceptron(&self.0.oracle, at)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturb::oracles::{Ranking, TopK};
    use ndarray::{Array1, ArrayD, arr0};
    use supple_core::{Stream, evaluate, linearize};

    fn vector(x: Vec<f64>) -> ArrayD<f64> {
        Array1::from(x).into_dyn()
    }

    /// A point of the hull: a mean of three solutions.
    fn target(oracle: &impl Oracle, n: usize, random: &mut Stream) -> ArrayD<f64> {
        let solution = |theta: Vec<f64>| {
            let mut y = vec![0.0; n];
            oracle.solve(&theta, &mut y).unwrap();
            vector(y)
        };
        (0..3).map(|_| solution(random.normals(n))).fold(vector(vec![0.0; n]), |sum, y| sum + y) / 3.0
    }

    fn check<S: Oracle + Clone>(oracle: S, n: usize, random: &mut Stream) {
        let softness = [0.2, 1.0, 5.0][random.below(3)];
        let argmax = RegularizedArgmax { softness, ..RegularizedArgmax::new(oracle.clone()) };
        let loss = RegularizedFenchelYoung(argmax.clone());
        let (theta, target) = (vector(random.normals(n)), target(&oracle, n, random));
        let value = |theta: &ArrayD<f64>, target: &ArrayD<f64>| -> f64 {
            evaluate(&loss, [theta.view(), target.view()]).unwrap()[0].sum()
        };
        // By its definition.
        let [y] = evaluate(&argmax, [theta.view()]).unwrap();
        let square = |y: &ArrayD<f64>| 0.5 * softness * (y * y).sum();
        let defined = (&theta * &y).sum() - square(&y) + square(&target) - (&theta * &target).sum();
        let size = 1.0 + square(&target) + square(&y);
        let l = value(&theta, &target);
        assert!(l >= 0.0 && (l - defined).abs() < 1e-12 * size, "{l} for {defined}");
        assert!(value(&theta, &y).abs() < 1e-13 * size);

        let at = linearize(&loss, [theta.view(), target.view()]).unwrap();
        let one = arr0(1.0).into_dyn();
        let [dtheta, dtarget] = at.vjp([one.view()]).unwrap();
        let v = [vector(random.normals(n)), vector(random.normals(n))];
        let step = 1e-5;
        let moved = |step: f64| (&theta + step * &v[0], &target + step * &v[1]);
        let ((t0, u0), (t1, u1)) = (moved(-step), moved(step));
        let slope = (value(&t1, &u1) - value(&t0, &u0)) / (2.0 * step);
        let expected = (&dtheta * &v[0]).sum() + (&dtarget * &v[1]).sum();
        assert!((slope - expected).abs() < 1e-6 * size, "{slope} for {expected}");
        // Second derivatives.
        let gradient = |theta: &ArrayD<f64>, target: &ArrayD<f64>| {
            linearize(&loss, [theta.view(), target.view()]).unwrap().vjp([one.view()]).unwrap()
        };
        let ([jv], second) = at.vjp_derivative([one.view()], v.each_ref().map(|v| v.view())).unwrap();
        assert!((jv.sum() - expected).abs() < 1e-12 * size * n as f64);
        let (before, after) = (gradient(&t0, &u0), gradient(&t1, &u1));
        for ((second, before), after) in second.iter().zip(&before).zip(&after) {
            let gap = (second - (after - before) / (2.0 * step)).iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            assert!(gap < 1e-6 * size, "{gap:e}");
        }
    }

    #[test]
    fn it_is_its_definition_and_its_gradient_the_derivative() {
        let mut random = Stream::new(1, 0, 0);
        for _ in 0..100 {
            let n = 1 + random.below(8);
            check(TopK { k: 1 + random.below(n) }, n, &mut random);
            check(Ranking, n, &mut random);
        }
    }

    #[test]
    fn masks_give_finite_losses_unless_the_target_takes_them() {
        let loss = RegularizedFenchelYoung(RegularizedArgmax::new(TopK { k: 1 }));
        let theta = vector(vec![0.2, f64::NEG_INFINITY, 0.4]);
        for (target, expected) in [([1.0, 0.0, 0.0], 0.36), ([0.0, 1.0, 0.0], f64::INFINITY)] {
            let target = vector(target.to_vec());
            let at = linearize(&loss, [theta.view(), target.view()]).unwrap();
            let l = at.outputs()[0].sum();
            assert!(l == expected || (l - expected).abs() < 1e-15, "{l}");
            let [dtheta, _] = at.vjp([arr0(1.0).into_dyn().view()]).unwrap();
            let solution = vector(vec![0.4, 0.0, 0.6]);
            assert!((dtheta - (solution - target)).iter().all(|gap| gap.abs() < 1e-15));
        }
    }
}
