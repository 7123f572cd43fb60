//! Estimators and solvers whose function takes tensors.

mod common;

use common::assert_close;
use std::sync::Arc;
use supple_estimators::discrete::{Bernoulli, Categorical, Nvil, Rebar, Reinforce, WithoutReplacement};
use supple_estimators::smoothing::Pathwise;
use supple_estimators::{Baseline, Estimated, Smoothing};
use supple_ops::perturb::PerturbedArgmax;
use supple_ops::perturb::oracles::TopK;
use supple_tch::{Sampling, TensorOracle, apply, estimate};
use tch::{Kind, Tensor};

const SAMPLING: Sampling = Sampling { evaluations: 64, seed: Some(3), common: false };

fn batch() -> Tensor {
    (Tensor::arange(12, (Kind::Double, tch::Device::Cpu)).view([2, 3, 2]) / 10.0 - 0.4)
        .set_requires_grad(true)
}

fn gradient(loss: &Tensor, x: &Tensor) -> Tensor {
    Tensor::run_backward(&[loss.sum(None)], &[x], true, false).remove(0)
}

/// A jump and a product.
fn jump(points: &Tensor) -> Tensor {
    let positive = points.sum_dim_intlist(-1, false, None).gt(0.0).to_kind(points.kind());
    positive + points.prod_dim_int(-1, false, None)
}

#[test]
fn a_function_of_tensors_does_what_a_closure_does() {
    let x = batch();
    let (mean, ()) = estimate(&Smoothing::default(), &x, SAMPLING, &(), jump).unwrap();
    let closure = |x: &[f64], y: &mut [f64]| {
        y[0] = if x[0] + x[1] > 0.0 { 1.0 } else { 0.0 } + x[0] * x[1];
        Ok(())
    };
    let Sampling { evaluations, seed, common } = SAMPLING;
    let operator =
        Estimated { evaluations, seed, common, ..Estimated::new(Smoothing::default(), closure, 1) };
    let [expected] = apply(&operator, [&x]).unwrap();
    assert_close(&mean, &expected.squeeze_dim(-1), 1e-12);
    assert_close(&gradient(&mean, &x), &gradient(&expected, &x), 1e-11);
}

#[test]
fn several_values_have_the_gradient_of_their_cotangents() {
    let x = batch();
    let both = |points: &Tensor| Tensor::stack(&[jump(points), points.select(-1, 0)], -1);
    let (mean, ()) = estimate(&Smoothing::default(), &x, SAMPLING, &(), both).unwrap();
    assert_eq!(mean.size(), [2, 3, 2]);
    let weighted = |points: &Tensor| 2.0 * jump(points) - points.select(-1, 0);
    let (expected, ()) = estimate(&Smoothing::default(), &x, SAMPLING, &(), weighted).unwrap();
    let loss = (&mean * Tensor::from_slice(&[2.0, -1.0])).sum_dim_intlist(-1, false, None);
    assert_close(&loss, &expected, 1e-12);
    assert_close(&gradient(&loss, &x), &gradient(&expected, &x), 1e-11);
}

#[test]
fn the_function_s_own_parameters_have_gradients() {
    let (x, weight) = (batch(), Tensor::from(2.0).set_requires_grad(true));
    let (mean, ()) = estimate(&Smoothing::default(), &x, SAMPLING, &(), |p| &weight * jump(p)).unwrap();
    let (plain, ()) = estimate(&Smoothing::default(), &x, SAMPLING, &(), jump).unwrap();
    assert_close(&gradient(&mean, &weight), &plain.sum(None).detach(), 1e-12);
    assert_close(&gradient(&mean, &x), &(gradient(&plain, &x) * 2.0), 1e-12);
}

#[test]
fn gradients_of_the_function_come_from_its_graph() {
    let x = batch();
    let pathwise = Pathwise { softness: 1e-9, ..Pathwise::default() };
    let (mean, ()) =
        estimate(&pathwise, &x, SAMPLING, &(), |p| p.square().sum_dim_intlist(-1, false, None)).unwrap();
    assert_close(&gradient(&mean, &x), &(x.detach() * 2.0), 1e-6);
    // Costs that do not depend on the points have no slope.
    let (mean, ()) = estimate(&pathwise, &x, SAMPLING, &(), |p| p.detach().select(-1, 0)).unwrap();
    assert_close(&gradient(&mean, &x), &x.zeros_like().detach(), 0.0);
    let vector = estimate(&pathwise, &x, SAMPLING, &(), |p| p.square()).unwrap_err().to_string();
    assert!(vector.contains("`function` must be one value for each point"), "{vector}");
}

