//! tslearn.

use crate::common::{array, assert_close, cases, float};
use ndarray::ArrayD;
use supple_core::linearize;
use supple_ops::sequence::SoftDtwSeries;

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
