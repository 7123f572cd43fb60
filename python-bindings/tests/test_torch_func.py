"""The transforms of ``torch.func``."""

from __future__ import annotations

import pytest
import samples
import torch
from test_torch import ENTRIES, EXACT
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

import supple.torch

SIGNATURES = samples.SIGNATURES


def scalar(name, weights):
    """A number from all inputs: every output, weighted."""
    options = {"seed": 3} if "seed" in ENTRIES[name]["parameters"] else {}

    def function(*inputs):
        y = getattr(supple.torch, name)(*inputs, **options)
        y = y if isinstance(y, tuple) else (y,)
        return sum((w * t).sum() for w, t in zip(weights, y))

    return function


def setting(name, batch=(3,)):
    inputs = [torch.from_numpy(x) for x in samples.of(name, 4, batch)]
    options = {"seed": 3} if "seed" in ENTRIES[name]["parameters"] else {}
    y = getattr(supple.torch, name)(*[x[0] for x in inputs] if batch else inputs, **options)
    torch.manual_seed(0)
    weights = [torch.randn_like(t) for t in (y if isinstance(y, tuple) else (y,))]
    return scalar(name, weights), inputs, SIGNATURES[name].real


@pytest.mark.parametrize("name", EXACT)
def test_vmap_is_a_loop(name):
    if "seed" in ENTRIES[name]["parameters"]:
        return_noise_of_its_own(name)
        return
    function, inputs, real = setting(name)
    torch.testing.assert_close(vmap(function)(*inputs), torch.stack([function(*row) for row in zip(*inputs)]))
    found = vmap(grad(function, argnums=real))(*inputs)
    each = [grad(function, argnums=real)(*row) for row in zip(*inputs)]
    for i, g in enumerate(found):
        torch.testing.assert_close(g, torch.stack([row[i] for row in each]))
    # One input alone, with its axis behind.
    behind = (inputs[0].movedim(0, -1), *(x[0] for x in inputs[1:]))
    dims = (-1, *[None] * (len(inputs) - 1))
    found = vmap(grad(function, argnums=real), in_dims=dims)(*behind)
    each = [grad(function, argnums=real)(row, *behind[1:]) for row in inputs[0]]
    for i, g in enumerate(found):
        torch.testing.assert_close(g, torch.stack([row[i] for row in each]))


def return_noise_of_its_own(name):
    """Items of a batch draw noise of their own: the same as in a batch without ``vmap``."""
    inputs = [torch.from_numpy(x) for x in samples.of(name, 4, (3,))]
    function = lambda *inputs: getattr(supple.torch, name)(*inputs, seed=3)
    torch.testing.assert_close(vmap(function)(*inputs), function(*inputs))


@pytest.mark.parametrize("name", EXACT)
def test_jacobians_and_hessians(name):
    function, inputs, real = setting(name, ())
    slopes = grad(function, argnums=real)(*inputs)
    torch.manual_seed(1)
    tangents = tuple(torch.from_numpy(v) for v in samples.direction(name, inputs))
    moving = lambda *xs: function(*[xs[real.index(i)] if i in real else x for i, x in enumerate(inputs)])
    at = tuple(inputs[i] for i in real)
    value, along = jvp(moving, at, tangents)
    torch.testing.assert_close(along, sum((g * v).sum() for g, v in zip(slopes, tangents)))
    _, pull = vjp(moving, *at)
    torch.testing.assert_close(pull(torch.ones_like(value)), slopes)
    first = lambda x: moving(x, *at[1:])
    expected = torch.autograd.functional.hessian(first, at[0])
    torch.testing.assert_close(hessian(first)(at[0]), expected)
    torch.testing.assert_close(jacrev(jacrev(first))(at[0]), expected)
    # Reverse over forward.
    h = grad(lambda x: jvp(first, (x,), (tangents[0],))[1])(at[0])
    torch.testing.assert_close(h, (expected.reshape(h.numel(), -1) @ tangents[0].flatten()).reshape(h.shape))


def test_jacobians_of_vectors():
    x = torch.randn(4, 5, dtype=torch.float64)
    rank = lambda x: supple.torch.soft_rank(x, 0.7, "entropic")
    forward, reverse = jacfwd(rank)(x[0]), jacrev(rank)(x[0])
    torch.testing.assert_close(forward, reverse)
    torch.testing.assert_close(reverse, torch.autograd.functional.jacobian(rank, x[0]))
    torch.testing.assert_close(vmap(jacrev(rank))(x), torch.stack([jacrev(rank)(row) for row in x]))
    torch.testing.assert_close(vmap(jacfwd(rank))(x), vmap(jacrev(rank))(x))


def test_nested_vmap_with_batches_of_unlike_rank():
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    q = torch.tensor([0.2, 0.5, 0.7], dtype=torch.float64)
    w = torch.rand(6, dtype=torch.float64) + 0.1
    f = lambda x, q: supple.torch.smoothed_quantile(x, w, q)
    found = vmap(vmap(f, in_dims=(0, 0)), in_dims=(0, None))(x, q)
    expected = torch.stack([torch.stack([f(x[i, j], q[j]) for j in range(3)]) for i in range(2)])
    torch.testing.assert_close(found, expected)
    g = lambda x, q: grad(lambda q: f(x, q).sum())(q)
    found = vmap(vmap(g), in_dims=(0, None))(x, q)
    expected = torch.stack([torch.stack([g(x[i, j], q[j]) for j in range(3)]) for i in range(2)])
    torch.testing.assert_close(found, expected)


def test_gradients_of_each_sample_of_a_network():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), supple.torch.nn.SoftRank(2.0), torch.nn.Linear(5, 1)).double()
    parameters = dict(model.named_parameters())
    x = torch.randn(4, 3, dtype=torch.float64)
    loss = lambda p, x: torch.func.functional_call(model, p, (x,)).square().sum()
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, x)
    for i in range(4):
        for name, g in grad(loss)(parameters, x[i]).items():
            torch.testing.assert_close(each[name][i], g)


def test_lengths_that_vmap_batches_are_refused():
    ragged = lambda x, n: supple.torch.soft_rank(x, lengths={"n": n})
    with pytest.raises(ValueError, match="`lengths` must be the same for all items under vmap"):
        vmap(ragged)(torch.randn(2, 3), torch.tensor([2, 3]))


def test_the_seed_is_torchs_under_vmap_too():
    x = torch.zeros(3, 5)
    torch.manual_seed(0)
    first = vmap(supple.torch.gumbel_softmax)(x)
    torch.manual_seed(0)
    torch.testing.assert_close(first, vmap(supple.torch.gumbel_softmax)(x))
    assert not torch.equal(first[0], first[1])
