//! I-MLE with a step that follows how much of the gradient is not zero.
//!
//! $$\lambda = \alpha \frac{\lVert\theta\rVert_2}{\lVert\bar y\rVert_2}, \qquad
//! \bar\theta = \frac{1}{S} \sum_s
//! \frac{y_s(\theta + \lambda \bar y) - y_s(\theta - \lambda \bar y)}{2 \lambda}$$
//!
//! for an [`Oracle`] on $\theta$ `(n)`, the cotangent $\bar y$ of its mean answer and the perturbed answers
//! $y_s$ of [`Imle`](super::Imle): central differences, or, where `central` is `false`, the difference of
//! $y_s(\theta)$ and $y_s(\theta - \lambda \bar y)$ over λ. The relative step α makes λ independent of the
//! units of scores and loss.
//!
//! α is learned. Too small a step leaves the gradient zero, too large a one is coarse: so
//! [`AdaptiveState::updated`] keeps a running mean of how many entries of an item's gradient are not zero,
//! and makes α larger while that is below a target (1 in the paper), smaller else. The state is a value: it
//! goes in with the operator and comes out of `updated`, called once for each training step.
//!
//! * `softness` is σ, the scale of the noise in the unit of $\theta$.
//! * Norms are those of an item, over its finite scores; the authors' code takes them over the whole batch.
//!   Where all scores are 0, or α is, λ is 0 and so is the gradient.
//! * Gradient: a surrogate, biased as that of I-MLE; twice the cotangent gives twice the gradient, but it is
//!   not linear. Second derivatives are refused. Same noise at all points; NaN where the solver has no answer.
//! * Cost: one solve for each sample forward; backward two, or one where not central.
//!
//! Faults, for the item: $\theta$ with NaN, and whatever the oracle reports.
//!
//! Minervini, Franceschi and Niepert, *Adaptive perturbation-based gradient estimation for discrete latent
//! variable models*, AAAI 2023, <https://arxiv.org/abs/2209.04862>.

use super::imle::Saved;
use super::imle_noise::{ImleNoise, Noisy};
use super::solving::{moved, quotient, values};
use crate::perturb::Oracle;
use crate::perturb::sampling::{check, hard, numbers};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch, Stream};

/// The relative step, and what moves it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveState {
    /// Relative step α, at least 0.
    pub alpha: f64,
    /// Running mean of the entries of an item's gradient that are not zero.
    pub density: f64,
    /// The last change of α.
    pub change: f64,
    /// What the density is to be.
    pub target: f64,
    /// How far α goes in an update.
    pub rate: f64,
    /// How much of the last change comes on top.
    pub momentum: f64,
    /// How much of the running mean stays, in an update.
    pub decay: f64,
}

impl Default for AdaptiveState {
    fn default() -> Self {
        Self { alpha: 1.0, density: 1.0, change: 0.0, target: 1.0, rate: 1e-3, momentum: 0.0, decay: 0.9 }
    }
}

impl AdaptiveState {
    /// The state after one more gradient to the scores, that of a batch of `items` items one after another.
    pub fn updated(&self, gradient: &[f64], items: usize) -> Self {
        let nonzero = gradient.iter().filter(|d| **d != 0.0).count() as f64 / items.max(1) as f64;
        let density = self.decay * self.density + (1.0 - self.decay) * nonzero;
        let step = if density < self.target { self.rate } else { -self.rate };
        let change = self.momentum * self.change + step;
        Self { alpha: (self.alpha + change).max(0.0), density, change, ..*self }
    }
}

