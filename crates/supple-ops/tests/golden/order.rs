//! torchsort, difftopk, diffsort.

use crate::common::{array, assert_close, cases, check, float};
use ndarray::Axis;
use supple_core::evaluate;
use supple_ops::order::{
    Distribution, Network, Regularization, SoftRank, SoftSort, SoftSortPrillo, SortingNetwork,
};

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
