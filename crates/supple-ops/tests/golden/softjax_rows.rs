//! softjax's SoftSort and NeuralSort: the index distributions of its argsort, and what it makes of them.
//!
//! Its rows are projections of scores onto the simplex: `smooth` by softmax, `c0`, `c1` and `c2` by p-norms.
//! In its NeuralSort, unlike the paper's, the distances are soft as well: `|d|` is `d (2 S(d / ε) − 1)` with a
//! smooth step S that depends on the mode. Those scores are written out here, for the projections of `choice`.

use crate::common::{array, assert_close, cases, float};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, Ix2, Ix3, arr0, stack};
use serde_json::Value;
use supple_core::{linearize, map};
use supple_ops::choice::{Entmax, Entmax15, Softmax, Sparsemax};
use supple_ops::order::{Projection, SoftRank, SoftSortPrilloPermutation};

/// What goes back through the matrices of a batch.
type Pullback = Box<dyn Fn(Array3<f64>) -> Array2<f64>>;

#[test]
fn softjax_rows() {
    let mut seen = 0;
    for case in cases("softjax_axiswise.json") {
        let (p, pullback) = match case["method"].as_str() {
            Some("softsort") => soft_sort(&case),
            Some("neuralsort") => neural_sort(&case),
            _ => continue,
        };
        let (x, dy, (items, n, _)) = (rectangle(array(&case["x"])), array(&case["dy"]), p.dim());
        let (mut y, mut dp, mut dx) = (vec![], Array3::zeros((items, n, n)), Array2::zeros((items, n)));
        for b in 0..items {
            let (p, x) = (p.index_axis(Axis(0), b).to_owned(), x.row(b).to_owned());
            let (item, change, direct) = outcome(&case, &p, &x, &dy.index_axis(Axis(0), b).to_owned());
            y.push(item);
            dp.index_axis_mut(Axis(0), b).assign(&change);
            dx.row_mut(b).assign(&direct);
        }
        let y = stack(Axis(0), &y.iter().map(|y| y.view()).collect::<Vec<_>>()).expect("equal shapes");
        assert_close(&format!("y of {case}"), &y, &array(&case["y"]), 1e-9);
        let dx = (dx + pullback(dp)).into_dyn();
        assert_close(&format!("dx of {case}"), &dx, &array(&case["dx"]), 1e-9);
        seen += 1;
    }
    assert_eq!(seen, 2 * 7 * 4 * 4);
}

fn rectangle(a: ArrayD<f64>) -> Array2<f64> {
    a.into_dimensionality::<Ix2>().expect("a vector for each item")
}

/// The function of a case for one item: `y`, and the gradients to the matrix and to `x` beside it.
fn outcome(
    case: &Value,
    p: &Array2<f64>,
    x: &Array1<f64>,
    dy: &ArrayD<f64>,
) -> (ArrayD<f64>, Array2<f64>, Array1<f64>) {
    let (function, n) = (case["function"].as_str().expect("a name"), x.len());
    let numbers = Array1::from_shape_fn(n, |i| (i + 1) as f64);
    let vector = || dy.to_shape(dy.len()).expect("a vector").to_owned();
    let outer = |a: &Array1<f64>, b: &Array1<f64>| Array2::from_shape_fn((n, n), |(i, j)| a[i] * b[j]);
    if function == "rank" && case["method"] == "neuralsort" {
        // The mean place of each column.
        let (sums, dy) = (p.sum_axis(Axis(0)), vector());
        let y = p.t().dot(&numbers) / &sums;
        let dp = Array2::from_shape_fn((n, n), |(i, j)| dy[j] * (numbers[i] - y[j]) / sums[j]);
        return (y.into_dyn(), dp, Array1::zeros(n));
    }
    // The others mix rows into outputs: `y = M P`, or `y = M P v`.
    let mixture = mixture(case, x);
    if matches!(function, "argmax" | "argsort") {
        let dy = dy.to_shape((mixture.nrows(), n)).expect("a row for each output").to_owned();
        let y = mixture.dot(p).to_shape(case_shape(function, n)).expect("the same size").to_owned();
        return (y, mixture.t().dot(&dy), Array1::zeros(n));
    }
    let v = if function == "rank" { hard_ranks(x) } else { x.clone() };
    let weights = mixture.t().dot(&vector());
    let y = mixture.dot(&p.dot(&v)).to_shape(dy.shape()).expect("the same size").to_owned();
    let direct = if function == "rank" { Array1::zeros(n) } else { p.t().dot(&weights) };
    (y, outer(&weights, &v), direct)
}

fn case_shape(function: &str, n: usize) -> Vec<usize> {
    if function == "argmax" { vec![n] } else { vec![n, n] }
}

fn hard_ranks(x: &Array1<f64>) -> Array1<f64> {
    let hard = SoftRank { softness: 1e-9, ..SoftRank::default() };
    map(&hard, x).expect("ranks")
}

