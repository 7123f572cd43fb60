//! The entmax package, its budgets included.

use crate::common::{array, assert_close, cases, check, float};
use supple_core::linearize;
use supple_ops::choice::{Entmax, Entmax15, Sparsemax};
use supple_ops::select::{Regularization, SoftTopK};

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
                let mask = SoftTopK { k, softness: 1.0, regularization: Regularization::L2 };
                check(&mask, &case, 1e-10);
            }
            _ => {}
        }
    }
}
