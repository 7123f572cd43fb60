//! What only this operator needs.

use super::*;
use ndarray::{Array1, ArrayD, arr0};
use supple_core::{Inputs, Mode, Options, linearize};
use supple_numerics::laplace::Line;

const DISTRIBUTIONS: [Distribution; 3] =
    [Distribution::Logistic, Distribution::Laplace, Distribution::Gaussian];

/// Value and gradients.
fn at<T: Float>(
    (softness, distribution): (f64, Distribution),
    x: &[T],
    weights: &[T],
    q: f64,
    mode: Mode,
) -> Result<(f64, [ArrayD<T>; 3]), Error> {
    let operator = SmoothedQuantile { softness, distribution };
    let [x, weights] = [x, weights].map(|x| Array1::from(x.to_vec()).into_dyn());
    let q = arr0(T::of(q)).into_dyn();
    let options = Options { mode, ..Options::default() };
    let inputs = Inputs { x: [x.view(), weights.view(), q.view()], k: [], options };
    let at = linearize(&operator, inputs)?;
    let gradients = at.vjp([arr0(T::one()).into_dyn().view()])?;
    Ok((at.outputs()[0].iter().map(|v| v.to_f64()).sum(), gradients))
}

fn value(softness: f64, distribution: Distribution, x: &[f64], weights: &[f64], q: f64) -> f64 {
    at((softness, distribution), x, weights, q, Mode::Soft).unwrap().0
}

fn hard(x: &[f64], weights: &[f64], q: f64) -> f64 {
    at((0.1, Distribution::Logistic), x, weights, q, Mode::Hard).unwrap().0
}

fn assert_close(got: f64, expected: f64, bound: f64) {
    assert!((got - expected).abs() <= bound, "{got:e} for {expected:e}");
}

#[test]
fn hard_values_are_those_of_numpy() {
    // numpy.quantile(x, q, method="averaged_inverted_cdf")
    let x = [3.0, -1.0, 7.5, 0.0, 2.0, 9.0, 4.0, 1.0, 8.0, -5.0];
    let levels = [0.05, 0.1, 0.3, 0.32, 0.5, 0.7, 0.75, 0.9, 0.99];
    let expected = [-5.0, -3.0, 0.5, 1.0, 2.5, 5.75, 7.5, 8.5, 9.0];
    for (q, expected) in levels.into_iter().zip(expected) {
        for weight in [1.0, 0.1, 7.0] {
            assert_eq!(hard(&x, &[weight; 10], q), expected, "{q}");
        }
    }
    // A weight is a number of repetitions.
    assert_eq!(hard(&[2.0, 1.0, 5.0], &[1.0, 3.0, 2.0], 0.5), 1.5);
    assert_eq!(hard(&[2.0, 1.0, 5.0], &[1.0, 3.0, 2.0], 0.6), 2.0);
    assert_eq!(hard(&[2.0, 1.0, 5.0], &[1.0, 0.0, 2.0], 0.1), 2.0);
}

#[test]
fn a_weight_is_a_number_of_repetitions() {
    for distribution in DISTRIBUTIONS {
        for q in [0.01, 0.4, 0.5, 0.83] {
            let repeated = value(0.3, distribution, &[2.0, 1.0, 1.0, 1.0, 5.0, 5.0], &[0.7; 6], q);
            let weighted = value(0.3, distribution, &[2.0, 1.0, -9.0, 5.0], &[1.0, 3.0, 0.0, 2.0], q);
            assert_close(weighted, repeated, 1e-14);
        }
    }
}

#[test]
fn the_laplace_form_is_that_of_lapsum() {
    let scratch = &mut Scratch::default();
    for softness in [1e-3, 0.2, 30.0] {
        let mut x = Stream::new(4, 0, 0).normals(40);
        x.extend([0.25, 0.25, 4.0 + 1000.0 * softness]);
        x.sort_by(f64::total_cmp);
        let n = x.len();
        let line = Line::new(&x, softness, scratch);
        let levels = (0..n).map(|k| k as f64 + 0.5);
        let mut k = 0.0;
        line.quantiles(&x, softness, levels, scratch, |expected| {
            let got = value(softness, Distribution::Laplace, &x, &vec![2.0; n], (k + 0.5) / n as f64);
            assert_close(got, expected.value, 1e-12 * (1.0 + expected.value.abs()));
            k += 1.0;
        });
    }
}