/// Which rows make which outputs.
fn mixture(case: &Value, x: &Array1<f64>) -> Array2<f64> {
    let n = x.len();
    let unit = |place: usize| Array1::from_shape_fn(n, |i| f64::from(u8::from(i == place)));
    let rows: Vec<Array1<f64>> = match case["function"].as_str() {
        Some("argmax") => vec![unit(0)],
        Some("top_k") => (0..case["k"].as_u64().expect("k") as usize).map(unit).collect(),
        // SoftSort's rank is the mean place in the row that belongs to the element.
        Some("rank") => hard_ranks(x).iter().map(|rank| unit(rank.round() as usize - 1)).collect(),
        Some("median" | "quantile") => {
            let place = case["q"].as_f64().unwrap_or(0.5) * (n - 1) as f64;
            let (low, part) = (place.floor() as usize, place.fract());
            vec![unit(low) * (1.0 - part) + unit((low + 1).min(n - 1)) * part]
        }
        _ => (0..n).map(unit).collect(),
    };
    stack(Axis(0), &rows.iter().map(|row| row.view()).collect::<Vec<_>>()).expect("rows of n")
}

/// Whether the largest value belongs to the first row.
fn descends(case: &Value) -> bool {
    matches!(case["function"].as_str(), Some("argmax" | "top_k"))
}

fn soft_sort(case: &Value) -> (Array3<f64>, Pullback) {
    let projection = match case["mode"].as_str() {
        Some("smooth") => Projection::Softmax,
        Some("c0") => Projection::L2,
        Some("c1") => Projection::ThreeHalves,
        _ => Projection::FourThirds,
    };
    let (softness, descending) = (float(&case["softness"]), descends(case));
    let operator = SoftSortPrilloPermutation { softness, descending, projection };
    let x = array(&case["x"]);
    let p = linearize(&operator, [x.view()]).expect("values").outputs()[0].clone();
    let p = p.into_dimensionality::<Ix3>().expect("a matrix for each item");
    let pullback = move |dp: Array3<f64>| {
        let at = linearize(&operator, [x.view()]).expect("values");
        let [dx] = at.vjp([dp.into_dyn().view()]).expect("a gradient");
        rectangle(dx)
    };
    (p, Box::new(pullback))
}

/// The soft distance `d (2 S(d / ε) − 1)` and its derivative.
fn distance(mode: &str, softness: f64, d: f64) -> (f64, f64) {
    let (t, u) = (d / softness, (d / (5.0 * softness)).clamp(-1.0, 1.0));
    // 2 S − 1, and its derivative in d.
    let inside = f64::from(u8::from(u.abs() < 1.0)) / (5.0 * softness);
    let (sign, slope) = match mode {
        "smooth" => ((0.5 * t).tanh(), 0.5 / (softness * (0.5 * t).cosh().powi(2))),
        "c0" => (u, inside),
        "c1" => (1.5 * u - 0.5 * u.powi(3), 1.5 * (1.0 - u * u) * inside),
        _ => ((15.0 * u - 10.0 * u.powi(3) + 3.0 * u.powi(5)) / 8.0, 1.875 * (1.0 - u * u).powi(2) * inside),
    };
    (d * sign, sign + d * slope)
}

fn neural_sort(case: &Value) -> (Array3<f64>, Pullback) {
    let (softness, descending) = (float(&case["softness"]), descends(case));
    let mode = case["mode"].as_str().expect("a mode").to_owned();
    let x = rectangle(array(&case["x"]));
    let (items, n) = x.dim();
    let slope = move |i: usize| {
        let ascending = 2.0 * i as f64 + 1.0 - n as f64;
        if descending { -ascending } else { ascending }
    };
    let pairs =
        Array3::from_shape_fn((items, n, n), |(b, i, j)| distance(&mode, softness, x[[b, i]] - x[[b, j]]));
    let sums = pairs.map(|pair| pair.0).sum_axis(Axis(1));
    let scores = Array3::from_shape_fn((items, n, n), |(b, i, j)| slope(i) * x[[b, j]] - sums[[b, j]]);
    let project = move |scores: &ArrayD<f64>, dp: Option<&ArrayD<f64>>| -> (ArrayD<f64>, ArrayD<f64>) {
        let alpha = arr0(4.0 / 3.0).into_dyn();
        macro_rules! through {
            ($operator:expr, [$($input:expr),*]) => {{
                let operator = $operator;
                let at = linearize(&operator, [$($input.view()),*]).expect("rows");
                let p = at.outputs()[0].clone();
                let dp = dp.cloned().unwrap_or_else(|| ArrayD::zeros(p.shape()));
                (p, at.vjp([dp.view()]).expect("a gradient")[0].clone())
            }};
        }
        // The powers of `choice` are of `z (α − 1)`; these are of z.
        match mode.as_str() {
            "smooth" => through!(Softmax { softness }, [scores]),
            "c0" => through!(Sparsemax { softness }, [scores]),
            "c1" => through!(Entmax15 { softness: softness / 2.0 }, [scores]),
            _ => through!(Entmax { softness: softness / 3.0 }, [scores, alpha]),
        }
    };
    let scores = scores.into_dyn();
    let p = project(&scores, None).0.into_dimensionality::<Ix3>().expect("matrices");
    let pullback = move |dp: Array3<f64>| {
        let change = project(&scores, Some(&dp.into_dyn())).1.into_dimensionality::<Ix3>().expect("matrices");
        let by_sum = change.sum_axis(Axis(1));
        Array2::from_shape_fn((items, n), |(b, j)| {
            let direct: f64 = (0..n).map(|i| slope(i) * change[[b, i, j]]).sum();
            // A distance is even in its argument, its derivative odd.
            let slopes = (0..n).map(|i| pairs[[b, i, j]].1 * (by_sum[[b, i]] + by_sum[[b, j]]));
            direct + slopes.sum::<f64>()
        })
    };
    (p, Box::new(pullback))
}
