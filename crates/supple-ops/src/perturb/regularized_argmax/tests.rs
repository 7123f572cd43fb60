//! Against projections that are known in closed form, and by the conditions of optimality.

use super::*;
use crate::choice::Sparsemax;
use crate::perturb::oracles::{Assignment, Ranking, TopK};
use crate::project::{BirkhoffProjection, CappedSimplexProjection, PermutahedronProjection};
use ndarray::{Array1, ArrayD, array};
use supple_core::{Stream, evaluate, evaluate_each, linearize};

fn vector(x: Vec<f64>) -> ArrayD<f64> {
    Array1::from(x).into_dyn()
}

fn farthest(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, gap| if gap <= worst { worst } else { gap })
}

/// Point and gradient at scores, and at these times ten as if they tied.
fn agrees<S: Oracle + Clone>(
    oracle: S,
    n: usize,
    random: &mut Stream,
    expected: impl Fn(&ArrayD<f64>, &ArrayD<f64>) -> (ArrayD<f64>, ArrayD<f64>),
) {
    let softness = [0.01, 0.3, 1.0, 20.0][random.below(4)];
    let operator = RegularizedArgmax { softness, ..RegularizedArgmax::new(oracle) };
    let theta = vector(random.normals(n));
    let dy = vector(random.normals(n));
    let at = linearize(&operator, [theta.view()]).unwrap();
    let (y, dx) = expected(&(&theta / softness), &dy);
    let size = 1.0 + y.iter().fold(0.0, |size: f64, y| size.max(y.abs()));
    let gap = farthest(&at.outputs()[0], &y);
    assert!(gap < 1e-12 * size / softness.min(1.0), "{gap:e} at softness {softness}, {theta}");
    let gap = softness * farthest(&at.vjp([dy.view()]).unwrap()[0], &(&dx / softness));
    assert!(gap < 1e-9, "gradient: {gap:e} at softness {softness}, {theta}");

    let tied = theta.mapv(|theta| (2.0 * theta).round());
    let [point] = evaluate(&operator, [tied.view()]).unwrap();
    let gap = farthest(&point, &expected(&(&tied / softness), &dy).0);
    assert!(gap < 1e-12 * size / softness.min(1.0), "{gap:e} at softness {softness}, {tied}");
}

#[test]
fn masks_of_k_are_projected_to_the_capped_simplex() {
    let mut random = Stream::new(1, 0, 0);
    for _ in 0..400 {
        let n = 1 + random.below(12);
        let k = 1 + random.below(n);
        let total = ndarray::arr0(k as f64).into_dyn();
        agrees(TopK { k }, n, &mut random, |x, dy| {
            let at = linearize(&CappedSimplexProjection {}, [x.view(), total.view()]).unwrap();
            let [dx, _] = at.vjp([dy.view()]).unwrap();
            (at.outputs()[0].clone(), dx)
        });
        agrees(TopK { k: 1 }, n, &mut random, |x, dy| {
            let at = linearize(&Sparsemax { softness: 1.0 }, [x.view()]).unwrap();
            let [dx] = at.vjp([dy.view()]).unwrap();
            (at.outputs()[0].clone(), dx)
        });
    }
}

#[test]
fn ranks_are_projected_to_the_permutahedron() {
    let mut random = Stream::new(2, 0, 0);
    for _ in 0..200 {
        let n = 1 + random.below(25);
        let weights = vector((1..=n).map(|rank| rank as f64).collect());
        agrees(Ranking, n, &mut random, |x, dy| {
            let projection = PermutahedronProjection::default();
            let at = linearize(&projection, [x.view(), weights.view()]).unwrap();
            let [dx, _] = at.vjp([dy.view()]).unwrap();
            (at.outputs()[0].clone(), dx)
        });
    }
}

#[test]
fn assignments_are_projected_to_the_birkhoff_polytope() {
    let mut random = Stream::new(3, 0, 0);
    for _ in 0..60 {
        let n = 1 + random.below(6);
        agrees(Assignment { rows: n, columns: n }, n * n, &mut random, |x, dy| {
            let square = |x: &ArrayD<f64>| x.to_shape((n, n)).unwrap().into_owned().into_dyn();
            let (projection, x) = (BirkhoffProjection::default(), square(x));
            let at = linearize(&projection, [x.view()]).unwrap();
            let [dx] = at.vjp([square(dy).view()]).unwrap();
            (at.outputs()[0].clone(), dx)
        });
    }
}

/// Where all scores tie, two opposite solutions have the point between them; all others are as good.
#[test]
fn directions_of_the_whole_face_count() {
    for n in [2, 3, 8, 30] {
        let theta = vector(vec![0.0; n]);
        let dy = vector(Stream::new(4, n, 0).normals(n));
        let operators = linearize(&RegularizedArgmax::new(Ranking), [theta.view()]).unwrap().vjp([dy.view()]);
        let masks = RegularizedArgmax { softness: 0.5, ..RegularizedArgmax::new(TopK { k: n / 2 }) };
        let masks = linearize(&masks, [theta.view()]).unwrap().vjp([dy.view()]);
        let centred = &dy - dy.mean().unwrap();
        assert!(farthest(&operators.unwrap()[0], &centred) < 1e-13);
        assert!(farthest(&masks.unwrap()[0], &(2.0 * centred)) < 1e-13);
    }
}

