//! A loss that a perturbed solver minimises in expectation at the target.
//!
//! $$L(\theta, t) = F_\sigma(\theta) - \langle\theta, t\rangle, \qquad
//! F_\sigma(\theta) = \mathrm{E} \max_{y \in Y} \langle\eta, y\rangle$$
//!
//! for scores $\theta$ and a target $t$ in the convex hull of $Y$, both `(n)`, and a perturbed objective
//! $\eta$: see [`PerturbedArgmax`]. It is convex in $\theta$, and least where $\nabla F_\sigma = t$. It is
//! the Fenchel-Young loss of $F_\sigma$ less $\Omega(t)$, the value at $t$ of the convex conjugate of
//! $F_\sigma$, which depends on the target alone and is not known in closed form. So the least value is
//! $-\Omega(t)$, not 0; with one-hot $Y$ and Gumbel noise it is $\sigma\gamma$ at a one-hot target, $\gamma =
//! 0.5772$ being the mean of the noise.
//!
//! **Gradient**: $\nabla F_\sigma(\theta) - t$ in $\theta$, $-\theta$ in $t$. Where noise is added,
//! $\nabla F_\sigma$ is the mean solution $y_\sigma(\theta)$; where it multiplies, solutions are weighted by
//! it, $\mathrm{E} [y(\eta) \odot e^{\sigma Z - \sigma^2 / 2}]$. It is a mean over `samples` draws, right in
//! expectation if the oracle answers exactly. It takes no score function and has much less variance
//! than the gradient of [`PerturbedArgmax`]. Second derivatives are refused.
//!
//! Cost: one solve for each sample, forward only. Faults, for the item: NaN, and what the oracle reports.
//!
//! Berthet et al., *Learning with differentiable perturbed optimizers*, NeurIPS 2020; Blondel, Martins and
//! Niculae, *Learning with Fenchel-Young losses*, JMLR 2020.

use super::sampling::{check_mean, numbers, product, solution};
use super::{Oracle, PerturbedArgmax};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch};

/// The Fenchel-Young loss of a perturbed solver, for any [`Oracle`].
#[derive(Debug, Clone)]
pub struct FenchelYoung<S>(
    /// The solver and its noise.
    pub PerturbedArgmax<S>,
);

impl<S: Oracle> Operator<2> for FenchelYoung<S> {
    const NAME: &'static str = "perturbed_fenchel_young";
    const SIGNATURE: &'static str = "theta(n), target(n) -> loss()";
    const GRADIENT: Gradient = Gradient::Stochastic;
    /// The gradient of the expected maximum.
    type Saved<T: Real> = Vec<f64>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        check_mean(Self::NAME, self.0.noise)?;
        self.0.check(Self::NAME, sizes)
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.0.work(sizes)
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        [loss]: [&mut [T]; 1],
        mean: &mut Vec<f64>,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let theta = numbers("theta", at.x[0])?;
        let target = numbers("target", at.x[1])?;
        mean.resize(theta.len(), 0.0);
        let mut greatest = 0.0;
        let samples = self.0.samples(self.0.new_seed(), at.item);
        samples.solve(&self.0.oracle, &theta, |_, perturbed, y| {
            greatest += product(perturbed, y);
            for (((mean, y), &perturbed), &theta) in mean.iter_mut().zip(y).zip(perturbed).zip(&theta) {
                *mean += y * samples.perturbation.slope(theta, perturbed);
            }
        })?;
        let count = samples.count as f64;
        mean.iter_mut().for_each(|mean| *mean /= count);
        loss[0] = T::of(greatest / count - product(&theta, &target));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<f64>, 2>,
        [dloss]: [&[T]; 1],
        [dtheta, dtarget]: [&mut [T]; 2],
        _: &mut Scratch<T>,
    ) {
        let [theta, target] = at.x;
        for ((d, &mean), &target) in dtheta.iter_mut().zip(at.saved).zip(target) {
            *d = dloss[0] * (T::of(mean) - target);
        }
        dtarget.iter_mut().zip(theta).for_each(|(d, &theta)| {
            // A masked score is −∞; without a cotangent it has no gradient.
            *d = if dloss[0].is_zero() { T::zero() } else { -dloss[0] * theta }
        });
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

/// The loss of the structured perceptron.
pub(super) fn perceptron<T: Float>(oracle: &impl Oracle, at: Args<'_, T, 2>) -> Result<T, Fault> {
    let theta = numbers("theta", at.x[0])?;
    let target = numbers("target", at.x[1])?;
    let y = solution(oracle, &theta)?;
    Ok(T::of(product(&theta, &y) - product(&theta, &target)))
}
