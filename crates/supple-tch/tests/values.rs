//! What comes out: dtypes, layouts, shapes, modes, messages.

mod common;

use common::{Mix, Pick, Sign, assert_close, leaf, mix, values};
use supple_core::erase;
use supple_tch::{Error, Inputs, Mode, apply, apply_any, apply_each};
use tch::{Device, Kind, Tensor, no_grad};

#[test]
fn values_agree_with_libtorch() {
    let x = values(&[3, 4, 5]);
    assert_close(&apply(&Mix, [&x]).unwrap()[0], &mix(&x, -1), 1e-15);
    let x = x.to_kind(Kind::Float);
    assert_close(&apply(&Mix, [&x]).unwrap()[0], &mix(&x, -1), 1e-6);
}

#[test]
fn every_dim_has_the_right_gradient() {
    for dim in [-3, -2, -1, 0, 1, 2] {
        let (x, same) = (leaf(&[3, 4, 5]), leaf(&[3, 4, 5]));
        let [y] = apply(&Mix, Inputs::from([&x]).dim(dim)).unwrap();
        assert_close(&y, &mix(&same, dim), 1e-14);
        (y * values(&[3, 4, 5])).sum(None).backward();
        (mix(&same, dim) * values(&[3, 4, 5])).sum(None).backward();
        assert_close(&x.grad(), &same.grad(), 1e-14);
    }
}

#[test]
fn half_precision_computes_in_f32_and_casts_the_gradient_back() {
    for kind in [Kind::Half, Kind::BFloat16] {
        let x = values(&[2, 6]).to_kind(kind).set_requires_grad(true);
        let [y] = apply(&Mix, [&x]).unwrap();
        assert_close(&y, &mix(&x.to_kind(Kind::Float), -1).detach(), 1e-6);
        y.sum(None).backward();
        let same = x.detach().to_kind(Kind::Float).set_requires_grad(true);
        mix(&same, -1).sum(None).backward();
        assert_close(&x.grad(), &same.grad().to_kind(kind), 1e-2);
    }
}

#[test]
fn a_mixture_computes_in_the_wider_dtype() {
    let (a, b) = (values(&[4]).to_kind(Kind::Float).set_requires_grad(true), values(&[]));
    let [product, scaled] = apply(&Pick, [&a, &Tensor::from(2i64), &b]).unwrap();
    assert_eq!((product.kind(), scaled.kind()), (Kind::Double, Kind::Double));
    scaled.sum(None).backward();
    assert_eq!(a.grad().kind(), Kind::Float);
}

#[test]
fn inputs_may_have_any_strides() {
    let base = leaf(&[5, 8]);
    let reference = leaf(&[5, 8]);
    let layouts: [fn(&Tensor) -> Tensor; 5] = [
        |x| x.transpose(0, 1),
        |x| x.slice(1, 0, 8, 3),
        |x| x.narrow(0, 2, 2),
        |x| x.select(1, 3).unsqueeze(0).expand([4, 5], false),
        |x| x.flip([1]),
    ];
    for layout in layouts {
        let [y] = apply(&Mix, [&layout(&base)]).unwrap();
        let expected = mix(&layout(&reference), -1);
        assert_close(&y, &expected, 1e-14);
        let weight = values(&y.size());
        let gradient = Tensor::run_backward(&[(y * &weight).sum(None)], &[&base], false, false).remove(0);
        let expected = Tensor::run_backward(&[(expected * weight).sum(None)], &[&reference], false, false);
        assert_close(&gradient, &expected[0], 1e-14);
    }
}

#[test]
fn gradients_may_have_any_strides() {
    let (x, same) = (leaf(&[3, 4]), leaf(&[3, 4]));
    for weight in [
        values(&[4, 3]).transpose(0, 1),
        values(&[]).expand([3, 4], false),
        values(&[3, 8]).slice(1, 0, 8, 2),
    ] {
        let by_us = apply(&Mix, [&x]).unwrap().map(|y| y * &weight)[0].sum(None);
        let by_torch = (mix(&same, -1) * &weight).sum(None);
        let gradient = Tensor::run_backward(&[by_us], &[&x], false, false).remove(0);
        assert_close(&gradient, &Tensor::run_backward(&[by_torch], &[&same], false, false)[0], 1e-14);
    }
}

