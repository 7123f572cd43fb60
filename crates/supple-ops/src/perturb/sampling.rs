//! Solutions at perturbed objectives.

use super::Oracle;
use supple_core::{Error, Fault, Real, Stream};
use supple_numerics::noise::Noise;

/// Numbers in a batch of perturbed points: few enough to stay in the cache.
const BATCH: usize = 1 << 13;

/// Monte-Carlo samples of one item.
pub(super) struct Samples {
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

    /// Calls `f(m, points, values)` on batches of perturbed points, rows of `x.len()` numbers, to have it
    /// write rows of `m` numbers; then `visit(sample, point, value)` for each.
    pub fn each(
        &self,
        x: &[f64],
        m: usize,
        f: impl Fn(&[f64], &mut [f64]) -> Result<(), Fault>,
        mut visit: impl FnMut(usize, &[f64], &[f64]),
    ) -> Result<(), Fault> {
        let n = x.len();
        let rows = (BATCH / n.max(m).max(1)).clamp(1, self.count.max(1));
        let (mut points, mut values) = (vec![0.0; rows * n], vec![0.0; rows * m]);
        for first in (0..self.count).step_by(rows) {
            let rows = rows.min(self.count - first);
            let (points, values) = (&mut points[..rows * n], &mut values[..rows * m]);
            for (i, point) in points.chunks_exact_mut(n.max(1)).enumerate() {
                self.draw(first + i, point);
                point.iter_mut().zip(x).for_each(|(z, x)| *z = x + self.softness * *z);
            }
            values.fill(0.0);
            f(points, values)?;
            for i in 0..rows {
                visit(first + i, &points[i * n..][..n], &values[i * m..][..m]);
            }
        }
        Ok(())
    }

    /// As [`each`](Self::each) with the solutions of an oracle.
    pub fn solve(
        &self,
        oracle: &impl Oracle,
        theta: &[f64],
        visit: impl FnMut(usize, &[f64], &[f64]),
    ) -> Result<(), Fault> {
        self.each(theta, theta.len(), |thetas, ys| oracle.solve_many(theta.len(), thetas, ys), visit)
    }

    /// The gradient of $\mathrm{E} c(x + \sigma Z)$ from the values $c_s$ at the samples:
    /// $\frac{1}{\sigma (S - 1)} \sum_s (c_s - \bar c) \nu'(Z_s)$. Subtracting the mean of all
    /// values is, by the factor $S / (S - 1)$, the same as subtracting from each the mean of the others.
    pub fn score_gradient<T: Real>(&self, values: &[f64], dx: &mut [T]) {
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
        dx.iter_mut().zip(sum).for_each(|(dx, sum)| *dx = T::of(sum / (divisor * self.softness)));
    }
}

/// The values of an input, without NaN.
pub(super) fn numbers<T: Real>(argument: &'static str, x: &[T]) -> Result<Vec<f64>, Fault> {
    let x: Vec<f64> = x.iter().map(|x| x.as_f64()).collect();
    match x.iter().find(|x| x.is_nan()) {
        Some(&value) => Err(Fault::Domain { argument, requirement: "a number", value }),
        None => Ok(x),
    }
}

/// Refuses what no catalogue entry's parameters would let through.
pub(super) fn check(operator: &str, softness: f64, samples: usize) -> Result<(), Error> {
    if !(softness > 0.0 && softness.is_finite()) {
        return Err(Error::argument(operator, "softness", "finite and > 0", softness));
    }
    if samples == 0 {
        return Err(Error::argument(operator, "samples", "finite and >= 1", samples));
    }
    Ok(())
}
