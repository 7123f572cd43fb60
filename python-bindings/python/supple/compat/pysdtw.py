"""Soft dynamic time warping of pysdtw 0.0.5: ``import supple.compat.pysdtw as pysdtw``.

What differs:

* second derivatives are right; the original's kernels have none;
* ``use_cuda`` is taken and changes nothing: the kernel runs on the host for now, and tensors of another device are
  copied there and back;
* packed sequences together with a band have right gradients, where the original's are NaN.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Dict, Optional, Tuple, Union

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from .. import torch as _supple
from ._softdtw import Distance, check_series, forbid, is_limit, squared_distances, stretched_band
from ._tensors import as_given
from ._words import positive

Series = Union[Tensor, PackedSequence]


def pairwise_l2_squared(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances (batch, n, m) by expanding the square: less memory, and less exact far from zero."""
    norms = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1).unsqueeze(-2)
    return (norms - 2.0 * torch.bmm(x, y.mT)).clamp_min(0.0)


def pairwise_l2_squared_exact(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances (batch, n, m) from differences."""
    return squared_distances(x, y)


#: The distances, as ``pysdtw.distance`` has them.
distance = SimpleNamespace(
    pairwise_l2_squared=pairwise_l2_squared, pairwise_l2_squared_exact=pairwise_l2_squared_exact
)


class SoftDTW(torch.nn.Module):
    """Soft-DTW of batches of series, which may be packed sequences of different lengths.

    * ``gamma``: smoothing of the minimum over paths, Supple's ``softness``.
    * ``dist_func``: distances (batch, n, m) of both batches; :func:`pairwise_l2_squared` by default.
    * ``use_cuda``: taken, without effect.
    * ``bandwidth``: how far paths may be from the straight line to the last cell, in steps of the longer series;
      ``None`` and 0 are no limit.
    """

    def __init__(
        self,
        gamma: float = 1.0,
        dist_func: Optional[Distance] = None,
        use_cuda: bool = True,
        bandwidth: Optional[float] = None,
    ) -> None:
        super().__init__()
        self.gamma = positive("SoftDTW", "gamma", gamma)
        self.bandwidth = 0.0 if bandwidth is None else float(bandwidth)
        self.dist_func: Distance = pairwise_l2_squared if dist_func is None else dist_func
        self.use_cuda = use_cuda

    def forward(self, X: Series, Y: Series) -> Tensor:
        """Values of shape (batch,) from ``X`` (batch, n, d) and ``Y`` (batch, m, d)."""
        (x, n), (y, m) = _padded(X), _padded(Y)
        check_series("SoftDTW", x, y)
        cost = self.dist_func(x, y)
        if is_limit(self.bandwidth):
            cost = forbid(cost, _bands(n, m, cost, self.bandwidth))
        lengths: Optional[Dict[str, Tensor]] = None
        if isinstance(X, PackedSequence) or isinstance(Y, PackedSequence):
            lengths = {"m": n, "n": m}  # Supple calls the rows m
        return as_given(_supple.soft_dtw(cost, self.gamma, lengths=lengths)[0], cost)


def _padded(x: Series) -> Tuple[Tensor, Tensor]:
    """A batch of series, and their lengths."""
    if isinstance(x, PackedSequence):
        return pad_packed_sequence(x, batch_first=True)
    if x.dim() != 3:
        raise ValueError(f"SoftDTW: series must have shape (batch, length, d), got {x.dim()} axes")
    return x, torch.full((x.shape[0],), x.shape[1])


def _bands(n: Tensor, m: Tensor, cost: Tensor, bandwidth: float) -> Tensor:
    """The allowed cells of each item, shape of ``cost``; all of its padding."""
    allowed = torch.ones(cost.shape, dtype=torch.bool)
    for item, (rows, columns) in enumerate(zip(n.tolist(), m.tolist())):
        allowed[item, :rows, :columns] = stretched_band(rows, columns, bandwidth)
    return allowed


__all__ = ["SoftDTW", "distance", "pairwise_l2_squared", "pairwise_l2_squared_exact"]
