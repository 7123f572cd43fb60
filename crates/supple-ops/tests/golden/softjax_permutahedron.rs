//! softjax's projections onto the permutahedron: `fast_soft_sort` in the modes c0, c1 and c2 (the powers 2, 3/2 and
//! 4/3), and the entropic one of sorted values.
//!
//! Its places are 1/(n − 1) apart, here 1, so softness differs by powers of n − 1. Its smooth ranks project in the logarithm, $e^{r} \in \mathcal P(e^{\rho})$, which is another function
//! than the entropic ranks here: they are left out.

use crate::common::{array, assert_close, cases, float};
use ndarray::{ArrayD, Axis, Slice};
use serde_json::Value;
use supple_core::{Operator, linearize};
use supple_ops::order::{Regularization, SoftRank, SoftSort};

fn reversed(x: ArrayD<f64>) -> ArrayD<f64> {
    x.slice_axis(Axis(x.ndim() - 1), Slice::new(0, None, -1)).to_owned()
}

/// `y` and `dx`; with `reverse` of outputs in the other order.
fn compare(operator: &impl Operator, case: &Value, reverse: bool) {
    let (x, dy) = (array(&case["x"]), array(&case["dy"]));
    let (y, dy) = match reverse {
        true => (reversed(array(&case["y"])), reversed(dy)),
        false => (array(&case["y"]), dy),
    };
    let at = linearize(operator, [x.view()]).expect("values");
    let [dx] = at.vjp([dy.view()]).expect("a gradient");
    // Where softjax uses moments about zero, its rounding is larger than ours.
    assert_close(&format!("y of {case}"), &at.outputs()[0], &y, 1e-11);
    assert_close(&format!("dx of {case}"), &dx, &array(&case["dx"]), 1e-11);
}

#[test]
fn fast_soft_sort() {
    let mut compared = 0;
    for case in cases("softjax_axiswise.json") {
        if case["method"] != "fast_soft_sort" {
            continue;
        }
        let (regularization, degree) = match case["mode"].as_str() {
            Some("c0") => (Regularization::L2, 1.0),
            Some("c1") => (Regularization::ThreeHalves, 2.0),
            Some("c2") => (Regularization::FourThirds, 3.0),
            _ => (Regularization::Entropic, 1.0),
        };
        let steps = array(&case["x"]).len_of(Axis(1)) as f64 - 1.0;
        let softness = float(&case["softness"]);
        let descending = case["descending"] == true;
        match case["function"].as_str() {
            Some("sort") => {
                // Entropic in the exponentials of x, which those of −x are in descending order.
                let entropic = regularization == Regularization::Entropic;
                let softness = softness * steps;
                let operator = SoftSort { softness, regularization, descending: descending || entropic };
                compare(&operator, &case, entropic && !descending);
            }
            Some("rank") if regularization != Regularization::Entropic => {
                let softness = softness / steps.powf(1.0 / degree);
                compare(&SoftRank { softness, regularization, descending }, &case, false);
            }
            _ => continue,
        }
        compared += 1;
    }
    assert_eq!(compared, 28);
}
