//! RELAX: the score function estimator with a learned function of the relaxed sample for its control.
//!
//! $$ \frac1S \sum_s \bigl( f(b_s) - c_\phi(\zeta_s) \bigr) \nabla_x \ln p_x(b_s)
//! + J_s^\top \nabla c_\phi(\zeta_s) $$
//!
//! as in [`Rebar`](super::Rebar), but with a function $c_\phi$ in the place of $f$, so that $f$ needs values
//! at $b$ only, one for each sample. The paper's is a network; here it is
//! $c_\phi(\zeta) = \phi_0 + \sum_i \phi_i \zeta_i + \phi_{n + i} \zeta_i^2$. Then the estimate $g$ is affine
//! in φ, and so is the gradient of $\lVert g \rVert^2$, the mean of which is the variance but for a constant:
//! φ learns by steps down that gradient, sample by sample, each divided by the trace of its curvature
//! (normalised least mean squares). The constant is a baseline; products of several variables are out of its
//! reach.
//!
//! Right in expectation for any φ, and any function: a call uses the φ that it is given, and learns for the
//! next.
//!
//! Grathwohl, Choi, Wu, Roeder and Duvenaud, *Backpropagation through the void: optimizing control variates
//! for black-box gradient estimation*, ICLR 2018.

use super::independent::{Relaxed, dot};
use super::{Independent, mode};
use crate::estimator::{check_budget, check_positive};
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault};

/// The score function estimator with a learned function of the relaxed sample for its control.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::{Bernoulli, Relax};
/// use supple_estimators::{Budget, estimate};
///
/// let cost = |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = 3.0 + b[0]; Ok(()) };
/// let estimator = Relax::new(Bernoulli);
/// let (_, learned) = estimate(&estimator, &cost, &[0.0], Budget::new(1000, 1), &vec![])?;
/// let (later, _) = estimate(&estimator, &cost, &[0.0], Budget::new(1000, 2), &learned)?;
/// assert!((later.gradient[0] - 0.25).abs() < 0.02);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relax<D> {
    /// What is drawn; its parameters are the logits.
    pub distribution: D,
    /// Softness λ of the relaxed sample, in the unit of the logits.
    pub softness: f64,
    /// How far φ goes at each sample, up to 1. Large rates learn fast and never rest.
    pub rate: f64,
}

impl<D> Relax<D> {
    /// Softness 1, a rate of 0.1.
    pub fn new(distribution: D) -> Self {
        Self { distribution, softness: 1.0, rate: 0.1 }
    }
}

/// One sample: all that the estimate is affine in φ with.
struct Sample<'a> {
    cost: f64,
    score: &'a [f64],
    zeta: &'a [f64],
}

impl Sample<'_> {
    /// $c_\phi$.
    fn control(&self, phi: &[f64]) -> f64 {
        let (linear, square) = phi[1..].split_at(self.zeta.len());
        let terms = self.zeta.iter().zip(linear).zip(square);
        phi[0] + terms.map(|((z, linear), square)| z * (linear + z * square)).sum::<f64>()
    }

    /// Its gradient.
    fn slope(&self, phi: &[f64]) -> Vec<f64> {
        let (linear, square) = phi[1..].split_at(self.zeta.len());
        let terms = self.zeta.iter().zip(linear).zip(square);
        terms.map(|((z, linear), square)| linear + 2.0 * z * square).collect()
    }
}

impl<D: Independent> Relax<D> {
    fn estimate(&self, x: &[f64], relaxed: &Relaxed, sample: &Sample<'_>, phi: &[f64]) -> Vec<f64> {
        let mut g = self.distribution.pull(x, self.softness, relaxed, &sample.slope(phi));
        let advantage = sample.cost - sample.control(phi);
        g.iter_mut().zip(sample.score).for_each(|(g, score)| *g += advantage * score);
        g
    }

    /// A step of φ. With the derivative $C_k = -h_k s + J^\top \nabla h_k$ of the estimate $g$ in $\phi_k$, s
    /// the score and $h_k$ the term of $c$, it is $\langle C_k, g \rangle$ over $\sum_k \lVert C_k \rVert^2$.
    fn learn(&self, x: &[f64], relaxed: &Relaxed, sample: &Sample<'_>, phi: &mut [f64]) {
        let (n, zeta) = (x.len(), sample.zeta);
        let g = self.estimate(x, relaxed, sample, phi);
        let along = self.distribution.push(x, self.softness, relaxed, &g);
        let (across, squares) = (
            self.distribution.push(x, self.softness, relaxed, sample.score),
            self.distribution.row_squares(x, self.softness, relaxed),
        );
        let (product, length) = (dot(sample.score, &g), dot(sample.score, sample.score));
        let mut trace = length;
        for (i, z) in zeta.iter().enumerate() {
            trace += length * (z * z + z.powi(4)) - 2.0 * across[i] * (z + 2.0 * z.powi(3));
            trace += squares[i] * (1.0 + 4.0 * z * z);
        }
        let step = self.rate / trace;
        if !(trace > 0.0 && step.is_finite() && product.is_finite() && along.iter().all(|a| a.is_finite())) {
            return;
        }
        phi[0] += step * product;
        for (i, z) in zeta.iter().enumerate() {
            phi[1 + i] -= step * (along[i] - z * product);
            phi[1 + n + i] -= step * (2.0 * z * along[i] - z * z * product);
        }
    }
}

