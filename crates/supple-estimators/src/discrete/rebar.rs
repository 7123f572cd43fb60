//! REBAR: the score function estimator with the relaxed sample for its control.
//!
//! $$ \frac1S \sum_s \bigl( f(b_s) - \eta f(\zeta_s) \bigr) \nabla_x \ln p_x(b_s)
//! + \eta J_s^\top \nabla f(\zeta_s) $$
//!
//! ζ is the relaxation of $b$ at softness λ, of the same noise, and $J$ its derivative in the logits less
//! that where $b$ is given. In the paper's terms, $J^\top \nabla f$ is the difference of the two
//! reparametrised gradients, with the conditional sample drawn from noise that is coupled to the first, so
//! that both samples are the same number. That takes two evaluations, not three, for the same variance or a
//! tenth more.
//!
//! Right in expectation for any η, and any function that is continuous between the values of $b$ and has gradients there;
//! of a step at ½, the control is the cost itself, and nothing is left.
//! η is learned: that of least variance is a ratio of two moments, of which the state holds running means.
//! The softness is not, for that would take second derivatives of $f$.
//!
//! Cost: two evaluations and a gradient for each sample. Gradients are had at all points, and those at $b$
//! are not used.
//!
//! Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein, *REBAR: low-variance, unbiased gradient estimates for
//! discrete latent variable models*, NeurIPS 2017.

use super::independent::{Relaxed, dot};
use super::nvil::check_memory;
use super::{Independent, mode};
use crate::estimator::{check_budget, check_positive};
use crate::{Asked, Draws, Estimator, Gradients, Told};
use supple_core::{Error, Fault};

/// The score function estimator with the relaxed sample for its control.
///
/// ```
/// use supple_core::Fault;
/// use supple_estimators::discrete::{Bernoulli, Rebar};
/// use supple_estimators::{Budget, WithGradient, estimate};
///
/// let cost = WithGradient {
///     value: |b: &[f64], y: &mut [f64]| -> Result<(), Fault> { y[0] = 3.0 + b[0]; Ok(()) },
///     gradient: |_: &[f64], dy: &[f64], db: &mut [f64]| -> Result<(), Fault> { db[0] = dy[0]; Ok(()) },
/// };
/// let estimator = Rebar::new(Bernoulli);
/// let (estimate, state) = estimate(&estimator, &cost, &[0.0], Budget::new(1000, 1), &Default::default())?;
/// assert!((estimate.gradient[0] - 0.25).abs() < 0.02);
/// assert!((state.scale() - 1.0).abs() < 0.1);
/// # Ok::<(), supple_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rebar<D> {
    /// What is drawn; its parameters are the logits.
    pub distribution: D,
    /// Softness λ of the relaxed sample, in the unit of the logits.
    pub softness: f64,
    /// How much of what is known a call keeps, from 0 up to below 1.
    pub memory: f64,
}

impl<D> Rebar<D> {
    /// Softness 1, a memory of 0.95.
    pub fn new(distribution: D) -> Self {
        Self { distribution, softness: 1.0, memory: 0.95 }
    }
}

/// What [`Rebar`] knows of its control: moments of the gradient without it, $a$, and of what η multiplies,
/// $c$.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RebarState {
    /// The running mean of ⟨a, c⟩.
    pub cross: f64,
    /// The running mean of ⟨c, c⟩.
    pub square: f64,
}

impl RebarState {
    /// η: that of least variance for the moments, 1 where there are none.
    pub fn scale(&self) -> f64 {
        if self.square > 0.0 { -self.cross / self.square } else { 1.0 }
    }

    fn after(self, cross: f64, square: f64, memory: f64) -> Self {
        let mix = |old: f64, new: f64| memory * old + (1.0 - memory) * new;
        let next = Self { cross: mix(self.cross, cross), square: mix(self.square, square) };
        if next.cross.is_finite() && next.square.is_finite() { next } else { self }
    }
}

impl<D: Independent> Estimator for Rebar<D> {
    const NAME: &'static str = "rebar";
    type Needs = Gradients;
    type State = RebarState;
    type Plan = Vec<Relaxed>;

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        check_positive(Self::NAME, "softness", self.softness)?;
        check_memory(Self::NAME, self.memory)?;
        self.distribution.check(Self::NAME, n)?;
        check_budget(Self::NAME, evaluations, 2)
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(mode(&self.distribution, x))
    }

    fn ask(
        &self,
        x: &[f64],
        evaluations: usize,
        _: &RebarState,
        draws: Draws,
    ) -> Result<Asked<Vec<Relaxed>>, Fault> {
        let samples = evaluations / 2;
        let (mut points, plan) = Relaxed::rows(&self.distribution, x, self.softness, draws, samples);
        plan.iter().for_each(|relaxed| points.extend_from_slice(&relaxed.zeta));
        let mut weights = vec![1.0 / samples as f64; samples];
        weights.resize(2 * samples, 0.0);
        super::check_samples(&points)?;
        Ok(Asked { points, weights, plan })
    }

    fn tell(
        &self,
        x: &[f64],
        asked: &Asked<Vec<Relaxed>>,
        told: Told<'_>,
        state: &RebarState,
        gradient: &mut [f64],
    ) -> RebarState {
        let (n, samples) = (x.len(), asked.plan.len());
        let scores = super::scores(&self.distribution, x, &asked.points[..samples * n]);
        let (scale, count) = (state.scale(), samples as f64);
        let (mut cross, mut square) = (0.0, 0.0);
        for (s, relaxed) in asked.plan.iter().enumerate() {
            let score = &scores[s * n..][..n];
            let slope = &told.slopes[(samples + s) * n..][..n];
            let mut control = self.distribution.pull(x, self.softness, relaxed, slope);
            let value = told.costs[samples + s];
            control.iter_mut().zip(score).for_each(|(c, score)| *c -= value * score);
            cross += told.costs[s] * dot(score, &control) / count;
            square += dot(&control, &control) / count;
            let terms = score.iter().zip(&control).map(|(score, c)| told.costs[s] * score + scale * c);
            gradient.iter_mut().zip(terms).for_each(|(g, term)| *g += term / count);
        }
        state.after(cross, square, self.memory)
    }
}
