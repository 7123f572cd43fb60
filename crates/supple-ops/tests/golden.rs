//! Values and gradients of public implementations. Each file names its source and convention.

use ndarray::{ArrayD, Axis, IxDyn};
use serde_json::Value;
use std::path::Path;
use supple_core::{Operator, evaluate, linearize};
use supple_ops::choice::{Entmax, Entmax15, Sparsemax};
use supple_ops::order::{
    Distribution, Network, Regularization, SoftRank, SoftSort, SoftSortPrillo, SortingNetwork,
};
use supple_ops::select::{Regularization as Mask, SoftTopK};
use supple_ops::sequence::SoftDtwSeries;
use supple_ops::transport::Sinkhorn;

fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file);
    let text = std::fs::read_to_string(&path).expect("a golden file");
    let mut json: Value = serde_json::from_str(&text).expect("JSON");
    match json["cases"].take() {
        Value::Array(cases) if !cases.is_empty() => cases,
        _ => panic!("{file} has no cases"),
    }
}

/// Nested lists as an array.
fn array(value: &Value) -> ArrayD<f64> {
    let (mut shape, mut level) = (vec![], value);
    while let Value::Array(items) = level {
        shape.push(items.len());
        level = &items[0];
    }
    let mut flat = vec![];
    flatten(value, &mut flat);
    ArrayD::from_shape_vec(IxDyn(&shape), flat).expect("a rectangular array")
}

fn flatten(value: &Value, flat: &mut Vec<f64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, flat)),
        number => flat.push(number.as_f64().expect("a number")),
    }
}

fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn assert_close(what: &str, got: &ArrayD<f64>, expected: &ArrayD<f64>, tolerance: f64) {
    assert_eq!(got.shape(), expected.shape(), "{what}");
    let scale = 1.0 + expected.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    for (g, e) in got.iter().zip(expected) {
        assert!((g - e).abs() <= tolerance * scale, "{what}: {g:e} for {e:e}\n{got}\n{expected}");
    }
}

/// One input, one output: `y` and `dx` at `x` and `dy`.
fn check(operator: &impl Operator, case: &Value, tolerance: f64) {
    let (x, dy) = (array(&case["x"]), array(&case["dy"]));
    let at = linearize(operator, [x.view()]).expect("values");
    assert_close(&format!("y of {case}"), &at.outputs()[0], &array(&case["y"]), tolerance);
    let [dx] = at.vjp([dy.view()]).expect("a gradient");
    assert_close(&format!("dx of {case}"), &dx, &array(&case["dx"]), tolerance);
}

#[test]
fn torchsort() {
    for case in cases("torchsort.json") {
        let softness = float(&case["strength"]);
        let regularization = match case["regularization"].as_str() {
            Some("l2") => Regularization::L2,
            _ => Regularization::Entropic,
        };
        match case["function"].as_str() {
            Some("soft_rank") => {
                check(&SoftRank { softness, regularization, ..SoftRank::default() }, &case, 1e-10);
            }
            _ => check(&SoftSort { softness, regularization, ..SoftSort::default() }, &case, 1e-10),
        }
    }
}

/// The file has the relaxed permutation `P`; its rows descend.
#[test]
fn difftopk_soft_sort() {
    for case in cases("neuralsort_softsort.json") {
        let (x, p) = (array(&case["x"]), array(&case["P"]));
        let operator = SoftSortPrillo { softness: float(&case["tau"]), descending: true };
        let [y] = evaluate(&operator, [x.view()]).expect("values");
        let expected = (&p * &x.view().insert_axis(Axis(1))).sum_axis(Axis(2));
        assert_close(&format!("P x of {case}"), &y, &expected, 1e-12);
    }
}

#[test]
fn diffsort_networks() {
    for case in cases("diffsort.json") {
        let network = match case["network"].as_str() {
            Some("bitonic") => Network::Bitonic,
            _ => Network::OddEven,
        };
        let distribution = match case["distribution"].as_str() {
            Some("logistic") => Distribution::Logistic,
            Some("logistic_phi") => Distribution::LogisticPhi,
            Some("gaussian") => Distribution::Gaussian,
            Some("cauchy") => Distribution::Cauchy,
            Some("reciprocal") => Distribution::Reciprocal,
            _ => Distribution::Optimal,
        };
        // There, σ(β d / |d|^λ) with λ = 1/4; here, σ(t / |t|^λ) with t = d / ε.
        let power = match distribution {
            Distribution::LogisticPhi => 1.0 / (1.0 - float(&case["art_lambda"])),
            _ => 1.0,
        };
        let softness = float(&case["steepness"]).powf(-power);
        check(&SortingNetwork { softness, network, distribution, descending: false }, &case, 1e-9);
    }
}

#[test]
fn entmax_sparsemax_and_budget() {
    for case in cases("entmax.json") {
        match case["function"].as_str() {
            Some("sparsemax") => check(&Sparsemax { softness: 1.0 }, &case, 1e-10),
            Some("entmax15") => check(&Entmax15 { softness: 1.0 }, &case, 1e-10),
            Some("entmax_bisect") => {
                let (x, dy) = (array(&case["x"]), array(&case["dy"]));
                let alpha = ndarray::arr0(float(&case["alpha"])).into_dyn();
                let operator = Entmax::default();
                let at = linearize(&operator, [x.view(), alpha.view()]).expect("values");
                assert_close(&format!("y of {case}"), &at.outputs()[0], &array(&case["y"]), 1e-10);
                let [dx, _] = at.vjp([dy.view()]).expect("a gradient");
                assert_close(&format!("dx of {case}"), &dx, &array(&case["dx"]), 1e-10);
            }
            Some("budget_bisect") => {
                let k = case["budget"].as_u64().expect("a budget") as usize;
                let mask = SoftTopK { k, softness: 1.0, regularization: Mask::L2 };
                check(&mask, &case, 1e-10);
            }
            _ => {}
        }
    }
}

#[test]
fn tslearn_soft_dtw() {
    for case in cases("soft_dtw.json") {
        let softness = float(&case["gamma"]);
        let (x, y, dy) = (array(&case["x"]), array(&case["y"]), array(&case["dy"]));
        let operator = SoftDtwSeries { softness, ..SoftDtwSeries::default() };
        let at = linearize(&operator, [x.view(), y.view()]).expect("values");
        let [value, alignment] = at.outputs();
        assert_close("value", value, &array(&case["value"]), 1e-9);
        let none = ArrayD::zeros(alignment.raw_dim());
        let [dx, dyy] = at.vjp([dy.view(), none.view()]).expect("a gradient");
        assert_close("dx", &dx, &array(&case["dx"]), 1e-9);
        assert_close("dy", &dyy, &array(&case["dyy"]), 1e-9);
    }
}

#[test]
fn pot_sinkhorn() {
    for case in cases("sinkhorn.json") {
        let (cost, a, b) = (array(&case["cost"]), array(&case["a"]), array(&case["b"]));
        let operator = Sinkhorn { softness: float(&case["reg"]), ..Sinkhorn::default() };
        let at = linearize(&operator, [cost.view(), a.view(), b.view()]).expect("a plan");
        assert_close("plan", &at.outputs()[0], &array(&case["plan"]), 1e-9);
    }
}
