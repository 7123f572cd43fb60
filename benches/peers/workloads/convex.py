"""Quadratic programs, f64, forward and backward, beside qpth and cvxpylayers.

cvxpylayers is told to be exact: by its defaults, gradients of the larger programs here are off by a tenth or more.
Gradients are compared for q, h and b: cvxpylayers takes a square root of Q, and qpth's gradient of Q is symmetric.
"""

from __future__ import annotations

from functools import partial
from typing import Any, List, Sequence, Tuple

import torch
from torch import Tensor

import supple.torch as supple

from .case import Missing, Peer, Run, Workload, both_ways, normal

#: Programs, variables, inequalities, equalities.
SIZES = ((64, 10, 10, 3), (64, 30, 30, 5), (16, 100, 100, 10))


def workloads(quick: bool) -> List[Workload]:
    """Random feasible programs."""
    sizes = ((16, 10, 10, 3),) if quick else SIZES
    return [Workload("quadratic_program", f"{b}×({n},{m},{p})", partial(_build, b, n, m, p)) for b, n, m, p in sizes]


def _build(batch: int, n: int, m: int, p: int) -> Tuple[Run, List[Peer]]:
    if not hasattr(supple, "quadratic_program"):
        raise Missing("not in this Supple")
    root, q, G, A, z = (
        normal(batch, *shape, dtype=torch.float64, seed=seed)
        for seed, shape in enumerate(((n, n), (n,), (m, n), (p, n), (n, 1)))
    )
    root = root / n**0.5 + torch.eye(n, dtype=torch.float64)
    # z is feasible, with room to half of the inequalities.
    room = normal(batch, m, dtype=torch.float64, seed=9).relu()
    Q, h, b = root.mT @ root, (G @ z)[..., 0] + room, (A @ z)[..., 0]
    inputs = [(q, h, b)]

    def ours(q: Tensor, h: Tensor, b: Tensor) -> Tensor:
        return supple.quadratic_program(Q, q, G, h, A, b)[0]

    def qpth() -> Run:
        from qpth.qp import QPFunction

        solve = QPFunction(verbose=-1, check_Q_spd=False)
        return both_ways(lambda q, h, b: solve(Q, q, G, h, A, b), inputs)

    def cvxpylayers() -> Run:
        layer, exact = _layer(n, m, p), {"eps": 1e-9, "mode": "dense"}
        return both_ways(lambda q, h, b: layer(root, q, G, h, A, b, solver_args=exact)[0], inputs)

    return both_ways(ours, inputs), [
        Peer("qpth", "qpth", qpth, 1e-3),
        Peer("cvxpylayers, eps = 1e-9, dense", "cvxpylayers", cvxpylayers, 1e-4),
    ]


def _layer(n: int, m: int, p: int) -> Any:
    import cvxpy as cp
    from cvxpylayers.torch import CvxpyLayer

    z = cp.Variable(n)
    shapes: Sequence[Tuple[int, ...]] = ((n, n), (n,), (m, n), (m,), (p, n), (p,))
    root, q, G, h, A, b = parameters = [cp.Parameter(shape) for shape in shapes]
    cost = cp.Minimize(0.5 * cp.sum_squares(root @ z) + q @ z)
    return CvxpyLayer(cp.Problem(cost, [G @ z <= h, A @ z == b]), parameters=parameters, variables=[z])
