//! What the perturbed top-k estimates, by quadrature: for tests.

use supple_numerics::noise::Noise;

/// The probability of each entry to be among the `k` largest of $\theta + \sigma Z$, and the expected sum of
/// these: integrals over the noise of the entry itself, of the probability that fewer than `k` others exceed
/// it. The sum is NaN for noise without a mean.
pub(super) fn top_k(theta: &[f64], k: usize, softness: f64, noise: Noise) -> (Vec<f64>, f64) {
    let mut total = if noise.mean().is_nan() { f64::NAN } else { 0.0 };
    let probability = |i: usize| -> f64 {
        let apart = |t: &f64| (theta[i] - t) / softness;
        let mut sum = 0.0;
        quadrature(noise, theta.iter().map(apart), |z, mass| {
            let others = theta.iter().enumerate().filter(|(j, _)| *j != i);
            let exceed = others.map(|(_, t)| 1.0 - noise.cdf(z + apart(t)));
            let mass = mass * fewer_than(k, exceed);
            total += mass * (theta[i] + softness * z);
            sum += mass;
        });
        sum
    };
    let probabilities = (0..theta.len()).map(probability).collect();
    (probabilities, total)
}

/// Calls `visit(z, mass)` at the nodes of Gauss's rule with five points on short intervals, which end where a
/// density or distribution function has a kink, its own or that of one shifted down by one of `shifts`.
///
/// Cauchy noise has too much of its mass far out: there the intervals are those of its probability.
fn quadrature(noise: Noise, shifts: impl Iterator<Item = f64>, mut visit: impl FnMut(f64, f64)) {
    let (low, high, width, kinks): (f64, f64, f64, &[f64]) = match noise {
        Noise::Gaussian => (-9.0, 9.0, 0.2, &[]),
        Noise::Logistic => (-40.0, 40.0, 0.2, &[]),
        Noise::Gumbel => (-5.0, 45.0, 0.2, &[]),
        Noise::Laplace => (-40.0, 40.0, 0.2, &[0.0]),
        Noise::Cauchy => (0.0, 1.0, 0.001, &[]),
        Noise::Triangular => (-1.0, 1.0, 0.2, &[-1.0, 0.0, 1.0]),
        Noise::Uniform => (-1.0, 1.0, 0.2, &[-1.0, 1.0]),
    };
    let mut ends: Vec<f64> = (0..=((high - low) / width) as usize).map(|i| low + i as f64 * width).collect();
    ends.extend(shifts.flat_map(|shift| kinks.iter().map(move |kink| (kink - shift).clamp(low, high))));
    ends.extend([low, high].iter().chain(kinks));
    ends.sort_by(f64::total_cmp);

    let (inner, outer) = ((10.0 / 7.0f64).sqrt(), 13.0 * 70.0f64.sqrt());
    let (near, far) = ((5.0 - 2.0 * inner).sqrt() / 3.0, (5.0 + 2.0 * inner).sqrt() / 3.0);
    let (large, small) = ((322.0 + outer) / 900.0, (322.0 - outer) / 900.0);
    let rule = [(-far, small), (-near, large), (0.0, 128.0 / 225.0), (near, large), (far, small)];
    for ends in ends.windows(2) {
        let (middle, half) = (0.5 * (ends[0] + ends[1]), 0.5 * (ends[1] - ends[0]));
        for (node, weight) in rule {
            let at = middle + half * node;
            match noise {
                Noise::Cauchy => visit(noise.quantile(at), half * weight),
                _ => visit(at, half * weight * noise.density(at)),
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::SQRT_2;
    use supple_core::{Kind, Parameter};

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
        let Kind::Choice(names) = Noise::KIND else { panic!("a choice") };
        for name in names {
            let (p, value) = top_k(&[0.3, -1.0, 2.0, 0.0, 0.1], 3, 0.5, name.parse().unwrap());
            assert!((p.iter().sum::<f64>() - 3.0).abs() < 1e-12, "{name}: {p:?}");
            assert_eq!(value.is_nan(), *name == "cauchy");
        }
    }

    #[test]
    fn the_larger_of_two_is_as_likely_as_their_difference_says() {
        for x in [0.2f64, 0.7, 1.3, 4.0, 20.0] {
            let expected = [
                (Noise::Gaussian, Noise::Gaussian.cdf(x / SQRT_2)),
                (Noise::Logistic, (1.0 - (1.0 + x) * (-x).exp()) / (1.0 - (-x).exp()).powi(2)),
                (Noise::Gumbel, Noise::Logistic.cdf(x)),
                (Noise::Laplace, 1.0 - 0.25 * (2.0 + x) * (-x).exp()),
                (Noise::Cauchy, Noise::Cauchy.cdf(0.5 * x)),
                (Noise::Uniform, Noise::Triangular.cdf(0.5 * x)),
            ];
            for (noise, larger) in expected {
                let (p, _) = top_k(&[1.5 * x, 0.5 * x], 1, 1.0, noise);
                assert!((p[0] - larger).abs() < 1e-10, "{noise:?} at {x}: {} for {larger}", p[0]);
                assert!((p[0] + p[1] - 1.0).abs() < 1e-10, "{noise:?} at {x}");
            }
        }
    }
}
