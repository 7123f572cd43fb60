"""``supple.compat.softdtw`` and ``pysdtw`` against the recursion, written out, and tslearn 0.10."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import supple.compat.pysdtw as pysdtw
from supple.compat._softdtw import parallelogram
from supple.compat.softdtw import SoftDTW, SoftDTWLossPyTorch, soft_dtw, soft_dtw_alignment, soft_dtw_normalized

LENGTHS = [(5, 5), (4, 6), (6, 3), (1, 3)]


def series(n, m, batch=3):
    generator = torch.Generator().manual_seed(n * 10 + m)
    return [torch.randn(batch, k, 2, generator=generator, dtype=torch.float64, requires_grad=True) for k in (n, m)]


def recursion(cost, gamma, forbidden=lambda i, j: False):
    """Soft-DTW of one cost matrix, cell by cell; i and j count from 1."""
    n, m = cost.shape
    table = {(0, 0): cost.new_zeros(())}
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            before = [table[c] for c in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if c in table]
            if before and not forbidden(i, j):
                table[i, j] = cost[i - 1, j - 1] - gamma * torch.logsumexp(-torch.stack(before) / gamma, 0)
    return table.get((n, m), cost.new_tensor(math.inf))


def by_recursion(x, y, gamma, forbidden=lambda i, j: False):
    costs = (x.unsqueeze(2) - y.unsqueeze(1)).square().sum(-1)
    return torch.stack([recursion(cost, gamma, forbidden) for cost in costs])


def assert_same(value, expected, inputs):
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    finite = torch.isfinite(expected)
    if finite.any():
        grads = [torch.autograd.grad(v[finite].sum(), inputs, retain_graph=True) for v in (value, expected)]
        torch.testing.assert_close(grads[0], grads[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("bandwidth", [None, 0, 0.5, 1, 2.5, math.inf])
def test_bandwidths_are_those_of_the_original(lengths, bandwidth):
    x, y = series(*lengths)
    value = SoftDTW(False, 0.7, bandwidth=bandwidth)(x, y)
    limit = bandwidth or math.inf
    assert_same(value, by_recursion(x, y, 0.7, lambda i, j: abs(i - j) > limit), [x, y])


@pytest.mark.parametrize("module", [SoftDTW, SoftDTWLossPyTorch, pysdtw.SoftDTW])
def test_values_and_gradients_are_those_of_tslearn(module, golden):
    for case in golden("soft_dtw"):
        x, y = [torch.tensor(case[name], dtype=torch.float64, requires_grad=True) for name in "xy"]
        value = module(**({"use_cuda": False} if module is SoftDTW else {}), gamma=case["gamma"])(x, y)
        dx, dy = torch.autograd.grad(value, (x, y), torch.tensor(case["dy"], dtype=torch.float64))
        for found, expected in ((value, "value"), (dx, "dx"), (dy, "dyy")):
            torch.testing.assert_close(found, torch.tensor(case[expected], dtype=torch.float64), rtol=1e-9, atol=1e-9)


def test_a_band_without_a_path_has_no_gradient():
    x, y = series(6, 3)
    value = SoftDTW(False, bandwidth=2)(x, y)
    assert torch.isinf(value).all()
    (dx,) = torch.autograd.grad(value.sum(), x)
    assert torch.equal(dx, torch.zeros_like(x))


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("module", [SoftDTW(False, 0.5, True), SoftDTW(True, 0.5, normalize=True), None])
def test_normalize(lengths, module):
    module = SoftDTWLossPyTorch(0.5, True) if module is None else module
    x, y = series(*lengths)
    expected = by_recursion(x, y, 0.5) - (by_recursion(x, x, 0.5) + by_recursion(y, y, 0.5)) / 2
    assert_same(module(x, y), expected, [x, y])
    torch.testing.assert_close(module(x, x), torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize("make", [
    lambda f: SoftDTW(False, 1.0, False, None, f),
    lambda f: SoftDTWLossPyTorch(dist_func=f),
    lambda f: pysdtw.SoftDTW(1.0, f),
])
def test_distances_of_the_users(make):
    x, y = series(4, 5)

    def manhattan(x, y):
        return (x.unsqueeze(2) - y.unsqueeze(1)).abs().sum(-1)

    expected = torch.stack([recursion(cost, 1.0) for cost in manhattan(x, y)])
    assert_same(make(manhattan)(x, y), expected, [x, y])


def test_softness_may_change_between_calls():
    x, y = series(3, 4)
    module = SoftDTW(use_cuda=False, gamma=1.0)
    module.gamma = 0.1
    assert_same(module(x, y), by_recursion(x, y, 0.1), [x, y])


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_the_bands_of_tslearn(lengths, radius):
    x, y = series(*lengths)
    n, m = lengths

    def forbidden(i, j):
        return not min(0, n - m) - radius <= i - j <= max(0, n - m) + radius

    expected = by_recursion(x, y, 1.0, forbidden)
    assert_same(SoftDTWLossPyTorch(sakoe_chiba_radius=radius)(x, y), expected, [x, y])
    named = SoftDTWLossPyTorch(global_constraint="sakoe_chiba", sakoe_chiba_radius=radius, itakura_max_slope=2.0)
    assert_same(named(x, y), expected, [x, y])


def test_the_parallelogram_of_tslearn():
    # The examples of tslearn's documentation.
    expected = ["100000", "011100", "011110", "011110", "001110", "000001"]
    assert parallelogram(6, 6, 3.0).int().tolist() == [[int(c) for c in row] for row in expected]
    allowed = parallelogram(4, 4, 2.0)
    assert allowed.int().tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    x, y = series(4, 4)
    expected = by_recursion(x, y, 1.0, lambda i, j: not allowed[i - 1, j - 1])
    assert_same(SoftDTWLossPyTorch(global_constraint="itakura")(x, y), expected, [x, y])
    with pytest.raises(ValueError, match=r"`itakura_max_slope` must leave a path for lengths \(9, 4\), got 1.2"):
        SoftDTWLossPyTorch(itakura_max_slope=1.2)(*series(9, 4))


def test_examples_of_tslearn():
    x = torch.zeros((4, 3, 2), requires_grad=True)
    loss = SoftDTWLossPyTorch(gamma=0.1)(x, torch.arange(24).reshape(4, 3, 2)).mean()
    (dx,) = torch.autograd.grad(loss, x)
    assert loss.dtype == torch.float32 and abs(loss.item() - 1081.0) < 1e-3
    torch.testing.assert_close(dx, -torch.arange(24.0).reshape(4, 3, 2) / 2, rtol=0, atol=2e-4)

    s1 = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    value = soft_dtw(s1, torch.tensor([[3.0], [4.0], [-3.0]]), gamma=1.0)
    assert value.dtype == torch.float64 and abs(value.item() - 41.1876) < 1e-4
    (ds,) = torch.autograd.grad(value, s1)
    torch.testing.assert_close(ds, torch.tensor([[-4.0001], [-2.2852], [10.1643]]), rtol=0, atol=1e-4)


def test_functions_of_tslearn():
    x, y = [s[0].detach().numpy() for s in series(4, 6)]
    expected = by_recursion(torch.tensor(x[None]), torch.tensor(y[None]), 0.3).item()
    value = soft_dtw(x, y, 0.3)
    assert isinstance(value, float) and abs(value - expected) < 1e-12
    padded = np.vstack([x, np.full((2, 2), np.nan)])
    assert soft_dtw(padded, y, gamma=0.3, be="numpy") == value
    path, same = soft_dtw_alignment(x, y, 0.3)
    assert isinstance(path, np.ndarray) and same == value
    cost = torch.tensor(((x[:, None] - y[None]) ** 2).sum(-1), requires_grad=True)
    np.testing.assert_allclose(path, torch.autograd.grad(recursion(cost, 0.3), cost)[0], atol=1e-12)
    assert abs(soft_dtw_normalized(x, x)) < 1e-12
    assert isinstance(soft_dtw(x, y, be="pytorch"), torch.Tensor)


def test_softness_zero_is_the_squared_distance_of_dtw():
    x, y = np.array([0.0, 1.0, 5.0]), np.array([0.0, 2.0])
    assert soft_dtw(x, y, 0.0) == 0.0 + 1.0 + 9.0
    path, value = soft_dtw_alignment(x, y, 0.0)
    assert value == 10.0 and path[0, 0] == path[2, 1] == 1.0
    t = torch.tensor(x, requires_grad=True)
    (dx,) = torch.autograd.grad(soft_dtw(t, torch.tensor(y), 0.0), t)
    assert dx[2] == 6.0


@pytest.mark.parametrize("bandwidth", [None, 1, 2.5])
def test_pysdtw_with_packed_sequences(bandwidth):
    x, y = series(6, 7)
    n, m = [6, 3, 5], [4, 7, 2]
    packed = [pack_padded_sequence(s, k, batch_first=True, enforce_sorted=False) for s, k in ((x, n), (y, m))]
    limit = bandwidth or math.inf
    expected = []
    for item, (rows, columns) in enumerate(zip(n, m)):
        longer = max(rows, columns)

        def forbidden(i, j, rows=rows, columns=columns, longer=longer):
            return abs(i * longer / rows - j * longer / columns) > limit

        expected.append(by_recursion(x[item : item + 1, :rows], y[item : item + 1, :columns], 0.7, forbidden))
    value = pysdtw.SoftDTW(0.7, bandwidth=bandwidth)(*packed)
    assert_same(value, torch.cat(expected), [x, y])


def test_second_derivatives_are_right():
    x, y = series(3, 4, batch=1)
    expanded = pysdtw.SoftDTW(0.5, pysdtw.distance.pairwise_l2_squared)
    for module in (SoftDTW(False, 0.5), SoftDTW(False, 0.5, True, 1), expanded):
        assert torch.autograd.gradcheck(module, (x, y))
        assert torch.autograd.gradgradcheck(module, (x, y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_type_is_kept(dtype):
    x, y = [s.detach().to(dtype).requires_grad_() for s in series(3, 3)]
    for module in (SoftDTW(False), SoftDTWLossPyTorch(), pysdtw.SoftDTW(dist_func=pysdtw.pairwise_l2_squared_exact)):
        value = module(x, y)
        assert value.dtype == dtype
        assert torch.autograd.grad(value.sum(), x)[0].dtype == dtype


def test_bad_input_is_refused():
    x, y = series(3, 4)
    with pytest.raises(ValueError, match=r"SoftDTW: `gamma` must be finite and > 0, got 0"):
        SoftDTW(False, 0)
    with pytest.raises(ValueError, match=r"same batch size and the same d, got \(3, 3, 2\) and \(2, 4, 2\)"):
        SoftDTW(False)(x, y[:2])
    with pytest.raises(ValueError, match=r"must have shape \(batch, length, d\), got 2 and 3 axes"):
        SoftDTWLossPyTorch()(x[0], y)
    with pytest.raises(ValueError, match=r'soft_dtw: `global_constraint` must be "itakura" or "sakoe_chiba" or ""'):
        soft_dtw([1.0], [2.0], global_constraint="band")
    with pytest.raises(ValueError, match=r"soft_dtw: series must have points that are not NaN, got 0 and 1"):
        soft_dtw([math.nan], [2.0])
    with pytest.warns(RuntimeWarning, match=r"neither does"):
        soft_dtw([1.0], [2.0], sakoe_chiba_radius=1, itakura_max_slope=2.0)
