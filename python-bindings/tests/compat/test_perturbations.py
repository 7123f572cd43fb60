"""``supple.compat.perturbations`` against distributions in closed form."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import supple.compat.perturbations as perturbations
from supple.compat.perturbations import FenchelYoungLoss, perturbed, sample_noise_with_gradients

THETA = torch.tensor([[-0.6, 1.9, -0.2, 1.1, -1.0], [-0.6, 1.0, -0.2, 1.8, -1.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.3, -1.0, 0.5, 2.0, 0.1], dtype=torch.float64)


def argmax(x, axis=-1):
    return F.one_hot(x.argmax(axis), x.shape[axis])


def positive_any(x, axis=-1):
    return (x > 0).any(axis)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_gumbel_noise_gives_softmax():
    samples = 40000
    x = THETA.clone().requires_grad_()
    y = perturbed(argmax, num_samples=samples, sigma=0.5, noise="gumbel", device="cpu")(x)
    soft = F.softmax(x / 0.5, -1)
    # Five standard errors of a frequency, and of the estimate of its gradient.
    torch.testing.assert_close(y, soft, rtol=0, atol=5 * 0.5 / math.sqrt(samples))
    (found,) = torch.autograd.grad((y * WEIGHTS).sum(), x)
    (expected,) = torch.autograd.grad((soft * WEIGHTS).sum(), x)
    torch.testing.assert_close(found, expected, rtol=0, atol=5 * 2.0 / 0.5 / math.sqrt(samples))


def test_one_answer_an_item():
    samples, sigma = 40000, 0.1
    x = torch.tensor([[-5.0, 0.05], [-5.0, -0.1], [0.2, 0.3]], dtype=torch.float64, requires_grad=True)
    y = perturbed(positive_any, samples, sigma, "normal")(x, -1)
    assert y.shape == (3,)
    normal = torch.distributions.Normal(0.0, 1.0)
    expected = 1 - normal.cdf(-x / sigma).prod(-1)
    torch.testing.assert_close(y, expected, rtol=0, atol=5 * 0.5 / math.sqrt(samples))
    grads = [torch.autograd.grad(v.sum(), x)[0] for v in (y, expected)]
    torch.testing.assert_close(*grads, rtol=0, atol=5 / sigma / math.sqrt(samples))


def test_gumbel_noise_is_not_centred():
    # The chance that a standard Gumbel variable is positive is 1 - 1/e.
    y = perturbed(lambda x: (x > 0).double(), 40000, 0.1, "gumbel")(torch.zeros(1, 1, dtype=torch.float64))
    assert abs(y.item() - (1 - math.exp(-1))) < 5 * 0.5 / 200


def test_without_a_batch_and_as_decorator():
    @perturbed(num_samples=40000, sigma=0.5, noise="gumbel", batched=False)
    def choose(x):
        """Choose."""
        assert x.dim() == 2
        return argmax(x)

    y = choose(THETA[0])
    assert choose.__name__ == "choose" and choose.__doc__ == "Choose."
    torch.testing.assert_close(y, F.softmax(THETA[0] / 0.5, -1), rtol=0, atol=0.0125)
    bare = perturbed(argmax)
    assert torch.equal(bare(THETA), perturbed(num_samples=1000, sigma=0.05, noise="normal")(argmax)(THETA))


def test_axes_and_shapes():
    x = THETA.reshape(2, 5, 1).repeat(1, 1, 3).float().requires_grad_()
    y = perturbed(lambda x: argmax(x.transpose(1, 2)).transpose(1, 2), 100, 0.5)(x)
    assert y.shape == x.shape and y.dtype == torch.float32
    torch.testing.assert_close(y.sum(1), torch.ones(2, 3))
    top = perturbed(lambda x: x.topk(2, 1).values, 100, 0.5)(x)
    assert top.shape == (2, 2, 3)
    (dx,) = torch.autograd.grad(top.sum() + y.square().sum(), x)
    assert dx.shape == x.shape and dx.abs().sum() > 0


def test_the_seed_decides():
    def run():
        torch.manual_seed(3)
        return perturbed(argmax, 50, 1.0)(THETA)

    assert torch.equal(run(), run())
    assert not torch.equal(run(), perturbed(argmax, 50, 1.0)(THETA))


@pytest.mark.parametrize("maximize", [True, False])
@pytest.mark.parametrize("batched", [True, False])
def test_fenchel_young(maximize, batched):
    x = (THETA if batched else THETA[0]).clone().requires_grad_()
    loss = FenchelYoungLoss(argmax, 500, 0.5, "gumbel", batched, maximize, device="cpu")
    target = argmax(x)
    torch.manual_seed(1)
    mean = loss.perturbed(x.detach())
    torch.manual_seed(1)
    value = loss(x, target)
    difference = mean - target if maximize else target - mean
    torch.testing.assert_close(value, difference.square().sum(-1))
    weights = torch.tensor([2.0, -1.0], dtype=torch.float64) if batched else torch.tensor(2.0, dtype=torch.float64)
    (dx,) = torch.autograd.grad(value, x, weights)
    torch.testing.assert_close(dx, weights.unsqueeze(-1) * difference)


@pytest.mark.parametrize("noise", perturbations.SUPPORTED_NOISES)
def test_noise_with_gradients(noise):
    samples, gradients = sample_noise_with_gradients(noise, (100, 2, 400))
    assert samples.shape == gradients.shape == (100, 2, 400)
    mean, variance = (0.0, 1.0) if noise == "normal" else (0.57721566, math.pi**2 / 6)
    assert abs(samples.mean() - mean) < 0.03 and abs(samples.var() - variance) < 0.06
    at = samples.double().requires_grad_()
    density = -at.square() / 2 if noise == "normal" else -at - torch.exp(-at)
    torch.testing.assert_close(gradients, -torch.autograd.grad(density.sum(), at)[0].float())


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"perturbed: batched inputs must have at least two axes, got 1"):
        perturbed(argmax)(THETA[0])
    with pytest.raises(ValueError, match=r'perturbed: `noise` must be "gumbel" or "normal", got \'cauchy\''):
        perturbed(argmax, noise="cauchy")
    with pytest.raises(ValueError, match=r"perturbed: `sigma` must be finite and > 0, got 0"):
        perturbed(argmax, sigma=0)
    with pytest.raises(ValueError, match=r"`func` must keep the batch axis of 2, got shape \(5,\)"):
        perturbed(lambda x: x[0])(THETA)
    with pytest.raises(ValueError, match=r"`noise` must be"):
        sample_noise_with_gradients("unknown", (3, 2))
    x = THETA.clone().requires_grad_()
    (dx,) = torch.autograd.grad(perturbed(argmax)(x).square().sum(), x, create_graph=True)
    with pytest.raises((RuntimeError, ValueError)):
        dx.sum().backward()


def test_no_items_and_single_samples():
    assert perturbed(argmax)(THETA[:0]).shape == (0, 5)
    assert perturbed(positive_any)(THETA[:0]).shape == (0,)
    assert perturbed(lambda x: x.double(), batched=False)(torch.tensor(0.5)).shape == ()
    for function in (argmax, positive_any):
        x = THETA.clone().requires_grad_()
        assert torch.isfinite(torch.autograd.grad(perturbed(function, num_samples=1)(x).sum(), x)[0]).all()
