//! Smoothing by a matrix, with the gradient to it.
//!
//! $$ f_L(x) = \mathrm{E} f(x + \sigma L Z), \qquad
//! \nabla_x = (\sigma L)^{-\top} \mathrm{E}\bigl[ (f - b) s \bigr], \qquad
//! \nabla_L = L^{-\top} \mathrm{E}\bigl[ (f - b) (s Z^\top - I) \bigr], \qquad s = \nu'(Z) $$
//!
//! The parameters are $x$ `(n)` and then the rows of the scale $L$ `(n, n)`, $n + n^2$ numbers: one tensor that
//! is put together from two takes both gradients apart again. Any matrix that can be inverted will do, a
//! diagonal or a triangular one too. Everything else is as for [`Smoothing`], except that uniform noise is
//! refused, for its box has faces that are not along the coordinates, and so is Cauchy noise in several coordinates,
//! because the products $s_i Z_j$ have no mean.
//!
//! Cost: that of [`Smoothing`] with $n^2$ steps a sample, and $n^3$ once. Fault: $L$ is singular.
//!
//! Petersen, Borgelt, Mishra and Ermon, *Generalizing stochastic smoothing for differentiation and gradient
//! estimation*, 2024.

use super::Smoothing;
use super::points::{check_score, noise};
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault};

/// [`Smoothing`] with a matrix for its scale; parameters are $x$, then the rows of $L$.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::smoothing::{ScaledSmoothing, Smoothing};
/// use supple_estimators::{Budget, estimate};
///
/// // E (x + L z)² = x² + L²
/// let square = |x: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = x[0] * x[0]; Ok(()) };
/// let estimator = ScaledSmoothing(Smoothing::default());
/// let (x, scale) = (1.0, 0.5);
/// let (estimate, ()) = estimate(&estimator, &square, &[x, scale], Budget::new(100_000, 1), &())?;
/// assert!((estimate.gradient[0] - 2.0 * x).abs() < 0.1 && (estimate.gradient[1] - 2.0 * scale).abs() < 0.1);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ScaledSmoothing(
    /// Noise, baseline and design; its softness multiplies the matrix.
    pub Smoothing,
);

impl Estimator for ScaledSmoothing {
    const NAME: &'static str = "scaled_smoothing";
    type Needs = Values;
    type State = ();
    /// The noise of each sample.
    type Plan = Vec<f64>;

    fn validate(&self, parameters: usize, evaluations: usize) -> Result<(), Error> {
        let n = self.width(parameters);
        self.0.check(Self::NAME, n, evaluations)?;
        if n + n * n != parameters {
            let requirement = "n + n² numbers: a point and the rows of a matrix";
            return Err(Error::argument(Self::NAME, "x", requirement, parameters));
        }
        check_score(Self::NAME, self.0.noise)?;
        if n > 1 && self.0.noise.mean().is_nan() {
            return Err(Error::argument(Self::NAME, "noise", "one that has a mean", "cauchy"));
        }
        Ok(())
    }

    fn width(&self, parameters: usize) -> usize {
        (1..).take_while(|n| n + n * n <= parameters).last().unwrap_or(0)
    }

    fn bias(&self) -> Option<&'static str> {
        self.0.bias()
    }

    fn has_standard_error(&self) -> bool {
        self.0.has_standard_error()
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(x[..self.width(x.len())].to_vec())
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<Vec<f64>>, Fault> {
        let n = self.width(x.len());
        let (x, scale) = x.split_at(n);
        let samples = self.0.samples(evaluations, n);
        let z = noise(self.0.noise, self.0.design, draws, samples, n);
        let mut points = Vec::with_capacity((samples + 1) * n);
        for z in z.chunks_exact(n.max(1)) {
            let row = |(x, row): (&f64, &[f64])| x + self.0.softness * dot(row, z);
            points.extend(x.iter().zip(scale.chunks_exact(n.max(1))).map(row));
        }
        let mut weights = vec![1.0 / samples as f64; samples];
        if self.0.centre() {
            points.extend_from_slice(x);
            weights.push(0.0);
        }
        if solve_transposed(scale, n, &mut vec![0.0; n], 1).is_none() {
            return Err(Fault::RankDeficient { matrix: "the scale" });
        }
        Ok(Asked { points, weights, plan: z })
    }

    fn tell(&self, x: &[f64], asked: &Asked<Vec<f64>>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let n = self.width(x.len());
        let scale = &x[n..];
        let advantages = self.0.advantages(told.costs);
        let mut scores = asked.plan.clone();
        self.0.noise.score(&mut scores);
        // Column 0 belongs to x, the others to the scale.
        let columns = n + 1;
        let mut sum = vec![0.0; n * columns];
        let rows = scores.chunks_exact(n.max(1)).zip(asked.plan.chunks_exact(n.max(1)));
        for ((score, z), advantage) in rows.zip(&advantages) {
            for (i, sum) in sum.chunks_exact_mut(columns).enumerate() {
                sum[0] += advantage * score[i] / self.0.softness;
                for (j, sum) in sum[1..].iter_mut().enumerate() {
                    *sum += advantage * (score[i] * z[j] - (i == j) as u8 as f64);
                }
            }
        }
        if solve_transposed(scale, n, &mut sum, columns).is_none() {
            return gradient.fill(f64::NAN); // `ask` has refused it
        }
        let count = advantages.len() as f64;
        for (i, sum) in sum.chunks_exact(columns).enumerate() {
            gradient[i] = sum[0] / count;
            gradient[n + i * n..][..n].iter_mut().zip(&sum[1..]).for_each(|(g, sum)| *g = sum / count);
        }
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Replaces `b` `(n, columns)` by the solution of `Aᵀ x = b`, by elimination with row exchanges; `None` if `a`
/// is singular.
fn solve_transposed(a: &[f64], n: usize, b: &mut [f64], columns: usize) -> Option<()> {
    let mut m: Vec<f64> = (0..n * n).map(|i| a[(i % n) * n + i / n]).collect();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| m[i * n + k].abs().total_cmp(&m[j * n + k].abs()))?;
        if !m[pivot * n + k].is_normal() {
            return None;
        }
        (0..n).for_each(|j| m.swap(k * n + j, pivot * n + j));
        (0..columns).for_each(|j| b.swap(k * columns + j, pivot * columns + j));
        for i in k + 1..n {
            let factor = m[i * n + k] / m[k * n + k];
            (k..n).for_each(|j| m[i * n + j] -= factor * m[k * n + j]);
            (0..columns).for_each(|j| b[i * columns + j] -= factor * b[k * columns + j]);
        }
    }
    for k in (0..n).rev() {
        for j in 0..columns {
            let known: f64 = (k + 1..n).map(|i| m[k * n + i] * b[i * columns + j]).sum();
            b[k * columns + j] = (b[k * columns + j] - known) / m[k * n + k];
        }
    }
    Some(())
}
