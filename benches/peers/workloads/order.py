"""Soft ranks and soft sorting by projection onto the permutahedron, forward and backward, beside torchsort and the
hard functions. A torchsort strength is Supple's softness; its ``"kl"`` is ``"entropic"``."""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

import supple.torch as supple

from .case import Peer, Run, Workload, arrays, both_ways, doubled, forward, normals, several

SIZES = ((128, 100), (32, 1000), (4, 10_000), (1, 100_000), (1, 1_000_000))
#: In rows of n values about one apart, what makes about every second pair of neighbours pool, which takes longest.
SOFTNESS: Dict[Tuple[str, str], Callable[[int], float]] = {
    ("soft_rank", "l2"): lambda n: 0.9,
    ("soft_sort", "l2"): lambda n: 0.9,
    ("soft_rank", "entropic"): lambda n: 0.5 * n,
    ("soft_sort", "entropic"): lambda n: 0.9,
}
#: Of Supple's f32 beside torchsort's f64. In f32, torchsort finds other blocks in long rows, and so other gradients.
TOLERANCE = 1e-4


def workloads(quick: bool) -> List[Workload]:
    """All sizes of the L2 form where it takes longest and as torchsort's documentation has it, one of the entropic."""
    sizes = SIZES[:3] if quick else SIZES
    forms = [("l2", size) for size in sizes] + [("entropic", SIZES[1])]
    longest = [
        Workload(f"{name} {form}", f"{rows}×{n}", partial(_build, name, form, rows, n, several, SOFTNESS[name, form](n)))
        for name in ("soft_rank", "soft_sort")
        for form, (rows, n) in forms
    ]
    usual = [
        Workload("soft_rank l2, usual", f"{rows}×{n}", partial(_build, "soft_rank", "l2", rows, n, normals, 1.0))
        for rows, n in sizes
    ]
    return longest + usual


def _build(
    name: str, form: str, rows: int, n: int, data: Callable[[int, int], List[Tuple[Tensor]]], softness: float
) -> Tuple[Run, List[Peer]]:
    inputs = data(rows, n)
    ours = both_ways(lambda x: getattr(supple, name)(x, softness, form), inputs)

    def torchsort(inputs: Sequence[Sequence[Tensor]]) -> Run:
        import torchsort

        strength = {"regularization": "kl" if form == "entropic" else "l2", "regularization_strength": softness}
        return both_ways(lambda x: getattr(torchsort, name)(x, **strength), inputs)

    hard = np.argsort if name == "soft_rank" else np.sort
    return ours, [
        Peer("torchsort", "torchsort", partial(torchsort, inputs), TOLERANCE, partial(torchsort, doubled(inputs))),
        Peer("torch.sort, hard", "torch", lambda: forward(torch.sort, inputs)),
        Peer(f"np.{hard.__name__}, hard", "numpy", lambda: forward(hard, arrays(inputs))),
    ]
