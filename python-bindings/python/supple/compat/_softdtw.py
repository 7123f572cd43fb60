"""What the modules of soft dynamic time warping have in common: the values, and the bands of the peers."""

from __future__ import annotations

import math
from typing import Callable, Optional

import torch
from torch import Tensor

from .. import torch as _supple

Distance = Callable[[Tensor, Tensor], Tensor]


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances of ``x`` (..., n, d) and ``y`` (..., m, d), as (..., n, m)."""
    return (x.unsqueeze(-2) - y.unsqueeze(-3)).square().sum(-1)


def check_series(function: str, x: Tensor, y: Tensor) -> None:
    """Refuse what is no pair of batches of series."""
    if x.dim() != 3 or y.dim() != 3:
        raise ValueError(f"{function}: series must have shape (batch, length, d), got {x.dim()} and {y.dim()} axes")
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[2]:
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"{function}: both series must have the same batch size and the same d, got {shapes}")


def values(
    x: Tensor,
    y: Tensor,
    gamma: float,
    distance: Optional[Distance] = None,
    band: Optional[int] = None,
    allowed: Optional[Tensor] = None,
) -> Tensor:
    """Soft-DTW of each pair, shape (batch,).

    * ``distance``: gives (batch, n, m) from both batches; squared Euclidean where it is ``None``.
    * ``band``: Supple's radius. ``allowed``: the cells that a path may visit, shape (n, m).
    """
    if distance is None and allowed is None:
        value = _supple.soft_dtw_series(x, y, gamma, band)[0]
    else:
        cost = (squared_distances if distance is None else distance)(x, y)
        value = _supple.soft_dtw(forbid(cost, allowed), gamma, band)[0]
    dtype = torch.promote_types(x.dtype, y.dtype)
    return value.to(dtype) if dtype.is_floating_point else value


def forbid(cost: Tensor, allowed: Optional[Tensor]) -> Tensor:
    """``cost``, infinite in the cells that are not allowed."""
    return cost if allowed is None else cost.masked_fill(~allowed.to(cost.device), math.inf)


def is_limit(bandwidth: float) -> bool:
    """Whether a bandwidth of the peers forbids anything: 0 and less, infinity and NaN do not."""
    return 0.0 < bandwidth < math.inf


def diagonal_band(n: int, m: int, bandwidth: float) -> Tensor:
    """The cells with \\|i - j\\| at most ``bandwidth``, for unequal lengths too."""
    return (torch.arange(n).unsqueeze(1) - torch.arange(m)).abs() <= bandwidth


def stretched_band(n: int, m: int, bandwidth: float) -> Tensor:
    """The cells near the straight line to the last cell, counted from 1 in steps of the longer series."""
    longer = max(n, m)
    i = torch.arange(1, n + 1, dtype=torch.float64).unsqueeze(1) * longer / n
    j = torch.arange(1, m + 1, dtype=torch.float64) * longer / m
    return (i - j).abs() <= bandwidth


def parallelogram(n: int, m: int, slope: float) -> Tensor:
    """Itakura's parallelogram, its bounds rounded to two digits as in tslearn."""
    steepest, flattest = slope * n / m, n / (slope * m)
    j = torch.arange(m, dtype=torch.float64)
    lower = torch.maximum(flattest * j, n - 1 - steepest * (m - 1 - j)).mul(100).round().div(100).ceil()
    upper = torch.minimum(steepest * j, n - 1 - flattest * (m - 1 - j)).mul(100).round().div(100).floor()
    i = torch.arange(n, dtype=torch.float64).unsqueeze(1)
    return (lower <= i) & (i <= upper)
