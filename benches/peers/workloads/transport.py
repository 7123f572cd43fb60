"""Entropic transport, forward, f64, beside POT with its iteration in the log domain.

Supple's plan is right to round-off; POT's as far as it was told to go on.
"""

from __future__ import annotations

from functools import partial
from typing import Any, List, Tuple

import numpy as np
import torch

import supple

from .case import Peer, Run, Workload, arrays, forward, uniform


def workloads(quick: bool) -> List[Workload]:
    """Points in the unit square, and sorting by transport to places on a line."""
    points, row = (100, 200) if quick else (500, 1000)
    return [
        Workload("sinkhorn forward, f64", f"{points}×{points}", partial(_plan, points)),
        Workload("sort by sinkhorn forward, f64", f"1×{row}", partial(_sort, row)),
    ]


def _pot(mass: Any, cost: Any, softness: float, tolerance: float) -> Any:
    import ot

    return ot.sinkhorn(
        mass, mass, cost, softness, method="sinkhorn_log", stopThr=tolerance, numItermax=100_000, warn=False
    )


def _plan(n: int) -> Tuple[Run, List[Peer]]:
    softness = 0.05
    x, y = (uniform(n, 2, dtype=torch.float64, seed=seed) for seed in (0, 1))
    inputs = arrays([(torch.cdist(x, y).square(), torch.full((n,), 1 / n, dtype=torch.float64))])

    def pot(tolerance: float) -> Run:
        import ot  # noqa: F401

        return forward(lambda cost, mass: _pot(mass, cost, softness, tolerance), inputs)

    ours = forward(lambda cost, mass: supple.sinkhorn(cost, mass, mass, softness), inputs)
    return ours, [
        Peer(f"POT, log domain to {tolerance:.0e}", "POT", partial(pot, tolerance), error)
        for tolerance, error in ((1e-6, 1e-3), (1e-9, 1e-6))
    ]


def _sort(n: int) -> Tuple[Run, List[Peer]]:
    softness = 0.01
    inputs = arrays([(uniform(n, dtype=torch.float64),)])

    def pot() -> Run:
        import ot  # noqa: F401

        places, mass = np.linspace(0, 1, n), np.full(n, 1 / n)

        def sort(x: Any) -> Any:
            return n * (x @ _pot(mass, (x[:, None] - places) ** 2, softness, 1e-6))

        return forward(sort, inputs)

    ours = forward(lambda x: supple.sort(x, "sinkhorn", softness), inputs)
    return ours, [Peer("POT, log domain to 1e-06", "POT", pot, 1e-3)]
