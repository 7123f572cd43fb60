//! Any solver of a linear objective, smoothed by a square: SparseMAP.
//!
//! $$y_\varepsilon(\theta) = \operatorname*{argmax}_{\mu \in \mathrm{conv}(Y)} \langle\theta, \mu\rangle
//! - \tfrac\varepsilon2 \lVert\mu\rVert^2$$
//!
//! for an [`Oracle`] on $\theta$ `(n)`, which is asked for the best $y \in Y$ at one objective after another:
//! the point of the hull that is nearest to $\theta / \varepsilon$. No noise is needed, and few solutions
//! take part. With one-hot $Y$ it is sparsemax, with masks of $k$ ones the projection to the capped simplex,
//! with permutations that to the permutahedron. ε is the softness, in the unit of $\theta$ by that of $Y$; as
//! it goes to 0 the result becomes the oracle's answer.
//!
//! **Method.** Wolfe's algorithm: the oracle's answer at the gradient $\theta - \varepsilon\mu$ joins the
//! solutions in use, and the best point of their hull is found exactly. It is the form of Frank and Wolfe's
//! method that corrects all weights in each step, and so the one that ends: after finitely many steps the gap
//! $\max_{y \in Y} \langle\theta - \varepsilon\mu, y - \mu\rangle$ is zero but for round-off.
//!
//! **Gradient.** Where the solutions in use stay the same, the point moves with $\theta / \varepsilon$ along
//! the span of their differences:
//!
//! $$\frac{\partial y_\varepsilon}{\partial\theta} = \frac1\varepsilon Q Q^\top$$
//!
//! with an orthonormal basis $Q$ of it: exact almost everywhere, and symmetric. Of a face with more vertices
//! than are in use, as where scores tie, all directions count. At kinks a solution that has just come into
//! use, or is about to, counts as in use. Second derivatives are zero almost everywhere.
//!
//! * The oracle must be exact: an answer that is not the best ends the search early, with neither the point
//!   nor a fault. Its ties do not matter.
//! * An infinite score is allowed where all solutions met have the same entry, as −∞ at a choice that is
//!   never made; it gets no gradient.
//! * Cost: one solve and O(n r) for each step, where r + 1 solutions are in use, at most n + 1 of them. There
//!   are about r steps where these stay in use, and many times more where the point is close to the boundary
//!   of a face of many dimensions. Two solves and more at the end, for the face. The gradient costs O(n r),
//!   with n r numbers kept. Done in `f64` for `f32` too, to round-off of $\theta / \varepsilon$.
//! * Faults, for the item: NaN, infinite scores but as above, what the oracle reports, and more steps than
//!   `iterations`, or none for round-off, with a gap left (not converged; the residual is the gap).
//!
//! Niculae, Martins, Blondel and Cardie, *SparseMAP: differentiable sparse structured inference*, ICML 2018,
//! <https://arxiv.org/abs/1802.04223>; Wolfe, *Finding the nearest point in a polytope*, Mathematical
//! Programming 1976.

mod corral;
mod nearest;
#[cfg(test)]
mod tests;

use super::Oracle;
use super::sampling::{check_softness, hard, numbers};
use nearest::Hull;
use supple_core::{Args, Dual, Error, Fault, Float, Gradient, Operator, Point, Real, Scaling, Scratch};
use supple_numerics::factor::{add, dot};

/// A solver smoothed by a square, for any [`Oracle`]:
///
/// ```
/// use supple_core::{Fault, linearize};
/// use supple_ops::perturb::{RegularizedArgmax, oracles::TopK};
///
/// let sparse = RegularizedArgmax { softness: 0.5, ..RegularizedArgmax::new(TopK { k: 2 }) };
/// let theta = ndarray::array![1.0, 0.1, 0.3, -1.0].into_dyn();
/// let at = linearize(&sparse, [theta.view()])?;
/// let [y] = at.outputs();
/// for (y, expected) in y.iter().zip([1.0, 0.3, 0.7, 0.0_f64]) {
///     assert!((y - expected).abs() < 1e-14);
/// }
/// let [gradient] = at.vjp([ndarray::array![1.0, 1.0, 0.0, 1.0].into_dyn().view()])?;
/// for (d, expected) in gradient.iter().zip([0.0, 1.0, -1.0, 0.0_f64]) {
///     assert!((d - expected).abs() < 1e-14);
/// }
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RegularizedArgmax<S> {
    /// The solver.
    pub oracle: S,
    /// Weight ε of the square, in the unit of the objective by that of the solutions.
    pub softness: f64,
    /// Most steps; a point inside the hull takes n or more.
    pub iterations: usize,
}

