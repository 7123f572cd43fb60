//! Steps in several dimensions, alone and all at once:
//!
//! $$ f(x) = \sum_i a_i s(x_i) + b \prod_i s(x_i), \qquad s(x) = 1 \text{ above } 0, \text{ else } 0 $$
//!
//! The noise is independent, so that the mean has each $s(x_i)$ replaced by its mean, a distribution
//! function.

use super::posed::{Posed, cost};
use crate::problem::{Exact, Target};
use supple_estimators::smoothing::Noise;

const HEIGHTS: [f64; 4] = [1.0, -0.5, 0.25, 2.0];
const TOGETHER: f64 = 3.0;

/// Under Gaussian noise.
pub fn gaussian() -> Posed {
    under(Noise::Gaussian, ["steps/gaussian", "four steps, alone and all at once, Gaussian noise"])
}

/// Under Cauchy noise, which has no mean.
pub fn cauchy() -> Posed {
    under(Noise::Cauchy, ["steps/cauchy", "four steps, alone and all at once, Cauchy noise"])
}

fn value(s: &[f64]) -> f64 {
    HEIGHTS.iter().zip(s).map(|(a, s)| a * s).sum::<f64>() + TOGETHER * s.iter().product::<f64>()
}

pub(super) fn under(noise: Noise, text: [&'static str; 2]) -> Posed {
    let softness = 0.6;
    let step = |x: &f64| (*x > 0.0) as u8 as f64;
    let cost = cost(move |x| value(&x.iter().map(step).collect::<Vec<_>>()), |_, _| ());
    let target = Target::Perturbed { cost, softness, noise };
    Posed::new(text, &[0.2, 0.5, -0.4, 0.0], target, move |x| {
        let means: Vec<f64> = x.iter().map(|x| 1.0 - noise.cdf(-x / softness)).collect();
        let slope = |i: usize| {
            let others: f64 = (0..x.len()).filter(|&j| j != i).map(|j| means[j]).product();
            noise.density(-x[i] / softness) / softness * (HEIGHTS[i] + TOGETHER * others)
        };
        Exact { value: value(&means), gradient: (0..x.len()).map(slope).collect() }
    })
}
