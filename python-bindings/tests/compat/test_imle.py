"""``supple.compat.imle`` against gradients by hand, and moments of the noises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import supple.compat.imle as package
from supple.compat.imle.aimle import aimle
from supple.compat.imle.imle import imle
from supple.compat.imle.noise import BaseNoiseDistribution, GumbelNoiseDistribution, SumOfGammaNoiseDistribution
from supple.compat.imle.solvers import mathias_select_k, select_k
from supple.compat.imle.ste import ste
from supple.compat.imle.target import AdaptiveTargetDistribution, BaseTargetDistribution, TargetDistribution
from supple.compat.imle.wrapper import imle as first_imle

THETA = torch.tensor([[0.5, 0.2, -1.0], [0.1, 0.0, 0.3]])
DY = torch.tensor([[1.0, 0.0, -1.0], [0.0, -0.5, 0.5]])


class Fixed:
    """Noise of the user's, of no base class: the same rows again and again."""

    def __init__(self, rows):
        self.rows = torch.tensor(rows)

    def sample(self, shape):
        assert isinstance(shape, torch.Size)
        return self.rows.repeat(shape[0], 1, 1)


def top(x):
    return select_k(x, 1)


def one_hot(index):
    return torch.nn.functional.one_hot(torch.tensor(index), 3).float()


def gradient(layer, theta=THETA, dy=DY):
    theta = theta.clone().requires_grad_()
    y = layer(theta)
    (dtheta,) = torch.autograd.grad(y, theta, dy)
    return y, dtheta


@pytest.mark.parametrize("make", [imle, aimle, first_imle])
def test_gradient_by_hand(make):
    # θ - dy is (-0.5, 0.2, 0) and (0.1, 0.5, -0.2): both rows move their maximum to the second entry.
    y, dtheta = gradient(make(top))
    torch.testing.assert_close(y, one_hot([0, 2]))
    torch.testing.assert_close(dtheta, one_hot([0, 2]) - one_hot([1, 1]))
    # A small step moves nothing; one in the other direction neither, as the chosen entries only grow or stay ahead.
    for beta in (0.01, -0.01):
        assert torch.equal(gradient(make(top, TargetDistribution(1.0, beta)))[1], torch.zeros(2, 3))
    # With alpha 0 the target is the gradient itself.
    _, dtheta = gradient(make(top, target_distribution=TargetDistribution(alpha=0.0, beta=10.0)))
    last = one_hot([0, 2]) if make is not aimle else one_hot([0, 0])  # aimle starts from 0 · θ: all tied
    torch.testing.assert_close(dtheta, last - one_hot([2, 1]))


@pytest.mark.parametrize("make", [imle, first_imle])
def test_noise_of_the_users_and_temperatures(make):
    rows = [[0.0, 1.0, 0.0], [0.0, 0.0, 4.0]]
    forward = "theta_noise_temperature"
    layer = make(noise_distribution=Fixed(rows), nb_samples=2, target_noise_temperature=0.1, **{forward: 1.0})(top)
    dy = DY.repeat_interleave(2, 0)
    y, dtheta = gradient(layer, dy=dy)
    # Forward: (0.5, 1.2, -1), (0.5, 0.2, 3), (0.1, 1, 0.3), (0.1, 0, 4.3): samples of an item are together.
    torch.testing.assert_close(y, one_hot([1, 2, 1, 2]))
    # Backward: (-0.5, 0.3, 0), (-0.5, 0.2, 0.4), (0.1, 0.6, -0.2), (0.1, 0.5, 0.2).
    difference = one_hot([1, 2, 1, 2]) - one_hot([1, 2, 1, 1])
    torch.testing.assert_close(dtheta, difference.reshape(2, 2, 3).mean(1))


def test_words_of_the_first_version():
    noise = Fixed([[0.0, 1.0, 0.0]])
    old = first_imle(top, None, noise, 1, 0.3, 2.0)
    new = first_imle(top, noise_distribution=noise, theta_noise_temperature=0.3, target_noise_temperature=2.0)
    named = first_imle(noise_distribution=noise, input_noise_temperature=0.3, target_noise_temperature=2.0)(top)
    for layer in (new, named):
        for found, expected in zip(gradient(layer), gradient(old)):
            assert torch.equal(found, expected)


