//! Implicit maximum likelihood estimation: a solver under noise, with the gradient of a difference.
//!
//! $$y(\theta) = \frac{1}{S} \sum_s y_s(\theta), \qquad y_s(\theta) = \arg\max_{y \in Y}
//! \langle\theta + \sigma Z_s, y\rangle, \qquad
//! \bar\theta = \frac{1}{S} \sum_s \frac{y_s(\theta) - y_s(\theta - \lambda \bar y)}{\lambda}$$
//!
//! for an [`Oracle`] on $\theta$ `(n)` and the cotangent $\bar y$ of the answer. The answers are samples of a
//! distribution over $Y$ (*perturb and MAP*), the mean of which is moved towards that of the target
//! distribution, whose scores are one step down the gradient.
//!
//! * `softness` is σ, the scale of the noise in the unit of $\theta$ (the paper's temperature); as σ → 0 the
//!   answer is the solver's and the gradient is
//!   [`BlackboxInterpolation`](super::BlackboxInterpolation)'s.
//! * `lambda` is λ, the step in the unit of $\theta$ for a $\bar y$ of 1.
//! * Gradient: a surrogate. With $y_\sigma$ the expectation of the answer, its own expectation is
//!   $(y_\sigma(\theta) - y_\sigma(\theta - \lambda \bar y)) / \lambda$, which tends to the gradient of
//!   $\langle\bar y, y_\sigma(\theta)\rangle$ as λ → 0, while its variance grows as $1/\lambda$. For a loss
//!   that is not linear in $y$ and more than one sample it is the gradient at the mean answer. Second
//!   derivatives are refused.
//! * Both answers of a sample have the same noise: a function of seed, item and sample. A $\bar y$ of zero
//!   gives zero without a solve; where the solver has no answer at a second point, the gradient is NaN.
//! * Cost: one solve for each sample, forward and backward each.
//!
//! Faults, for the item: $\theta$ with NaN, and whatever the oracle reports.
//!
//! Some implementations leave the factor $1 / \lambda$ out.
//!
//! Niepert, Minervini and Franceschi, *Implicit MLE: backpropagating through discrete exponential family
//! distributions*, NeurIPS 2021, <https://arxiv.org/abs/2106.01798>.

use super::imle_noise::{ImleNoise, Noisy};
use super::solving::{moved, positive, quotient, values};
use crate::perturb::Oracle;
use crate::perturb::sampling::{check, hard, numbers};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch, Stream};

/// Implicit maximum likelihood estimation, for any [`Oracle`].
///
/// ```
/// use supple_core::linearize;
/// use supple_ops::decision::Imle;
/// use supple_ops::perturb::oracles::TopK;
///
/// let layer = Imle { samples: 1000, seed: Some(1), ..Imle::new(TopK { k: 1 }) };
/// let theta = ndarray::array![0.3, 0.1, 2.0].into_dyn();
/// let at = linearize(&layer, [theta.view()])?;
/// let [y] = at.outputs();
/// assert!(y[2] > y[0] && y[2] > y[1]);
/// let [gradient] = at.vjp([ndarray::array![-1.0, 0.0, 1.0].into_dyn().view()])?;
/// assert!(gradient[0] < 0.0 && gradient[2] > 0.0);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Imle<S> {
    /// The solver.
    pub oracle: S,
    /// The step λ.
    pub lambda: f64,
    /// Scale σ of the noise, in the unit of the scores.
    pub softness: f64,
    /// Monte-Carlo samples.
    pub samples: usize,
    /// Distribution of the noise.
    pub noise: ImleNoise,
    /// Seed of the noise; drawn at each call where there is none.
    pub seed: Option<u64>,
}

impl<S: Oracle> Imle<S> {
    /// A step of 1, Gumbel noise of scale 1, one sample, a new seed at each call.
    pub fn new(oracle: S) -> Self {
        let noise = ImleNoise::Independent(supple_numerics::noise::Noise::Gumbel);
        Self { oracle, lambda: 1.0, softness: 1.0, samples: 1, noise, seed: None }
    }

    fn noisy(&self, seed: u64, item: usize) -> Noisy<'_, S> {
        let Self { oracle, noise, softness, samples, .. } = self;
        Noisy { oracle, noise: *noise, softness: *softness, samples: *samples, seed, item }
    }
}

/// The seed in use, and the mean answer.
#[derive(Debug, Default)]
pub struct Saved {
    pub(super) seed: u64,
    pub(super) mean: Vec<f64>,
}

impl<S: Oracle> Operator for Imle<S> {
    const NAME: &'static str = "imle";
    const SIGNATURE: &'static str = "theta(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::Surrogate;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        positive(Self::NAME, "lambda", self.lambda)?;
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
        if dy.iter().all(|dy| *dy == 0.0) {
            return;
        }
        let noisy = self.noisy(at.saved.seed, at.item);
        let lower = moved(&theta, -self.lambda, &dy).and_then(|theta| noisy.mean(&theta).ok());
        quotient(Some(&at.saved.mean), lower.as_deref(), self.lambda, dx);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        hard(&self.oracle, at.x[0], y)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BlackboxInterpolation;
    use super::super::solving::testing::{BruteForce, both};
    use super::*;
    use supple_core::{Inputs, Mode, Options, evaluate};
    use supple_numerics::noise::Noise;

