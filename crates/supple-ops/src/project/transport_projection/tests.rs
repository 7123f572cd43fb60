//! What the general checks do not reach.

use super::*;
use crate::project::birkhoff_projection;
use ndarray::{Array1, Array2, Axis, array};
use supple_core::{evaluate_each, linearize};

fn sums_are(plan: &Array2<f64>, a: &Array1<f64>, b: &Array1<f64>, bound: f64) {
    let rows = plan.sum_axis(Axis(1)) - a;
    let columns = plan.sum_axis(Axis(0)) - b;
    let worst = rows.iter().chain(&columns).fold(0.0, |most: f64, d| most.max(d.abs()));
    assert!(worst <= bound, "{worst:e}");
}

/// `X − P` is a sum of a row and a column term on the support, and no more elsewhere.
fn is_optimal(x: &Array2<f64>, plan: &Array2<f64>, bound: f64) {
    let (m, n) = x.dim();
    // Potentials by walking along the support.
    let (mut u, mut v) = (vec![None; m], vec![None; n]);
    for start in 0..m {
        if u[start].is_some() {
            continue;
        }
        u[start] = Some(0.0);
        for _ in 0..m + n {
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let sum = plan[[i, j]] - x[[i, j]];
                match (plan[[i, j]] > 0.0, u[i], v[j]) {
                    (true, Some(u), None) => v[j] = Some(sum - u),
                    (true, None, Some(v)) => u[i] = Some(sum - v),
                    (true, Some(u), Some(v)) => assert!((sum - u - v).abs() < bound, "{:e}", sum - u - v),
                    _ => {}
                }
            }
        }
    }
    // The dual is as large as the primal only at the optimum: no cycle of pairs may gain. Checked on 2 × 2.
    for (i, k) in (0..m).flat_map(|i| (0..m).map(move |k| (i, k))) {
        for (j, l) in (0..n).flat_map(|j| (0..n).map(move |l| (j, l))) {
            if plan[[i, j]] > 0.0 && plan[[k, l]] > 0.0 {
                let rest = |i: usize, j: usize| x[[i, j]] - plan[[i, j]];
                let gain = rest(i, l) + rest(k, j) - rest(i, j) - rest(k, l);
                assert!(gain < bound, "moving mass gains {gain:e}");
            }
        }
    }
}

#[test]
fn exact_from_blurred_to_sharp() {
    let mut random = Stream::new(9, 0, 0);
    for (m, n) in [(30, 20), (17, 40), (25, 25)] {
        let mut histogram = |n: usize| {
            let mass: Array1<f64> = (0..n).map(|_| 1e-6 + random.uniform().powi(4)).collect();
            let total = mass.sum();
            mass / total
        };
        let (a, b) = (histogram(m), histogram(n));
        let x = Array2::from_shape_fn((m, n), |_| random.normal());
        for scale in [1e-10, 1e-3, 0.1, 1.0, 100.0, 1e6] {
            let (x, plan) = (&x * scale, transport_projection(&(&x * scale), &a, &b).unwrap());
            sums_are(&plan, &a, &b, 1e-14);
            is_optimal(&x, &plan, 1e-13 * (1.0 + scale));
        }
        // A large offset, and all of it scaled.
        let plan = transport_projection(&x, &a, &b).unwrap();
        let moved = transport_projection(&(&x + 1e6), &a, &b).unwrap();
        assert!((&plan - &moved).iter().all(|d| d.abs() < 1e-8));
        let scaled = transport_projection(&(&x * 1e9), &(&a * 1e9), &(&b * 1e9)).unwrap();
        assert!((&plan - scaled * 1e-9).iter().all(|d| d.abs() < 1e-14));
    }
}

#[test]
fn points_beyond_the_largest_number_of_masses() {
    let swap = array![[0.0, 1.0], [1.0, 0.0]];
    let half = array![0.5, 0.5];
    let plan = transport_projection(&array![[-1.5e308, 1.5e308], [0.0, 0.0]], &half, &half).unwrap();
    assert_eq!(plan, &swap * 0.5);
    let little = &half * 1e-9;
    let plan = transport_projection(&array![[-1e300, 1e300], [1e300, -1e300]], &little, &little).unwrap();
    assert_eq!(plan, &swap * 0.5e-9);
    assert_eq!(birkhoff_projection(&array![[-1.0, 1.0], [1.0, -1.0]], 1e-308).unwrap(), swap);
}

