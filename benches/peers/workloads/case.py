"""What a workload is, and what the families share: data, and a function with its backward pass as one call."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any, Callable, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

#: A call to be timed. It returns its answers, as tensors or arrays, to be compared.
Run = Callable[[], Sequence[Any]]


class Missing(Exception):
    """There is no such function here: the reason."""


@dataclass(frozen=True)
class Peer:
    """Another implementation of the same function, or with ``tolerance=None`` another function to measure beside.

    ``make`` imports what it needs and returns the call. ``tolerance`` is the largest relative error of an answer.
    ``reference`` makes the same call in double precision, for a peer whose single precision goes wrong: Supple is
    compared with that.
    """

    name: str
    package: str
    make: Callable[[], Run]
    tolerance: Optional[float] = None
    reference: Optional[Callable[[], Run]] = None


@dataclass(frozen=True)
class Workload:
    """``build`` makes the data, Supple's call and the peers. ``size`` is rows × elements."""

    name: str
    size: str
    build: Callable[[], Tuple[Run, List[Peer]]]


def both_ways(function: Callable[..., Any], inputs: Sequence[Sequence[Tensor]]) -> Run:
    """Forward, and backward to all real inputs, of the first output, in turn for each of ``inputs``."""
    turns = cycle(inputs)
    cotangents: List[Tensor] = []

    def run() -> Sequence[Tensor]:
        arguments = [x.detach().requires_grad_(x.is_floating_point()) for x in next(turns)]
        outputs = function(*arguments)
        y = outputs[0] if isinstance(outputs, tuple) else outputs
        if not cotangents:
            cotangents.append(normal(*y.shape, seed=1).to(y.dtype))
        return [y.detach(), *torch.autograd.grad(y, [x for x in arguments if x.requires_grad], cotangents[0])]

    return run


def forward(function: Callable[..., Any], inputs: Sequence[Sequence[Any]]) -> Run:
    """The first output, in turn for each of ``inputs``, none of which has a gradient."""
    turns = cycle(inputs)

    def run() -> Sequence[Any]:
        outputs = function(*next(turns))
        return [outputs[0] if isinstance(outputs, tuple) else outputs]

    return run


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Standard normal numbers, the same in every run."""
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Numbers between 0 and 1, the same in every run."""
    return torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def several(rows: int, n: int) -> List[Tuple[Tensor]]:
    """Shuffled values about one apart; many arrays of a small size, as a branch predictor learns one by heart."""
    count = 33 if rows * n < 20_000 else 1
    seeds = range(0, 2 * count, 2)
    return [(uniform(rows, n, seed=s).argsort(-1) + 0.5 * uniform(rows, n, seed=s + 1),) for s in seeds]


def normals(rows: int, n: int) -> List[Tuple[Tensor]]:
    """Standard normal numbers; as many arrays as there are of :func:`several`."""
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(rows, n, generator=generator),) for _ in several(rows, n)]


def doubled(inputs: Sequence[Sequence[Tensor]]) -> List[List[Tensor]]:
    """The first of them in double precision, the same numbers."""
    return [[x.double() for x in inputs[0]]]


def arrays(inputs: Sequence[Sequence[Tensor]]) -> List[List[Any]]:
    """The same as NumPy arrays."""
    return [[x.numpy() for x in each] for each in inputs]