#[test]
fn discrete_samples_and_what_is_learned() {
    let x = batch();
    let cost = |b: &Tensor| (b - 0.45).square().sum_dim_intlist(-1, false, None);
    // E (b − 0.45)² has the slope 0.1 σ(x) σ(−x) in each logit.
    let exact = x.detach().sigmoid() * (-x.detach()).sigmoid() * 0.1;
    let many = Sampling { evaluations: 20_000, ..SAMPLING };
    let rloo = Reinforce { distribution: Bernoulli, baseline: Baseline::LeaveOneOut };
    let (mean, ()) = estimate(&rloo, &x, many, &(), cost).unwrap();
    assert!((gradient(&mean, &x) - &exact).abs().max().double_value(&[]) < 0.005);
    let (mean, state) = estimate(&Rebar::new(Bernoulli), &x, many, &Default::default(), cost).unwrap();
    assert!((gradient(&mean, &x) - &exact).abs().max().double_value(&[]) < 0.005);
    assert!(state.square > 0.0);
    let (_, state) = estimate(&Nvil::new(Bernoulli), &x, many, &Default::default(), cost).unwrap();
    assert_ne!(state, Default::default());
    // A last axis of one value is a cost too.
    let column = |b: &Tensor| cost(b).unsqueeze(-1);
    let (mean, learnt) = estimate(&Nvil::new(Bernoulli), &x, many, &Default::default(), column).unwrap();
    assert_eq!((mean.size(), learnt), (vec![2, 3, 1], state));
}

#[test]
fn common_numbers_do_not_bias_what_learns() {
    // The second item's baseline may not be made of its own sample.
    let x = Tensor::zeros([2, 1], (Kind::Double, tch::Device::Cpu)).set_requires_grad(true);
    let one = Sampling { evaluations: 1, seed: Some(1), common: true };
    let cost = |b: &Tensor| b.select(-1, 0) + 1.0;
    let (mean, _) = estimate(&Nvil::new(Bernoulli), &x, one, &Default::default(), cost).unwrap();
    let g = gradient(&mean, &x);
    assert_close(&g.get(0), &g.get(1), 0.0);
    assert_ne!(g.double_value(&[1, 0]), 0.0);
}

#[test]
fn items_may_take_different_numbers_of_points() {
    let x = Tensor::from_slice2(&[[0.0, 0.5, 1.0], [0.0, 0.5, f64::NEG_INFINITY]]).set_requires_grad(true);
    let three = Sampling { evaluations: 3, seed: Some(1), common: false };
    let estimator = WithoutReplacement { distribution: Categorical::default() };
    let weights = Tensor::from_slice(&[1.0, -2.0, 3.0]);
    let (mean, ()) = estimate(&estimator, &x, three, &(), |b| b.matmul(&weights)).unwrap();
    // All values are drawn: it is exact.
    let exact = x.softmax(-1, None).matmul(&weights);
    assert_close(&mean, &exact, 1e-12);
    assert_close(&gradient(&mean, &x), &gradient(&exact, &x), 1e-12);
}

#[test]
fn dtypes_shapes_and_second_derivatives() {
    let x = batch().detach().to_kind(Kind::Float).set_requires_grad(true);
    let (mean, ()) = estimate(&Smoothing::default(), &x, SAMPLING, &(), |points| {
        assert_eq!((points.kind(), points.size()), (Kind::Float, vec![2, 3, 64, 2]));
        jump(points)
    })
    .unwrap();
    assert_eq!((mean.kind(), mean.size()), (Kind::Float, vec![2, 3]));
    let first = Tensor::run_backward(&[mean.sum(None)], &[&x], true, true).remove(0);
    let second = Tensor::f_run_backward(&[first.sum(None)], &[&x], false, false).unwrap_err().to_string();
    assert!(second.contains("estimate: a second derivative is not available"), "{second}");
    let message = |x: &Tensor, sampling, function: fn(&Tensor) -> Tensor| {
        estimate(&Smoothing::default(), x, sampling, &(), function).unwrap_err().to_string()
    };
    assert!(
        message(&x, Sampling { evaluations: 0, ..SAMPLING }, jump)
            .contains("`evaluations` must be at least 1")
    );
    assert!(message(&x, SAMPLING, |points| points.sum(None)).contains("of shape [2, 3, 64]"));
    assert!(message(&Tensor::from(1.0), SAMPLING, jump).contains("at least one axis"));
    assert!(message(&Tensor::from_slice(&[1i64]), SAMPLING, jump).contains("floating-point"));
    assert!(
        message(&Tensor::from_slice(&[f64::NAN]), SAMPLING, jump).contains("item 0: `x` must be a number")
    );
}

#[test]
fn a_solver_of_tensors_is_an_oracle() {
    let argmax = |theta: &Tensor| {
        let n = theta.size()[1];
        theta.argmax(-1, false).one_hot(n).to_kind(Kind::Double)
    };
    let x = batch();
    let by_tensors =
        PerturbedArgmax { seed: Some(1), ..PerturbedArgmax::new(Arc::new(TensorOracle::new(argmax))) };
    let native = PerturbedArgmax { seed: Some(1), ..PerturbedArgmax::new(Arc::new(TopK { k: 1 })) };
    let ([found], [expected]) = (apply(&by_tensors, [&x]).unwrap(), apply(&native, [&x]).unwrap());
    assert_close(&found, &expected, 0.0);
    let weights = Tensor::from_slice(&[1.0, -3.0]);
    assert_close(&gradient(&(found * &weights), &x), &gradient(&(expected * &weights), &x), 1e-15);
    let wrong = PerturbedArgmax::new(Arc::new(TensorOracle::new(|theta: &Tensor| theta.sum(None))));
    let message = apply(&wrong, [&x]).unwrap_err().to_string();
    assert!(message.contains("must return a solution for each of 100 rows of 2"), "{message}");
}
