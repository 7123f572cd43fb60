//! Top-k smoothed by noise: [`PerturbedArgmax`] with the oracle [`TopK`].
//!
//! $$y_i = \Pr\bigl(\theta_i + \sigma Z_i \text{ is among the } k \text{ largest}\bigr)$$
//!
//! for scores $\theta$ `(n)`, estimated from `samples` draws; $\sigma$ is the softness, in the unit of the
//! scores. As $\sigma \to 0$ it becomes 1 at the $k$ largest. For $k = 1$ it is the perturbed argmax, with
//! Gumbel noise an estimate of $\mathrm{softmax}(\theta / \sigma)$.
//!
//! The gradient is right in expectation. Cost: O(samples · n), and `samples · n / 8` bytes kept for the
//! gradient. A score of $-\infty$ is never taken while $k$ others are left; NaN is a fault of the item.
//!
//! Berthet et al., *Learning with differentiable perturbed optimizers*, NeurIPS 2020.

use super::exact;
use super::oracles::TopK;
use super::perturbed_argmax::{PerturbedArgmax, Saved};
use super::sampling::check_score;
use ndarray::{Array, ArrayView, Dimension};
use supple_core::{
    Args, Contract, Error, Fault, Float, Gradient, Law, Operator, Params, Point, Real, Scaling, Scratch, map,
    params,
};
use supple_numerics::noise::Noise;

params! {
    /// Mask of the k largest, smoothed by noise.
    pub struct PerturbedTopK {
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

impl PerturbedTopK {
    fn argmax(&self) -> PerturbedArgmax<TopK> {
        let Self { softness, k, samples, noise, seed } = *self;
        PerturbedArgmax { softness, samples, noise, seed, ..PerturbedArgmax::new(TopK { k }) }
    }
}

impl Operator for PerturbedTopK {
    const NAME: &'static str = "perturbed_top_k";
    const SIGNATURE: &'static str = "theta(n>=1) -> y(n)";
    const GRADIENT: Gradient = Gradient::Stochastic;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        self.check(Self::NAME)?;
        check_score(Self::NAME, self.noise)?;
        match sizes {
            &[n] if self.k > n => Err(Error::argument(Self::NAME, "k", format!("in 1..={n}"), self.k)),
            _ => Ok(()),
        }
    }

    fn work(&self, sizes: &[usize]) -> usize {
        self.argmax().work(sizes)
    }

    fn scaling(&self) -> Option<Scaling> {
        Some(Scaling { softness: self.softness, power: 1, inputs: [1], outputs: [0] })
    }

    fn forward<T: Real>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        saved: &mut Saved,
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.argmax().forward(at, y, saved, scratch)
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        dy: [&[T]; 1],
        dx: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) {
        self.argmax().vjp(at, dy, dx, scratch)
    }

    fn hard<T: Float>(
        &self,
        at: Args<'_, T>,
        y: [&mut [T]; 1],
        scratch: &mut Scratch<T>,
    ) -> Result<(), Fault> {
        self.argmax().hard(at, y, scratch)
    }
}

impl Contract for PerturbedTopK {
    const SUMMARY: &'static str = "mask of the k largest, smoothed by noise";
    const PAPER: &'static str = "Berthet et al., NeurIPS 2020";
    const COST: &'static str = "O(samples · n)";
    const ARGUMENTS: &'static [&'static str] = &["k", "softness"];

    fn cases() -> Vec<Self> {
        let default = Self::default();
        vec![
            Self { softness: 0.5, noise: Noise::Gumbel, samples: 20, ..default.clone() },
            Self { softness: 2.0, k: 2, samples: 10, ..default.clone() },
            Self { softness: 0.7, k: 3, noise: Noise::Gumbel, samples: 2, ..default.clone() },
            Self { samples: 1, ..default },
        ]
    }

    fn laws(&self) -> Vec<Law> {
        let k = self.k as f64;
        vec![Law::SumsTo(Box::new(move |_| k)), Law::Within(Box::new(|_| (0.0, 1.0)))]
    }

    fn oracle(&self, at: Args<'_, f64>) -> Option<[Vec<f64>; 1]> {
        let (probabilities, _) = exact::top_k(at.x[0], self.k, self.softness, self.noise);
        Some([probabilities])
    }

    fn test_sizes(&self) -> Vec<Vec<usize>> {
        vec![vec![self.k], vec![self.k + 1], vec![6]]
    }
}

/// The probability of each score to be among the `k` largest along the last axis once Gaussian noise of scale
/// `softness` is added, estimated from 100 draws; shaped as `theta`.
///
/// `softness` is σ, in the unit of the scores; as it goes to 0 the result tends to 1 at the `k` largest and 0
/// elsewhere. The gradient is right in expectation. Cost O(n) for each draw. Each call draws anew: set
/// [`PerturbedTopK::seed`] for the same noise, `samples` for less of it, `noise` for another.
///
/// # Errors
/// `softness` not above 0, `k` not in 1..=n, a score that is NaN.
///
/// ```
/// use supple_ops::perturb::perturbed_top_k;
///
/// let y = perturbed_top_k(&[0.1, 5.0, 5.2, 0.0], 2, 0.1)?;
/// assert_eq!(y.to_vec(), [0.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), supple_core::Error>(())
/// ```
///
/// Berthet et al., *Learning with differentiable perturbed optimizers*, NeurIPS 2020.
pub fn perturbed_top_k<'a, T: Float, D: Dimension>(
    theta: impl Into<ArrayView<'a, T, D>>,
    k: usize,
    softness: f64,
) -> Result<Array<T, D>, Error> {
    map(&PerturbedTopK { softness, k, ..PerturbedTopK::default() }, theta)
}