#[test]
fn levels_near_the_ends_keep_their_digits() {
    // One value: v = x + ε F⁻¹(q).
    for q in [1e-300, 1e-12, 0.3, 0.5, 1.0 - 1e-9] {
        let logistic = (q / (1.0 - q)).ln();
        assert_close(value(2.0, Distribution::Logistic, &[7.0], &[3.0], q), 7.0 + 2.0 * logistic, 1e-12);
        let laplace = if q < 0.5 { (2.0 * q).ln() } else { -(2.0 * (1.0 - q)).ln() };
        assert_close(value(2.0, Distribution::Laplace, &[7.0], &[3.0], q), 7.0 + 2.0 * laplace, 1e-12);
        let t = value(1.0, Distribution::Gaussian, &[0.0], &[3.0], q);
        let tail = 0.5 * libm::erfc(t.abs() * std::f64::consts::FRAC_1_SQRT_2);
        assert_close(tail / q.min(1.0 - q), 1.0, 1e-12);
    }
}

/// Where the upper tails of the first two are as much as the lower one of the third, and the third's part of the
/// gradient.
fn balance_of_gaussian_tails(x: [f64; 3], weights: [f64; 3]) -> (f64, f64) {
    let tail = |i: usize, t: f64| weights[i] * Distribution::Gaussian.naive(-t);
    let (mut low, mut high) = (x[0], x[2]);
    for _ in 0..100 {
        let v = 0.5 * (low + high);
        let below = tail(0, v - x[0]) + tail(1, v - x[1]);
        *(if below > tail(2, x[2] - v) { &mut low } else { &mut high }) = v;
    }
    let density = [0, 1, 2].map(|i| weights[i] * (-0.5 * (low - x[i]).powi(2)).exp());
    (low, density[2] / density.iter().sum::<f64>())
}

#[test]
fn gaps_that_no_tail_crosses() {
    let x = [4.0, 1.0, 1.0, 0.9999, 6.0];
    for distribution in DISTRIBUTIONS {
        for softness in [1e-2, 1e-5, 1e-9] {
            let weights = [1.0, 0.5, 0.25, 1.0, 0.75];
            let (v, [dx, dw, dq]) = at((softness, distribution), &x, &weights, 0.5, Mode::Soft).unwrap();
            assert_close(v, 2.5, softness);
            assert_close(dx.sum(), 1.0, 1e-14);
            assert_close(dx[0], 0.5, 1e-2);
            assert!(dx[4] < 1e-80);
            assert_eq!((dw.sum(), dq.sum()), (0.0, 0.0));
            assert_close(dx[1], 2.0 * dx[2], 1e-14);
        }
        // As the gap widens, nothing jumps where the other form takes over.
        let from = if distribution == Distribution::Gaussian { 12.0 } else { 60.0 };
        let mut widths = (0..).map(|i| from + 0.25 * i as f64);
        let weights = [1.0, 2.0, 3.0];
        for width in widths.by_ref().take(100) {
            let x = [0.0, -0.5, width];
            let (v, [dx, _, _]) = at((1.0, distribution), &x, &weights, 0.5, Mode::Soft).unwrap();
            let (middle, share) = match distribution {
                Distribution::Gaussian => balance_of_gaussian_tails(x, weights),
                _ => (0.5 * width + 0.5 * ((1.0 + 2.0 * (-0.5f64).exp()) / 3.0).ln(), 0.5),
            };
            assert_close(v, middle, 2e-3);
            assert_close(dx[2], share, 1e-3);
        }
    }
    // Rounding of a middle far from 0 does not matter, however steep the tails are.
    let x = [999_999.088_107_855_1, 1_000_000.620_237_5];
    let (v, _) = at((2.743e-8, Distribution::Gaussian), &x, &[1.0; 2], 0.5, Mode::Soft).unwrap();
    assert_close(v, 0.5 * (x[0] + x[1]), 1e-9);
    // In single precision the gaps that count are narrower.
    let (v, [dx, ..]) = at((0.05, Distribution::Logistic), &[1f32, 3.0], &[1.0; 2], 0.5, Mode::Soft).unwrap();
    assert_eq!((v, dx[0], dx[1]), (2.0, 0.5, 0.5));
}

