"""``supple.compat.qpth`` against qpth 0.0.18 and the conditions of optimality."""

from __future__ import annotations

import itertools

import pytest
import torch

import supple
import supple.compat.qpth as qpth
from supple.compat.qpth.qp import QPFunction, QPSolvers

EMPTY = torch.tensor([], dtype=torch.float64)
SIZES = dict(batch=3, nz=5, nineq=4, neq=2)


def problem(batched=(True,) * 6, seed=0, batch=3, nz=5, nineq=4, neq=2):
    """A feasible problem, whose arguments have a batch axis where that is asked for."""
    generator = torch.Generator().manual_seed(seed)

    def draw(number, *shape):
        return torch.randn((batch,) * batched[number] + shape, generator=generator, dtype=torch.float64)

    root = draw(0, nz, nz)
    arguments = [
        root @ root.mT + 0.5 * torch.eye(nz, dtype=torch.float64),
        draw(1, nz),
        draw(2, nineq, nz),
        draw(3, nineq).abs() + 0.1,
        draw(4, neq, nz),
        draw(5, neq) * 0.02,
    ]
    return [x.requires_grad_() for x in arguments]


def test_solutions_and_gradients_are_those_of_qpth(golden):
    for case in golden("quadratic_program"):
        inputs = [torch.tensor(case[name], dtype=torch.float64, requires_grad=True) for name in "QqGhAb"]
        z = QPFunction(verbose=-1)(*inputs)
        torch.testing.assert_close(z, torch.tensor(case["z"], dtype=torch.float64), rtol=1e-7, atol=1e-7)
        grads = torch.autograd.grad(z, inputs, torch.tensor(case["dz"], dtype=torch.float64))
        for name, found in zip("QqGhAb", grads):  # qpth has none for empty blocks
            expected = torch.tensor(case["grads"].get(name, []), dtype=torch.float64).reshape(found.shape)
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_conditions_of_optimality():
    Q, p, G, h, A, b = [x.detach() for x in problem(seed=1, batch=20)]
    z = QPFunction()(Q, p, G, h, A, b)
    slack = h - torch.einsum("bij,bj->bi", G, z)
    assert slack.min() > -1e-9
    torch.testing.assert_close(torch.einsum("bij,bj->bi", A, z), b)
    for item in range(20):
        # The gradient of the objective is a combination of active constraints, inequalities with the right sign.
        active = slack[item] < 1e-9
        rows = torch.cat([G[item, active], A[item]])
        multipliers = torch.linalg.lstsq(rows.T, -(Q[item] @ z[item] + p[item])).solution
        torch.testing.assert_close(rows.T @ multipliers, -(Q[item] @ z[item] + p[item]))
        assert (multipliers[: int(active.sum())] > -1e-9).all()


@pytest.mark.parametrize("batched", list(itertools.product([False, True], repeat=6)))
def test_arguments_without_a_batch_axis(batched):
    inputs = problem(batched, seed=2)
    batch = SIZES["batch"] if any(batched) else 1
    full = [x if b else x.detach().expand(batch, *x.shape).clone().requires_grad_() for x, b in zip(inputs, batched)]
    z, expected = QPFunction()(*inputs), QPFunction()(*full)
    assert z.shape == (batch, SIZES["nz"])
    torch.testing.assert_close(z, expected)
    weights = torch.linspace(-1, 1, z.numel(), dtype=torch.float64).reshape(z.shape)
    each = torch.autograd.grad(expected, full, weights)
    of_mean = torch.autograd.grad(z, inputs, weights)
    of_sum = torch.autograd.grad(QPFunction(shared="sum")(*inputs), inputs, weights)
    for has_batch, one, mean, total in zip(batched, each, of_mean, of_sum):
        torch.testing.assert_close(mean, one if has_batch else one.mean(0), rtol=1e-8, atol=1e-9)
        torch.testing.assert_close(total, one if has_batch else one.sum(0), rtol=1e-8, atol=1e-9)


def test_missing_blocks():
    Q, p, G, h, A, b = problem(seed=3)
    free = QPFunction()(Q, p, EMPTY, EMPTY, EMPTY, EMPTY)
    torch.testing.assert_close(free, -torch.linalg.solve(Q, p))
    with_equalities = QPFunction()(Q, p, EMPTY, EMPTY, A, b)
    size, count = SIZES["nz"], SIZES["neq"]
    kkt = torch.cat([torch.cat([Q, A.mT], 2), torch.cat([A, Q.new_zeros(3, count, count)], 2)], 1)
    torch.testing.assert_close(with_equalities, torch.linalg.solve(kkt, torch.cat([-p, b], 1))[:, :size])
    z = QPFunction()(Q, p, G, h, torch.Tensor(), torch.Tensor())
    loose = QPFunction()(Q, p, G, h + 1e6, EMPTY, EMPTY)
    assert z.dtype == torch.float64 and not torch.allclose(z, free)
    torch.testing.assert_close(loose, free)


def test_derivatives_of_first_and_second_order():
    inputs = problem((True, True, False, False, False, True), seed=4, batch=2, nz=3, nineq=2, neq=1)
    solve = QPFunction(check_Q_spd=False, shared="sum")
    assert torch.autograd.gradcheck(solve, inputs)
    assert torch.autograd.gradgradcheck(solve, inputs)


@pytest.mark.parametrize("solver", list(QPSolvers))
def test_all_arguments_are_taken(solver):
    assert qpth.qp.QPFunction is QPFunction
    inputs = [x.detach().float() for x in problem(seed=5)]
    z = QPFunction(1e-6, -1, 3, 200, solver, False)(*inputs)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.double(), QPFunction()(*[x.double() for x in inputs]), rtol=1e-4, atol=1e-4)


def test_bad_input_is_refused():
    Q, p, G, h, A, b = problem(seed=6)
    with pytest.raises(RuntimeError, match=r"Q is not SPD"):
        QPFunction()(-Q, p, G, h, A, b)
    with pytest.raises(supple.Fault, match=r"the constraints admit no point"):
        QPFunction()(Q, p, torch.cat([A, -A], 1), -torch.ones(4, dtype=torch.float64), EMPTY, EMPTY)
    with pytest.raises(ValueError, match=r"`Q` must have shape \(nz, nz\) or \(nBatch, nz, nz\), got \(5,\)"):
        QPFunction()(p[0], p, G, h, A, b)
    with pytest.raises(ValueError, match=r"QPFunction: `h` must have nBatch 3, got shape \(2, 4\)"):
        QPFunction()(Q, p, G, h[:2], A, b)
    with pytest.raises(ValueError, match=r"QPFunction: `p` must have 1 axes, or 2 with nBatch, got shape \(\)"):
        QPFunction()(Q, p[0, 0], G, h, A, b)
    with pytest.raises(ValueError, match=r'QPFunction: `shared` must be "mean" or "sum", got \'max\''):
        QPFunction(shared="max")
    with pytest.raises(ValueError, match=r"QPFunction: `solver` must be one of QPSolvers, got 'cvxpy'"):
        QPFunction(solver="cvxpy")
