use super::ziggurat::TAIL;
use super::*;
use supple_core::{Dual, Kind, Parameter};

/// All of them, by their names.
fn all() -> Vec<Noise> {
    let Kind::Choice(names) = Noise::KIND else { panic!("a choice") };
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn draw(noise: Noise, n: usize) -> Vec<f64> {
    let mut z = vec![0.0; n];
    z.chunks_mut(1000).enumerate().for_each(|(i, z)| noise.fill(&mut Stream::new(3, i, 0), z));
    z
}

/// Largest distance between the empirical distribution and the true one, times √n; above 1.95 with
/// probability 0.001.
fn kolmogorov(z: &mut [f64], cdf: impl Fn(f64) -> f64) -> f64 {
    z.sort_by(f64::total_cmp);
    let n = z.len() as f64;
    let gap = |(i, &z): (usize, &f64)| {
        let c = cdf(z);
        (c - i as f64 / n).abs().max(((i + 1) as f64 / n - c).abs())
    };
    z.iter().enumerate().map(gap).fold(0.0, f64::max) * n.sqrt()
}

#[test]
fn draws_follow_their_distribution() {
    let n = 500_000;
    for noise in all() {
        let drawn = kolmogorov(&mut draw(noise, n), |z| noise.cdf(z));
        let mut random = Stream::new(8, 0, 0);
        let mut z: Vec<f64> = (0..n).map(|_| noise.quantile(random.uniform())).collect();
        let inverted = kolmogorov(&mut z, |z| noise.cdf(z));
        assert!(drawn < 1.95 && inverted < 1.95, "{noise:?}: {drawn}, {inverted}");
    }
}

#[test]
fn the_tail_of_the_normal_is_there() {
    let n = 4_000_000;
    let z = draw(Noise::Gaussian, n);
    for from in [3.0, TAIL, 4.0, 4.5] {
        let expected = n as f64 * libm::erfc(from / std::f64::consts::SQRT_2);
        let count = z.iter().filter(|z| z.abs() > from).count() as f64;
        assert!((count - expected).abs() < 4.0 * expected.sqrt(), "{count} of {expected} beyond {from}");
    }
}

#[test]
fn quantiles_of_the_normal_have_all_their_digits() {
    // By mpmath, to 40 digits.
    let expected = [
        (2f64.powi(-1000), -37.111_011_937_164_79),
        (2f64.powi(-52), -8.125_890_664_701_907),
        (2f64.powi(-20), -4.763_001_034_267_814),
        (0.0625, -1.534_120_544_352_546_3),
        (0.28125, -0.579_132_162_255_555_9),
        (0.507_812_5, 0.019_584_285_230_126_92),
        (0.9375, 1.534_120_544_352_546_3),
        (1.0 - 2f64.powi(-30), 6.009_353_565_530_744),
    ];
    for (u, z) in expected {
        let found = Noise::Gaussian.quantile(u);
        assert!((found / z - 1.0).abs() < 1e-15, "{u:e}: {found} for {z}");
    }
}

#[test]
fn quantiles_invert_the_distribution_function_in_both_tails() {
    let mut random = Stream::new(5, 0, 0);
    for noise in all() {
        for _ in 0..20_000 {
            // Down to 2⁻⁴⁰ on the left, and exactly the mirror image of it on the right.
            let upper = 1.0 - 0.5 * (-28.0 * random.uniform()).exp();
            let lower = 1.0 - upper;
            for u in [lower, upper] {
                let z = noise.quantile(u);
                // A relative error of z of 1e-15, and rounding in the distribution function.
                let bound = 1e-15 * (noise.density(z) * z.abs() + u);
                assert!((noise.cdf(z) - u).abs() <= 2.0 * bound, "{noise:?} at {u:e}: {z}");
            }
            let (left, right) = (noise.quantile(lower), noise.quantile(upper));
            let symmetric = (left + right).abs() < 1e-15 * (1.0 + right);
            assert!(symmetric || noise == Noise::Gumbel, "{noise:?} at {lower:e}: {left}, {right}");
        }
    }
}

#[test]
fn quantiles_of_a_slice_have_the_bits_of_each() {
    let mut random = Stream::new(6, 0, 0);
    for noise in all() {
        let u: Vec<f64> = (0..1000).map(|_| random.uniform()).chain([0.0, 1.0, 0.5]).collect();
        let mut z = u.clone();
        noise.quantiles(&mut z);
        assert!(u.iter().zip(&z).all(|(u, z)| noise.quantile(*u).to_bits() == z.to_bits()), "{noise:?}");
        let ends = match noise {
            Noise::Triangular | Noise::Uniform => 1.0,
            _ => f64::INFINITY,
        };
        assert_eq!(z[1000..1002], [-ends, ends], "{noise:?}");
    }
}

/// A few hundred points of the support, away from kinks and from its ends.
fn points(noise: Noise) -> Vec<f64> {
    (0..300).map(|i| noise.quantile((i as f64 + 0.7) / 301.0)).collect()
}

#[test]
fn the_density_is_the_slope_of_the_distribution_function() {
    for noise in all() {
        for z in points(noise) {
            let step = 1e-5 * (1.0 + z.abs());
            let slope = (noise.cdf(z + step) - noise.cdf(z - step)) / (2.0 * step);
            let density = noise.density(z);
            assert!(
                (slope - density).abs() < 1e-6 * (density + 1e-3),
                "{noise:?} at {z}: {slope}, {density}"
            );
        }
    }
}

#[test]
fn the_score_is_the_slope_of_the_log_density() {
    for noise in all() {
        for z in points(noise) {
            let step = 1e-6 * (1.0 - z.abs().min(0.99)).min(z.abs());
            let at = |z: f64| -noise.density(z).ln();
            let slope = (at(z + step) - at(z - step)) / (2.0 * step);
            let mut score = [z];
            noise.score(&mut score);
            let scale = 1.0 + score[0].abs();
            assert!((slope - score[0]).abs() < 1e-5 * scale, "{noise:?} at {z}: {slope}, {}", score[0]);
        }
    }
}

#[test]
fn moments_are_those_of_the_table() {
    // Of the noise, of its score and, by integration by parts, E[Z ν'(Z)] = 1. Means over strata of
    // probability: sums that converge where the moments exist.
    let n = 1_000_000;
    for noise in all() {
        let mut z: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
        noise.quantiles(&mut z);
        let mut scores = z.clone();
        noise.score(&mut scores);
        let mean = |f: &dyn Fn(f64, f64) -> f64| {
            z.iter().zip(&scores).map(|(z, s)| f(*z, *s)).sum::<f64>() / n as f64
        };
        if noise.mean().is_finite() {
            assert!((mean(&|z, _| z) - noise.mean()).abs() < 1e-5, "{noise:?}");
            let variance = mean(&|z, _| (z - noise.mean()).powi(2));
            assert!((variance - noise.variance()).abs() < 1e-3, "{noise:?}: {variance}");
        } else {
            assert!(noise == Noise::Cauchy && noise.variance() == f64::INFINITY);
        }
        assert!(mean(&|_, s| s).abs() < 1e-5, "{noise:?}");
        if noise.has_score() {
            let product = mean(&|z, s| z * s);
            assert!((product - 1.0).abs() < 2e-3, "{noise:?}: {product}");
        }
        if noise.score_variance().is_finite() {
            let variance = mean(&|_, s| s * s);
            assert!((variance - noise.score_variance()).abs() < 1e-3, "{noise:?}: {variance}");
        }
    }
    // ∫ 1/(1 − |z|) grows as the logarithm of the strata: by ln 2 a doubling, twice the half of it a side.
    let sum = |n: usize| {
        let mut z: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect();
        Noise::Triangular.quantiles(&mut z);
        Noise::Triangular.score(&mut z);
        z.iter().map(|s| s * s).sum::<f64>() / n as f64
    };
    assert!((sum(1 << 18) - sum(1 << 16) - 4f64.ln()).abs() < 1e-3, "{}", sum(1 << 18) - sum(1 << 16));
    assert!(Noise::Triangular.score_variance() == f64::INFINITY && Noise::Uniform.score_variance().is_nan());
}

#[test]
fn the_score_has_mean_zero_and_is_one_unit_against_the_noise() {
    // Of draws; in standard errors, where the products have a variance.
    for noise in all().into_iter().filter(|noise| noise.score_variance().is_finite()) {
        let z = draw(noise, 1_000_000);
        let mut scores = z.clone();
        noise.score(&mut scores);
        let t = |x: Vec<f64>, expected: f64| {
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            (mean - expected) / (variance / n).sqrt()
        };
        let (first, second) =
            (t(scores.clone(), 0.0), t(scores.iter().zip(&z).map(|(s, z)| s * z).collect(), 1.0));
        assert!(first.abs() < 4.0 && second.abs() < 4.0, "{noise:?}: {first}, {second}");
    }
}

#[test]
fn the_same_stream_gives_the_same_noise() {
    for noise in all() {
        let mut z = [[0.0; 50]; 3];
        let streams = [Stream::new(1, 2, 3), Stream::new(1, 2, 3), Stream::new(1, 2, 4)];
        z.iter_mut().zip(streams).for_each(|(z, mut stream)| noise.fill(&mut stream, z));
        assert_eq!(z[0], z[1]);
        assert_ne!(z[0], z[2]);
        let mut duals = [Dual::new(0.0, 1.0); 50];
        noise.fill_any(&mut Stream::new(1, 2, 3), &mut duals);
        assert!(duals.iter().zip(z[0]).all(|(dual, z)| (dual.v, dual.d) == (z, 0.0)));
    }
}