#[test]
fn lazily_negated_inputs_are_read_right() {
    let complex = Tensor::complex(&values(&[4]), &values(&[4]));
    let negated = complex.conj().imag();
    assert_close(&apply(&Mix, [&negated]).unwrap()[0], &mix(&-values(&[4]), -1), 1e-15);
}

#[test]
fn empty_batches_and_empty_items_work() {
    for shape in [&[0, 4][..], &[3, 0], &[0]] {
        let x = Tensor::zeros(shape, (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let [y] = apply(&Mix, [&x]).unwrap();
        assert_eq!(y.size(), shape);
        y.sum(None).backward();
        assert_eq!(x.grad().size(), shape);
    }
}

#[test]
fn gradients_of_broadcast_inputs_have_the_shape_of_the_input() {
    let (a, b) = (leaf(&[1, 4]), leaf(&[3, 1]));
    let [product, scaled] = apply(&Pick, [&a, &Tensor::from(1i64), &b]).unwrap();
    assert_eq!((product.size(), scaled.size()), (vec![3, 1], vec![3, 1, 4]));
    (product.sum(None) + scaled.square().sum(None)).backward();
    let (a2, b2) = (leaf(&[1, 4]), leaf(&[3, 1]));
    let expected = (a2.select(1, 1) * &b2).sum(None) + (&a2 * b2.unsqueeze(-1)).square().sum(None);
    expected.backward();
    assert_close(&a.grad(), &a2.grad(), 1e-14);
    assert_close(&b.grad(), &b2.grad(), 1e-14);
}

#[test]
fn integer_inputs_come_in_the_order_of_the_signature() {
    let (a, b) = (leaf(&[3, 4]), leaf(&[3]));
    let pick = Tensor::from_slice(&[3i64, 0, 2]);
    let [product, _] = apply(&Pick, [&a, &pick, &b]).unwrap();
    let expected = a.gather(1, &pick.unsqueeze(1), false).squeeze_dim(1) * &b;
    assert_close(&product.detach(), &expected.detach(), 1e-15);
    product.sum(None).backward();
    let one_hot = pick.one_hot(4).to_kind(Kind::Double);
    assert_close(&a.grad(), &(one_hot * b.detach().unsqueeze(1)), 1e-15);
}

#[test]
fn the_hard_form_requires_no_gradient() {
    let x = leaf(&[2, 3]);
    let [y] = apply(&Mix, Inputs::from([&x]).mode(Mode::Hard)).unwrap();
    assert!(!y.requires_grad());
    assert_close(&y, &x.detach().sign(), 0.0);
}

#[test]
fn straight_through_has_the_hard_value_and_the_soft_gradient() {
    let (x, same) = (leaf(&[2, 3]), leaf(&[2, 3]));
    let [y] = apply(&Mix, Inputs::from([&x]).mode(Mode::StraightThrough)).unwrap();
    assert_close(&y.detach(), &x.detach().sign(), 0.0);
    y.sum(None).backward();
    mix(&same, -1).sum(None).backward();
    assert_close(&x.grad(), &same.grad(), 1e-14);
}

#[test]
fn ragged_batches_hide_their_padding() {
    let (x, lengths) = (leaf(&[2, 5]), Tensor::from_slice(&[3i64, 5]));
    let [y] = apply(&Mix, Inputs::from([&x]).lengths("n", &lengths)).unwrap();
    assert_close(&y.get(0).narrow(0, 0, 3).detach(), &mix(&x.get(0).narrow(0, 0, 3), -1).detach(), 1e-15);
    y.sum(None).backward();
    assert_close(&x.grad().get(0).narrow(0, 3, 2), &Tensor::zeros([2], (Kind::Double, Device::Cpu)), 0.0);
}

#[test]
fn nothing_is_saved_without_need() {
    let x = values(&[4]);
    assert!(!apply(&Mix, [&x]).unwrap()[0].requires_grad());
    let x = leaf(&[4]);
    assert!(!no_grad(|| apply(&Mix, [&x]).unwrap())[0].requires_grad());
    assert!(apply(&Mix, [&x]).unwrap()[0].requires_grad());
}

#[test]
fn an_erased_operator_works_as_a_known_one() {
    let x = leaf(&[2, 3]);
    let outputs = apply_any(&erase(Mix), [&x]).unwrap();
    assert_eq!(outputs.len(), 1);
    assert_close(&outputs[0], &apply(&Mix, [&x]).unwrap()[0], 0.0);
}

#[test]
fn a_fault_is_an_error_or_spoils_its_own_item_only() {
    let (a, b, pick) = (leaf(&[2, 3]), leaf(&[]), Tensor::from_slice(&[1i64, 3]));
    let error = apply(&Pick, [&a, &pick, &b]).unwrap_err();
    assert_eq!(error.to_string(), "pick: item 1: `pick` has 3 at position 0, which must be in 0..3");
    let ([product, scaled], faults) = apply_each(&Pick, [&a, &pick, &b]).unwrap();
    assert_eq!(faults.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [1]);
    assert_eq!(product.isnan().to_kind(Kind::Int64).sum(None).int64_value(&[]), 1);
    scaled.get(0).sum(None).backward();
    assert_close(&a.grad().get(1), &Tensor::zeros([3], (Kind::Double, Device::Cpu)), 0.0);
}

#[test]
fn errors_name_operator_argument_requirement_and_value() {
    let (x, pick) = (values(&[3]), Tensor::from(0i64));
    let message = |result: Result<_, Error>| result.err().map(|e| e.to_string()).unwrap_or_default();
    let mix = |x: &Tensor| message(apply(&Mix, [x]).map(|_| ()));
    let picked = |inputs: &[&Tensor]| message(apply(&Pick, inputs).map(|_| ()));
    assert_eq!(mix(&pick), "mix: `x` must be of kind Float, Double, Half or BFloat16, got Int64");
    assert_eq!(mix(&values(&[])), "mix: `x` must be an array of at least 1 axes, got shape ()");
    assert_eq!(mix(&Tensor::new()), "mix: `x` must be a tensor, got an undefined one");
    assert_eq!(picked(&[&x]), "pick: `inputs` must be 3 in number, got 1");
    assert_eq!(picked(&[&x, &x, &x]), "pick: `pick` must be of kind Int64, got Double");
    assert_eq!(
        message(apply(&Mix, Inputs::from([&x]).dim(1)).map(|_| ())),
        "mix: `axis` must be in -1..1, got 1"
    );
    assert_eq!(
        message(apply(&Mix, Inputs::from([&x]).lengths("n", &Tensor::from(-1i64))).map(|_| ())),
        "mix: `lengths of n` must be 0 or more, got -1"
    );
    assert_eq!(
        message(apply(&Sign, Inputs::from([&x]).mode(Mode::Hard)).map(|_| ())),
        "sign: the hard mode is not available: this operator has no hard form"
    );
    assert!(
        mix(&x.to_sparse(None::<tch::Layout>, None::<&[i64]>, None))
            .contains("a tensor must be dense, got layout Sparse")
    );
}

#[test]
fn large_batches_agree_with_libtorch() {
    let (x, same) = (leaf(&[64, 3000]), leaf(&[64, 3000]));
    let [y] = apply(&Mix, [&x]).unwrap();
    assert_close(&y.detach(), &mix(&same, -1).detach(), 1e-12);
    y.square().sum(None).backward();
    mix(&same, -1).square().sum(None).backward();
    assert_close(&x.grad(), &same.grad(), 1e-12);
}
