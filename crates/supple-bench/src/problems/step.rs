//! One step: $f(x) = 1$ above 0, and 0 below.
//!
//! $\mathrm{E} f(x + \sigma Z) = F(x / \sigma)$ for noise that is symmetric; the gradient is its density. The
//! least there is, and the hardest for its size: gradients of $f$ say nothing.

use super::posed::{Posed, cost};
use crate::problem::{Exact, Target};
use supple_estimators::smoothing::Noise;

/// Under Gaussian noise.
pub fn gaussian() -> Posed {
    under(Noise::Gaussian, ["step/gaussian", "one step at 0, Gaussian noise"])
}

/// Under uniform noise: the average over an interval.
pub fn uniform() -> Posed {
    under(Noise::Uniform, ["step/uniform", "one step at 0, uniform noise"])
}

pub(super) fn under(noise: Noise, text: [&'static str; 2]) -> Posed {
    let softness = 0.8;
    let cost = cost(|x| (x[0] > 0.0) as u8 as f64, |_, _| ());
    let target = Target::Perturbed { cost, softness, noise };
    Posed::new(text, &[0.3], target, move |x| {
        let t = -x[0] / softness;
        Exact { value: 1.0 - noise.cdf(t), gradient: vec![noise.density(t) / softness] }
    })
}