def test_marginals():
    rows = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 4.0]]

    class Squares(TargetDistribution):
        def process(self, theta, dy, gradient):
            assert gradient.shape == (2, 2, 3) and dy.shape == (8, 3)
            return gradient.square()

    layer = imle(top, Squares(), Fixed(rows), nb_samples=2, nb_marginal_samples=2)
    y, dtheta = gradient(layer, dy=DY.repeat_interleave(4, 0))
    before = one_hot([0, 0, 1, 2, 2, 2, 1, 2]).reshape(2, 2, 2, 3).mean(2)
    after = one_hot([1, 1, 1, 2, 1, 1, 1, 2]).reshape(2, 2, 2, 3).mean(2)
    assert y.shape == (8, 3)
    torch.testing.assert_close(dtheta, (before - after).square().mean(1))


def test_symmetric_perturbation():
    _, dtheta = gradient(aimle(top, symmetric_perturbation=True))
    # θ + dy is (1.5, 0.2, -2) and (0.1, -0.5, 0.8).
    torch.testing.assert_close(dtheta, (one_hot([0, 2]) - one_hot([1, 1])) / 2)


@pytest.mark.parametrize("make", [imle, aimle])
def test_minimization(make):
    def least(x):
        return top(-x)

    _, dtheta = gradient(make(least, _is_minimization=True), -THETA)
    _, expected = gradient(make(top), THETA)
    torch.testing.assert_close(dtheta, -expected)


def test_targets_of_the_users():
    class Plain:
        def params(self, theta, dy):
            return theta - 2 * dy

    class Derived(BaseTargetDistribution):
        def params(self, theta, dy, _is_minimization=False):
            return theta - 2 * dy

    expected = gradient(imle(top, TargetDistribution(1.0, 2.0)))[1]
    for target in (Plain(), Derived()):
        for make in (imle, first_imle):
            assert torch.equal(gradient(make(top, target))[1], expected)


def test_scaled_gradients():
    _, dtheta = gradient(imle(top, TargetDistribution(1.0, 4.0, do_gradient_scaling=True)))
    torch.testing.assert_close(dtheta, gradient(imle(top, TargetDistribution(1.0, 4.0)))[1] / 4)
    target = TargetDistribution(alpha=2.0, beta=3.0)
    torch.testing.assert_close(target.params(THETA, DY), 2 * THETA - 3 * DY)
    torch.testing.assert_close(target.params(THETA, DY, alpha=1.0, beta=0.5, _is_minimization=True), THETA + DY / 2)
    torch.testing.assert_close(target.params(THETA, None), 2 * THETA)


def test_adaptive_target():
    target = AdaptiveTargetDistribution(beta_update_step=0.1, beta_update_momentum=0.5, grad_norm_decay_rate=0.5)
    step = (THETA.norm() / DY.norm()).item()
    torch.testing.assert_close(target.params(THETA, DY), THETA - step * DY)
    _, dtheta = gradient(aimle(top, target))
    # θ - 0.74 dy is (-0.24, 0.2, -0.26) and (0.1, 0.37, -0.07): as with step 1. All four entries are not zero.
    torch.testing.assert_close(dtheta, (one_hot([0, 2]) - one_hot([1, 1])) / step)
    assert target.grad_norm == 0.5 * 1.0 + 0.5 * 4 / 2
    assert abs(target.beta - 0.9) < 1e-12 and abs(target.previous_beta_update + 0.1) < 1e-12
    target.process(THETA, DY, torch.zeros(2, 1, 3))  # now 0.75, below the norm that is aimed at
    assert target.grad_norm == 0.75 and abs(target.beta - (0.9 + 0.1 - 0.05)) < 1e-12
    assert torch.equal(target.params(THETA, torch.zeros(2, 3)), THETA)
    shrinking = AdaptiveTargetDistribution(initial_beta=0.0, initial_grad_norm=2.0, beta_update_step=1.0)
    assert torch.equal(shrinking.process(THETA, DY, torch.ones(2, 1, 3)), torch.ones(2, 1, 3))
    assert shrinking.beta == 0.0


def test_straight_through():
    layer = ste(noise_distribution=Fixed([[0.0, 1.0, 0.0], [0.0, 0.0, 4.0]]), noise_temperature=1.0, nb_samples=2)(top)
    dy = torch.arange(12.0).reshape(4, 3)
    y, dtheta = gradient(layer, dy=dy)
    torch.testing.assert_close(y, one_hot([1, 2, 1, 2]))
    torch.testing.assert_close(dtheta, dy.reshape(2, 2, 3).mean(1))


