"""The functions on tensors: values, gradients of first and second order, types and devices."""

from __future__ import annotations

import numpy as np
import pytest
import samples
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck

import supple
import supple.torch

ENTRIES = {entry["name"]: entry for entry in supple.catalogue()}
EXACT = [name for name, entry in ENTRIES.items() if entry["second_order"]]
REFUSED = [name for name, entry in ENTRIES.items() if not entry["second_order"]]
X = torch.tensor([[2.9, 0.1, 1.2], [0.0, -1.0, 5.0]], dtype=torch.float64)


def problem(name, seed=5, batch=()):
    """A function of real tensors, and tensors that require a gradient."""
    sig = samples.SIGNATURES[name]
    inputs = [torch.tensor(x) for x in samples.of(name, seed, batch)]
    real = [inputs[i].requires_grad_() for i in sig.real]
    options = {"seed": 3} if "seed" in ENTRIES[name]["parameters"] else {}

    def function(*given):
        given = list(given)
        if name in ("sinkhorn", "transport_projection"):
            # The totals of the histograms must agree, also where one entry moves.
            given[1:] = [h / h.sum(-1, keepdim=True) for h in given[1:]]
        left = iter(given)
        return getattr(supple.torch, name)(
            *(x if argument.integer else next(left) for x, argument in zip(inputs, sig.inputs)), **options
        )

    return function, real


@pytest.mark.parametrize("name", EXACT)
def test_gradients_of_first_and_second_order(name):
    function, real = problem(name)
    assert gradcheck(function, real, eps=1e-6, atol=1e-5)
    assert gradgradcheck(function, real, eps=1e-6, atol=1e-4)


@pytest.mark.parametrize("name", EXACT)
def test_forward_mode(name):
    function, real = problem(name)
    assert gradcheck(function, real, eps=1e-6, atol=1e-5, check_forward_ad=True, check_backward_ad=False)


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_second_derivative_says_so(name):
    function, real = problem(name)
    y = function(*real)
    (g,) = torch.autograd.grad(y.square().sum(), real[:1], create_graph=True)
    assert torch.isfinite(g).all()
    with pytest.raises(NotImplementedError, match=f"{name}: a second derivative is not available"):
        torch.autograd.grad(g.square().sum(), real[0])


@pytest.mark.parametrize("name", ENTRIES)
def test_the_values_are_those_of_numpy(name):
    inputs = samples.of(name, 2, batch=(3,))
    options = {"seed": 3} if "seed" in ENTRIES[name]["parameters"] else {}
    expected = getattr(supple, name)(*inputs, **options)
    found = getattr(supple.torch, name)(*map(torch.from_numpy, inputs), **options)
    for y, z in zip(np.atleast_1d(expected) if not isinstance(expected, tuple) else expected, found):
        np.testing.assert_array_equal(np.asarray(z), y)


