//! Any solver of a linear objective, smoothed by noise.
//!
//! $$y_\sigma(\theta) = \mathrm{E} \arg\max_{y \in Y} \langle\eta, y\rangle, \qquad
//! \eta = \theta + \sigma Z \quad\text{or}\quad \eta = \theta \odot e^{\sigma Z - \sigma^2 / 2}$$
//!
//! for an [`Oracle`] on $\theta$ `(n)`; $\sigma$ is the softness, in the unit of $\theta$ where the noise is
//! added and without one where it multiplies: see [`Perturbation`]. As $\sigma \to 0$ it becomes the oracle's
//! answer. With added Gumbel noise and one-hot $Y$ it is $\mathrm{softmax}(\theta / \sigma)$.
//!
//! **Value and gradient** are means over `samples` draws, right in expectation: with
//! $\nu' = -\nabla \log p$ of the noise,
//!
//! $$\frac{\partial}{\partial\theta} \langle \bar y, y_\sigma\rangle = \frac{1}{\sigma (S - 1)} \sum_s
//! \Bigl(\langle \bar y, y_s\rangle - \tfrac{1}{S} \sum_t \langle \bar y, y_t\rangle\Bigr) \nu'(Z_s),$$
//!
//! or this divided by $\theta$ for noise that multiplies, an entry of 0 having no gradient: the score
//! function with the mean of the *other* samples as its baseline, which leaves it unbiased (one sample has no
//! baseline). It needs nothing of the oracle but solutions, so it is right for an oracle that answers
//! approximately too. Second derivatives are refused.
//!
//! Cost: one solve for each sample, forward only. Backward draws the noise again and has the solutions kept:
//! as bits where all are 0 or 1, which is `samples · n / 8` bytes, as numbers else.
//!
//! Faults, for the item: $\theta$ with NaN, and whatever the oracle reports.
//!
//! Berthet, Blondel, Teboul, Cuturi, Vert and Bach, *Learning with differentiable perturbed optimizers*,
//! NeurIPS 2020; Dalle, Baty, Bouvier and Parmentier, *Learning with combinatorial optimization layers: a
//! probabilistic approach*, 2022, <https://arxiv.org/abs/2207.13513>.

use super::sampling::{Samples, check, check_score, hard, numbers};
use super::{Oracle, Perturbation};
use supple_core::{Args, Error, Fault, Float, Gradient, Operator, Point, Real, Scratch, Stream};
use supple_numerics::noise::Noise;

/// A perturbed solver. Its noise, and so its gradient, can be had for any [`Oracle`]:
///
/// ```
/// use supple_core::{Fault, linearize};
/// use supple_ops::perturb::PerturbedArgmax;
///
/// let signs = |theta: &[f64], y: &mut [f64]| -> Result<(), Fault> {
///     y.iter_mut().zip(theta).for_each(|(y, theta)| *y = theta.signum());
///     Ok(())
/// };
/// let smooth = PerturbedArgmax { softness: 0.5, seed: Some(1), ..PerturbedArgmax::new(signs) };
/// let theta = ndarray::array![0.3, -0.1, 2.0].into_dyn();
/// let at = linearize(&smooth, [theta.view()])?;
/// let [y] = at.outputs();
/// assert!(0.0 < y[0] && y[0] < 1.0 && y[2] > 0.9);
/// let [gradient] = at.vjp([y.view()])?;
/// assert_eq!(gradient.len(), 3);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PerturbedArgmax<S> {
    /// The solver.
    pub oracle: S,
    /// How the noise moves the objective.
    pub perturbation: Perturbation,
    /// Scale σ of the noise: in the unit of the objective where it is added, without one where it multiplies.
    pub softness: f64,
    /// Monte-Carlo samples.
    pub samples: usize,
    /// Distribution of the noise; Gaussian where it multiplies.
    pub noise: Noise,
    /// Seed of the noise; drawn at each call where there is none.
    pub seed: Option<u64>,
}

impl<S: Oracle> PerturbedArgmax<S> {
    /// Gaussian noise of scale 1 that is added, 100 samples, a new seed at each call.
    pub fn new(oracle: S) -> Self {
        let (perturbation, noise) = (Perturbation::Additive, Noise::Gaussian);
        Self { oracle, perturbation, softness: 1.0, samples: 100, noise, seed: None }
    }

    pub(super) fn samples(&self, seed: u64, item: usize) -> Samples {
        let Self { perturbation, softness, samples: count, noise, .. } = *self;
        Samples { perturbation, noise, softness, count, seed, item }
    }

    pub(super) fn check(&self, operator: &str, sizes: &[usize]) -> Result<(), Error> {
        check(operator, self.softness, self.samples)?;
        self.perturbation.check(operator, self.noise)?;
        sizes.iter().try_for_each(|&n| self.oracle.validate(n))
    }

    pub(super) fn new_seed(&self) -> u64 {
        self.seed.unwrap_or_else(Stream::fresh_seed)
    }
}

/// The seed in use, and the solutions.
#[derive(Debug, Default)]
pub struct Saved {
    seed: u64,
    solutions: Solutions,
}