    fn softmax(theta: &[f64]) -> Vec<f64> {
        let e: Vec<f64> = theta.iter().map(|x| x.exp()).collect();
        e.iter().map(|x| x / e.iter().sum::<f64>()).collect()
    }

    /// `|mean − exact|` in standard errors.
    fn z(samples: &[f64], exact: f64) -> f64 {
        let n = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / n;
        let variance = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean - exact).abs() / (variance / n).sqrt()
    }

    #[test]
    fn the_mean_gradient_is_the_difference_of_the_mean_answers() {
        // With one-hot answers and Gumbel noise the mean answer is the softmax.
        let (theta, dy, lambda) = ([0.3, -0.5, 1.0], [1.0, -2.0, 0.5], 0.7);
        let lower: Vec<f64> = theta.iter().zip(dy).map(|(t, d)| t - lambda * d).collect();
        let (mean, lower) = (softmax(&theta), softmax(&lower));
        let runs = |samples: usize| -> Vec<_> {
            let run = |seed| {
                let oracle = BruteForce::masks(3, 1);
                both(&Imle { samples, lambda, seed: Some(seed), ..Imle::new(oracle) }, [&theta], &dy).unwrap()
            };
            (0..2000).map(run).collect()
        };
        for samples in [1, 7] {
            let runs = runs(samples);
            for i in 0..3 {
                let answers: Vec<f64> = runs.iter().map(|(y, _)| y[i]).collect();
                assert!(z(&answers, mean[i]) < 4.5);
                let slopes: Vec<f64> = runs.iter().map(|(_, [dx])| dx[i]).collect();
                assert!(z(&slopes, (mean[i] - lower[i]) / lambda) < 4.5);
            }
        }
    }

    #[test]
    fn a_small_step_and_many_samples_give_the_gradient_of_a_linear_loss() {
        let (theta, dy) = ([0.3, -0.5, 1.0], [1.0, -2.0, 0.5]);
        let p = softmax(&theta);
        let mean: f64 = p.iter().zip(&dy).map(|(p, d)| p * d).sum();
        let oracle = BruteForce::masks(3, 1);
        let imle = Imle { samples: 200_000, lambda: 0.05, seed: Some(1), ..Imle::new(oracle) };
        let (_, [dx]) = both(&imle, [&theta], &dy).unwrap();
        // The bias is O(λ), the noise √(p / (λ samples)).
        for (i, dx) in dx.iter().enumerate() {
            assert!((dx - p[i] * (dy[i] - mean)).abs() < 0.06, "{dx} for {}", p[i] * (dy[i] - mean));
        }
    }

    #[test]
    fn without_noise_it_is_the_interpolation_and_hard_is_the_solver() {
        let oracle = BruteForce::masks(5, 2);
        let mut random = Stream::new(8, 0, 0);
        for _ in 0..50 {
            let (theta, dy) = (random.normals(5), random.normals(5));
            let noise = ImleNoise::SumOfGamma { k: 2, terms: 10 };
            let imle = Imle { softness: 1e-9, samples: 3, noise, ..Imle::new(oracle.clone()) };
            let (y, [dx]) = both(&imle, [&theta], &dy).unwrap();
            let blackbox = BlackboxInterpolation { oracle: oracle.clone(), lambda: 1.0 };
            assert_eq!((y, [dx]), both(&blackbox, [&theta], &dy).unwrap());
            let x = ndarray::aview1(&theta).into_dyn();
            let options = Options { mode: Mode::Hard, ..Options::default() };
            let noisy = Imle { softness: 9.0, ..imle };
            let [hard] = evaluate(&noisy, Inputs { x: [x], k: [], options }).unwrap();
            assert_eq!(hard.into_raw_vec_and_offset().0, oracle.best(&theta));
        }
    }

    #[test]
    fn refuses_what_makes_no_estimate() {
        let imle = || Imle::new(BruteForce::masks(3, 1));
        let cases = [
            (Imle { lambda: 0.0, ..imle() }, "`lambda`"),
            (Imle { softness: -1.0, ..imle() }, "`softness`"),
            (Imle { samples: 0, ..imle() }, "`samples`"),
            (Imle { noise: ImleNoise::SumOfGamma { k: 0, terms: 1 }, ..imle() }, "`noise.k`"),
            (Imle { noise: ImleNoise::SumOfGamma { k: 1, terms: 0 }, ..imle() }, "`noise.terms`"),
        ];
        for (operator, name) in cases {
            let error = both(&operator, [&[1.0, 2.0, 3.0]], &[1.0; 3]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let imle = Imle { noise: ImleNoise::Independent(Noise::Gaussian), ..imle() };
        assert_eq!(both(&imle, [&[1.0, 2.0, 3.0]], &[0.0; 3]).unwrap().1, [[0.0; 3]]);
    }
}
