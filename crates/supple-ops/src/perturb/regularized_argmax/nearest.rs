//! The point of a hull that is nearest to another one, by Wolfe's algorithm.

use super::corral::Corral;
use crate::perturb::Oracle;
use supple_core::{Fault, Stream};

/// A gap counts as none up to this share of the square of the distance to the vertex, times the softness: a
/// vertex that would get no more weight.
const TOLERANCE: f64 = 1e-14;
/// Or up to this share of the size of its terms: round-off.
const ROUND_OFF: f64 = 8.0 * f64::EPSILON;
/// The face of a point is explored by objectives this far from the one it is the answer to, as a share of it.
const NEARBY: f64 = 1e-8;

/// The hull of an oracle's answers, and an objective with its square.
pub(super) struct Hull<'a, S> {
    pub oracle: &'a S,
    pub theta: &'a [f64],
    pub softness: f64,
}

impl<S: Oracle> Hull<'_, S> {
    /// The best point, and an orthonormal basis of the span of its face.
    pub fn nearest(&self, limit: usize) -> Result<(Vec<f64>, Vec<f64>), Fault> {
        let mut y = vec![0.0; self.theta.len()];
        self.oracle.solve(self.theta, &mut y)?;
        let mut corral = Corral::new(y.clone());
        let mut point = y.clone();
        let mut left = 0.0;
        for iterations in 1..=limit {
            let gradient = self.gradient(&point);
            self.solve(&gradient, corral.first(), &mut y)?;
            let (gap, bound) = self.gap(&gradient, &point, &y);
            if gap <= bound {
                self.complete(&mut corral, &point)?;
                return Ok((point, corral.basis));
            }
            if !(corral.push(&y) && self.descend(&mut corral)) {
                return Err(Fault::NotConverged { iterations, residual: gap });
            }
            left = gap;
            corral.point(&mut point);
        }
        Err(Fault::NotConverged { iterations: limit, residual: left })
    }

    /// Moves to the best combination of the vertices; those that it has no use for leave. `false` where
    /// round-off leaves none.
    fn descend(&self, corral: &mut Corral) -> bool {
        loop {
            let target = corral.nearest(&self.from(corral.first()));
            if target.iter().all(|&weight| weight > 0.0) {
                corral.weights = target;
                return true;
            }
            // As far towards it as no weight is negative.
            let mut step = (f64::INFINITY, 0);
            for (i, (&weight, &target)) in corral.weights.iter().zip(&target).enumerate() {
                let reach = weight / (weight - target);
                if target <= 0.0 && (reach < step.0 || reach.is_nan()) {
                    step = (reach, i);
                }
            }
            let (reach, first_out) = step;
            // The newest vertex alone has weight 0: without a step it would come again. NaN ends the search
            // too.
            if !(reach > 0.0 && reach <= 1.0) {
                return false;
            }
            for (weight, target) in corral.weights.iter_mut().zip(target) {
                *weight += reach * (target - *weight);
            }
            corral.weights[first_out] = 0.0;
            if !corral.drop_idle() {
                return false;
            }
        }
    }

    /// Takes in vertices until they span the face of the point: those that are best at objectives near the
    /// one for which the whole face is. When a random direction outside the span and its opposite find none,
    /// there is none.
    fn complete(&self, corral: &mut Corral, point: &[f64]) -> Result<(), Fault> {
        let gradient = self.gradient(point);
        let sizes = point.iter().zip(self.theta).map(|(p, theta)| (self.softness * p).abs().max(theta.abs()));
        let size = sizes.filter(|size| size.is_finite()).fold(0.0, f64::max);
        let mut y = vec![0.0; point.len()];
        let mut random = Stream::new(0, point.len(), 0);
        'span: loop {
            let mut direction = random.normals(point.len());
            corral.orthogonalize(&mut direction);
            for sign in [1.0, -1.0] {
                let step = sign * NEARBY * if size > 0.0 { size } else { 1.0 };
                let nearby: Vec<f64> = gradient.iter().zip(&direction).map(|(g, d)| g + step * d).collect();
                self.solve(&nearby, corral.first(), &mut y)?;
                let (gap, bound) = self.gap(&gradient, point, &y);
                if gap >= -bound && corral.push(&y) {
                    continue 'span;
                }
            }
            return Ok(());
        }
    }

    /// An answer of the oracle, which has to have the entries of `first` at infinite scores.
    fn solve(&self, objective: &[f64], first: &[f64], y: &mut [f64]) -> Result<(), Fault> {
        y.fill(0.0);
        self.oracle.solve(objective, y)?;
        let mut entries = self.theta.iter().zip(first.iter().zip(y));
        match entries.find(|(theta, (first, y))| theta.is_infinite() && first != y) {
            Some((&value, _)) => {
                let requirement = "finite where solutions differ";
                Err(Fault::Domain { argument: "theta", requirement, value })
            }
            None => Ok(()),
        }
    }

    /// $\theta - \varepsilon\mu$.
    fn gradient(&self, point: &[f64]) -> Vec<f64> {
        self.theta.iter().zip(point).map(|(theta, p)| theta - self.softness * p).collect()
    }

    /// $\theta / \varepsilon - v$, without entries for infinite scores.
    fn from(&self, vertex: &[f64]) -> Vec<f64> {
        let from =
            |(&theta, &v): (&f64, &f64)| if theta.is_finite() { theta / self.softness - v } else { 0.0 };
        self.theta.iter().zip(vertex).map(from).collect()
    }

    /// By how much `y` is better than the point at the gradient, and what of it counts as none.
    fn gap(&self, gradient: &[f64], point: &[f64], y: &[f64]) -> (f64, f64) {
        let (mut gap, mut size, mut square) = (0.0, 0.0, 0.0);
        for (((&theta, &g), &p), &y) in self.theta.iter().zip(gradient).zip(point).zip(y) {
            if theta.is_finite() {
                let step = y - p;
                gap += g * step;
                size += (theta.abs() + (self.softness * p).abs()) * (y.abs() + p.abs());
                square += step * step;
            }
        }
        (gap, TOLERANCE * self.softness * square + ROUND_OFF * size)
    }
}
