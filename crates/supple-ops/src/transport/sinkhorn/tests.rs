//! What the general checks do not reach.

use super::*;
use ndarray::{Array1, Array2, Axis, array};
use supple_core::{evaluate_each, linearize};

fn marginal_error(plan: &Array2<f64>, a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    (plan.sum_axis(Axis(1)) - a).mapv(f64::abs).sum() + (plan.sum_axis(Axis(0)) - b).mapv(f64::abs).sum()
}

fn fault(operator: &Sinkhorn, cost: &Array2<f64>, a: &Array1<f64>, b: &Array1<f64>) -> Option<Fault> {
    let inputs = [cost.view().into_dyn(), a.view().into_dyn(), b.view().into_dyn()];
    let (_, mut faults) = evaluate_each(operator, inputs).unwrap();
    faults.remove(0)
}

#[test]
fn exact_down_to_small_softness() {
    let mut random = Stream::new(5, 0, 0);
    for (m, n) in [(30, 20), (17, 40)] {
        let x: Vec<f64> = (0..m + n).map(|_| random.uniform()).collect();
        let cost = Array2::from_shape_fn((m, n), |(i, j)| (x[i] - x[m + j]).powi(2));
        let mut histogram =
            |n| Array1::from(normalised((0..n).map(|_| 1e-6 + random.uniform().powi(4)).collect()));
        let (a, b) = (histogram(m), histogram(n));
        for softness in [1.0, 1e-2, 1e-3, 1e-4] {
            let plan = sinkhorn(&cost, &a, &b, softness).unwrap();
            let error = marginal_error(&plan, &a, &b);
            assert!(error < 1e-13, "softness {softness}: {error:e}");
            // ln P + C / ε is a sum of a row and a column term.
            let potential = |i: usize, j: usize| plan[[i, j]].ln() + cost[[i, j]] / softness;
            for (i, j) in (1..m).flat_map(|i| (1..n).map(move |j| (i, j))) {
                let corners = [potential(0, 0), potential(i, j), potential(i, 0), potential(0, j)];
                if corners.iter().all(|c| c.is_finite()) {
                    let cross = corners[0] + corners[1] - corners[2] - corners[3];
                    assert!(cross.abs() < 1e-11 / softness.min(1.0), "softness {softness}: {cross:e}");
                }
            }
        }
    }
}

#[test]
fn masses_of_very_different_size() {
    let (a, b) = (array![1e-60, 1.0 - 1e-12, 1e-12, 0.0], array![0.5, 1e-30, 0.5]);
    let cost = array![[0.0, 1.0, 2.0], [1.0, 0.5, 0.0], [3.0, 1.0, 1.0], [0.0, 0.0, 0.0]];
    let plan = sinkhorn(&cost, &a, &b, 0.1).unwrap();
    for (have, want) in plan.sum_axis(Axis(1)).iter().zip(&a).chain(plan.sum_axis(Axis(0)).iter().zip(&b)) {
        assert!((have - want).abs() <= 1e-13 * want, "{have:e} for {want:e}");
    }
}

#[test]
fn an_infinite_cost_forbids_a_pair() {
    let inf = f64::INFINITY;
    let (a, b) = (array![0.5, 0.5], array![0.5, 0.5]);
    let plan = sinkhorn(&array![[0.0, inf], [1.0, 0.0]], &a, &b, 1.0).unwrap();
    assert!((plan - array![[0.5, 0.0], [0.0, 0.5]]).iter().all(|gap: &f64| gap.abs() < 1e-8));
    let shut = array![[inf, inf], [1.0, 0.0]];
    assert_eq!(fault(&Sinkhorn::default(), &shut, &a, &b), Some(Fault::Infeasible));
}

#[test]
fn reports_what_it_cannot_solve() {
    let operator = Sinkhorn { max_iterations: 3, softness: 1e-3, ..Sinkhorn::default() };
    let cost = array![[0.3, 0.1, 0.9], [0.2, 0.6, 0.7], [0.5, 0.8, 0.2]];
    let (a, b) = (array![0.7, 0.2, 0.1], array![0.1, 0.1, 0.8]);
    let stopped = fault(&operator, &cost, &a, &b);
    assert!(
        matches!(stopped, Some(Fault::NotConverged { iterations: 3, residual }) if residual > 1e-9),
        "{stopped:?}"
    );
    let operator = Sinkhorn::default();
    for (a, b) in [
        (array![0.7, 0.2, -0.1], array![0.1, 0.1, 0.6]),
        (array![0.7, 0.2, f64::NAN], array![0.1, 0.1, 0.8]),
        (array![0.7, 0.2, 0.1], array![0.1, 0.1, 0.8 + 1e-9]),
    ] {
        assert!(matches!(fault(&operator, &cost, &a, &b), Some(Fault::Domain { .. })), "{a} {b}");
    }
    let zero = array![0.0, 0.0, 0.0];
    assert_eq!(sinkhorn(&cost, &zero, &zero, 1.0).unwrap(), Array2::<f64>::zeros((3, 3)));
}

#[test]
fn the_gradient_is_a_direction_that_keeps_totals_equal() {
    let mut random = Stream::new(6, 0, 0);
    let operator = Sinkhorn { softness: 0.3, ..Sinkhorn::default() };
    let Sample { x: [cost, a, b], .. } = operator.sample(&[5, 6], [30, 5, 6], &mut random);
    let cost = Array2::from_shape_vec((5, 6), cost).unwrap().into_dyn();
    let (a, b) = (Array1::from(a).into_dyn(), Array1::from(b).into_dyn());
    let at = linearize(&operator, [cost.view(), a.view(), b.view()]).unwrap();
    let dy = cost.mapv(|c| c * c);
    let [_, da, db] = at.vjp([dy.view()]).unwrap();
    assert!(da.iter().any(|d| d.abs() > 0.1) && (da.sum() - db.sum()).abs() < 1e-13);
    assert_eq!((da[1], db[1]), (0.0, 0.0));
}
