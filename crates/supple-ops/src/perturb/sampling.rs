//! Solutions at perturbed objectives.

use super::{Oracle, Perturbation};
use supple_core::{Error, Fault, Real, Stream};
use supple_numerics::noise::Noise;

/// Numbers in a batch of perturbed points: few enough to stay in the cache.
const BATCH: usize = 1 << 13;

/// Monte-Carlo samples of one item.
pub(super) struct Samples {
    pub perturbation: Perturbation,
    pub noise: Noise,
    pub softness: f64,
    pub count: usize,
    pub seed: u64,
    pub item: usize,
}

impl Samples {
    /// Fills `z` with the noise of one sample.
    pub fn draw(&self, sample: usize, z: &mut [f64]) {
        self.noise.fill(&mut Stream::new(self.seed, self.item, sample), z);
    }

    /// Solves at all perturbed points: `visit(sample, point, solution)` for each.
    pub fn solve(
        &self,
        oracle: &impl Oracle,
        theta: &[f64],
        visit: impl FnMut(usize, &[f64], &[f64]),
    ) -> Result<(), Fault> {
        let perturb = |sample: usize, point: &mut [f64]| {
            self.draw(sample, point);
            self.perturbation.apply(theta, self.softness, point);
        };
        solve_each(oracle, theta.len(), self.count, perturb, visit)
    }

    /// The gradient at $x$ of $\mathrm{E} c(\eta)$, with perturbed points $\eta$, from the values $c_s$ at
    /// the samples: $\frac{1}{\sigma (S - 1)} \sum_s (c_s - \bar c) \nu'(Z_s)$, and this divided by $x$ where
    /// the perturbation is multiplicative. Subtracting the mean of all values is, by the factor $S / (S -
    /// 1)$, the same as subtracting from each the mean of the others.
    pub fn score_gradient<T: Real>(&self, x: &[T], values: &[f64], dx: &mut [T]) {
        let count = self.count as f64;
        let (mean, divisor) = match self.count {
            0 | 1 => (0.0, 1.0),
            _ => (values.iter().sum::<f64>() / count, count - 1.0),
        };
        let mut z = vec![0.0; dx.len()];
        let mut sum = vec![0.0; dx.len()];
        for (sample, value) in values.iter().enumerate() {
            if *value != mean {
                self.draw(sample, &mut z);
                self.noise.score(&mut z);
                sum.iter_mut().zip(&z).for_each(|(sum, z)| *sum += (value - mean) * z);
            }
        }
        for ((dx, x), sum) in dx.iter_mut().zip(x).zip(sum) {
            *dx = T::of(sum / divisor * self.perturbation.score_factor(x.as_f64(), self.softness));
        }
    }
}

/// Solves at `count` points of `n` numbers, which `point(sample, x)` writes, as many in a call as the oracle wants,
/// or as stay in the cache; then `visit(sample, point, solution)` for each.
pub(crate) fn solve_each(
    oracle: &impl Oracle,
    n: usize,
    count: usize,
    mut point: impl FnMut(usize, &mut [f64]),
    mut visit: impl FnMut(usize, &[f64], &[f64]),
) -> Result<(), Fault> {
    let rows = oracle.batch(n).unwrap_or(BATCH / n.max(1)).clamp(1, count.max(1));
    let (mut points, mut solutions) = (vec![0.0; rows * n], vec![0.0; rows * n]);
    for first in (0..count).step_by(rows) {
        let rows = rows.min(count - first);
        let (points, solutions) = (&mut points[..rows * n], &mut solutions[..rows * n]);
        points.chunks_exact_mut(n.max(1)).enumerate().for_each(|(i, x)| point(first + i, x));
        solutions.fill(0.0);
        oracle.solve_many(n, points, solutions)?;
        (0..rows).for_each(|i| visit(first + i, &points[i * n..][..n], &solutions[i * n..][..n]));
    }
    Ok(())
}

/// The solver's answer.
pub(crate) fn solution(oracle: &impl Oracle, theta: &[f64]) -> Result<Vec<f64>, Fault> {
    let mut y = vec![0.0; theta.len()];
    oracle.solve(theta, &mut y)?;
    Ok(y)
}

/// Writes the solver's answer: the hard form of every operator that holds one.
pub(crate) fn hard<T: Real>(oracle: &impl Oracle, theta: &[T], y: &mut [T]) -> Result<(), Fault> {
    let solution = solution(oracle, &numbers("theta", theta)?)?;
    y.iter_mut().zip(solution).for_each(|(y, solution)| *y = T::of(solution));
    Ok(())
}

