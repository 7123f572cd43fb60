"""Soft dynamic time warping of pytorch-softdtw-cuda and tslearn: ``from supple.compat.softdtw import SoftDTW``.

``SoftDTW`` stands for ``from soft_dtw_cuda import SoftDTW``; ``SoftDTWLossPyTorch``, ``soft_dtw``,
``soft_dtw_normalized`` and ``soft_dtw_alignment`` for those of ``tslearn.metrics`` 0.10. The class of pysdtw has other
arguments under the same name: see :mod:`supple.compat.pysdtw`.

What differs:

* second derivatives are right; the originals refuse them or go wrong;
* ``use_cuda`` is taken and changes nothing: the kernel runs on the host for now, and tensors of another device are
  copied there and back. There is no limit of 1024 points;
* ``normalize`` takes series of different lengths; whole numbers give floats;
* bad input, and a parallelogram that leaves no path, raise ``ValueError``; two constraints of tslearn without a choice
  between them warn;
* a band that no path can pass gives an infinite value and a zero gradient, where the original's gradient is NaN.

The distance is the *squared* Euclidean one, as there. Values may be negative, as soft-DTW is; ``normalize`` subtracts
the self-terms.
"""

from __future__ import annotations

import math
from typing import Optional

import torch
from torch import Tensor

from ._softdtw import Distance, check_series, diagonal_band, is_limit, squared_distances, values
from ._softdtw_tslearn import SoftDTWLossPyTorch, soft_dtw, soft_dtw_alignment, soft_dtw_normalized
from ._words import positive


class SoftDTW(torch.nn.Module):
    """Soft-DTW of batches of series.

    * ``use_cuda``: taken, without effect.
    * ``gamma``: smoothing of the minimum over paths, Supple's ``softness``.
    * ``normalize``: less half the values of each series with itself.
    * ``bandwidth``: paths stay within ``|i - j| <= bandwidth``; ``None`` and 0 are no limit. Series whose lengths
      differ by more have no path, and an infinite value.
    * ``dist_func``: distances (batch, n, m) of both batches; squared Euclidean by default.
    """

    def __init__(
        self,
        use_cuda: bool,
        gamma: float = 1.0,
        normalize: bool = False,
        bandwidth: Optional[float] = None,
        dist_func: Optional[Distance] = None,
    ) -> None:
        super().__init__()
        self.use_cuda = use_cuda
        self.gamma = positive("SoftDTW", "gamma", gamma)
        self.normalize = normalize
        self.bandwidth = 0.0 if bandwidth is None else float(bandwidth)
        self.dist_func: Distance = squared_distances if dist_func is None else dist_func

    def forward(self, X: Tensor, Y: Tensor) -> Tensor:
        """Values of shape (batch,) from ``X`` (batch, n, d) and ``Y`` (batch, m, d)."""
        check_series("SoftDTW", X, Y)
        value = self._values(X, Y)
        if not self.normalize:
            return value
        return value - (self._values(X, X) + self._values(Y, Y)) / 2

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        distance = None if self.dist_func is squared_distances else self.dist_func
        n, m = x.shape[1], y.shape[1]
        if not is_limit(self.bandwidth):
            return values(x, y, self.gamma, distance)
        if n == m:
            return values(x, y, self.gamma, distance, band=math.floor(self.bandwidth))
        return values(x, y, self.gamma, distance, allowed=diagonal_band(n, m, self.bandwidth))


__all__ = ["SoftDTW", "SoftDTWLossPyTorch", "soft_dtw", "soft_dtw_alignment", "soft_dtw_normalized"]
