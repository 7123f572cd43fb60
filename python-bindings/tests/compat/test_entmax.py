"""``supple.compat.entmax`` against entmax 1.3."""

from __future__ import annotations

import itertools

import pytest
import torch

import supple.compat.entmax as entmax

F64 = torch.float64
X = torch.tensor([0.3, -1.2, 0.9, 0.45], dtype=F64)
DY = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=F64)
SCORES = torch.tensor([[0.3, -1.2, 0.9], [2.0, 0.1, 1.4], [-0.5, 0.2, 0.0]], dtype=F64)
LABELS = torch.tensor([1, 2, 0])
#: Losses of these by entmax 1.3, with n_iter=200 where there is one.
LOSSES = [
    (entmax.SparsemaxLoss, {}, [2.14, 0.64, 0.86]),
    (entmax.SparsemaxBisectLoss, {}, [2.14, 0.64, 0.86]),
    (entmax.Entmax15Loss, {}, [2.253442494144239, 0.753442494144239, 1.0343553111175399]),
    (entmax.EntmaxBisectLoss, {"alpha": 1.3}, [2.3382793234775665, 0.8414285069754439, 1.1766712750744093]),
    (entmax.EntmaxBisectLoss, {"alpha": 0.6}, [3.712210478815295, 2.243189304853204, 2.7259740798807295]),
    (entmax.NormmaxBisectLoss, {"alpha": 3.0}, [2.2081096552323825, 0.7081096552323826, 0.9756412801823999]),
]


def random(*shape, seed=0, low=None):
    generator = torch.Generator().manual_seed(seed)
    if low is not None:
        return (low + 1.5 * torch.rand(shape, generator=generator, dtype=F64)).requires_grad_()
    return torch.randn(shape, generator=generator, dtype=F64).requires_grad_()


def close(actual, expected, tolerance=1e-12):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=F64), rtol=tolerance, atol=tolerance)


def test_values_and_gradients_are_those_of_entmax(golden):
    for case in golden("entmax"):
        x = torch.tensor(case["x"], dtype=F64, requires_grad=True)
        parameters = [case[name] for name in ("alpha", "budget") if name in case]
        y = getattr(entmax, case["function"])(x, *parameters)
        (dx,) = torch.autograd.grad(y, x, torch.tensor(case["dy"], dtype=F64))
        close(y, case["y"], 1e-11)
        close(dx, case["dx"], 1e-9)


@pytest.mark.parametrize(
    "alpha, p, dx",
    [
        (
            1.5,
            [0.09421761346032989, 0.0, 0.711255852356079, 0.194526534183591],
            [-0.08694904602527523, 0.0, -1.322280612486765, 1.4092296585120399],
        ),
        (
            2,
            [0.1724609703113866, 0.0, 0.5585546415640589, 0.26898438812455466],
            [-0.24680418426348355, 0.0, -0.7484062105803608, 0.9952103948438443],
        ),
        (
            5,
            [0.2703586829154559, 0.0, 0.40684810950236283, 0.3227932075821814],
            [-0.23035301185198626, 0.0, -0.16578338999035103, 0.396136401842337],
        ),
    ],
)
def test_normmax(alpha, p, dx):
    x = X.clone().requires_grad_()
    y = entmax.normmax_bisect(x, alpha)
    close(y, p)
    close(torch.autograd.grad(y, x, DY)[0], dx, 1e-11)


@pytest.mark.parametrize(
    "alpha, p, dx, da",
    [
        (
            0.6,
            [0.24894909045587232, 0.11887449350489544, 0.3604569834930651, 0.2717194325461672],
            [-0.012181150382463951, -0.15646840403180462, -0.14028144824812191, 0.3089310026623905],
            0.37794218381677247,
        ),
        (
            1.3,
            [0.21862470138445017, 0.0035263886691003425, 0.5030548906090891, 0.2747940193373604],
            [-0.11017551561886568, -0.06370696771660131, -0.5065372769997898, 0.6804197603352569],
            0.11599193160262516,
        ),
    ],
)
def test_gradient_of_alpha(alpha, p, dx, da):
    x, alpha = X.clone().requires_grad_(), torch.tensor([alpha], dtype=F64, requires_grad=True)
    y = entmax.entmax_bisect(x, alpha)
    close(y, p)
    for actual, expected in zip(torch.autograd.grad(y, (x, alpha), DY), (dx, [da])):
        close(actual, expected, 1e-11)


