//! The noise of I-MLE, and the mean answer of a solver under it.

use crate::perturb::Oracle;
use crate::perturb::sampling::solve_each;
use supple_core::{Error, Fault, Stream};
use supple_numerics::noise::Noise;

/// What is added to the scores, at unit scale, before they are solved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImleNoise {
    /// Independent draws of a distribution.
    Independent(Noise),
    /// Independent draws of a sum of Gamma variables, for solutions with `k` ones:
    ///
    /// $$ Z = \frac{1}{k} \Bigl(\sum_{i=1}^{s} \frac{k}{i} G_i - \ln s\Bigr), \qquad
    /// G_i \sim \mathrm{Gamma}(1/k, 1) . $$
    ///
    /// As $s \to \infty$, the sum of $k$ of them is a standard Gumbel variable: so a solution's score has the
    /// noise that would make the perturbed argmax a sample of the softmax over all solutions, were it
    /// independent from one solution to the next. For `k = 1` and many terms it is Gumbel noise.
    SumOfGamma {
        /// How many ones a solution has.
        k: usize,
        /// Terms s of the sum; 10 is usual.
        terms: usize,
    },
}

impl ImleNoise {
    /// Refuses what makes no sum.
    pub(super) fn check(self, operator: &str) -> Result<(), Error> {
        match self {
            Self::SumOfGamma { k: 0, .. } => Err(Error::argument(operator, "noise.k", "at least 1", 0)),
            Self::SumOfGamma { terms: 0, .. } => {
                Err(Error::argument(operator, "noise.terms", "at least 1", 0))
            }
            _ => Ok(()),
        }
    }

    /// Fills `z` with independent draws.
    pub fn fill(self, stream: &mut Stream, z: &mut [f64]) {
        let (k, terms) = match self {
            Self::Independent(noise) => return noise.fill(stream, z),
            Self::SumOfGamma { k, terms } => (k as f64, terms),
        };
        for z in z {
            let sum: f64 = (1..=terms).map(|i| gamma(1.0 / k, stream) * (k / i as f64)).sum();
            *z = (sum - libm::log(terms as f64)) / k;
        }
    }
}

/// A Gamma variable of a shape in (0, 1]: one of shape + 1, times $u^{1 / \mathrm{shape}}$ of a uniform $u$.
///
/// Marsaglia and Tsang, *A simple method for generating gamma variables*, 2000.
fn gamma(shape: f64, stream: &mut Stream) -> f64 {
    let d = shape + 2.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let mut x = [0.0];
        Noise::Gaussian.fill(stream, &mut x);
        let v = (1.0 + c * x[0]).powi(3);
        if v > 0.0 && libm::log(stream.uniform()) < 0.5 * x[0] * x[0] + d - d * v + d * libm::log(v) {
            return d * v * libm::pow(stream.uniform(), 1.0 / shape);
        }
    }
}

/// A solver under noise.
pub(super) struct Noisy<'a, S> {
    pub oracle: &'a S,
    pub noise: ImleNoise,
    pub softness: f64,
    pub samples: usize,
    pub seed: u64,
    pub item: usize,
}

impl<S: Oracle> Noisy<'_, S> {
    /// The mean answer at `theta + softness · Z`: the same noise for every `theta`.
    pub fn mean(&self, theta: &[f64]) -> Result<Vec<f64>, Fault> {
        let mut mean = vec![0.0; theta.len()];
        let perturb = |sample: usize, point: &mut [f64]| {
            self.noise.fill(&mut Stream::new(self.seed, self.item, sample), point);
            point.iter_mut().zip(theta).for_each(|(z, theta)| *z = theta + self.softness * *z);
        };
        solve_each(self.oracle, theta.len(), self.samples, perturb, |_, _, y| {
            mean.iter_mut().zip(y).for_each(|(mean, y)| *mean += y);
        })?;
        mean.iter_mut().for_each(|mean| *mean /= self.samples as f64);
        Ok(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_gammas_has_its_moments() {
        for (k, terms) in [(1, 10), (3, 10), (7, 1), (40, 25)] {
            let mut z = vec![0.0; 200_000];
            let noise = ImleNoise::SumOfGamma { k, terms };
            z.chunks_mut(1000).enumerate().for_each(|(i, z)| noise.fill(&mut Stream::new(5, i, 0), z));
            let count = z.len() as f64;
            let harmonic = |power: i32| (1..=terms).map(|i| (i as f64).powi(-power)).sum::<f64>();
            let (mean, variance) = ((harmonic(1) - (terms as f64).ln()) / k as f64, harmonic(2) / k as f64);
            let sample_mean = z.iter().sum::<f64>() / count;
            let square = |z: &f64| (z - sample_mean).powi(2);
            let sample_variance = z.iter().map(square).sum::<f64>() / count;
            let fourth = z.iter().map(|z| square(z).powi(2)).sum::<f64>() / count;
            assert!((sample_mean - mean).abs() < 4.5 * (variance / count).sqrt(), "{k} {terms}");
            let error = ((fourth - sample_variance.powi(2)) / count).sqrt();
            assert!((sample_variance - variance).abs() < 4.5 * error);
        }
    }

    #[test]
    fn k_of_them_make_a_gumbel_variable() {
        let (k, n) = (4, 5_000);
        let noise = ImleNoise::SumOfGamma { k, terms: 100 };
        let sum = |i| {
            let mut z = [0.0; 4];
            noise.fill(&mut Stream::new(6, i, 0), &mut z);
            z.iter().sum::<f64>()
        };
        let mut sums: Vec<f64> = (0..n).map(sum).collect();
        sums.sort_by(f64::total_cmp);
        let gap = |(i, z): (usize, &f64)| ((-(-z).exp()).exp() - (i as f64 + 0.5) / n as f64).abs();
        let worst = sums.iter().enumerate().map(gap).fold(0.0, f64::max);
        // Kolmogorov's bound at 0.001, and a little for the terms left out.
        assert!(worst * (n as f64).sqrt() < 1.95 + 0.25, "{worst}");
    }
}
