//! Reads golden files and compares with them.

use ndarray::{ArrayD, IxDyn};
use serde_json::Value;
use std::path::Path;
use supple_core::{Operator, linearize};

/// The cases of a file.
pub fn cases(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(file);
    let text = std::fs::read_to_string(&path).expect("a golden file");
    let mut json: Value = serde_json::from_str(&text).expect("JSON");
    match json["cases"].take() {
        Value::Array(cases) if !cases.is_empty() => cases,
        _ => panic!("{file} has no cases"),
    }
}

/// Nested lists as an array.
pub fn array(value: &Value) -> ArrayD<f64> {
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

/// A number.
pub fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Compares entry by entry, relative to the largest entry and to one.
pub fn assert_close(what: &str, got: &ArrayD<f64>, expected: &ArrayD<f64>, tolerance: f64) {
    assert_eq!(got.shape(), expected.shape(), "{what}");
    let scale = 1.0 + expected.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    for (g, e) in got.iter().zip(expected) {
        assert!((g - e).abs() <= tolerance * scale, "{what}: {g:e} for {e:e}\n{got}\n{expected}");
    }
}

/// One input, one output: `y` and `dx` at `x` and `dy`.
pub fn check(operator: &impl Operator, case: &Value, tolerance: f64) {
    let (x, dy) = (array(&case["x"]), array(&case["dy"]));
    let at = linearize(operator, [x.view()]).expect("values");
    assert_close(&format!("y of {case}"), &at.outputs()[0], &array(&case["y"]), tolerance);
    let [dx] = at.vjp([dy.view()]).expect("a gradient");
    assert_close(&format!("dx of {case}"), &dx, &array(&case["dx"]), tolerance);
}