#[test]
fn permutations_and_their_neighbours() {
    let mut random = Stream::new(10, 0, 0);
    for n in [2, 5, 30] {
        let x = Array2::from_shape_fn((n, n), |_| random.normal());
        for softness in [1e-6, 0.01, 0.1, 1.0, 1e6] {
            let plan = birkhoff_projection(&x, softness).unwrap();
            sums_are(&plan, &Array1::ones(n), &Array1::ones(n), 1e-13);
            is_optimal(&(&x / softness), &plan, 1e-12 * (1.0 + 10.0 / softness));
        }
        // Far from a kink the plan is a permutation, follows nothing, and holds no dust.
        let plan = birkhoff_projection(&x, 1e-6).unwrap();
        assert!(plan.iter().all(|&p| p == 0.0 || p == 1.0), "{plan}");
    }
    let ties = Array2::<f64>::zeros((6, 6));
    assert!(birkhoff_projection(&ties, 1.0).unwrap().iter().all(|p| (p - 1.0 / 6.0).abs() < 1e-15));
}

#[test]
fn gradients_where_the_support_falls_apart() {
    let x = array![[2.0, 0.0], [0.0, 2.0]].into_dyn();
    let ones = array![1.0, 1.0].into_dyn();
    let at = linearize(&TransportProjection {}, [x.view(), ones.view(), ones.view()]).unwrap();
    assert_eq!(at.outputs()[0], array![[1.0, 0.0], [0.0, 1.0]].into_dyn());
    let dy = array![[1.0, 10.0], [100.0, 1000.0]].into_dyn();
    let [dx, da, db] = at.vjp([dy.view()]).unwrap();
    assert_eq!(dx, array![[0.0, 0.0], [0.0, 0.0]].into_dyn());
    // Either part follows its own mass: half to the row, half to the column.
    assert_eq!((da, db), (array![0.5, 500.0].into_dyn(), array![0.5, 500.0].into_dyn()));
    let more = array![1.0, 0.0].into_dyn();
    let [jv] = at.jvp([x.view(), more.view(), more.view()]).unwrap();
    assert_eq!(jv, array![[1.0, 0.0], [0.0, 0.0]].into_dyn());
}

#[test]
fn an_entry_without_mass_grows_to_the_right() {
    let (x, b) = (array![[0.5, 0.0], [0.0, 0.25], [0.1, 0.3]].into_dyn(), array![0.25, 0.75].into_dyn());
    let a = |more: f64| array![0.5, 0.5 - more, more].into_dyn();
    let plan = |more: f64| {
        let (_, y) =
            (0, supple_core::evaluate(&TransportProjection {}, [x.view(), a(more).view(), b.view()]));
        y.unwrap()[0].clone()
    };
    let at = a(0.0);
    let at = linearize(&TransportProjection {}, [x.view(), at.view(), b.view()]).unwrap();
    let dy = array![[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]].into_dyn();
    let [_, da, _] = at.vjp([dy.view()]).unwrap();
    let quotient = ((plan(1e-6) - plan(0.0)) / 1e-6 * dy).sum();
    assert!((da[2] - da[1] - quotient).abs() < 1e-9, "{da} {quotient}");
}

#[test]
fn what_has_no_answer() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let plan = |x: Array2<f64>, a: [f64; 2], b: [f64; 2]| {
        let (x, a, b) =
            (x.into_dyn(), Array1::from(a.to_vec()).into_dyn(), Array1::from(b.to_vec()).into_dyn());
        let ([plan], mut faults) =
            evaluate_each(&TransportProjection {}, [x.view(), a.view(), b.view()]).unwrap();
        (plan.into_raw_vec_and_offset().0, faults.remove(0))
    };
    let half = [0.5, 0.5];
    assert_eq!(plan(array![[-inf, 0.0], [0.0, 9.0]], half, half), (vec![0.0, 0.5, 0.5, 0.0], None));
    for bad in [nan, inf] {
        let (plan, fault) = plan(array![[bad, 0.0], [0.0, 0.0]], half, half);
        assert!(plan.iter().all(|p| p.is_nan()) && fault.is_none());
    }
    let shut = array![[-inf, -inf], [0.0, 0.0]];
    assert_eq!(plan(shut, half, half).1, Some(Fault::Infeasible));
    // No row and no column is shut, but the first column cannot have so much.
    let narrow = array![[0.0, 0.0], [-inf, 0.0]];
    assert!(matches!(plan(narrow, [0.25, 0.75], half).1, Some(Fault::NotConverged { .. })));
    let zeros = array![[0.0, 0.0], [0.0, 0.0]];
    for (a, b) in [([-0.5, 1.5], half), ([nan, 1.0], half), (half, [1.0, 1.0])] {
        assert!(matches!(plan(zeros.clone(), a, b).1, Some(Fault::Domain { .. })), "{a:?} {b:?}");
    }
    assert_eq!(plan(zeros, [0.0; 2], [0.0; 2]), (vec![0.0; 4], None));
}
