//! Any function, smoothed by noise: its gradient from values alone.
//!
//! $$ f_\sigma(x) = \mathrm{E} f(x + \sigma Z), \qquad
//! \nabla f_\sigma(x) = \frac1\sigma \mathrm{E}\bigl[ (f(x + \sigma Z) - b) \nu'(Z) \bigr], \qquad
//! \nu'(z) = -\nabla \log p(z) $$
//!
//! * σ is the softness, in the unit of $x$; as it goes to 0, $f_\sigma$ becomes $f$ where that is continuous.
//! * The [`Baseline`] $b$ takes variance away. The [`Design`] arranges the noise: two-point estimates are
//!   [`Design::Antithetic`], one-point estimates [`Baseline::None`].
//! * **Uniform noise** has a score of zero where it has one. Its gradient is that of a box average, the
//!   mean difference of $f$ across the faces of the box: for a coordinate $i$ with the others drawn,
//!   $\bigl( f(\dots, x_i + \sigma, \dots) - f(\dots, x_i - \sigma, \dots) \bigr) / 2\sigma$. Each sample is for one
//!   coordinate, and takes three evaluations: inside, and on the two faces. The baseline cancels.
//! * **Triangular noise** has a score of infinite variance: means converge, but slowly, and there is no
//!   standard error. Prefer any other.
//! * **Bias**: none with independent noise. Without randomness ([`Design::Sobol`], [`Design::Cartesian`]) the
//!   estimate has an integration error instead of a variance. Where all samples depend on each other (Latin
//!   hypercube and the randomised designs), there are no others to leave a sample out of: [`Baseline::LeaveOneOut`]
//!   then subtracts the mean of all, which biases the gradient by a term that vanishes as the number of samples
//!   grows. The other two baselines do not.
//! * Variance grows with $n$, and as $1/\sigma^2$ where $f$ jumps.
//!
//! Petersen, Borgelt, Mishra and Ermon, *Generalizing stochastic smoothing for differentiation and gradient
//! estimation*, 2024; Nesterov and Spokoiny, *Random gradient-free minimization of convex functions*, 2017.

use super::faces::{self, Faces};
use super::points::{noise, shifted};
use super::{Baseline, Design, Noise};
use crate::estimator::{add_rows, check_budget, check_positive};
use crate::{Asked, Draws, Estimator, Told, Values};
use supple_core::{Error, Fault};

/// Smoothing by the score function of the noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// Scale σ of the noise, in the unit of `x`.
    pub softness: f64,
    /// Distribution of the noise. Gumbel noise shifts, for its mean is not 0.
    pub noise: Noise,
    /// What is subtracted from each cost.
    pub baseline: Baseline,
    /// How the noise is arranged.
    pub design: Design,
}

/// Gaussian noise of scale 1, independent samples, each with the mean of the others as its baseline.
impl Default for Smoothing {
    fn default() -> Self {
        Self {
            softness: 1.0,
            noise: Noise::Gaussian,
            baseline: Baseline::LeaveOneOut,
            design: Design::MonteCarlo,
        }
    }
}

/// The noise of each sample, and the coordinate of each where the noise is uniform.
#[derive(Debug, Clone)]
pub struct Plan {
    z: Vec<f64>,
    coordinates: Vec<usize>,
}

impl Smoothing {
    /// Evaluations that a sample takes.
    fn points_each(&self) -> usize {
        if self.noise.has_score() { 1 } else { faces::POINTS }
    }

    /// Whether a point without noise is evaluated too.
    pub(super) fn centre(&self) -> bool {
        self.noise.has_score() && self.baseline == Baseline::Value
    }

    /// How many samples a budget allows.
    pub(super) fn samples(&self, evaluations: usize, n: usize) -> usize {
        self.design.rows((evaluations - self.centre() as usize) / self.points_each(), n)
    }

    /// How many samples depend on each other; nothing where all do.
    fn group(&self) -> Option<usize> {
        match self.design {
            Design::Antithetic => Some(2),
            design => design.is_independent().then_some(1),
        }
    }

