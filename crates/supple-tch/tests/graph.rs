//! The graph: higher derivatives, lifetimes, threads, failures.

mod common;

use common::{Counted, Mix, Pick, Sign, Trouble, assert_close, gradient, leaf, mix, values};
use std::panic::{set_hook, take_hook};
use std::sync::Mutex;
use std::sync::atomic::{AtomicIsize, Ordering};
use supple_tch::{Inputs, Mode, apply};
use tch::{Tensor, no_grad};

fn mixed(x: &Tensor) -> Tensor {
    let [y] = apply(&Mix, [x]).unwrap();
    y
}

fn live(count: &AtomicIsize) -> isize {
    count.load(Ordering::SeqCst)
}

#[test]
fn a_kept_graph_gives_the_same_gradient_again() {
    let x = leaf(&[2, 3]);
    let y = mixed(&x).sum(None);
    let first = Tensor::run_backward(&[&y], &[&x], true, false).remove(0);
    let second = Tensor::run_backward(&[&y], &[&x], true, false).remove(0);
    assert_close(&first, &second, 0.0);
}

#[test]
fn a_second_backward_without_the_graph_is_an_error() {
    let x = leaf(&[2, 3]);
    let y = mixed(&x).sum(None);
    y.backward();
    let error = y.f_backward().unwrap_err().to_string();
    assert!(error.contains("backward through the graph a second time"), "{error}");
}

#[test]
fn gradients_accumulate_along_a_chain() {
    let (x, same) = (leaf(&[2, 3]), leaf(&[2, 3]));
    (mixed(&mixed(&x)) + mixed(&x)).sum(None).backward();
    (mix(&mix(&same, -1), -1) + mix(&same, -1)).sum(None).backward();
    assert_close(&x.grad(), &same.grad(), 1e-14);
}

/// `(∂/∂x, ∂/∂g)` of `⟨u, J(x)ᵀ g⟩`.
fn second(f: impl Fn(&Tensor) -> Tensor, shape: &[i64]) -> (Tensor, Tensor) {
    let (x, g) = (leaf(shape), leaf(&f(&values(shape)).size()));
    let first = gradient(&(f(&x) * &g).sum(None), &x);
    let penalty = (first * (values(shape) + 0.2)).sum(None);
    let mut both = Tensor::run_backward(&[penalty], &[&x, &g], false, false);
    (both.remove(0), both.remove(0))
}

#[test]
fn double_backward_agrees_with_libtorch() {
    for shape in [&[4][..], &[3, 5], &[2, 3, 4]] {
        let (by_us, by_torch) = (second(mixed, shape), second(|x| mix(x, -1), shape));
        assert_close(&by_us.0, &by_torch.0, 1e-13);
        assert_close(&by_us.1, &by_torch.1, 1e-13);
    }
}

#[test]
fn double_backward_agrees_with_differences_of_the_gradient() {
    let (x, g, v) = (leaf(&[5]), values(&[5]) + 0.4, values(&[5]) - 0.7);
    let slope = |x: &Tensor| {
        let x = x.detach().set_requires_grad(true);
        gradient(&(mixed(&x) * &g).sum(None), &x).detach()
    };
    let first = gradient(&(mixed(&x) * &g).sum(None), &x);
    let exact = gradient(&(first * &v).sum(None), &x).detach();
    let (ahead, behind) = (x.detach() + &v * 1e-5, x.detach() - &v * 1e-5);
    assert_close(&exact, &((slope(&ahead) - slope(&behind)) / 2e-5), 1e-8);
}

#[test]
fn double_backward_works_along_any_dim_and_straight_through() {
    let along =
        |x: &Tensor| apply(&Mix, Inputs::from([x]).dim(0)).unwrap().map(|y| y + 0.0)[0].shallow_clone();
    let (by_us, by_torch) = (second(along, &[4, 3]), second(|x| mix(x, 0), &[4, 3]));
    assert_close(&by_us.0, &by_torch.0, 1e-13);
    assert_close(&by_us.1, &by_torch.1, 1e-13);
    let through = |x: &Tensor| {
        let [y] = apply(&Mix, Inputs::from([x]).mode(Mode::StraightThrough)).unwrap();
        y
    };
    let (by_us, by_torch) = (second(through, &[2, 3]), second(|x| mix(x, -1), &[2, 3]));
    assert_close(&by_us.0, &by_torch.0, 1e-13);
    assert_close(&by_us.1, &by_torch.1, 1e-13);
}

