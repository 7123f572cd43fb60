//! Exact gradients of smoothed solvers and functions, by quadrature.
//!
//! Given the noise of all other coordinates, the solution as a function of one perturbed score $\eta_i$
//! jumps at few thresholds $t$, from one cost to another. Of that coordinate's noise, with density $p$, the
//! mean and its slope are known:
//!
//! $$ \frac{\partial}{\partial\theta_i} \mathrm{E} c(y(\theta + \sigma Z)) = \mathrm{E}_{Z_{-i}}
//! \sum_t \frac1\sigma p\Bigl(\frac{t - \theta_i}{\sigma}\Bigr) (c_{t+} - c_{t-}) $$
//!
//! What is left to average has no score in it. Sobol points do that, shifted at random and wrapped round the
//! cube, and the spread of several shifts tells the error. Solutions are listed, not solved for: the
//! reference knows nothing of the solver.
//!
//! Cranley and Patterson, *Randomization of number theoretic methods for multiple integration*, SIAM Journal
//! on Numerical Analysis 1976.

use crate::problem::{Cost, Exact};
use rayon::prelude::*;
use supple_core::{Fault, Stream};
use supple_estimators::Function;
use supple_numerics::noise::Noise;
use supple_numerics::quasi::Design;

/// Shifts of the points.
const REPLICATES: usize = 16;

/// What a solver chooses from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Solutions {
    /// Vectors of zeros and ones: the bits of each, at most 32.
    Sets(Vec<u32>),
    /// Ranks.
    Ranks,
}

impl Solutions {
    /// The sets of `n` entries that are allowed.
    pub fn sets(n: usize, allowed: impl Fn(u32) -> bool) -> Self {
        Self::Sets((0..1 << n).filter(|&set| allowed(set)).collect())
    }
}

/// The vector of a set.
fn vector(set: u32, n: usize) -> Vec<f64> {
    (0..n).map(|i| (set >> i & 1) as f64).collect()
}

/// A smoothed solver with a cost on its solutions.
#[derive(Clone)]
pub struct Smoothed {
    /// The function of the solution.
    pub cost: Cost,
    /// What is chosen from.
    pub solutions: Solutions,
    /// Scale of the noise.
    pub softness: f64,
    /// Its distribution.
    pub noise: Noise,
    /// Points, of which each of 16 shifts makes others.
    pub points: usize,
}

impl Smoothed {
    /// The mean and its gradient, with the standard error of each entry of the gradient. NaN where the cost
    /// fails.
    pub fn exact(&self, theta: &[f64]) -> (Exact, Vec<f64>) {
        let n = theta.len();
        let mut cube = vec![0.0; self.points * n];
        Design::Sobol.fill(0, 0, self.points, n, &mut cube);
        let replicate = |shift: usize| self.replicate(theta, &cube, shift).unwrap_or(vec![f64::NAN; n + 1]);
        let rows: Vec<Vec<f64>> = (0..REPLICATES).into_par_iter().map(replicate).collect();
        let count = REPLICATES as f64;
        let mean = |i: usize| rows.iter().map(|row| row[i]).sum::<f64>() / count;
        let gradient: Vec<f64> = (0..n).map(mean).collect();
        let error = |i: usize| {
            let squares: f64 = rows.iter().map(|row| (row[i] - gradient[i]).powi(2)).sum();
            (squares / (count * (count - 1.0))).sqrt()
        };
        let errors = (0..n).map(error).collect();
        (Exact { value: mean(n), gradient }, errors)
    }

    /// The gradient, then the value, over the points of one shift.
    fn replicate(&self, theta: &[f64], cube: &[f64], shift: usize) -> Result<Vec<f64>, Fault> {
        let n = theta.len();
        let mut stream = Stream::new(0, 0, shift);
        let shifts: Vec<f64> = (0..n).map(|_| stream.uniform()).collect();
        let mut points = cube.to_vec();
        for row in points.chunks_exact_mut(n) {
            row.iter_mut()
                .zip(&shifts)
                .for_each(|(u, shift)| *u = (*u + shift).fract().max(f64::MIN_POSITIVE));
        }
        self.noise.quantiles(&mut points);
        points.chunks_exact_mut(n).for_each(|row| {
            row.iter_mut().zip(theta).for_each(|(z, theta)| *z = theta + self.softness * *z);
        });
        let mut sum = vec![0.0; n + 1];
        match &self.solutions {
            Solutions::Sets(sets) => self.sets(sets, theta, &points, &mut sum)?,
            Solutions::Ranks => self.ranks(theta, &points, &mut sum)?,
        }
        sum.iter_mut().for_each(|sum| *sum /= self.points as f64);
        sum[n] /= n as f64;
        Ok(sum)
    }