impl<D: Independent> Estimator for Relax<D> {
    const NAME: &'static str = "relax";
    type Needs = Values;
    /// φ, of 2n + 1 numbers; without any, all are 0.
    type State = Vec<f64>;
    type Plan = Vec<Relaxed>;

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check_positive(Self::NAME, "softness", self.softness)?;
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(Error::argument(Self::NAME, "rate", "in 0..=1", self.rate));
        }
        self.distribution.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 1)
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(mode(&self.distribution, x))
    }

    fn ask(
        &self,
        x: &[f64],
        evaluations: usize,
        state: &Vec<f64>,
        draws: Draws,
    ) -> Result<Asked<Vec<Relaxed>>, Fault> {
        if !(state.is_empty() || state.len() == 2 * x.len() + 1) {
            let requirement = "empty, or of one number and two for each parameter";
            return Err(Fault::Domain { argument: "state", requirement, value: state.len() as f64 });
        }
        let (points, plan) = Relaxed::rows(&self.distribution, x, self.softness, draws, evaluations);
        super::check_samples(&points)?;
        Ok(Asked { points, weights: vec![1.0 / evaluations as f64; evaluations], plan })
    }

    fn tell(
        &self,
        x: &[f64],
        asked: &Asked<Vec<Relaxed>>,
        told: Told<'_>,
        state: &Vec<f64>,
        gradient: &mut [f64],
    ) -> Vec<f64> {
        let n = x.len();
        let scores = super::scores(&self.distribution, x, &asked.points);
        let phi = if state.is_empty() { vec![0.0; 2 * n + 1] } else { state.clone() };
        let mut next = phi.clone();
        for (s, relaxed) in asked.plan.iter().enumerate() {
            let sample = Sample { cost: told.costs[s], score: &scores[s * n..][..n], zeta: &relaxed.zeta };
            let terms = self.estimate(x, relaxed, &sample, &phi);
            gradient.iter_mut().zip(terms).for_each(|(g, term)| *g += term * asked.weights[s]);
            self.learn(x, relaxed, &sample, &mut next);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bernoulli, Categorical};
    use super::*;
    use crate::Draws;

    fn check<D: Independent>(distribution: D, x: &[f64]) {
        let (n, estimator) = (x.len(), Relax::new(distribution));
        let draws = Draws { seed: 4, item: 0 };
        let (b, rows) = Relaxed::rows(&estimator.distribution, x, estimator.softness, draws, 1);
        let mut score = vec![0.0; n];
        estimator.distribution.score(x, &b, &mut score);
        let sample = Sample { cost: 1.7, score: &score, zeta: &rows[0].zeta };
        let phi: Vec<f64> = (0..2 * n + 1).map(|k| (k as f64).sin()).collect();
        let g = estimator.estimate(x, &rows[0], &sample, &phi);
        // The estimate is affine.
        let derivative = |k: usize| {
            let mut more = phi.clone();
            more[k] += 1.0;
            let g_more = estimator.estimate(x, &rows[0], &sample, &more);
            g_more.iter().zip(&g).map(|(more, g)| more - g).collect::<Vec<_>>()
        };
        let derivatives: Vec<_> = (0..phi.len()).map(derivative).collect();
        let trace: f64 = derivatives.iter().map(|c| dot(c, c)).sum();
        let mut next = phi.clone();
        estimator.learn(x, &rows[0], &sample, &mut next);
        for (k, c) in derivatives.iter().enumerate() {
            let expected = phi[k] - estimator.rate * dot(c, &g) / trace;
            assert!((next[k] - expected).abs() < 1e-13, "{k}: {} {expected}", next[k]);
        }
        let after = estimator.estimate(x, &rows[0], &sample, &next);
        assert!(dot(&after, &after) < dot(&g, &g));
        let unknown = Sample { cost: f64::NAN, ..sample };
        let before = next.clone();
        estimator.learn(x, &rows[0], &unknown, &mut next);
        assert_eq!(next, before);
    }

    #[test]
    fn steps_go_down_the_square_of_the_estimate() {
        check(Bernoulli, &[0.3, -1.0, 2.0]);
        check(Categorical { classes: 3 }, &[0.3, -1.0, 2.0, 0.0, 0.5, -0.3]);
    }
}