    /// The smallest budget: pairs are whole, and a grid has two levels for each of `n` coordinates.
    pub(super) fn least(&self, n: usize) -> usize {
        let grid = matches!(self.design, Design::Cartesian | Design::RandomizedCartesian);
        let rows = if grid {
            1_usize.checked_shl(n.min(64) as u32).unwrap_or(usize::MAX)
        } else {
            self.group().unwrap_or(1)
        };
        // Uniform noise has a grid for each coordinate.
        let grids = if grid && !self.noise.has_score() { n.max(1) } else { 1 };
        rows.saturating_mul(grids * self.points_each()).saturating_add(self.centre() as usize)
    }

    pub(super) fn check(&self, name: &str, n: usize, evaluations: usize) -> Result<(), Error> {
        check_positive(name, "softness", self.softness)?;
        check_budget(name, evaluations, self.least(n))
    }
}

impl Estimator for Smoothing {
    const NAME: &'static str = "smoothing";
    type Needs = Values;
    type State = ();
    type Plan = Plan;

    fn validate(&self, n: usize, evaluations: usize) -> Result<(), Error> {
        self.check(Self::NAME, n, evaluations)
    }

    fn bias(&self) -> Option<&'static str> {
        if !self.design.is_random() {
            return Some("the integral by a fixed set of points");
        }
        let centred = self.baseline == Baseline::LeaveOneOut && self.noise.has_score();
        (centred && self.group().is_none())
            .then_some("costs centred by their own mean: a term that vanishes with many samples")
    }

    fn has_standard_error(&self) -> bool {
        let infinite = self.noise.has_score() && self.noise.score_variance().is_infinite();
        self.design.is_random() && !infinite
    }

    fn limit(&self, x: &[f64]) -> Option<Vec<f64>> {
        Some(x.to_vec())
    }

    fn ask(&self, x: &[f64], evaluations: usize, _: &(), draws: Draws) -> Result<Asked<Plan>, Fault> {
        let n = x.len();
        // Without coordinates there are no faces.
        if !self.noise.has_score() && n > 0 {
            let faces = Faces::new(self.design, draws, evaluations / faces::POINTS, n);
            let points = faces.points(x, self.softness);
            let inside = faces.coordinates.len();
            let mut weights = vec![1.0 / inside as f64; inside];
            weights.resize(faces::POINTS * inside, 0.0);
            return Ok(Asked { points, weights, plan: Plan { z: faces.z, coordinates: faces.coordinates } });
        }
        let samples = self.samples(evaluations, n);
        let z = noise(self.noise, self.design, draws, samples, n);
        let mut points = shifted(x, self.softness, &z);
        let mut weights = vec![1.0 / samples as f64; samples];
        if self.centre() {
            points.extend_from_slice(x);
            weights.push(0.0);
        }
        Ok(Asked { points, weights, plan: Plan { z, coordinates: vec![] } })
    }

    fn tell(&self, _: &[f64], asked: &Asked<Plan>, told: Told<'_>, _: &(), gradient: &mut [f64]) {
        let Plan { z, coordinates } = &asked.plan;
        if !self.noise.has_score() {
            return faces::gradient(coordinates, told.costs, self.softness, gradient);
        }
        let advantages = self.advantages(told.costs);
        let mut scores = z.clone();
        self.noise.score(&mut scores);
        add_rows(gradient, &scores, |s| advantages[s]);
        let divisor = advantages.len() as f64 * self.softness;
        gradient.iter_mut().for_each(|g| *g /= divisor);
    }
}

impl Smoothing {
    /// The costs of the samples, less their baselines.
    pub(super) fn advantages(&self, costs: &[f64]) -> Vec<f64> {
        let (costs, value) = match costs.split_last() {
            Some((&value, costs)) if self.centre() => (costs, Some(value)),
            _ => (costs, None),
        };
        self.baseline.advantages(costs, self.group(), value)
    }
}
