"""Solvers in the loop, and estimators of any function."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import supple
import supple.torch as st


def choose(theta):
    """The largest, one row or many."""
    return torch.nn.functional.one_hot(theta.argmax(-1), theta.shape[-1]).to(theta.dtype)


THETA = torch.tensor([[0.3, 0.1, 2.0], [1.0, 0.9, -0.5]], dtype=torch.float64)
TARGET = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]], dtype=torch.float64)


@pytest.mark.parametrize("batched", [False, True])
def test_gumbel_noise_makes_softmax_of_argmax(batched):
    theta = THETA.clone().requires_grad_()
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    y = st.perturbed_argmax(choose, theta, samples=4000, noise="gumbel", seed=1, batched=batched)
    torch.testing.assert_close(y.detach(), THETA.softmax(-1), atol=0.03, rtol=0)
    (g,) = torch.autograd.grad((y * weights).sum(), theta)
    (exact,) = torch.autograd.grad((theta.softmax(-1) * weights).sum(), theta)
    torch.testing.assert_close(g, exact, atol=0.1, rtol=0)


def test_the_loss_of_the_perturbed_solver():
    theta = THETA.clone().requires_grad_()
    loss = st.perturbed_fenchel_young(choose, theta, TARGET, samples=4000, noise="gumbel", seed=1, batched=True)
    (g,) = torch.autograd.grad(loss.sum(), theta)
    torch.testing.assert_close(g, THETA.softmax(-1) - TARGET, atol=0.03, rtol=0)


def test_surrogates_by_hand():
    theta = THETA.clone().requires_grad_()
    y = st.blackbox_interpolation(choose, theta, 10.0)
    torch.testing.assert_close(y.detach(), choose(THETA))
    (g,) = torch.autograd.grad((y * torch.tensor([-1.0, 0, 1.0])).sum(), theta)
    # In the first row the loss falls where the first is chosen; in the second it is.
    torch.testing.assert_close(g, torch.tensor([[-0.1, 0, 0.1], [0, 0, 0]], dtype=torch.float64))
    (g,) = torch.autograd.grad(st.identity_gradient(choose, theta, "mean")[:, 0].sum(), theta)
    torch.testing.assert_close(g, torch.tensor([2.0, -1, -1], dtype=torch.float64).expand(2, 3) / 3)
    for function in (st.imle, st.adaptive_imle):
        y = function(choose, theta, samples=500, seed=1)
        (g,) = torch.autograd.grad((y * torch.tensor([-1.0, 0, 1.0])).sum(), theta)
        assert (g[:, 0] < 0).all() and (g[:, 2] > 0).all()
    gamma = st.imle(choose, theta, samples=2000, sum_of_gamma=1, terms=50, seed=1)
    torch.testing.assert_close(gamma.detach(), THETA.softmax(-1), atol=0.05, rtol=0)


def test_the_regularised_solver_projects():
    theta = THETA.clone().requires_grad_()
    # The hull of one-hot vectors is the simplex, and its projection sparsemax.
    y = st.regularized_argmax(choose, theta, 1.0)
    torch.testing.assert_close(y, st.sparsemax(theta))
    torch.testing.assert_close(*(torch.autograd.grad(z[:, 0].sum(), theta)[0] for z in (y, st.sparsemax(theta))))
    loss = st.regularized_fenchel_young(choose, theta, st.sparsemax(THETA), 1.0)
    torch.testing.assert_close(loss, torch.zeros_like(loss), atol=1e-12, rtol=0)


def test_losses_are_zero_where_they_should_be():
    easy = TARGET * 5
    assert st.structured_svm(choose, easy, TARGET).tolist() == [0, 0]
    assert st.spo_plus(choose, TARGET, TARGET).tolist() == [0, 0]
    assert (st.structured_svm(choose, -easy, TARGET) > 5).all() and (st.spo_plus(choose, -easy, TARGET) > 1).all()
    assert (st.perturbation_gradient(choose, easy, TARGET) < st.perturbation_gradient(choose, -easy, TARGET)).all()
    with pytest.raises(ValueError, match="spo_plus"):
        st.spo_plus(choose, easy, TARGET, takes_either_sign=False)


def test_a_function_of_one_point_or_of_many():
    x = torch.tensor([[0.5, -0.2], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    count = lambda p: (p > 0).to(p.dtype).sum(-1)
    one = st.estimate(count, x, evaluations=2000, seed=1)
    many = st.estimate(count, x, evaluations=2000, seed=1, batched=True)
    torch.testing.assert_close(one, many)
    (g,) = torch.autograd.grad(one.sum(), x)
    density = torch.exp(torch.distributions.Normal(0, 1).log_prob(x.detach()))
    torch.testing.assert_close(g, density.double(), atol=0.08, rtol=0)
    both = st.estimate(lambda p: (p > 0).to(p.dtype), x, outputs=2, evaluations=500, seed=1)
    assert both.shape == (2, 2)


def test_what_the_function_raises_is_the_cause():
    def fails(theta):
        raise RuntimeError("no solution")

    with pytest.raises(supple.Fault, match="perturbed_argmax: item 0: RuntimeError: no solution") as error:
        st.perturbed_argmax(fails, THETA)
    assert isinstance(error.value.__cause__, RuntimeError)
    with pytest.raises(supple.Fault, match=r"`solve` must give an array of shape \(3,\), got shape \(2,\)"):
        st.perturbed_argmax(lambda theta: theta[:2], THETA)
    with pytest.raises(ValueError, match="`solve` must be callable, got int"):
        st.perturbed_argmax(3, THETA)


def test_what_the_function_raises_in_the_backward_pass():
    calls = []

    def fails_later(theta):
        calls.append(theta)
        if len(calls) > 1:
            raise RuntimeError("no solution")
        return theta

    theta = THETA[0].clone().requires_grad_()
    y = st.blackbox_interpolation(fails_later, theta)
    with pytest.raises(supple.Fault, match="RuntimeError: no solution") as error:
        y.sum().backward()
    assert isinstance(error.value.__cause__, RuntimeError)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_comes_as_it_is(interrupt):
    def stop(theta):
        raise interrupt

    with pytest.raises(interrupt):
        st.imle(stop, THETA)


def test_threads_of_the_engine_do_not_wait_for_the_interpreter():
    y = st.perturbed_argmax(choose, torch.zeros(300, 400), samples=10, seed=1, batched=True)
    torch.testing.assert_close(y.sum(-1), torch.ones(300))


def test_a_model_whose_method_is_the_solver_is_freed():
    class Model:
        def solve(self, theta):
            return choose(theta)

        def step(self):
            theta = THETA.clone().requires_grad_()
            self.last = st.imle(self.solve, theta, batched=True)
            self.operator = self.last.grad_fn

    model = Model()
    model.step()
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_one_operator_in_several_threads():
    operator = supple._core.Operator.solving(
        "spo_plus", lambda thetas, n: np.eye(n)[thetas.argmax(-1)].astype(float), True
    )
    theta, target = np.random.default_rng(0).normal(size=(2, 50, 6))
    expected = operator((theta, target))
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: operator((theta, target)), range(40)))
    assert all(np.array_equal(result, expected) for result in results)