impl<S: Oracle> Operator for PerturbedArgmax<S> {
    const NAME: &'static str = "perturbed_argmax";
    const SIGNATURE: &'static str = "theta(n) -> y(n)";
    const GRADIENT: Gradient = Gradient::Stochastic;
    type Saved<T: Real> = Saved;

    fn validate(&self, sizes: &[usize]) -> Result<(), Error> {
        check_score(Self::NAME, self.noise)?;
        self.check(Self::NAME, sizes)
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
        *saved = Saved { seed: self.new_seed(), solutions: Solutions::default() };
        let mut mean = vec![0.0; y.len()];
        self.samples(saved.seed, at.item).solve(&self.oracle, &theta, |_, _, solution| {
            mean.iter_mut().zip(solution).for_each(|(mean, y)| *mean += y);
            saved.solutions.push(solution);
        })?;
        y.iter_mut().zip(mean).for_each(|(y, mean)| *y = T::of(mean / self.samples as f64));
        Ok(())
    }

    fn vjp<T: Real>(
        &self,
        at: Point<'_, T, Saved>,
        [dy]: [&[T]; 1],
        [dx]: [&mut [T]; 1],
        _: &mut Scratch<T>,
    ) {
        let dy: Vec<f64> = dy.iter().map(|dy| dy.as_f64()).collect();
        let values = at.saved.solutions.products(&dy, self.samples);
        self.samples(at.saved.seed, at.item).score_gradient(at.x[0], &values, dx);
    }

    fn hard<T: Float>(&self, at: Args<'_, T>, [y]: [&mut [T]; 1], _: &mut Scratch<T>) -> Result<(), Fault> {
        hard(&self.oracle, at.x[0], y)
    }
}

/// Solutions one after another: as bits while all entries are 0 or 1.
#[derive(Debug)]
enum Solutions {
    Bits(Vec<u64>),
    Numbers(Vec<f64>),
}

impl Default for Solutions {
    fn default() -> Self {
        Solutions::Bits(vec![])
    }
}

impl Solutions {
    /// Each solution starts with a new word.
    fn push(&mut self, y: &[f64]) {
        if let Solutions::Bits(words) = self {
            let before = words.len();
            if y.chunks(64).try_for_each(|y| bits(y).map(|word| words.push(word))).is_some() {
                return;
            }
            words.truncate(before);
            let per_solution = y.len().div_ceil(64);
            let solutions = words.chunks_exact(per_solution);
            let bit = |words: &[u64], i: usize| (words[i / 64] >> (i % 64) & 1) as f64;
            let numbers = solutions.flat_map(|words| (0..y.len()).map(move |i| bit(words, i)));
            *self = Solutions::Numbers(numbers.collect());
        }
        if let Solutions::Numbers(numbers) = self {
            numbers.extend_from_slice(y);
        }
    }

    /// `⟨dy, y⟩` for each of `count` solutions.
    fn products(&self, dy: &[f64], count: usize) -> Vec<f64> {
        match self {
            _ if dy.is_empty() => vec![0.0; count],
            Solutions::Bits(words) => {
                let product = |solution: &[u64]| -> f64 {
                    solution.iter().zip(dy.chunks(64)).map(|(&word, dy)| sum_of_bits(word, dy)).sum()
                };
                words.chunks_exact(dy.len().div_ceil(64)).map(product).collect()
            }
            Solutions::Numbers(numbers) => {
                let product = |y: &[f64]| y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
                numbers.chunks_exact(dy.len()).map(product).collect()
            }
        }
    }
}

/// Up to 64 numbers as bits, where all are 0 or 1. Most of a solution is 0, and is passed over.
fn bits(y: &[f64]) -> Option<u64> {
    let mut word = 0;
    for (block, y) in y.chunks(8).enumerate() {
        if y.iter().fold(0, |any, y| any | y.to_bits()) == 0 {
            continue;
        }
        for (i, &y) in y.iter().enumerate() {
            if y != 0.0 && y != 1.0 {
                return None;
            }
            word |= ((y != 0.0) as u64) << (8 * block + i);
        }
    }
    Some(word)
}

fn sum_of_bits(mut word: u64, dy: &[f64]) -> f64 {
    let mut sum = 0.0;
    while let Some(dy) = dy.get(word.trailing_zeros() as usize) {
        sum += dy;
        word &= word - 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_become_numbers_where_a_solution_needs_them() {
        let dy: Vec<f64> = (0..70).map(|i| 1.0 + i as f64).collect();
        let first: Vec<f64> = (0..70).map(|i| (i % 3 == 0) as u8 as f64).collect();
        let second: Vec<f64> = (0..70).map(|i| i as f64 / 70.0).collect();
        let product = |y: &[f64]| y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>();
        let mut solutions = Solutions::default();
        solutions.push(&first);
        assert_eq!(solutions.products(&dy, 1), [product(&first)]);
        solutions.push(&second);
        assert_eq!(solutions.products(&dy, 2), [product(&first), product(&second)]);
        assert_eq!(Solutions::default().products(&[], 3), [0.0; 3]);
    }
}
