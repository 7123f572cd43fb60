//! What the perturbed top-k estimates, by quadrature: for tests.

use std::f64::consts::{SQRT_2, TAU};
use supple_numerics::noise::Noise;

/// The probability of each entry to be among the `k` largest of $\theta + \sigma Z$, and the expected sum of
/// these: integrals over the noise of the entry itself, of the probability that fewer than `k` others exceed
/// it.
pub(super) fn top_k(theta: &[f64], k: usize, softness: f64, noise: Noise) -> (Vec<f64>, f64) {
    const STEP: f64 = 0.01;
    let (low, high) = match noise {
        Noise::Gaussian => (-900, 900),
        Noise::Gumbel => (-500, 4500),
    };
    let mut total = 0.0;
    let probability = |i: usize| -> f64 {
        let terms = (low..=high).map(|step| {
            let z = step as f64 * STEP;
            let others = theta.iter().enumerate().filter(|(j, _)| *j != i);
            let exceed = others.map(|(_, t)| 1.0 - cdf(noise, z + (theta[i] - t) / softness));
            let mass = STEP * density(noise, z) * fewer_than(k, exceed);
            total += mass * (theta[i] + softness * z);
            mass
        });
        terms.sum()
    };
    let probabilities = (0..theta.len()).map(probability).collect();
    (probabilities, total)
}

/// The probability that fewer than `k` of independent events happen.
fn fewer_than(k: usize, events: impl Iterator<Item = f64>) -> f64 {
    let mut exactly = vec![0.0; k];
    exactly[0] = 1.0;
    for p in events {
        for count in (0..k).rev() {
            let fewer = if count > 0 { exactly[count - 1] } else { 0.0 };
            exactly[count] = exactly[count] * (1.0 - p) + fewer * p;
        }
    }
    exactly.iter().sum()
}

fn density(noise: Noise, z: f64) -> f64 {
    match noise {
        Noise::Gaussian => (-0.5 * z * z).exp() / TAU.sqrt(),
        Noise::Gumbel => (-z - (-z).exp()).exp(),
    }
}

fn cdf(noise: Noise, z: f64) -> f64 {
    match noise {
        Noise::Gaussian => 0.5 * libm::erfc(-z / SQRT_2),
        Noise::Gumbel => (-(-z).exp()).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argmax_under_gumbel_noise_is_softmax() {
        let (theta, softness) = ([0.3, -1.0, 2.0, 0.0], 0.7);
        let (p, value) = top_k(&theta, 1, softness, Noise::Gumbel);
        let sum: f64 = theta.iter().map(|t| (t / softness).exp()).sum();
        for (p, t) in p.iter().zip(theta) {
            assert!((p - (t / softness).exp() / sum).abs() < 1e-13);
        }
        assert!((value - softness * (sum.ln() + Noise::Gumbel.mean())).abs() < 1e-12);
    }

    #[test]
    fn probabilities_sum_to_k() {
        for noise in [Noise::Gaussian, Noise::Gumbel] {
            let (p, _) = top_k(&[0.3, -1.0, 2.0, 0.0, 0.1], 3, 0.5, noise);
            assert!((p.iter().sum::<f64>() - 3.0).abs() < 1e-12);
        }
    }
}