impl<S: Oracle> RegularizedArgmax<S> {
    /// Weight 1, 10 000 steps at most.
    pub fn new(oracle: S) -> Self {
        Self { oracle, softness: 1.0, iterations: 10_000 }
    }

    pub(super) fn check(&self, operator: &str, sizes: &[usize]) -> Result<(), Error> {
        check_softness(operator, self.softness)?;
        if self.iterations == 0 {
            return Err(Error::argument(operator, "iterations", ">= 1", self.iterations));
        }
        sizes.iter().try_for_each(|&n| self.oracle.validate(n))
    }

    /// The point, and an orthonormal basis of the directions in which it can move, one after another.
    pub(super) fn solve<T: Real>(&self, theta: &[T]) -> Result<(Vec<f64>, Vec<f64>), Fault> {
        let theta = numbers("theta", theta)?;
        Hull { oracle: &self.oracle, theta: &theta, softness: self.softness }.nearest(self.iterations)
    }

    /// Adds to the point what it moves when θ moves by its tangents.
    pub(super) fn follow<T: Real>(&self, basis: &[f64], theta: &[T], point: &mut [T]) {
        let moved = |theta: &T| match theta.is_finite() {
            true => theta.widen() - T::Acc::of(theta.as_f64()),
            false => T::Acc::zero(),
        };
        let moved: Vec<T::Acc> = theta.iter().map(moved).collect();
        point.iter_mut().zip(self.pull_back(basis, &moved)).for_each(|(p, moved)| *p += T::narrow(moved));
    }

    /// The Jacobian, which is symmetric, times `v`.
    fn pull_back<A: Real>(&self, basis: &[f64], v: &[A]) -> Vec<A> {
        let mut product = vec![A::zero(); v.len()];
        for direction in basis.chunks_exact(v.len().max(1)) {
            add(&mut product, dot(direction, v, A::of) / A::of(self.softness), direction, A::of);
        }
        product
    }
}

impl<S: Oracle> Operator for RegularizedArgmax<S> {
    const NAME: &'static str = "regularized_argmax";
    const SIGNATURE: &'static str = "theta(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::AlmostEverywhere;
    /// The basis of the directions in which the point can move.
    type Saved<T: Real> = Vec<f64>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME, sizes)
    }

    /// As if about √n solutions were in use.
    fn work(&self, sizes: &[usize]) -> usize {
        let n: usize = sizes.iter().product();
        n.isqrt().saturating_mul(self.oracle.work(n).saturating_add(n.saturating_mul(n.isqrt())))
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        basis: &mut Vec<f64>,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let (point, directions) = self.solve(at.x[0])?;
        *basis = directions;
        y.iter_mut().zip(point).for_each(|(y, point)| *y = T::of(point));
        self.follow(basis, at.x[0], y);
        Ok(())
    }

    fn lift<F: Float>(
        &self,
        at: Args<'_, Dual<F>>,
        values: Point<'_, F, Vec<f64>>,
        [y]: [&mut [Dual<F>]; 1],
        basis: &mut Vec<f64>,
        _: &mut Scratch<Dual<F>>,
    ) -> Result<(), Fault> {
        basis.clone_from(values.saved);
        y.iter_mut().zip(values.y[0]).for_each(|(y, &value)| *y = Dual::constant(value));
        self.follow(basis, at.x[0], y);
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<f64>>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let dy: Vec<T::Acc> = dy.iter().map(|dy| dy.widen()).collect();
        dx.iter_mut().zip(self.pull_back(at.saved, &dy)).for_each(|(dx, d)| *dx = T::narrow(d));
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        hard(&self.oracle, at.x[0], y)
    }
}
