"""``supple.compat.difftopk`` against difftopk 0.2.0."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import supple.compat.difftopk as difftopk
from supple.compat import diffsort

F64 = torch.float64
SCORES = torch.tensor([[0.3, -1.2, 0.9, 0.45, 2.0], [0.7, 0.2, -0.4, 1.3, -1.0]], dtype=F64)
LABELS = torch.tensor([3, 1])
METHODS = {"bitonic": "cauchy", "bitonic__non_sparse": "cauchy", "odd_even": "logistic", "neuralsort": None}
METHODS["softsort"] = None
#: By difftopk 0.2.0 in single precision: inverse_temperature=2, p_k=[.2, .3, .5], "sm", "smce", "sort" with m=None, 4.
LOSSES = {
    "bitonic__non_sparse": [0.731701136, 0.571565807, 1.032687664, 0.890479565, 0.721877873, 0.568804085],
    "odd_even": [0.722810626, 0.886963725, 1.023942232, 1.158412814, 0.762843966, 0.931321740],
    "neuralsort": [0.728542447, 0.725036204, 1.028540850, 1.020248890, 0.782720804, 0.781205654],
    "softsort": [0.718449414, 0.694565177, 1.019958735, 0.994326711, 0.751929641, 0.729230046],
}
LOSSES["bitonic"] = LOSSES["bitonic__non_sparse"]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize("network", ["bitonic", "odd_even"])
@pytest.mark.parametrize("distribution", ["logistic", "logistic_phi", "gaussian", "cauchy", "reciprocal", "optimal"])
def test_columns_are_the_last_of_the_whole_matrix(network, distribution):
    x = random(2, 3, 6).requires_grad_()
    for k, sparse in itertools.product((1, 2, 6), (False, True)):
        net = difftopk.DiffTopkNet(network, 6, k, sparse, steepness=2.0, distribution=distribution)
        nothing, columns = net(x)
        _, whole = diffsort.DiffSortNet(network, 6, steepness=2.0, distribution=distribution)(x)
        assert nothing is None and columns.shape == (2, 3, 6, k)
        torch.testing.assert_close(columns, whole[..., -k:])
        weights = random(2, 3, 6, k, seed=1)
        actual, expected = (torch.autograd.grad((p * weights).sum(), x)[0] for p in (columns, whole[..., -k:]))
        torch.testing.assert_close(actual, expected)


def test_soft_sort_is_that_of_difftopk(golden):
    for case in golden("neuralsort_softsort"):
        x = torch.tensor(case["x"], dtype=F64, requires_grad=True)
        matrix = getattr(difftopk, case["method"])(case["tau"])(x)
        (dx,) = torch.autograd.grad(matrix, x, torch.tensor(case["dP"], dtype=F64))
        torch.testing.assert_close(matrix, torch.tensor(case["P"], dtype=F64), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(dx, torch.tensor(case["dx"], dtype=F64), rtol=1e-9, atol=1e-11)


def test_neural_sort_is_that_of_difftopk():
    # By difftopk 0.2.0 in single precision.
    expected = [
        [0.0473644956946373, 0.7402026653289795, 0.2314685881137848],
        [0.9513413310050964, 0.03685251995921135, 2.8565475076902658e-05],
        [0.001294173882342875, 0.22294481098651886, 0.7685028314590454],
    ]
    torch.testing.assert_close(
        difftopk.NeuralSort(0.5)(SCORES[0, :3]), torch.tensor(expected, dtype=F64), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("module", [difftopk.NeuralSort, difftopk.SoftSort])
def test_hard_has_the_soft_gradient(module):
    x = random(2, 4).requires_grad_()
    weights = random(2, 4, 4, seed=1)
    soft, hard = module(0.3)(x), module(0.3, hard=True)(x)
    assert torch.equal(hard.detach().round(), torch.nn.functional.one_hot(soft.argmax(-1), 4).to(F64))
    gradients = [torch.autograd.grad((p * weights).sum(), x)[0] for p in (soft, hard)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_those_of_difftopk(method):
    values = iter(LOSSES[method])
    for mode, m in itertools.product(("sm", "smce", "sort"), (None, 4)):
        loss = difftopk.TopKCrossEntropyLoss(
            method, 2.0, [0.2, 0.3, 0.5], 5, m, METHODS[method], top1_mode=mode, device="cpu"
        )
        assert loss(SCORES, LABELS).item() == pytest.approx(next(values), rel=2e-6)
        assert loss(SCORES.view(1, 2, 5), LABELS.view(1, 2)).item() == pytest.approx(loss(SCORES, LABELS).item())
        x = SCORES.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: loss(x, LABELS), x)
        assert torch.autograd.gradgradcheck(lambda x: loss(x, LABELS), x)


def smooth(scores, label, k, tau):
    """The smooth loss by all sets of k labels."""
    subsets = list(itertools.combinations(range(len(scores)), k))
    total = [(label not in s) / tau + sum(scores[i] for i in s) / (k * tau) for s in subsets]
    right = [v for v, s in zip(total, subsets) if label in s]
    return tau * (math.log(sum(map(math.exp, total))) - math.log(sum(map(math.exp, right))))


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_smooth_loss_by_all_sets(k, tau):
    expected = sum(smooth(s, label, k, tau) for s, label in zip(SCORES.tolist(), LABELS.tolist())) / 2
    for loss in (difftopk.SmoothTopKLoss, difftopk.SmoothHardTopKLoss):
        assert loss(5, k, tau)(SCORES, LABELS).item() == pytest.approx(expected, rel=1e-12)


def test_smooth_losses_are_those_of_difftopk():
    # By difftopk 0.2.0 in single precision.
    expected = [1.3262853622436523, 1.6620573997497559, 0.8625801801681519, 1.022202730178833]
    values = [difftopk.SmoothTopKLoss(5, k, tau)(SCORES, LABELS).item() for k in (2, 3) for tau in (0.5, 1.0)]
    assert values == pytest.approx(expected, rel=1e-6)
    # At this temperature the first row is hard for k = 2.
    values = [difftopk.SmoothHardTopKLoss(5, k, 0.05)(SCORES, LABELS).item() for k in (2, 3)]
    assert values == pytest.approx([1.2374999523162842, 0.8749842643737793], rel=1e-6)
    loss = difftopk.SmoothHardTopKLoss(5, 2, 0.03)
    assert torch.autograd.gradcheck(lambda x: loss(x, LABELS), SCORES.clone().requires_grad_())


def test_bad_values_are_refused():
    loss = difftopk.TopKCrossEntropyLoss
    with pytest.raises(NotImplementedError, match="`diffsort_method` must be one of"):
        loss("splitter_selection", 1.0, [1.0], 5)
    with pytest.raises(ValueError, match=r"`p_k` must sum to 1, got \[0.5\]"):
        loss("bitonic", 1.0, [0.5], 5)
    with pytest.raises(ValueError, match="`m` must be between the length of `p_k`, 1, and `n`, 5, got 5"):
        loss("bitonic", 1.0, [1.0], 5, 5)
    with pytest.raises(ValueError, match='`top1_mode` must be "sm", "smce" or "sort", got \'s\''):
        loss("bitonic", 1.0, [1.0], 5, top1_mode="s")
    with pytest.raises(ValueError, match=r"`outputs` must have 4 classes in the last axis, got \[2, 5\]"):
        loss("bitonic", 1.0, [1.0], 4)(SCORES, LABELS)
    with pytest.raises(ValueError, match=r"topk: `k` must be in 1..5, got 6"):
        difftopk.DiffTopkNet("bitonic", 5, 6)(SCORES)
    with pytest.raises(ValueError, match="SoftSort: `pow` must be 1, got 2.0"):
        difftopk.SoftSort(pow=2.0)