    /// A step from one cost to another at a threshold of coordinate `i`, from `first` on.
    fn step(&self, theta: &[f64], i: usize, threshold: f64, [below, above]: [f64; 2], sum: &mut [f64]) {
        let t = (threshold - theta[i]) / self.softness;
        sum[i] += self.noise.density(t) / self.softness * (above - below);
        sum[theta.len()] += (1.0 - self.noise.cdf(t)) * (above - below);
    }

    fn sets(&self, sets: &[u32], theta: &[f64], points: &[f64], sum: &mut [f64]) -> Result<(), Fault> {
        let n = theta.len();
        let vectors: Vec<f64> = sets.iter().flat_map(|&set| vector(set, n)).collect();
        let mut costs = vec![0.0; sets.len()];
        self.cost.evaluate(sets.len(), &vectors, &mut costs)?;
        for point in points.chunks_exact(n) {
            let value = |&set: &u32| -> f64 {
                let mut value = 0.0;
                let mut rest = set;
                while rest != 0 {
                    value += point[rest.trailing_zeros() as usize];
                    rest &= rest - 1;
                }
                value
            };
            let values: Vec<f64> = sets.iter().map(value).collect();
            let mut order: Vec<usize> = (0..sets.len()).collect();
            order.sort_unstable_by(|&a, &b| values[b].total_cmp(&values[a]));
            let Some((&best, others)) = order.split_first() else { return Err(Fault::Infeasible) };
            // For each entry, the best set that differs from the best of all in it.
            let mut left = u32::MAX >> (32 - n);
            for &other in others {
                let mut differ = (sets[other] ^ sets[best]) & left;
                left ^= differ;
                while differ != 0 {
                    let i = differ.trailing_zeros() as usize;
                    differ &= differ - 1;
                    let gap = values[best] - values[other];
                    let (threshold, costs) = match sets[best] >> i & 1 {
                        1 => (point[i] - gap, [costs[other], costs[best]]),
                        _ => (point[i] + gap, [costs[best], costs[other]]),
                    };
                    sum[n] += costs[0];
                    self.step(theta, i, threshold, costs, sum);
                }
                if left == 0 {
                    break;
                }
            }
            // Entries that are in all sets, or in none.
            sum[n] += left.count_ones() as f64 * costs[best];
        }
        Ok(())
    }

    fn ranks(&self, theta: &[f64], points: &[f64], sum: &mut [f64]) -> Result<(), Fault> {
        let n = theta.len();
        for point in points.chunks_exact(n) {
            for i in 0..n {
                let mut others: Vec<usize> = (0..n).filter(|&j| j != i).collect();
                others.sort_by(|&a, &b| point[a].total_cmp(&point[b]));
                // Coordinate i in each place among the others.
                let mut ranks = vec![0.0; n * n];
                for (place, ranks) in ranks.chunks_exact_mut(n).enumerate() {
                    ranks[i] = 1.0 + place as f64;
                    let rank = |k: usize| 1.0 + (k + (k >= place) as usize) as f64;
                    others.iter().enumerate().for_each(|(k, &j)| ranks[j] = rank(k));
                }
                let mut costs = vec![0.0; n];
                self.cost.evaluate(n, &ranks, &mut costs)?;
                sum[n] += costs[0];
                for (&j, pair) in others.iter().zip(costs.windows(2)) {
                    self.step(theta, i, point[j], [pair[0], pair[1]], sum);
                }
            }
        }
        Ok(())
    }
}

