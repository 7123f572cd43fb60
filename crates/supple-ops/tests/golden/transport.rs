//! POT.

use crate::common::{array, assert_close, cases, float};
use supple_core::linearize;
use supple_ops::transport::Sinkhorn;

#[test]
fn pot_sinkhorn() {
    for case in cases("sinkhorn.json") {
        let (cost, a, b) = (array(&case["cost"]), array(&case["a"]), array(&case["b"]));
        let operator = Sinkhorn { softness: float(&case["reg"]), ..Sinkhorn::default() };
        let at = linearize(&operator, [cost.view(), a.view(), b.view()]).expect("a plan");
        assert_close("plan", &at.outputs()[0], &array(&case["plan"]), 1e-9);
    }
}