#[test]
fn the_best_point_of_any_hull_is_found() {
    let mut random = Stream::new(5, 0, 0);
    for case in 0..300 {
        let n = 1 + random.below(8);
        let count = 1 + random.below(40);
        let vertices: Vec<Vec<f64>> = (0..count).map(|_| random.normals(n)).collect();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let oracle = |theta: &[f64], y: &mut [f64]| -> Result<(), Fault> {
            let better = |a: &&Vec<f64>, b: &&Vec<f64>| product(theta, a).total_cmp(&product(theta, b));
            vertices.iter().max_by(better).into_iter().for_each(|best| y.copy_from_slice(best));
            Ok(())
        };
        let softness = 10f64.powf(random.normal());
        let operator = RegularizedArgmax { softness, ..RegularizedArgmax::new(oracle) };
        let theta = random.normals(n);
        let x = vector(theta.clone());
        let at = linearize(&operator, [x.view()]).unwrap();
        let point = at.outputs()[0].as_slice().unwrap();
        let gradient: Vec<f64> = theta.iter().zip(point).map(|(theta, p)| theta - softness * p).collect();
        let best = vertices.iter().map(|v| product(&gradient, v)).fold(f64::NEG_INFINITY, f64::max);
        assert!(best - product(&gradient, point) < 1e-11 * (1.0 + softness), "case {case}");
        // No hyperplane has the point on one side and all vertices on the other.
        for _ in 0..50 {
            let normal = random.normals(n);
            let most = vertices.iter().map(|v| product(&normal, v)).fold(f64::NEG_INFINITY, f64::max);
            assert!(product(&normal, point) < most + 1e-12, "case {case}");
        }
        let (v, dy) = (vector(random.normals(n)), vector(random.normals(n)));
        let step = 1e-6 * softness.min(1.0);
        let moved = |step: f64| evaluate(&operator, [(&x + step * &v).view()]).unwrap();
        let ([before], [after]) = (moved(-step), moved(step));
        let (jv, second) = at.vjp_derivative([dy.view()], [v.view()]).unwrap();
        let gap = softness * farthest(&jv[0], &((after - before) / (2.0 * step)));
        assert!(gap < 1e-6, "case {case}: derivative {gap:e}");
        assert!(second[0].iter().all(|x| *x == 0.0));
    }
}

#[test]
fn large_hulls_are_no_trouble() {
    let mut random = Stream::new(6, 0, 0);
    for softness in [1e-6, 1e-3, 0.1, 10.0, 1e4] {
        for n in [40, 150] {
            let theta = vector(random.normals(n));
            let weights = vector((1..=n).map(|rank| rank as f64).collect());
            let operator = RegularizedArgmax { softness, ..RegularizedArgmax::new(Ranking) };
            let [point] = evaluate(&operator, [theta.view()]).unwrap();
            let inputs = [(theta / softness).into_dyn(), weights];
            let [x, weights] = inputs.each_ref().map(|x| x.view());
            let [expected] = evaluate(&PermutahedronProjection::default(), [x, weights]).unwrap();
            let gap = farthest(&point, &expected);
            assert!(gap < 1e-11 * n as f64 / softness.min(1.0), "{gap:e} at softness {softness}, n = {n}");
        }
    }
}

#[test]
fn infinite_scores_are_masks_or_faults() {
    let masked = array![0.3, f64::NEG_INFINITY, 0.1, f64::INFINITY].into_dyn();
    let operator = RegularizedArgmax { softness: 0.5, ..RegularizedArgmax::new(TopK { k: 2 }) };
    let at = linearize(&operator, [masked.view()]).unwrap();
    assert!(farthest(&at.outputs()[0], &vector(vec![0.7, 0.0, 0.3, 1.0])) < 1e-15);
    let [gradient] = at.vjp([vector(vec![1.0, 5.0, 0.0, -3.0]).view()]).unwrap();
    assert!(farthest(&gradient, &vector(vec![1.0, 0.0, -1.0, 0.0])) < 1e-15);
    let ([jv], _) = at.vjp_derivative([masked.view()], [vector(vec![1.0, 0.0, 0.0, 0.0]).view()]).unwrap();
    assert!(farthest(&jv, &vector(vec![1.0, 0.0, -1.0, 0.0])) < 1e-15);

    let batch = array![[f64::NEG_INFINITY, 0.5], [f64::NAN, 0.0], [3.0, 0.5]].into_dyn();
    let both = |theta: &[f64], y: &mut [f64]| -> Result<(), Fault> {
        y.fill((theta[1] > 0.0) as u8 as f64);
        Ok(())
    };
    let (_, faults) = evaluate_each(&RegularizedArgmax::new(both), [batch.view()]).unwrap();
    let messages: Vec<_> = faults.iter().map(|fault| fault.as_ref().map(|fault| fault.to_string())).collect();
    let expected = ["finite where solutions differ, got -inf", "a number, got NaN"];
    let expected = expected.map(|requirement| Some(format!("`theta` must be {requirement}")));
    assert_eq!(messages, [&expected[..], &[None]].concat());
}

#[test]
fn a_search_that_is_cut_off_says_so() {
    let theta = vector(vec![0.0, 0.25, 0.5]);
    let operator = |iterations| RegularizedArgmax { iterations, ..RegularizedArgmax::new(TopK { k: 1 }) };
    let message = |iterations| evaluate(&operator(iterations), [theta.view()]).map_err(|e| e.to_string());
    // At the vertex of the best score, the next is better by 0.25 + 1 − 0.5.
    let expected = "regularized_argmax: item 0: not converged after 1 iterations, residual 7.5e-1";
    assert_eq!(message(1).unwrap_err(), expected);
    assert_eq!(message(0).unwrap_err(), "regularized_argmax: `iterations` must be >= 1, got 0");
    assert!(message(3).is_ok());
}