def test_alpha_from_below_one_to_above_two():
    softmax = torch.softmax(X, -1)
    for alpha in (1 - 1e-9, 1.0, 1 + 1e-9):
        close(entmax.entmax_bisect(X, alpha), softmax, 1e-8)
    close(entmax.entmax_bisect(X, 1.5), entmax.entmax15(X))
    close(entmax.entmax_bisect(X, 2), entmax.sparsemax(X))
    for alpha in (-0.5, 0.05, 0.9, 1.7, 3.0):
        p = entmax.entmax_bisect(X, alpha)
        close(p.sum(), 1.0)
        # On the support, the slope of the objective is the same for all.
        slope = (X - p ** (alpha - 1.0) / (alpha - 1.0))[p > 0]
        close(slope, slope.mean().expand_as(slope), 1e-10)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
@pytest.mark.parametrize("low", [0.3, 1.1])
def test_one_alpha_for_each_row(dim, low):
    x = random(2, 4, 3)
    shape = list(x.shape)
    shape[dim] = 1
    alpha, budget = random(*shape, seed=1, low=low), random(*shape, seed=2, low=0.2)
    x_rows = x.movedim(dim, -1).reshape(-1, x.shape[dim])
    for function, value in (
        (entmax.entmax_bisect, alpha),
        (entmax.normmax_bisect, alpha + 1.0),
        (entmax.budget_bisect, budget),
    ):
        y = function(x, value, dim)
        assert y.shape == x.shape
        rows = [function(row, float(v)) for row, v in zip(x_rows, value.detach().reshape(-1))]
        close(y.movedim(dim, -1).reshape(x_rows.shape), torch.stack(rows))


def test_derivatives_to_the_second_order():
    x = random(3, 4)
    alpha, below = random(3, 1, seed=1, low=1.1), random(3, 1, seed=2, low=0.3)
    budget = random(3, 1, seed=3, low=1.0)
    fixed = alpha.detach()
    for function, inputs in (
        (entmax.sparsemax, (x,)),
        (entmax.entmax15, (x,)),
        (entmax.entmax_bisect, (x, alpha)),
        (entmax.entmax_bisect, (x, below)),
        (entmax.budget_bisect, (x, budget)),
        (lambda x: entmax.normmax_bisect(x, 1.6), (x,)),
        (lambda x: entmax.normmax_bisect(x, fixed), (x,)),
        (lambda x: entmax.entmax_bisect_loss(x, LABELS, fixed), (x,)),
        (lambda x: entmax.normmax_bisect_loss(x, LABELS, 1.6), (x,)),
        (lambda x: entmax.Entmax15Loss(ignore_index=0)(x, LABELS), (x,)),
    ):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("loss, arguments, values", LOSSES)
def test_losses(loss, arguments, values):
    values = torch.tensor(values, dtype=F64)
    close(loss(reduction="none", **arguments)(SCORES, LABELS), values)
    close(loss(**arguments)(SCORES, LABELS), values.mean())
    close(loss(reduction="sum", **arguments)(SCORES, LABELS), values.sum())
    # Label 2, of the second row, does not count; nor does one that is no class.
    for ignore, labels in ((2, LABELS), (-100, torch.tensor([1, -100, 0]))):
        each = loss(ignore_index=ignore, reduction="none", **arguments)
        close(each(SCORES, labels), values * torch.tensor([1, 0, 1]))
        close(loss(ignore_index=ignore, **arguments)(SCORES, labels), (values[0] + values[2]) / 2)
        x = SCORES.clone().requires_grad_()
        each(x, labels).sum().backward()
        assert torch.equal(x.grad[1], torch.zeros(3, dtype=F64))
    many = loss(reduction="none", **arguments)(SCORES.expand(2, 3, 3), LABELS.expand(2, 3))
    close(many, values.expand(2, 3))
    assert "reduction='sum'" in repr(loss(reduction="sum"))
    with pytest.raises(ValueError, match="`reduction` must be"):
        loss(reduction="mean")


