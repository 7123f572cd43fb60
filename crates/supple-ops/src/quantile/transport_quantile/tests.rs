//! What only this operator needs.

use super::*;
use crate::transport::sinkhorn;
use ndarray::{Array1, Array2, arr0};
use supple_core::{Inputs, Mode, Options, linearize};

fn value(width: f64, softness: f64, x: &Array1<f64>, weights: &Array1<f64>, q: f64, mode: Mode) -> f64 {
    let operator = TransportQuantile { softness, width };
    let q = arr0(q).into_dyn();
    let x = [x.view().into_dyn(), weights.view().into_dyn(), q.view()];
    let options = Options { mode, ..Options::default() };
    evaluate(&operator, Inputs { x, k: [], options }).unwrap()[0].sum()
}

#[test]
fn limits() {
    let mut random = Stream::new(2, 0, 0);
    for n in [1, 2, 3, 10, 1000] {
        let x = Array1::from(random.normals(n));
        let weights = Array1::from_shape_fn(n, |_| random.uniform());
        let mean = x.dot(&weights) / weights.sum();
        for q in [0.15, 0.5, 0.83] {
            let soft = |softness| value(0.2, softness, &x, &weights, q, Mode::Soft);
            assert!((soft(1e6) - mean).abs() < 1e-4);
            let hard = value(0.2, 1.0, &x, &weights, q, Mode::Hard);
            for softness in [1e-3, 1e-6] {
                assert!((soft(softness) - hard).abs() < 20.0 * softness, "{n} {q} {softness}");
            }
        }
    }
}

#[test]
fn the_hard_form_averages_the_levels_of_the_band() {
    let x = Array1::from(vec![4.0, 1.0, 3.0, 2.0]);
    let hard = |q, width| value(width, 1.0, &x, &Array1::ones(4), q, Mode::Hard);
    assert_eq!((hard(0.4, 0.1), hard(0.5, 0.5)), (2.0, 2.5));
    assert!((hard(0.5, 0.6) - 2.5).abs() < 1e-15);
    assert!((hard(0.25, 0.1) - 1.5).abs() < 1e-15);
}

#[test]
fn a_level_without_room_is_a_fault() {
    let x = Array1::from(vec![1.0, 2.0]);
    let error = transport_quantile(&x, &Array1::ones(2), &arr0(0.03), 1.0).unwrap_err().to_string();
    let expected = "item 0: `q` must be more than half the width away from 0 and 1, got 0.03";
    assert_eq!(error, format!("transport_quantile: {expected}"));
}

#[test]
fn a_level_whose_room_is_round_off() {
    // In double precision, half of 0.1 away from the ends leaves nothing, on either side.
    let x = Array1::from(vec![3.0, 1.0, 2.0, 7.0]);
    for q in [0.05, 0.95] {
        let error = transport_quantile(&x, &Array1::ones(4), &arr0(q), 0.1).unwrap_err().to_string();
        assert!(error.contains("more than half the width away from 0 and 1"), "{error}");
    }
    // In single precision these levels are a little further in.
    let single = x.mapv(|x| x as f32);
    for (q, width) in [(0.95, 0.1), (0.9, 0.2)] {
        let operator = TransportQuantile { softness: 0.1, width };
        let at = |x: &Array1<f32>, q: f32, mode| {
            let (weights, q) = (Array1::ones(4).into_dyn(), arr0(q).into_dyn());
            let x = [x.view().into_dyn(), weights.view(), q.view()];
            let at =
                linearize(&operator, Inputs { x, k: [], options: Options { mode, ..Options::default() } })
                    .unwrap();
            let [dx, ..] = at.vjp([arr0(1.0).into_dyn().view()]).unwrap();
            (at.outputs()[0].sum(), dx)
        };
        let (high, gradient) = at(&single, q, Mode::Soft);
        let (low, mirrored) = at(&-&single, 1.0 - q, Mode::Soft);
        assert!((high + low).abs() < 1e-5, "{high} {low}");
        assert!((gradient - mirrored).iter().all(|gap| gap.abs() < 1e-5));
        let (hard, _) = at(&single, q, Mode::Hard);
        assert!((high - hard).abs() < 1e-3, "{high} {hard}");
    }
}

#[test]
fn the_plan_is_that_of_sinkhorn() {
    let mut random = Stream::new(6, 0, 0);
    let x = Array1::from(random.normals(12));
    let weights = Array1::from_shape_fn(12, |_| random.uniform());
    for (q, width, softness) in [(0.5, 0.1, 0.2), (0.3, 0.5, 1.0), (0.9, 0.02, 5.0)] {
        let cost = Array2::from_shape_fn((12, 3), |(i, j)| (x[i] - 0.5 * j as f64).powi(2));
        let a = &weights / weights.sum();
        let b = Array1::from(vec![q - 0.5 * width, width, 1.0 - q - 0.5 * width]);
        let plan = sinkhorn(&cost, &a, &b, softness).unwrap();
        let expected = plan.column(1).dot(&x) / width;
        let got = value(width, softness, &x, &weights, q, Mode::Soft);
        assert!((got - expected).abs() < 1e-12, "{got} for {expected}");
    }
}

#[test]
fn a_band_that_ends_in_a_gap_has_a_gradient_between_the_sides() {
    for softness in [1e-2, 1e-3, 1e-9] {
        let operator = TransportQuantile { softness, width: 0.3 };
        let x = Array1::from(vec![4.0, 1.0, 3.0, 2.0]).into_dyn();
        let (weights, q) = (Array1::ones(4).into_dyn(), arr0(0.4).into_dyn());
        let at = linearize(&operator, [x.view(), weights.view(), q.view()]).unwrap();
        // 5/6 of the band's mass is at 2, the rest at 3.
        assert!((at.outputs()[0].sum() - (5.0 / 6.0 * 2.0 + 0.5)).abs() < 1e-12);
        let [dx, dw, dq] = at.vjp([arr0(1.0).into_dyn().view()]).unwrap();
        assert!((dx[1].abs() + dx[0].abs() + (dx[3] - 5.0 / 6.0).abs()) < 1e-12, "{dx}");
        // The upper end moves through 3, the lower one from 1 or to 2.
        assert!((dq.sum() - (3.0 - 1.5) / 0.3).abs() < 1e-9, "{dq}");
        // The sum of the weights does not matter.
        assert!(dw.sum().abs() < 1e-12 && dw.iter().all(|dw| dw.abs() < 10.0), "{dw}");
    }
}

#[test]
fn large_samples_in_single_precision() {
    let mut random = Stream::new(9, 0, 0);
    let n = 100_000;
    let x = Array1::from_shape_fn(n, |_| 1e6 + random.normal() as f32);
    let weights = Array1::from_shape_fn(n, |_| random.uniform() as f32);
    let (wide, wide_weights) = (x.mapv(f64::from), weights.mapv(f64::from));
    for softness in [1e-9, 1e-3, 1.0, 1e3] {
        let single = transport_quantile(&x, &weights, &arr0(0.3), softness).unwrap().into_scalar();
        let double = value(0.1, softness, &wide, &wide_weights, 0.3f32.into(), Mode::Soft);
        // Numbers of this size are 1/16 apart.
        assert!((f64::from(single) - double).abs() < 0.07, "{single} for {double}");
    }
}