/// I-MLE with an adaptive step, for any [`Oracle`].
///
/// ```
/// use supple_core::linearize;
/// use supple_ops::decision::{AdaptiveImle, AdaptiveState};
/// use supple_ops::perturb::oracles::TopK;
///
/// let mut state = AdaptiveState { alpha: 0.0, ..AdaptiveState::default() };
/// let theta = ndarray::array![0.3, 0.1, 2.0].into_dyn();
/// let dy = ndarray::array![-1.0, 0.0, 1.0].into_dyn();
/// for _ in 0..100 {
///     let layer = AdaptiveImle { state, ..AdaptiveImle::new(TopK { k: 1 }) };
///     let at = linearize(&layer, [theta.view()])?;
///     let [gradient] = at.vjp([dy.view()])?;
///     state = state.updated(&gradient.into_raw_vec_and_offset().0, 1);
/// }
/// assert!(state.alpha > 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AdaptiveImle<S> {
    /// The solver.
    pub oracle: S,
    /// The relative step.
    pub state: AdaptiveState,
    /// Whether to take central differences.
    pub central: bool,
    /// Scale σ of the noise, in the unit of the scores.
    pub softness: f64,
    /// Monte-Carlo samples.
    pub samples: usize,
    /// Distribution of the noise.
    pub noise: ImleNoise,
    /// Seed of the noise; drawn at each call where there is none.
    pub seed: Option<u64>,
}

impl<S: Oracle> AdaptiveImle<S> {
    /// Central differences, Gumbel noise of scale 1, one sample, a new seed at each call.
    pub fn new(oracle: S) -> Self {
        let noise = ImleNoise::Independent(supple_numerics::noise::Noise::Gumbel);
        let state = AdaptiveState::default();
        Self { oracle, state, central: true, softness: 1.0, samples: 1, noise, seed: None }
    }

    fn noisy(&self, seed: u64, item: usize) -> Noisy<'_, S> {
        let Self { oracle, noise, softness, samples, .. } = self;
        Noisy { oracle, noise: *noise, softness: *softness, samples: *samples, seed, item }
    }
}

/// Over the finite entries, without a square out of range.
fn norm(x: &[f64]) -> f64 {
    let finite = || x.iter().filter(|x| x.is_finite());
    let largest = finite().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    largest * finite().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
}

