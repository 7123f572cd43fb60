"""Soft dynamic time warping of two series beside tslearn, with PyTorch and with NumPy."""

from __future__ import annotations

from functools import partial
from typing import Any, List, Tuple

import numpy as np

import supple
import supple.torch

from .case import Peer, Run, Workload, arrays, both_ways, forward, normal


def workloads(quick: bool) -> List[Workload]:
    """A batch of 16 pairs of series of one channel."""
    n = 64 if quick else 256
    return [
        Workload("soft_dtw_series", f"16×{n}×{n}", partial(_tensors, n)),
        Workload("soft_dtw_series forward, f64", f"16×{n}×{n}", partial(_arrays, n)),
    ]


def _tensors(n: int) -> Tuple[Run, List[Peer]]:
    inputs = [(normal(16, n, 1), normal(16, n, 1, seed=1))]

    def tslearn() -> Run:
        from tslearn.metrics import SoftDTWLossPyTorch

        return both_ways(SoftDTWLossPyTorch(gamma=1.0), inputs)

    ours = both_ways(lambda x, y: supple.torch.soft_dtw_series(x, y, 1.0), inputs)
    return ours, [Peer("tslearn, SoftDTWLossPyTorch", "tslearn", tslearn, 1e-3)]


def _arrays(n: int) -> Tuple[Run, List[Peer]]:
    inputs = arrays([(normal(16, n, 1).double(), normal(16, n, 1, seed=1).double())])

    def tslearn() -> Run:
        from tslearn.metrics import soft_dtw

        def each(x: Any, y: Any) -> Any:
            return np.array([soft_dtw(a, b, gamma=1.0) for a, b in zip(x, y)])

        return forward(each, inputs)

    ours = forward(lambda x, y: supple.soft_dtw_series(x, y, 1.0), inputs)
    return ours, [Peer("tslearn, soft_dtw in a loop", "tslearn", tslearn, 1e-9)]
