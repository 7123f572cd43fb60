"""``supple.compat.diffsort`` against diffsort 0.2.0."""

from __future__ import annotations

import pytest
import torch

import supple.compat.diffsort as diffsort

F64 = torch.float64
DISTRIBUTIONS = ["logistic", "logistic_phi", "gaussian", "cauchy", "reciprocal", "optimal"]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def test_values_and_gradients_are_those_of_diffsort(golden):
    for case in golden("diffsort"):
        x = torch.tensor(case["x"], dtype=F64, requires_grad=True)
        net = diffsort.DiffSortNet(
            case["network"],
            x.shape[1],
            steepness=case["steepness"],
            art_lambda=case["art_lambda"],
            distribution=case["distribution"],
        )
        y, matrix = net(x)
        (dx,) = torch.autograd.grad(y, x, torch.tensor(case["dy"], dtype=F64), retain_graph=True)
        # The original adds 1e-10 to two of its denominators and has a deviation in single precision.
        close = dict(rtol=2e-7, atol=2e-7)
        torch.testing.assert_close(y, torch.tensor(case["y"], dtype=F64), **close)
        torch.testing.assert_close(matrix, torch.tensor(case["P"], dtype=F64), **close)
        torch.testing.assert_close(dx, torch.tensor(case["dx"], dtype=F64), **close)
        torch.testing.assert_close((x.unsqueeze(1) @ matrix).squeeze(1), y)


@pytest.mark.parametrize("network", ["bitonic", "odd_even"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_matrix_acts_from_the_right(network, distribution):
    x = random(2, 3, 6).requires_grad_()
    y, matrix = diffsort.DiffSortNet(network, 6, steepness=2.0, distribution=distribution)(x)
    assert y.shape == (2, 3, 6) and matrix.shape == (2, 3, 6, 6)
    product = (x.unsqueeze(-2) @ matrix).squeeze(-2)
    torch.testing.assert_close(product, y)
    (through_matrix,) = torch.autograd.grad(product.square().sum(), x, retain_graph=True)
    (through_values,) = torch.autograd.grad(y.square().sum(), x)
    torch.testing.assert_close(through_matrix, through_values)


def test_steep_networks_sort():
    x = torch.stack([torch.randperm(22, generator=torch.Generator().manual_seed(i)) for i in range(20)]).to(F64)
    y, matrix = diffsort.DiffSortNet("bitonic", 22, steepness=100.0, distribution="logistic")(x)
    torch.testing.assert_close(y, x.sort().values)
    assert torch.equal(matrix.argmax(-2), x.argsort())


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("steepness", [0.7, 5.0])
def test_a_steepness_that_is_a_tensor_has_a_gradient(distribution, steepness):
    x = random(2, 4)
    plain = diffsort.DiffSortNet("odd_even", 4, steepness=steepness, distribution=distribution)(x)
    net = diffsort.DiffSortNet("odd_even", 4, distribution=distribution)

    def outputs(steepness):
        net.steepness = steepness
        return net(x)

    learnt = torch.tensor(steepness, dtype=F64, requires_grad=True)
    for actual, expected in zip(outputs(learnt), plain):
        torch.testing.assert_close(actual, expected)
    assert torch.autograd.gradcheck(outputs, learnt)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_second_derivatives_are_right(distribution):
    x = random(2, 4, seed=1).requires_grad_()
    net = diffsort.DiffSortNet("bitonic", 4, steepness=1.5, distribution=distribution)
    assert torch.autograd.gradgradcheck(net, x)


def test_words_of_the_original():
    x = random(2, 4)
    network = diffsort.get_sorting_network("odd_even", 4, "cpu")
    by_function = diffsort.functional.sort(network, x, 3.0, 0.25, "gaussian")
    old = diffsort.DiffSortNet("odd_even", 4, "cpu", 3.0, 0.25, "gaussian")
    for actual, expected in zip(old(x), by_function):
        assert torch.equal(actual, expected)
    logistic = diffsort.sort(network, x, 3.0, distribution="logistic")
    for actual, expected in zip(diffsort.sort(network, x, 3.0, 0.0, "logistic_phi"), logistic):
        assert torch.equal(actual, expected)
    assert diffsort.DiffSortNet("bitonic", 4)(x.half())[1].dtype == torch.float16
    assert "steepness=3.0" in repr(old)


def test_bad_values_are_refused():
    x = random(2, 4)
    with pytest.raises(ValueError, match=r"sort: `vectors` must have 5 values in the last axis, got \[2, 4\]"):
        diffsort.DiffSortNet("bitonic", 5)(x)
    with pytest.raises(ValueError, match="sort: `art_lambda` must be 0.25"):
        diffsort.DiffSortNet("bitonic", 4, art_lambda=0.5, distribution="logistic_phi")(x)
    with pytest.raises(ValueError, match="sort: `steepness` must be finite and > 0, got -1.0"):
        diffsort.DiffSortNet("bitonic", 4, steepness=-1.0)(x)
    with pytest.raises(ValueError, match="DiffSortNet: `interpolation_type` must be that of `distribution`"):
        diffsort.DiffSortNet("bitonic", 4, interpolation_type="logistic", distribution="gaussian")
    with pytest.raises(ValueError, match="sort: `sorting_network` must be from get_sorting_network, got list"):
        diffsort.sort([], x)
    with pytest.raises(NotImplementedError, match="`distribution` must be one of"):
        diffsort.DiffSortNet("bitonic", 4, distribution="normal")(x)
    with pytest.raises(NotImplementedError, match='`type` must be "bitonic" or "odd_even"'):
        diffsort.DiffSortNet("shell", 4)