/// The mean cost of the `k` of largest perturbed scores, by an integral over the greatest of the rest:
///
/// $$ p(S) = \sum_{j \notin S} \int p_j(t) \prod_{i \in S} (1 - F_i(t))
/// \prod_{i \notin S, i \ne j} F_i(t) \, dt $$
///
/// For noise with a smooth density, and `k` below the number of scores.
pub fn top_k(cost: &Cost, k: usize, theta: &[f64], softness: f64, noise: Noise) -> Exact {
    const STEPS: usize = 1000;
    let n = theta.len();
    let [low, high] = [1e-16, 1.0 - 1e-16].map(|u| softness * noise.quantile(u));
    let low = theta.iter().fold(f64::INFINITY, |low, x| low.min(*x)) + low;
    let high = theta.iter().fold(f64::NEG_INFINITY, |high, x| high.max(*x)) + high;
    let step = (high - low) / STEPS as f64;
    let sets: Vec<u32> = (0..1u32 << n).filter(|set| set.count_ones() as usize == k).collect();
    let mut exact = Exact { value: 0.0, gradient: vec![0.0; n] };
    for set in sets {
        let has = |i: usize| set >> i & 1 == 1;
        let mut value = [f64::NAN];
        if cost.evaluate(1, &vector(set, n), &mut value).is_err() {
            value[0] = f64::NAN;
        }
        for s in 0..=STEPS {
            let t = low + s as f64 * step;
            let z: Vec<f64> = theta.iter().map(|x| (t - x) / softness).collect();
            let cdf: Vec<f64> = z.iter().map(|z| noise.cdf(*z)).collect();
            let density: Vec<f64> = z.iter().map(|z| noise.density(*z) / softness).collect();
            let tail = |i: usize| if has(i) { 1.0 - cdf[i] } else { cdf[i] };
            // The greatest of the rest passes t at entry j, while all others keep their side.
            for j in (0..n).filter(|&j| !has(j)) {
                let without =
                    |skip: usize| -> f64 { (0..n).filter(|&i| i != j && i != skip).map(tail).product() };
                let weight = step * value[0] * density[j];
                let all = without(n);
                exact.value += weight * all;
                for i in (0..n).filter(|&i| i != j) {
                    // The slope of a tail in its score is the density there, up for members and down for
                    // others.
                    let slope = if has(i) { density[i] } else { -density[i] };
                    exact.gradient[i] += weight * slope * without(i);
                }
                // A shift of entry j moves the density along, which is a shift of t for all others,
                // backwards.
                let others: f64 = (0..n)
                    .filter(|&i| i != j)
                    .map(|i| if has(i) { -density[i] } else { density[i] } * without(i))
                    .sum();
                exact.gradient[j] += weight * others;
            }
        }
    }
    exact
}

/// The mean of a function of two perturbed numbers and its gradient, by the midpoint rule over noise to
/// within `reach` of 0 with `steps` steps each way. For noise with a score.
pub fn plane(cost: &Cost, x: &[f64], softness: f64, noise: Noise, reach: f64, steps: usize) -> Exact {
    let h = 2.0 * reach / steps as f64;
    let z: Vec<f64> = (0..steps).map(|i| (i as f64 + 0.5) * h - reach).collect();
    let mut score = z.clone();
    noise.score(&mut score);
    let row = |i: usize| {
        let point = |z_j: &f64| [x[0] + softness * z[i], x[1] + softness * z_j];
        let points: Vec<f64> = z.iter().flat_map(point).collect();
        let mut values = vec![0.0; steps];
        if cost.evaluate(steps, &points, &mut values).is_err() {
            values.fill(f64::NAN);
        }
        let weight = h * noise.density(z[i]);
        let mut sum = [0.0; 3];
        for (j, value) in values.iter().enumerate() {
            let term = weight * h * noise.density(z[j]) * value;
            sum[0] += term;
            sum[1] += term * score[i] / softness;
            sum[2] += term * score[j] / softness;
        }
        sum
    };
    let rows: Vec<[f64; 3]> = (0..steps).into_par_iter().map(row).collect();
    let total = |k: usize| rows.iter().map(|row| row[k]).sum::<f64>();
    Exact { value: total(0), gradient: vec![total(1), total(2)] }
}