#[test]
fn infinite_values_count_at_their_end() {
    let inf = f64::INFINITY;
    let x = [inf, 1.0, -inf, 2.0, -inf];
    for distribution in DISTRIBUTIONS {
        let case = (0.01, distribution);
        for (q, expected) in [(0.2, -inf), (0.5, 1.0), (0.7, 2.0), (0.4, -inf), (0.9, inf)] {
            let (v, [dx, dw, dq]) = at(case, &x, &[1.0; 5], q, Mode::Soft).unwrap();
            assert_eq!(hard(&x, &[1.0; 5], q), expected);
            let gradients = dx.iter().chain(&dw).chain(&dq);
            if expected.is_finite() {
                assert_close(v, expected, 1e-12);
                assert!(gradients.into_iter().all(|g| g.is_finite()));
                assert_close(dx.sum(), 1.0, 1e-14);
            } else {
                assert_eq!(v, expected);
                assert!(gradients.into_iter().all(|&g| g == 0.0));
            }
        }
        let (v, [dx, ..]) = at(case, &[1.0, f64::NAN], &[1.0, 0.0], 0.5, Mode::Soft).unwrap();
        assert!(v.is_nan() && dx.iter().all(|dx| dx.is_nan()));
    }
    assert!(hard(&[inf, -inf], &[1.0; 2], 0.5).is_nan());
}

#[test]
fn limits_of_the_softness_and_of_size() {
    let mut random = Stream::new(9, 0, 0);
    let n = 100_000;
    let x: Vec<f32> = random.normals(n).iter().map(|&x| 1e6 + x as f32).collect();
    let weights: Vec<f32> = (0..n).map(|_| random.uniform() as f32).collect();
    let wide = x.iter().map(|&x| x as f64).collect::<Vec<_>>();
    let wide_weights = weights.iter().map(|&x| x as f64).collect::<Vec<_>>();
    let total: f64 = wide_weights.iter().sum();
    let mean = wide.iter().zip(&wide_weights).map(|(x, w)| x * w).sum::<f64>() / total;
    for distribution in DISTRIBUTIONS {
        for softness in [1e-9, 1e-3, 1.0, 1e6] {
            let case = (softness, distribution);
            let (v, [dx, ..]) = at(case, &x, &weights, 0.3, Mode::Soft).unwrap();
            let expected = value(softness, distribution, &wide, &wide_weights, 0.3f32 as f64);
            assert_close(v, expected, 0.07);
            assert_close(dx.sum() as f64, 1.0, 1e-4);
        }
        assert_close(
            value(1e-9, distribution, &wide, &wide_weights, 0.3),
            hard(&wide, &wide_weights, 0.3),
            1e-7,
        );
        assert_close(value(1e9, distribution, &wide, &wide_weights, 0.5), mean, 1e-3);
    }
}

#[test]
fn what_is_outside_of_the_domain_is_a_fault() {
    let message = |weights: [f64; 2], q| {
        at((1.0, Distribution::Logistic), &[1.0, 2.0], &weights, q, Mode::Soft).unwrap_err().to_string()
    };
    let start = "smoothed_quantile: item 0: ";
    assert_eq!(message([1.0, -1.0], 0.5), format!("{start}`weights` must be finite and >= 0, got -1"));
    assert_eq!(message([0.0, 0.0], 0.5), format!("{start}`weights` must be not all zero, got 0"));
    assert_eq!(message([1.0, 1.0], 1.0), format!("{start}`q` must be between 0 and 1, got 1"));
    assert_eq!(message([1.0, 1.0], f64::NAN), format!("{start}`q` must be between 0 and 1, got NaN"));
}