def test_losses_with_one_alpha_for_each_label():
    alpha = torch.tensor([1.0, 1.3, 2.5], dtype=F64)
    expected = [entmax.entmax_bisect_loss(SCORES[i], LABELS[i], float(alpha[i])) for i in range(3)]
    close(expected[0], torch.nn.functional.cross_entropy(SCORES[0], LABELS[0]))
    for shape in ((3,), (3, 1)):
        close(entmax.entmax_bisect_loss(SCORES, LABELS, alpha.reshape(shape)), torch.stack(expected))
    alpha = alpha + 0.5
    expected = [entmax.normmax_bisect_loss(SCORES[i], LABELS[i], float(alpha[i])) for i in range(3)]
    close(entmax.normmax_bisect_loss(SCORES, LABELS, alpha), torch.stack(expected))


@pytest.mark.parametrize("module", [entmax.EntmaxBisectLoss(), entmax.NormmaxBisectLoss()])
def test_losses_under_transforms(module):
    def loss(x):
        return module(x, LABELS)

    x, v = random(3, 3), random(3, 3, seed=1).detach()
    (dx,) = torch.autograd.grad(loss(x), x, create_graph=True)
    value, slope = torch.func.jvp(loss, (x.detach(),), (v,))
    close(value, loss(x).detach())
    close(slope, (dx * v).sum().detach())
    hessian = torch.func.hessian(loss)(x.detach())
    (hv,) = torch.autograd.grad(dx, x, v)
    close((hessian * v).sum((2, 3)), hv)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.25, 1.5, 2.0, 2.25])
def test_masked_options_get_nothing(alpha):
    x = torch.tensor([0.3, -torch.inf, 0.9, -torch.inf], dtype=F64, requires_grad=True)
    p = entmax.entmax_bisect(x, alpha)
    close(p[[0, 2]], entmax.entmax_bisect(x.detach()[[0, 2]], alpha))
    assert torch.equal(p[[1, 3]], torch.zeros(2, dtype=F64))
    (dx,) = torch.autograd.grad(p[0], x)
    assert torch.isfinite(dx).all() and torch.equal(dx[[1, 3]], torch.zeros(2, dtype=F64))


def test_modules_are_the_functions():
    for module, y in (
        (entmax.Sparsemax(0, k=2), entmax.sparsemax(SCORES, 0)),
        (entmax.SparsemaxBisect(0), entmax.sparsemax_bisect(SCORES, 0)),
        (entmax.Entmax15(0, k=2), entmax.entmax15(SCORES, 0)),
        (entmax.EntmaxBisect(1.3, 0), entmax.entmax_bisect(SCORES, 1.3, 0)),
        (entmax.NormmaxBisect(3, 0), entmax.normmax_bisect(SCORES, 3, 0)),
        (entmax.BudgetBisect(1.5, 0), entmax.budget_bisect(SCORES, 1.5, 0)),
    ):
        assert torch.equal(module(SCORES), y)
        assert "dim=0" in repr(module)
    learnt = entmax.EntmaxBisect(torch.nn.Parameter(torch.tensor(1.3, dtype=F64)))
    learnt(SCORES)[0, 0].backward()
    assert [float(p.grad) != 0.0 for p in learnt.parameters()] == [True]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_types_are_those_of_softmax(dtype):
    x = X.to(dtype)
    functions = [entmax.sparsemax, entmax.entmax15, entmax.entmax_bisect, entmax.normmax_bisect, entmax.budget_bisect]
    for function, autocast in itertools.product(functions, (False, True)):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            assert function(x).dtype == torch.softmax(x, -1).dtype
    assert entmax.entmax15_loss(x, torch.tensor(1)).dtype == dtype


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match=r"entmax_bisect: `alpha` must be .* expands to \[3, 1\], got shape \[1, 2\]"):
        entmax.entmax_bisect(SCORES, torch.ones(1, 2))
    with pytest.raises(ValueError, match="normmax: `alpha`"):
        entmax.normmax_bisect(SCORES, 1.0)
    with pytest.raises(ValueError, match="capped_simplex_projection"):
        entmax.budget_bisect(SCORES, 4)