impl<S: Oracle> Operator for AdaptiveImle<S> {
    const NAME: &'static str = "adaptive_imle";
    const SIGNATURE: &'static str = "theta(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        let alpha = self.state.alpha;
        if !(alpha >= 0.0 && alpha.is_finite()) {
            return Err(Error::argument(Self::NAME, "state.alpha", "finite and >= 0", alpha));
        }
        check(Self::NAME, self.softness, self.samples)?;
        self.noise.check(Self::NAME)?;
        sizes.iter().try_for_each(|&n| self.oracle.validate(n))
    }

    fn work(&self, sizes: &[usize]) -> usize {
        let n = sizes.iter().product();
        self.samples.saturating_mul(self.oracle.work(n).saturating_add(10 * n))
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        [y]: [&mut [T]; 1],
        saved: &mut Saved,
        _: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        let theta = numbers("theta", at.x[0])?;
        saved.seed = self.seed.unwrap_or_else(Stream::fresh_seed);
        saved.mean = self.noisy(saved.seed, at.item).mean(&theta)?;
        y.iter_mut().zip(&saved.mean).for_each(|(y, &mean)| *y = T::of(mean));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let (theta, dy) = (values(at.x[0]), values(dy));
        if dy.iter().any(|dy| !dy.is_finite()) {
            return dx.fill(T::nan());
        }
        let length = norm(&dy);
        let lambda = if length == 0.0 { 0.0 } else { self.state.alpha * (norm(&theta) / length) };
        if lambda == 0.0 {
            return;
        }
        let noisy = self.noisy(at.saved.seed, at.item);
        let solved = |step: f64| moved(&theta, step, &dy).and_then(|theta| noisy.mean(&theta).ok());
        let lower = solved(-lambda);
        if self.central {
            return quotient(solved(lambda).as_deref(), lower.as_deref(), 2.0 * lambda, dx);
        }
        quotient(Some(&at.saved.mean), lower.as_deref(), lambda, dx);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        hard(&self.oracle, at.x[0], y)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Imle;
    use super::super::solving::testing::{BruteForce, both, dot, plus};
    use super::*;

    #[test]
    fn the_difference_at_a_relative_step() {
        let mut random = Stream::new(9, 0, 0);
        let oracle = BruteForce::masks(5, 2);
        for _ in 0..50 {
            let (theta, dy) = (random.normals(5), random.normals(5));
            let state = AdaptiveState { alpha: 0.6, ..AdaptiveState::default() };
            let base = AdaptiveImle { state, samples: 3, seed: Some(2), ..AdaptiveImle::new(oracle.clone()) };
            let lambda = 0.6 * (dot(&theta, &theta) / dot(&dy, &dy)).sqrt();
            let imle = Imle { lambda, samples: 3, seed: Some(2), ..Imle::new(oracle.clone()) };
            let forward = AdaptiveImle { central: false, ..base.clone() };
            let (y, [one_sided]) = both(&forward, [&theta], &dy).unwrap();
            let (expected_y, [expected]) = both(&imle, [&theta], &dy).unwrap();
            assert_eq!(y, expected_y);
            assert!(plus(&one_sided, -1.0, &expected).iter().all(|d| d.abs() < 1e-12));
            let [up, down] =
                [1.0, -1.0].map(|sign| both(&imle, [&plus(&theta, sign * lambda, &dy)], &dy).unwrap().0);
            let (_, [central]) = both(&base, [&theta], &dy).unwrap();
            let expected: Vec<f64> = plus(&up, -1.0, &down).iter().map(|d| d / (2.0 * lambda)).collect();
            assert!(plus(&central, -1.0, &expected).iter().all(|d| d.abs() < 1e-12));
            // The step is relative: to the unit of the loss, and to that of the scores.
            let tenfold: Vec<f64> = dy.iter().map(|d| 10.0 * d).collect();
            let (_, [scaled]) = both(&base, [&theta], &tenfold).unwrap();
            assert!(scaled.iter().zip(&central).all(|(s, c)| (s - 10.0 * c).abs() < 1e-11));
        }
    }

    #[test]
    fn the_step_grows_while_the_gradient_is_sparse_and_shrinks_while_it_is_not() {
        let state = AdaptiveState { alpha: 0.0015, momentum: 0.5, ..AdaptiveState::default() };
        let after = state.updated(&[0.0, 0.0, 0.0, 2.0], 2);
        assert!((after.density - 0.95).abs() < 1e-15 && (after.alpha - 0.0025).abs() < 1e-15);
        let again = after.updated(&[0.0; 4], 2);
        assert!((again.change - 0.0015).abs() < 1e-15 && (again.alpha - 0.004).abs() < 1e-15);
        let dense = state.updated(&[1.0; 4], 2);
        assert!((dense.density - 1.1).abs() < 1e-15 && (dense.alpha - 0.0005).abs() < 1e-15);
        assert_eq!(dense.updated(&[1.0; 4], 2).alpha, 0.0);
    }

    #[test]
    fn it_finds_a_step_that_gives_one_entry_in_the_mean() {
        let oracle = BruteForce::masks(5, 2);
        let mut random = Stream::new(10, 0, 0);
        let mut state = AdaptiveState { alpha: 0.0, rate: 1e-2, ..AdaptiveState::default() };
        let (mut entries, mut count) = (0, 0);
        for step in 0..3000 {
            let (theta, dy) = (random.normals(5), random.normals(5));
            let operator = AdaptiveImle { state, seed: Some(step), ..AdaptiveImle::new(oracle.clone()) };
            let (_, [dx]) = both(&operator, [&theta], &dy).unwrap();
            state = state.updated(&dx, 1);
            if step >= 1000 {
                entries += dx.iter().filter(|d| **d != 0.0).count();
                count += 1;
            }
        }
        assert!((entries as f64 / count as f64 - 1.0).abs() < 0.15, "{entries} of {count}");
    }

    #[test]
    fn nothing_to_step_along_and_refusals() {
        let operator = |alpha| {
            let state = AdaptiveState { alpha, ..AdaptiveState::default() };
            AdaptiveImle { state, ..AdaptiveImle::new(BruteForce::masks(3, 1)) }
        };
        for (alpha, theta, dy) in
            [(1.0, [0.0; 3], [1.0; 3]), (1.0, [1.0; 3], [0.0; 3]), (0.0, [1.0; 3], [1.0; 3])]
        {
            assert_eq!(both(&operator(alpha), [&theta], &dy).unwrap().1, [[0.0; 3]]);
        }
        let error = both(&operator(-0.5), [&[1.0; 3]], &[1.0; 3]).unwrap_err();
        assert!(error.to_string().contains("`state.alpha` must be finite and >= 0"));
    }
}
