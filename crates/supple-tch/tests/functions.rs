//! The generated functions: one of each shape.

mod common;

use common::{assert_close, leaf, values};
use supple_tch::{f_soft_rank, f_soft_top_k, sinkhorn, soft_dtw, soft_heaviside, soft_rank};
use tch::{Device, Kind, Tensor};

#[test]
fn an_operator_along_an_axis_takes_a_dim() {
    let x = Tensor::from_slice(&[2.9, 0.1, 1.2]);
    assert_close(&soft_rank(&x, -1, 0.1), &Tensor::from_slice(&[3.0, 1.0, 2.0]), 1e-14);
    let x = leaf(&[4, 3]);
    let (columns, rows) = (soft_rank(&x, 0, 0.5), soft_rank(&x.transpose(0, 1), 1, 0.5));
    assert_close(&columns.detach(), &rows.transpose(0, 1).detach(), 0.0);
    assert!(columns.requires_grad());
}

#[test]
fn an_elementwise_operator_takes_none() {
    let x = Tensor::zeros([2, 3], (Kind::Double, Device::Cpu));
    assert_close(&soft_heaviside(&x, 1.0), &(x + 0.5), 1e-15);
}

#[test]
fn several_inputs_come_in_order_and_several_outputs_as_a_tuple() {
    let a = Tensor::from_slice(&[0.5, 0.5]);
    let b = Tensor::from_slice(&[0.25, 0.25, 0.5]);
    let plan = sinkhorn(&values(&[2, 3]), &a, &b, 0.5);
    assert_close(&plan.sum_dim_intlist(-1, false, None), &a, 1e-6);
    let (value, alignment) = soft_dtw(&values(&[4, 5]), 0.5);
    assert_eq!((value.size(), alignment.size()), (vec![], vec![4, 5]));
}

#[test]
fn the_fallible_twin_returns_the_error() {
    let error = f_soft_rank(&values(&[3]), -1, -1.0).unwrap_err().to_string();
    assert_eq!(error, "soft_rank: `softness` must be finite and > 0, got -1.0");
    assert!(f_soft_top_k(&values(&[3]), -1, 7, 1.0).is_err());
}

#[test]
#[should_panic(expected = "soft_rank: `softness` must be finite and > 0, got -1.0")]
fn the_plain_one_panics_with_its_message() {
    let _ = soft_rank(&values(&[3]), -1, -1.0);
}