@pytest.mark.parametrize("name", ENTRIES)
def test_modules(name):
    made = "".join(word.capitalize() for word in name.split("_"))
    module = next(getattr(supple.torch.nn, n) for n in supple.torch.nn.__all__ if n.lower() == made.lower())()
    for parameter, default in ENTRIES[name]["parameters"].items():
        assert getattr(module, parameter) == default
    inputs = [torch.from_numpy(x) for x in samples.of(name, 2)]
    if "seed" in ENTRIES[name]["parameters"]:
        module.seed = 3
        expected = getattr(supple.torch, name)(*inputs, seed=3)
    else:
        expected = getattr(supple.torch, name)(*inputs)
    found = module(*inputs)
    pairs = zip(found, expected) if isinstance(found, tuple) else [(found, expected)]
    assert all(torch.equal(y, z) for y, z in pairs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_and_returned_in_single(dtype):
    x = X.to(dtype).requires_grad_()
    y = supple.torch.soft_rank(x, 5.0)
    assert y.dtype == torch.float32
    y.square().sum().backward()
    assert x.grad.dtype == dtype and x.grad.abs().sum() > 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert supple.torch.soft_rank(torch.eye(3) @ torch.eye(3)).dtype == torch.float32


def test_dim_and_layout():
    for dim in (0, 1, -1, -2):
        x = X.clone().requires_grad_()
        y = supple.torch.soft_rank(x, 5.0, dim=dim)
        expected = supple.torch.soft_rank(x.movedim(dim, -1).contiguous(), 5.0).movedim(-1, dim)
        torch.testing.assert_close(y, expected)
        (y * X).sum().backward()
        assert gradcheck(lambda x: supple.torch.soft_rank(x, 5.0, dim=dim), [x])
    with pytest.raises(ValueError, match=r"soft_rank: `dim` must be in -2..2, got 2"):
        supple.torch.soft_rank(X, dim=2)


def test_a_batch_broadcasts_and_its_gradient_is_the_sum():
    x, mass = torch.rand(4, 6, dtype=torch.float64), torch.full((6,), 1 / 6, dtype=torch.float64, requires_grad=True)
    y = supple.torch.smoothed_quantile(x, mass, torch.tensor(0.5, dtype=torch.float64))
    y.sum().backward()
    each = [torch.autograd.grad(supple.torch.smoothed_quantile(row, mass, 0.5), mass)[0] for row in x]
    torch.testing.assert_close(mass.grad, sum(each))


def test_modes_and_lengths():
    x = X.clone().requires_grad_()
    hard = supple.torch.soft_rank(x, 5.0, mode="straight_through")
    assert hard.tolist() == [[3, 1, 2], [2, 1, 3]]
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    (st,) = torch.autograd.grad((hard * weights).sum(), x)
    (soft,) = torch.autograd.grad((supple.torch.soft_rank(x, 5.0) * weights).sum(), x)
    torch.testing.assert_close(st, soft)
    (g,) = torch.autograd.grad((supple.torch.soft_rank(x, 5.0, lengths={"n": [2, 3]}) * weights).sum(), x)
    assert g[0, 2] == 0 and g[1].abs().sum() > 0


def test_what_changes_in_place_is_noticed():
    x = X.clone().requires_grad_()
    z = x * 1
    y = supple.torch.soft_rank(z, 5.0)
    z.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_torch_decides_the_seed():
    torch.manual_seed(0)
    first = supple.torch.gumbel_softmax(X)
    second = supple.torch.gumbel_softmax(X)
    torch.manual_seed(0)
    assert torch.equal(first, supple.torch.gumbel_softmax(X)) and not torch.equal(first, second)


def test_a_softness_that_wants_a_gradient_is_refused():
    softness = torch.tensor(0.5, requires_grad=True)
    with pytest.raises(ValueError, match="soft_rank: parameters must be numbers, got a tensor that requires a gradient"):
        supple.torch.soft_rank(X, softness)
    torch.testing.assert_close(supple.torch.soft_rank(X, softness.detach()), supple.torch.soft_rank(X, 0.5))


def test_errors():
    with pytest.raises(ValueError, match="soft_rank: `x` must be a tensor, got list"):
        supple.torch.soft_rank([1.0, 2.0])
    with pytest.raises(ValueError, match="entmax_loss: `label` must be a tensor of whole numbers, got torch.float64"):
        supple.torch.entmax_loss(X, X[:, 0])
    with pytest.raises(supple.Fault, match="entmax_loss: item 1"):
        supple.torch.entmax_loss(X, torch.tensor([0, 7]))
    with pytest.raises(ValueError, match="soft_rank: `x` must be a tensor of real numbers"):
        supple.torch.soft_rank(X.to(torch.complex64))


def test_forward_over_forward_is_refused():
    with pytest.raises(NotImplementedError, match="forward over forward"):
        torch.func.jacfwd(torch.func.jacfwd(lambda x: supple.torch.log_sum_exp(x)))(X[0])


def test_third_derivatives_are_refused():
    x = X[0].clone().requires_grad_()
    (g,) = torch.autograd.grad(supple.torch.log_sum_exp(x), x, create_graph=True)
    (h,) = torch.autograd.grad(g[0], x, create_graph=True)
    with pytest.raises(NotImplementedError, match="log_sum_exp: a third derivative is not available"):
        h.sum().backward()


def test_dual_numbers():
    with forward_ad.dual_level():
        y = supple.torch.soft_rank(forward_ad.make_dual(X, torch.ones_like(X)), 5.0)
        # A shift leaves ranks alone.
        torch.testing.assert_close(forward_ad.unpack_dual(y).tangent, torch.zeros_like(X))


def test_forward_over_reverse_with_dual_numbers():
    v = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    tangents = []
    for function in (supple.torch.log_sum_exp, lambda x: torch.logsumexp(x, -1)):
        with forward_ad.dual_level():
            x = forward_ad.make_dual(X[0].clone().requires_grad_(), v)
            (g,) = torch.autograd.grad(function(x), x)
            tangents.append(forward_ad.unpack_dual(g).tangent)
    torch.testing.assert_close(*tangents)


if torch.cuda.is_available():

    @pytest.mark.parametrize("name", ENTRIES)
    def test_cuda(name):
        function, real = problem(name)
        inputs = [torch.tensor(x).cuda() for x in samples.of(name, 5)]
        options = {"seed": 3} if "seed" in ENTRIES[name]["parameters"] else {}
        found = getattr(supple.torch, name)(*inputs, **options)
        expected = function(*real)
        for y, z in zip(*((t if isinstance(t, tuple) else (t,)) for t in (found, expected))):
            assert y.is_cuda
            torch.testing.assert_close(y.cpu(), z.detach())