#[test]
fn double_backward_reaches_every_input() {
    let pick = Tensor::from_slice(&[2i64, 0]);
    let penalty = |f: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
        let (a, b) = (leaf(&[2, 3]), leaf(&[2]));
        let first = Tensor::run_backward(&[f(&a, &b)], &[&a, &b], true, true);
        let penalty = first[0].square().sum(None) + first[1].square().sum(None);
        Tensor::run_backward(&[penalty], &[&a, &b], false, false)
    };
    let by_us = penalty(&|a, b| {
        let [product, scaled] = apply(&Pick, [a, &pick, b]).unwrap();
        product.square().sum(None) + scaled.square().sum(None)
    });
    let by_torch = penalty(&|a, b| {
        let product = a.gather(1, &pick.unsqueeze(1), false).squeeze_dim(1) * b;
        product.square().sum(None) + (a * b.unsqueeze(1)).square().sum(None)
    });
    by_us.iter().zip(&by_torch).for_each(|(a, b)| assert_close(a, b, 1e-13));
}

#[test]
fn a_hessian_vector_product_of_one_input_leaves_the_other_alone() {
    let (a, b, pick) = (leaf(&[3]), leaf(&[]), Tensor::from(1i64));
    let [_, scaled] = apply(&Pick, [&a, &pick, &b]).unwrap();
    let first = Tensor::run_backward(&[scaled.square().sum(None)], &[&b], true, true).remove(0);
    let second = Tensor::run_backward(&[first], &[&b], false, false).remove(0);
    assert_close(&second, &(a.detach().square().sum(None) * 2.0), 1e-14);
}

#[test]
fn second_derivatives_of_a_surrogate_are_refused() {
    let x = leaf(&[3]);
    let [y] = apply(&Sign, [&x]).unwrap();
    let first = gradient(&(y * &x).sum(None), &x);
    let error = Tensor::f_run_backward(&[first.sum(None)], &[&x], false, false).unwrap_err().to_string();
    let reason = "its gradient is surrogate, not the derivative of its output";
    assert!(error.contains(&format!("sign: a second derivative is not available: {reason}")), "{error}");
}

#[test]
fn third_derivatives_are_refused() {
    let x = leaf(&[3]);
    let first = gradient(&mixed(&x).sum(None), &x);
    let second = gradient(&first.sum(None), &x);
    let error = Tensor::f_run_backward(&[second.sum(None)], &[&x], false, false).unwrap_err().to_string();
    assert!(error.contains("mix: third derivatives are not available"), "{error}");
}

#[test]
fn an_input_modified_in_place_is_noticed() {
    let x = leaf(&[3]);
    let y = mixed(&x);
    let _ = no_grad(|| x.shallow_clone().fill_(1.0));
    let error = y.sum(None).f_backward().unwrap_err().to_string();
    assert!(error.contains("modified by an inplace operation"), "{error}");
}

#[test]
fn an_output_modified_in_place_is_noticed() {
    let x = leaf(&[3]);
    let y = mixed(&x);
    let _ = no_grad(|| y.shallow_clone().fill_(1.0));
    let error = y.sum(None).f_backward().unwrap_err().to_string();
    assert!(error.contains("modified by an inplace operation"), "{error}");
}

#[test]
fn an_input_modified_before_double_backward_is_noticed() {
    let x = leaf(&[3]);
    let first = gradient(&mixed(&x).sum(None), &x);
    let _ = no_grad(|| x.shallow_clone().fill_(1.0));
    let error = first.sum(None).f_backward().unwrap_err().to_string();
    assert!(error.contains("modified by an inplace operation"), "{error}");
}

#[test]
fn an_unused_output_has_a_zero_gradient() {
    let (a, b, pick) = (leaf(&[3]), leaf(&[]), Tensor::from(1i64));
    let [product, _] = apply(&Pick, [&a, &pick, &b]).unwrap();
    product.backward();
    assert_close(&b.grad(), &a.detach().get(1), 1e-15);
    assert_close(&a.grad(), &(pick.one_hot(3) * b.detach()), 1e-15);
}

#[test]
fn an_input_that_requires_no_gradient_gets_none() {
    let (a, b, pick) = (values(&[3]), leaf(&[]), Tensor::from(1i64));
    let [_, scaled] = apply(&Pick, [&a, &pick, &b]).unwrap();
    scaled.sum(None).backward();
    assert_close(&b.grad(), &a.sum(None), 1e-15);
    assert!(!a.grad().defined());
}

