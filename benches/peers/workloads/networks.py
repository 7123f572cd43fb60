"""Sorting networks, forward and backward, beside diffsort and difftopk. A steepness is one over Supple's softness.

diffsort always makes the matrix; Supple sorts values without it, so there is one workload for the values and one for
the matrix.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Tuple

import torch

import supple.torch as supple

from .case import Peer, Run, Workload, both_ways, forward, several

SOFTNESS = 0.5
#: Both are f32: near 1000, a difference of values has an error of 1e-4 of the softness. In f64 they agree to 1e-12.
TOLERANCE = 5e-3


def workloads(quick: bool) -> List[Workload]:
    """Bitonic and odd-even networks of Cauchy steps, and the columns of the five largest."""
    sizes = (("bitonic", 128), ("odd_even", 32)) if quick else (("bitonic", 1024), ("odd_even", 256))
    matrices = [(network, min(n, 256)) for network, n in sizes]
    few = 64 if quick else 256
    return [
        *(Workload(f"sorting_network {network}", f"16×{n}", partial(_sort, network, n)) for network, n in sizes),
        *(Workload(f"its matrix {network}", f"16×{n}", partial(_matrix, network, n)) for network, n in matrices),
        Workload("top-k network bitonic, k = 5", f"16×{few}", partial(_top_k, few)),
    ]


def _diffsort(network: str, n: int) -> Any:
    import diffsort

    return diffsort.DiffSortNet(network, n, steepness=1 / SOFTNESS, distribution="cauchy")


def _sort(network: str, n: int) -> Tuple[Run, List[Peer]]:
    inputs = several(16, n)
    ours = both_ways(lambda x: supple.sorting_network(x, SOFTNESS, network, "cauchy"), inputs)  # type: ignore[arg-type]
    return ours, [
        Peer("diffsort", "diffsort", lambda: both_ways(_diffsort(network, n), inputs), TOLERANCE),
        Peer("torch.sort, hard", "torch", lambda: forward(torch.sort, inputs)),
    ]


def _matrix(network: str, n: int) -> Tuple[Run, List[Peer]]:
    inputs = several(16, n)

    def diffsort() -> Run:
        net = _diffsort(network, n)
        return both_ways(lambda x: net(x)[1].mT, inputs)

    matrix = supple.sorting_network_permutation
    ours = both_ways(lambda x: matrix(x, SOFTNESS, network, "cauchy"), inputs)  # type: ignore[arg-type]
    return ours, [Peer("diffsort", "diffsort", diffsort, TOLERANCE)]


def _top_k(n: int) -> Tuple[Run, List[Peer]]:
    import supple.compat.difftopk as compat

    inputs = several(16, n)
    options: Dict[str, Any] = {"steepness": 1 / SOFTNESS, "distribution": "cauchy"}

    def difftopk() -> Run:
        import difftopk

        net = difftopk.DiffTopkNet("bitonic", n, 5, **options)
        return both_ways(lambda x: net(x)[1], inputs)

    net = compat.DiffTopkNet("bitonic", n, 5, **options)
    ours = both_ways(lambda x: net(x)[1], inputs)
    return ours, [Peer("difftopk", "difftopk", difftopk, TOLERANCE)]
