"""``supple.compat.torchsort`` against torchsort 0.1.10."""

from __future__ import annotations

import pytest
import torch

import supple.compat.torchsort as torchsort

FUNCTIONS = [torchsort.soft_rank, torchsort.soft_sort]


def test_values_and_gradients_are_those_of_torchsort(golden):
    for case in golden("torchsort"):
        x = torch.tensor(case["x"], dtype=torch.float64, requires_grad=True)
        y = getattr(torchsort, case["function"])(x, case["regularization"], case["strength"])
        (dx,) = torch.autograd.grad(y, x, torch.tensor(case["dy"], dtype=torch.float64))
        close = dict(rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(y, torch.tensor(case["y"], dtype=torch.float64), **close)
        torch.testing.assert_close(dx, torch.tensor(case["dx"], dtype=torch.float64), **close)


def test_defaults_and_whole_numbers():
    # The example of torchsort's README.
    x = torch.tensor([[8, 0, 5, 3, 2, 1, 6, 7, 9]])
    expected = torch.arange(9.0) + 5 / 9
    torch.testing.assert_close(torchsort.soft_sort(x), expected.unsqueeze(0))
    torch.testing.assert_close(torchsort.soft_sort(x, regularization_strength=0.1), x.sort().values.float())
    torch.testing.assert_close(torchsort.soft_rank(x), torch.tensor([[8.0, 1, 5, 4, 3, 2, 6, 7, 9]]))
    x = x.double().requires_grad_()
    (dx,) = torch.autograd.grad(torchsort.soft_sort(x)[0, 0], x)
    torch.testing.assert_close(dx, torch.full((1, 9), 1 / 9, dtype=torch.float64))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("regularization", ["l2", "kl"])
def test_any_number_of_axes(function, regularization):
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = function(x, regularization, 0.5, dim=1)
    for i in range(2):
        for j in range(3):
            assert torch.equal(y[i, :, j], function(x[i, :, j].unsqueeze(0), regularization, 0.5)[0])


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("regularization", ["l2", "kl"])
@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_second_derivatives_are_right(function, regularization, strength):
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: function(x, regularization, strength), x)
    assert torch.autograd.gradgradcheck(lambda x: function(x, regularization, strength), x)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_type_is_kept(function, dtype):
    x = torch.tensor([[0.5, -1.0, 2.0]], dtype=dtype, requires_grad=True)
    y = function(x)
    assert y.dtype == dtype
    y.sum().backward()
    assert x.grad is not None and x.grad.dtype == dtype


@pytest.mark.parametrize("function", FUNCTIONS)
def test_bad_words_are_refused(function):
    x = torch.zeros(1, 3)
    with pytest.raises(ValueError, match=rf'{function.__name__}: `regularization` must be "l2" or "kl", got \'l3\''):
        function(x, "l3")
    with pytest.raises(ValueError, match=r"`regularization_strength` must be finite and > 0, got -1.0"):
        function(x, "l2", -1.0)
    with pytest.raises(ValueError, match=r"`regularization_strength` must be one number"):
        function(x, "l2", "much")