/// `⟨x, y⟩`, where an infinite score that is not taken counts for nothing.
pub(crate) fn product<T: Real>(x: &[T], y: &[f64]) -> T::Acc {
    let taken = x.iter().zip(y).filter(|(_, y)| **y != 0.0);
    taken.map(|(x, &y)| x.widen() * T::Acc::of(y)).sum()
}

/// The values of an input, without NaN.
pub(crate) fn numbers<T: Real>(argument: &'static str, x: &[T]) -> Result<Vec<f64>, Fault> {
    let x: Vec<f64> = x.iter().map(|x| x.as_f64()).collect();
    match x.iter().find(|x| x.is_nan()) {
        Some(&value) => Err(Fault::Domain { argument, requirement: "a number", value }),
        None => Ok(x),
    }
}

/// Refuses what no catalogue entry's parameters would let through.
pub(crate) fn check(operator: &str, softness: f64, samples: usize) -> Result<(), Error> {
    check_softness(operator, softness)?;
    if samples == 0 {
        return Err(Error::argument(operator, "samples", "finite and >= 1", samples));
    }
    Ok(())
}

/// As [`check`] for an operator that draws no samples.
pub(super) fn check_softness(operator: &str, softness: f64) -> Result<(), Error> {
    if softness > 0.0 && softness.is_finite() {
        return Ok(());
    }
    Err(Error::argument(operator, "softness", "finite and > 0", softness))
}

/// Refuses noise without a score, for gradients that are made of scores.
pub(super) fn check_score(operator: &str, noise: Noise) -> Result<(), Error> {
    if noise.has_score() {
        return Ok(());
    }
    Err(Error::argument(operator, "noise", "one that has a score", "uniform"))
}

/// Refuses noise without a mean, for values in which the noise itself is averaged.
pub(super) fn check_mean(operator: &str, noise: Noise) -> Result<(), Error> {
    if !noise.mean().is_nan() {
        return Ok(());
    }
    Err(Error::argument(operator, "noise", "one that has a mean", "cauchy"))
}

#[cfg(test)]
mod tests {
    use crate::perturb::{Batched, FenchelYoung, Noise, PerturbedArgmax, oracles::TopK};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use supple_core::{Fault, Operator, evaluate};

    #[test]
    fn a_batched_oracle_is_called_once_for_each_item() {
        let (calls, rows) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let solver = |n: usize, thetas: &[f64], ys: &mut [f64]| -> Result<(), Fault> {
            calls.fetch_add(1, Ordering::Relaxed);
            rows.fetch_add(thetas.len() / n, Ordering::Relaxed);
            ys.iter_mut().zip(thetas).for_each(|(y, theta)| *y = theta.signum());
            Ok(())
        };
        let smooth =
            PerturbedArgmax { samples: 5000, seed: Some(1), ..PerturbedArgmax::new(Batched(solver)) };
        let theta = ndarray::Array::from_elem((3, 4), 0.5).into_dyn();
        let [all] = evaluate(&smooth, [theta.view()]).unwrap();
        assert_eq!((calls.load(Ordering::Relaxed), rows.load(Ordering::Relaxed)), (3, 15000));
        let alone = |theta: &[f64], y: &mut [f64]| -> Result<(), Fault> {
            y.iter_mut().zip(theta).for_each(|(y, theta)| *y = theta.signum());
            Ok(())
        };
        let few = PerturbedArgmax { samples: 5000, seed: Some(1), ..PerturbedArgmax::new(alone) };
        assert_eq!(evaluate(&few, [theta.view()]).unwrap()[0], all);
    }

    #[test]
    fn noise_that_does_not_fit_is_refused() {
        let smooth = |noise| PerturbedArgmax { noise, ..PerturbedArgmax::new(TopK { k: 1 }) };
        let uniform = smooth(Noise::Uniform).validate(&[2]).unwrap_err().to_string();
        assert_eq!(uniform, "perturbed_argmax: `noise` must be one that has a score, got uniform");
        assert!(FenchelYoung(smooth(Noise::Uniform)).validate(&[2]).is_ok());
        let cauchy = FenchelYoung(smooth(Noise::Cauchy)).validate(&[2]).unwrap_err().to_string();
        assert!(cauchy.contains("one that has a mean"), "{cauchy}");
        assert!(smooth(Noise::Cauchy).validate(&[2]).is_ok());
    }
}