#[test]
fn backward_may_run_on_another_thread() {
    let x = leaf(&[4, 6]);
    let y = mixed(&x).sum(None);
    let expected = Tensor::run_backward(&[&y], &[&x], true, false).remove(0);
    let there = x.shallow_clone();
    let gradient = std::thread::spawn(move || Tensor::run_backward(&[y], &[there], false, false).remove(0));
    assert_close(&gradient.join().unwrap(), &expected, 0.0);
}

#[test]
fn several_threads_may_share_a_graph() {
    let x = leaf(&[8, 50]);
    let y = mixed(&x);
    let expected = Tensor::run_backward(&[y.sum(None)], &[&x], true, false).remove(0);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (x, y) = (x.shallow_clone(), y.shallow_clone());
            std::thread::spawn(move || {
                let backward = || Tensor::run_backward(&[y.sum(None)], &[&x], true, false).remove(0);
                (0..20).fold(None, |_, _| Some(backward()))
            })
        })
        .collect();
    for thread in threads {
        assert_close(&thread.join().unwrap().unwrap(), &expected, 0.0);
    }
}

/// Runs `action` without the panic messages of the operators under test.
fn quietly<R>(action: impl FnOnce() -> R) -> R {
    static HOOK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = HOOK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = action();
    set_hook(hook);
    result
}

#[test]
fn a_panic_in_backward_arrives_as_an_error() {
    let x = leaf(&[3]);
    let [y] = apply(&Trouble { vjp: true, duals: false, drop: false }, [&x]).unwrap();
    let error = quietly(|| y.sum(None).f_backward().unwrap_err().to_string());
    assert!(error.contains("trouble: panicked: vjp was told to fail"), "{error}");
}

#[test]
fn an_error_in_backward_arrives_with_its_message() {
    let x = leaf(&[3]);
    let [y] = apply(&Trouble { vjp: false, duals: true, drop: false }, [&x]).unwrap();
    let first = gradient(&y.square().sum(None), &x);
    let error = first.sum(None).f_backward().unwrap_err().to_string();
    assert!(error.contains("trouble: item 0: not converged after 7 iterations, residual 5e-1"), "{error}");
}

#[test]
fn a_panic_while_the_graph_is_freed_harms_nobody() {
    let x = leaf(&[3]);
    quietly(|| {
        let [y] = apply(&Trouble { vjp: false, duals: false, drop: true }, [&x]).unwrap();
        y.sum(None).backward();
    });
    assert_close(&x.grad(), &x.detach().ones_like(), 0.0);
}

#[test]
fn dropping_the_outputs_frees_everything() {
    static COUNT: AtomicIsize = AtomicIsize::new(0);
    let x = leaf(&[5, 3]);
    let y = apply(&Counted(&COUNT), [&x]).unwrap();
    assert_eq!(live(&COUNT), 5);
    drop(y);
    assert_eq!(live(&COUNT), 0);
}

#[test]
fn backward_frees_everything_before_the_outputs_go() {
    static COUNT: AtomicIsize = AtomicIsize::new(0);
    let x = leaf(&[5, 3]);
    let [y] = apply(&Counted(&COUNT), [&x]).unwrap();
    y.sum(None).backward();
    assert_eq!(live(&COUNT), 0);
    drop(y);
}

#[test]
fn double_backward_frees_everything() {
    static COUNT: AtomicIsize = AtomicIsize::new(0);
    let x = leaf(&[5, 3]);
    let [y] = apply(&Counted(&COUNT), [&x]).unwrap();
    let first = gradient(&y.square().sum(None), &x);
    drop(y);
    assert_eq!(live(&COUNT), 5);
    first.square().sum(None).backward();
    drop(first);
    assert_eq!(live(&COUNT), 0);
}

#[test]
fn a_failed_backward_frees_everything_in_the_end() {
    static COUNT: AtomicIsize = AtomicIsize::new(0);
    let x = leaf(&[5, 3]);
    let [y] = apply(&Counted(&COUNT), [&x]).unwrap();
    let first = gradient(&y.square().sum(None), &x);
    let second = gradient(&first.square().sum(None), &x);
    assert!(second.sum(None).f_backward().is_err());
    drop((y, first, second));
    assert_eq!(live(&COUNT), 0);
}
