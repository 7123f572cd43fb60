"""Sparse softmax, forward and backward, beside the entmax package and PyTorch's softmax."""

from __future__ import annotations

from functools import partial
from typing import List, Tuple

import torch

import supple.torch as supple

from .case import Peer, Run, Workload, both_ways, normal

SIZES = ((128, 1000), (32, 32_000))
TOLERANCE = 1e-4


def workloads(quick: bool) -> List[Workload]:
    """Three functions; the last has a gradient to α, one for each row."""
    sizes = SIZES[:1] if quick else SIZES
    return [
        Workload(name, f"{rows}×{n}", partial(build, rows, n))
        for name, build in (
            ("sparsemax", partial(_build, "sparsemax")),
            ("entmax15", partial(_build, "entmax15")),
            ("entmax, learnable alpha", _bisect),
        )
        for rows, n in sizes
    ]


def _build(name: str, rows: int, n: int) -> Tuple[Run, List[Peer]]:
    inputs = [(normal(rows, n),)]

    def entmax() -> Run:
        import entmax

        return both_ways(lambda x: getattr(entmax, name)(x, dim=-1), inputs)

    return both_ways(getattr(supple, name), inputs), [Peer("entmax", "entmax", entmax, TOLERANCE), *_softmax(inputs)]


def _bisect(rows: int, n: int) -> Tuple[Run, List[Peer]]:
    alpha = torch.linspace(1.1, 2.0, rows)
    inputs = [(normal(rows, n), alpha)]

    def entmax() -> Run:
        import entmax

        return both_ways(lambda x, alpha: entmax.entmax_bisect(x, alpha[:, None], dim=-1), inputs)

    peers = [Peer("entmax, entmax_bisect", "entmax", entmax, TOLERANCE), *_softmax([inputs[0][:1]])]
    return both_ways(supple.entmax, inputs), peers


def _softmax(inputs: List[Tuple[torch.Tensor]]) -> List[Peer]:
    return [Peer("torch.softmax", "torch", lambda: both_ways(lambda x: x.softmax(-1), inputs))]