def test_arguments_shapes_and_types():
    seen = []

    def solver(x, k):
        seen.append((x.shape, torch.is_grad_enabled()))
        return select_k(x.flatten(1), k).bool().reshape(x.shape)

    theta = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    y = imle(solver, noise_distribution=GumbelNoiseDistribution(), nb_samples=5)(theta, 2)
    assert y.shape == (10, 3, 4) and y.dtype == torch.float64
    torch.testing.assert_close(y.sum((1, 2)), torch.full((10,), 2.0, dtype=torch.float64))
    y.square().sum().backward()
    assert theta.grad is not None and theta.grad.shape == theta.shape
    assert seen == [((10, 3, 4), False)] * 2


def test_gradients_of_the_samples_are_saved(tmp_path):
    path = str(tmp_path / "gradient.npy")
    _, dtheta = gradient(imle(top, _gradient_save_path=path, nb_samples=2), dy=DY.repeat_interleave(2, 0))
    saved = np.load(path)
    assert saved.shape == (2, 2, 3)
    np.testing.assert_allclose(saved.mean(1), dtheta)


def test_sum_of_gamma_noise():
    torch.manual_seed(0)
    k, terms = 5, 20
    noise = SumOfGammaNoiseDistribution(k=k, nb_iterations=terms).sample(torch.Size([20000, k]))
    harmonic = sum(1 / i for i in range(1, terms + 1))
    squares = sum(1 / i**2 for i in range(1, terms + 1))
    # Gamma(1/k, rate i/k) has mean 1/i and variance k/i².
    assert abs(noise.mean().item() - (harmonic - math.log(terms)) / k) < 0.01
    assert abs(noise.var().item() - squares / k) < 0.02
    # The sum over k entries is close to Gumbel's distribution, with variance π²/6.
    assert abs(noise.sum(1).var().item() - squares) < 0.1


def test_gumbel_noise():
    torch.manual_seed(0)
    noise = GumbelNoiseDistribution(location=1.0, scale=0.5, device=torch.device("cpu")).sample(torch.Size([100, 500]))
    assert noise.shape == (100, 500)
    assert abs(noise.mean().item() - (1.0 + 0.5 * 0.57721566)) < 0.015
    assert abs(noise.std().item() - 0.5 * math.pi / math.sqrt(6)) < 0.015
    with pytest.raises(TypeError):
        BaseNoiseDistribution()


def test_solvers():
    x = torch.tensor([[1.0, 3.0, 3.0, 0.0]])
    assert select_k(x, 2).tolist() == [[0.0, 1.0, 1.0, 0.0]] and select_k(x, 1).sum() == 1
    assert mathias_select_k(x, 1).tolist() == [[0.0, 1.0, 1.0, 0.0]]
    assert {"aimle", "imle", "noise", "solvers", "ste", "target", "wrapper"} == set(package.__all__)


def test_bad_input_is_refused():
    theta = THETA.clone().requires_grad_()
    with pytest.raises(ValueError, match=r"imle: the input must have a batch axis, got none"):
        imle(top)(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"aimle: numbers of samples must be >= 1, got 0 and 1"):
        aimle(top, nb_samples=0)(theta)
    with pytest.raises(ValueError, match=r"imle: the solver must keep the shape \(2, 3\), got \(2,\)"):
        imle(lambda x: x.sum(1))(theta)
    with pytest.raises(ValueError, match=r"`noise_distribution` must give noise of shape \(2, 1, 3\), got \(2, 2, 3\)"):
        imle(top, noise_distribution=Fixed([[0.0] * 3] * 2))(theta)
    with pytest.raises(ValueError, match=r"SumOfGammaNoiseDistribution: `k` must be finite and > 0, got 0"):
        SumOfGammaNoiseDistribution(k=0)
    with pytest.raises(ValueError, match=r"`nb_iterations` must be >= 1, got 0"):
        SumOfGammaNoiseDistribution(k=1, nb_iterations=0)
    (dtheta,) = torch.autograd.grad(imle(top)(theta).square().sum(), theta, create_graph=True)
    with pytest.raises(RuntimeError):
        dtheta.sum().backward()
