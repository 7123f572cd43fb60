//! The loss of a perturbed top-k against a target mask: [`FenchelYoung`] with the oracle [`TopK`].
//!
//! $$L(\theta, t) = \mathrm{E} \max_{y \in Y} \langle\theta + \sigma Z, y\rangle - \langle\theta, t\rangle$$
//!
//! for scores $\theta$ and a target $t$ `(n)` with entries in [0, 1] that sum to $k$; $Y$ holds the 0/1 vectors
//! with $k$ ones and $\sigma$ is the softness, in the unit of the scores. As $\sigma \to 0$ it becomes the loss
//! of the structured perceptron. With $k = 1$ and Gumbel noise it is
//! $\sigma (\mathrm{logsumexp}(\theta / \sigma) + 0.5772) - \langle\theta, t\rangle$: cross entropy and a
//! constant. In general it is a Fenchel-Young loss up to a term in the target alone.
//!
//! The gradient $y_\sigma(\theta) - t$ in the scores is right in expectation, that in the target is
//! $-\theta$. Cost: O(samples · n). NaN is a fault of the item.
//!
//! Berthet et al., *Learning with differentiable perturbed optimizers*, NeurIPS 2020.

use super::oracles::TopK;
use super::sampling::check_mean;
use super::{FenchelYoung, PerturbedArgmax, exact};
use ndarray::{Array, ArrayView, Dimension, RemoveAxis};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Operator, Params, Point, Real, Sample, Scaling, Scratch,
    Stream, evaluate, params,
};
use supple_numerics::noise::Noise;

params! {
    /// Fenchel-Young loss of the perturbed top-k.
    pub struct PerturbedTopKLoss {
        /// Scale σ of the noise, in the unit of the scores.
        softness: f64 = 1.0, Positive;
        /// How many to take.
        k: usize = 1, AtLeast(1.0);
        /// Monte-Carlo samples.
        samples: usize = 100, AtLeast(1.0);
        /// Distribution of the noise.
        noise: Noise = Noise::Gaussian, Any;
        /// Seed of the noise; drawn at each call where there is none.
        seed: Option<u64> = None, Any;
    }
}

impl PerturbedTopKLoss {
    fn loss(&self) -> FenchelYoung<TopK> {
        let Self { softness, k, samples, noise, seed } = *self;
        FenchelYoung(PerturbedArgmax { softness, samples, noise, seed, ..PerturbedArgmax::new(TopK { k }) })
    }
}

impl Operator<2> for PerturbedTopKLoss {
    const NAME: &'static str = "perturbed_top_k_loss";
    const SIGNATURE: &'static str = "theta(n>=1), target(n) -> loss()";
    const GRADIENT: Gradient = Gradient::Stochastic;
    type Saved<T: Real> = Vec<f64>;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_mean(Self::NAME, self.noise)?;
        match sizes {
            &[n] if self.k > n => Err(Error::argument(Self::NAME, "k", format!("in 1..={n}"), self.k)),
            _ => Ok(()),
        }
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.loss().work(sizes)
    }

    fn scaling(&self) -> Option<Scaling<2>> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1, 0], outputs: [1] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        saved: &mut Vec<f64>,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.loss().forward(at, loss, saved, scratch)
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Vec<f64>, 2>,
        dloss: [&[T]; 1],
        dx: [&mut [T]; 2],
        scratch: &mut Scratch<T>,
    ) {
        self.loss().vjp(at, dloss, dx, scratch)
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T, 2>,
        loss: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.loss().hard(at, loss, scratch)
    }
}

impl Contract<2> for PerturbedTopKLoss {
    const SUMMARY: &'static str = "Fenchel-Young loss of the perturbed top-k";
    const PAPER: &'static str = "Berthet et al., NeurIPS 2020";
    const COST: &'static str = "O(samples · n)";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let default = Self::default();
        vec![
            Self { softness: 0.5, noise: Noise::Gumbel, samples: 20, ..default.clone() },
            Self { softness: 2.0, k: 2, samples: 10, ..default.clone() },
            Self { samples: 1, ..default },
        ]
    }

    fn oracle(&self, at: Args<'_, f64, 2>) -> Option<[Vec<f64>; 1]> {
        let [theta, target] = at.x;
        let (_, greatest) = exact::top_k(theta, self.k, self.softness, self.noise);
        Some([vec![greatest - theta.iter().zip(target).map(|(theta, t)| theta * t).sum::<f64>()]])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.k], vec![self.k + 1], vec![6]]
    }

    /// Targets with `k` ones.
    fn sample(&self, _: &[usize], [n, _]: [usize; 2], random: &mut Stream) -> Sample<2> {
        let mut target = vec![0.0; n];
        let first = random.below(n.max(1));
        (0..self.k).for_each(|i| target[(first + i) % n.max(1)] = 1.0);
        Sample { x: [random.normals(n), target], k: [] }
    }
}

/// The Fenchel-Young loss of scores `theta` `(…, n)` whose `k` largest, once Gaussian noise of scale `softness`
/// is added, ought to be those of the mask `target` `(…, n)`; estimated from 100 draws, one number for each
/// row.
///
/// $$L(\theta, t) = \mathrm{E} \max_{y \in Y} \langle\theta + \sigma Z, y\rangle - \langle\theta, t\rangle$$
///
/// `softness` is σ, in the unit of the scores; as it goes to 0 the loss tends to that of the structured
/// perceptron. The loss is convex in the scores and known up to a term in the target alone: its least value
/// is not 0. The gradient in the scores is right in expectation. Cost O(n) for each draw. Each call draws
/// anew: set [`PerturbedTopKLoss::seed`] for the same noise.
///
/// # Errors
/// `softness` not above 0, `k` not in 1..=n, NaN.
///
/// ```
/// use supple_ops::perturb::perturbed_top_k_loss;
///
/// let scores = [0.1, 5.0, 5.2, 0.0];
/// let right = perturbed_top_k_loss(&scores, &[0.0, 1.0, 1.0, 0.0], 2, 0.1)?;
/// let wrong = perturbed_top_k_loss(&scores, &[1.0, 1.0, 0.0, 0.0], 2, 0.1)?;
/// assert!(right.into_scalar() < wrong.into_scalar());
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Berthet et al., *Learning with differentiable perturbed optimizers*, NeurIPS 2020.
pub fn perturbed_top_k_loss<'a, T: Float, D: RemoveAxis>(
    theta: impl Into<ArrayView<'a, T, D>>,
    target: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D::Smaller>, Error>
where
    D::Smaller: Dimension,
{
    let operator = PerturbedTopKLoss { softness, k, ..PerturbedTopKLoss::default() };
    let [loss] = evaluate(&operator, [theta.into().into_dyn(), target.into().into_dyn()])?;
    let mismatch = |e| Error::unsupported(PerturbedTopKLoss::NAME, "a loss of the input's rank less one", e);
    loss.into_dimensionality().map_err(mismatch)
}
