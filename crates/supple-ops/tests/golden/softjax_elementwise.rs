//! softjax's smooth steps: its `smooth` ones are logistic, its `c2` ones polynomials that reach five times as far as
//! their softness.
//!
//! Its `sign` and `abs` are made of the step. Its `round` adds up neighbouring steps without stretching them, so that
//! it is the one here only where a step ends before the next begins. Its steps `c0` and `c1` and its `relu` have no
//! counterpart here.

use crate::common::{array, assert_close, cases, float};
use ndarray::ArrayD;
use supple_core::{Operator, linearize};
use supple_ops::elementwise::{Shape, SoftHeaviside, SoftRound};

fn value_and_derivative(operator: &impl Operator, x: &ArrayD<f64>) -> [ArrayD<f64>; 2] {
    let at = linearize(operator, [x.view()]).expect("values");
    let [dx] = at.vjp([ArrayD::ones(x.shape()).view()]).expect("a gradient");
    [at.outputs()[0].clone(), dx]
}

#[test]
fn softjax_elementwise() {
    let mut compared = 0;
    for case in cases("softjax_elementwise.json") {
        let (shape, reach) = match case["mode"].as_str() {
            Some("smooth") => (Shape::Logistic, 1.0),
            Some("c2") => (Shape::Polynomial, 5.0),
            _ => continue,
        };
        let (x, softness) = (array(&case["x"]), reach * float(&case["softness"]));
        let step = || value_and_derivative(&SoftHeaviside { softness, shape }, &x);
        let [y, dx] = match case["function"].as_str() {
            Some("sigmoidal" | "heaviside") => step(),
            Some("sign") => {
                let [y, dx] = step();
                [2.0 * y - 1.0, 2.0 * dx]
            }
            Some("abs") => {
                let [y, dx] = step();
                [&x * (2.0 * &y - 1.0), 2.0 * y - 1.0 + 2.0 * &x * dx]
            }
            Some("round") if shape == Shape::Polynomial && softness <= 0.5 => {
                value_and_derivative(&SoftRound { softness, shape }, &x)
            }
            _ => continue,
        };
        assert_close(&format!("y of {case}"), &y, &array(&case["y"]), 1e-14);
        assert_close(&format!("dx of {case}"), &dx, &array(&case["dx"]), 1e-12);
        compared += 1;
    }
    assert_eq!(compared, 17);
}
