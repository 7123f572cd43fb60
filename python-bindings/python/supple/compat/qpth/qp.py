"""``QPFunction`` of qpth 0.0.18: ``from supple.compat.qpth.qp import QPFunction``.

What differs:

* answers are exact to round-off, on the active set; ``eps``, ``verbose`` and ``notImprovedLim`` are taken and change
  nothing, and both solvers are Supple's. ``maxIter`` only raises the limit, to more than 50;
* a problem without a solution raises :class:`supple.Fault`, where qpth warns and goes on with whatever it has;
* second derivatives are right; qpth stops with an error;
* all of ``G, h, A, b`` may be missing, and equality constraints alone do;
* the kernel runs on the host for now: tensors of another device are copied there and back.

What does not differ, and may surprise: an argument without a batch axis, in a batch of more than one problem, gets the
*mean* of the gradients of the problems, not their sum. ``QPFunction(shared="sum")`` gives the derivative.
``SpQPFunction``, which current versions of PyTorch refuse, is left out.
"""

from __future__ import annotations

from enum import Enum
from typing import Callable, Literal, Optional, Sequence

import torch
from torch import Tensor

from ... import torch as _supple
from .._words import choice

NAMES = ("Q", "p", "G", "h", "A", "b")
CORE_AXES = (2, 1, 2, 1, 2, 1)


class QPSolvers(Enum):
    """The solvers of qpth. Here both are the same."""

    PDIPM_BATCHED = 1
    CVXPY = 2


def QPFunction(
    eps: float = 1e-12,
    verbose: int = 0,
    notImprovedLim: int = 3,
    maxIter: int = 20,
    solver: QPSolvers = QPSolvers.PDIPM_BATCHED,
    check_Q_spd: bool = True,
    *,
    shared: Literal["mean", "sum"] = "mean",
) -> Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]:
    """A function ``(Q, p, G, h, A, b) -> z``, the minimisers of ½ z'Qz + p'z with Gz ≤ h and Az = b.

    Shapes are (nBatch, nz, nz), (nBatch, nz), (nBatch, nineq, nz), (nBatch, nineq), (nBatch, neq, nz), (nBatch, neq),
    each also without nBatch; an empty tensor stands for a missing block. The result has shape (nBatch, nz).

    * ``check_Q_spd``: whether a ``Q`` that is not positive definite raises ``RuntimeError``.
    * ``shared``: what arguments without nBatch get of the gradients of the problems: their ``"mean"``, as in qpth, or
      their ``"sum"``, the derivative.
    """
    choice("QPFunction", "shared", shared, {"mean": "mean", "sum": "sum"})
    if not isinstance(solver, QPSolvers):
        raise ValueError(f"QPFunction: `solver` must be one of QPSolvers, got {solver!r}")

    def solve(Q: Tensor, p: Tensor, G: Tensor, h: Tensor, A: Tensor, b: Tensor) -> Tensor:
        size = _size(Q)
        given = (Q, p, _block(Q, G, size), _block(Q, h), _block(Q, A, size), _block(Q, b))
        batch = _batch(given)
        if check_Q_spd and bool(torch.linalg.cholesky_ex(Q.detach().double()).info.any()):
            raise RuntimeError("QPFunction: `Q` must be symmetric and positive definite. Q is not SPD.")
        if shared == "mean" and batch is not None and batch > 1:
            Q, p, G, h, A, b = (x if x.dim() > axes else _averaged(x, batch) for x, axes in zip(given, CORE_AXES))
        else:
            Q, p, G, h, A, b = given
        p = p.unsqueeze(0) if batch is None else p
        z = _supple.quadratic_program(Q, p, G, h, A, b, max_iterations=max(50, maxIter))[0]
        return z.to(Q.dtype) if Q.is_floating_point() else z

    return solve


def _size(Q: Tensor) -> int:
    if Q.dim() not in (2, 3) or Q.shape[-1] != Q.shape[-2]:
        raise ValueError(f"QPFunction: `Q` must have shape (nz, nz) or (nBatch, nz, nz), got {tuple(Q.shape)}")
    return Q.shape[-1]


def _block(Q: Tensor, x: Optional[Tensor], size: Optional[int] = None) -> Tensor:
    """A block, or one without rows where it is missing: of a matrix with ``size`` columns, or of a vector."""
    shape = (0,) if size is None else (0, size)
    if x is None:
        return Q.new_zeros(shape)
    return x if x.numel() else x.to(Q).reshape(shape)


def _batch(given: Sequence[Tensor]) -> Optional[int]:
    """The number of problems; ``None`` where no argument has a batch axis."""
    batch = None
    for name, x, axes in zip(NAMES, given, CORE_AXES):
        if x.dim() not in (axes, axes + 1):
            shapes = f"{axes} axes, or {axes + 1} with nBatch"
            raise ValueError(f"QPFunction: `{name}` must have {shapes}, got shape {tuple(x.shape)}")
        if x.dim() > axes:
            if batch not in (None, x.shape[0]):
                raise ValueError(f"QPFunction: `{name}` must have nBatch {batch}, got shape {tuple(x.shape)}")
            batch = x.shape[0]
    return batch


def _averaged(x: Tensor, batch: int) -> Tensor:
    """``x`` for all problems, with the mean of their gradients."""
    return x.detach() + (x - x.detach()) / batch


__all__ = ["QPFunction", "QPSolvers"]
