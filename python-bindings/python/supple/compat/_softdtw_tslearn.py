"""The soft-DTW of tslearn 0.10, which :mod:`supple.compat.softdtw` offers."""

from __future__ import annotations

import math
import warnings
from typing import Any, Dict, Optional, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from .. import torch as _supple
from ._softdtw import Distance, check_series, forbid, parallelogram, squared_distances, values
from ._words import choice, positive

CONSTRAINTS = {"itakura": "itakura", "sakoe_chiba": "sakoe_chiba", "": ""}


class SoftDTWLossPyTorch(torch.nn.Module):
    """Soft-DTW of batches of series.

    * ``gamma``: smoothing of the minimum over paths, Supple's ``softness``.
    * ``normalize``: less half the values of each series with itself.
    * ``dist_func``: distances (batch, n, m) of both batches; squared Euclidean by default.
    * ``global_constraint``: ``"sakoe_chiba"``, ``"itakura"`` or ``None``. ``sakoe_chiba_radius`` (1) and
      ``itakura_max_slope`` (2.0) also switch their constraint on by themselves.
    """

    def __init__(
        self,
        gamma: float = 1.0,
        normalize: bool = False,
        dist_func: Optional[Distance] = None,
        global_constraint: Optional[str] = None,
        sakoe_chiba_radius: Optional[int] = None,
        itakura_max_slope: Optional[float] = None,
    ) -> None:
        super().__init__()
        self.gamma = positive("SoftDTWLossPyTorch", "gamma", gamma)
        self.normalize = normalize
        self.dist_func: Distance = squared_distances if dist_func is None else dist_func
        self.global_constraint = global_constraint
        self.sakoe_chiba_radius = sakoe_chiba_radius
        self.itakura_max_slope = itakura_max_slope

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Values of shape (batch,) from ``x`` (batch, n, d) and ``y`` (batch, m, d)."""
        check_series("SoftDTWLossPyTorch", x, y)
        value = self._values(x, y)
        if not self.normalize:
            return value
        return value - (self._values(x, x) + self._values(y, y)) / 2

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        distance = None if self.dist_func is squared_distances else self.dist_func
        region = _region(
            "SoftDTWLossPyTorch",
            (x.shape[1], y.shape[1]),
            self.global_constraint,
            self.sakoe_chiba_radius,
            self.itakura_max_slope,
        )
        return values(x, y, self.gamma, distance, **region)


def soft_dtw(
    s1: Any,
    s2: Any,
    gamma: float = 1.0,
    global_constraint: Optional[str] = None,
    sakoe_chiba_radius: Optional[int] = None,
    itakura_max_slope: Optional[float] = None,
    be: Any = None,
    compute_with_backend: bool = False,
) -> Union[float, Tensor]:
    """Soft-DTW of two series (n, d) or (n,), squared Euclidean.

    A float, or from tensors (or with ``be="pytorch"``) a tensor with a gradient, in double precision. Rows of NaN at
    the end are left out. At ``gamma`` 0 it is the squared distance of DTW. ``compute_with_backend``, of older versions,
    changes nothing. The constraints are those of :class:`SoftDTWLossPyTorch`.
    """
    tensors = _tensors_wanted(be, s1, s2)
    region = (global_constraint, sakoe_chiba_radius, itakura_max_slope)
    value = _aligned("soft_dtw", _series(s1), _series(s2), gamma, *region)[0]
    return value if tensors else float(value.detach())


def soft_dtw_normalized(
    s1: Any,
    s2: Any,
    gamma: float = 1.0,
    global_constraint: Optional[str] = None,
    sakoe_chiba_radius: Optional[int] = None,
    itakura_max_slope: Optional[float] = None,
    be: Any = None,
) -> Union[float, Tensor]:
    """:func:`soft_dtw` less half the values of each series with itself: 0 for equal series."""
    region = (global_constraint, sakoe_chiba_radius, itakura_max_slope)
    x, y = _series(s1), _series(s2)
    xy, xx, yy = [_aligned("soft_dtw_normalized", a, b, gamma, *region)[0] for a, b in ((x, y), (x, x), (y, y))]
    value = xy - (xx + yy) / 2
    return value if _tensors_wanted(be, s1, s2) else float(value.detach())


def soft_dtw_alignment(
    s1: Any,
    s2: Any,
    gamma: float = 1.0,
    global_constraint: Optional[str] = None,
    sakoe_chiba_radius: Optional[int] = None,
    itakura_max_slope: Optional[float] = None,
    be: Any = None,
    compute_with_backend: bool = False,
) -> Tuple[Any, Union[float, Tensor]]:
    """The expected alignment (n, m) and the value of :func:`soft_dtw`."""
    region = (global_constraint, sakoe_chiba_radius, itakura_max_slope)
    value, path = _aligned("soft_dtw_alignment", _series(s1), _series(s2), gamma, *region)
    if _tensors_wanted(be, s1, s2):
        return path, value
    return path.detach().cpu().numpy(), float(value.detach())


def _aligned(
    function: str, x: Tensor, y: Tensor, gamma: float, constraint: Any, radius: Any, slope: Any
) -> Tuple[Tensor, Tensor]:
    """The value and the alignment of two series."""
    if not x.shape[0] or not y.shape[0]:
        raise ValueError(f"{function}: series must have points that are not NaN, got {x.shape[0]} and {y.shape[0]}")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"{function}: both series must have the same d, got {x.shape[1]} and {y.shape[1]}")
    region = _region(function, (x.shape[0], y.shape[0]), constraint, radius, slope)
    cost = forbid(squared_distances(x, y), region.get("allowed"))
    if not math.isclose(gamma, 0.0):
        return _supple.soft_dtw(cost, positive(function, "gamma", gamma), region.get("band"))
    path = _supple.soft_dtw(cost.detach(), band=region.get("band"), mode="hard")[1]
    value = cost[path > 0].sum() if bool(path.any()) else cost.new_tensor(math.inf)
    return value, path


def _region(function: str, sizes: Tuple[int, int], constraint: Any, radius: Any, slope: Any) -> Dict[str, Any]:
    """Where paths may go: arguments of :func:`supple.compat._softdtw.values`."""
    kind = choice(function, "global_constraint", constraint or "", CONSTRAINTS)
    if not kind and radius is not None and slope is not None:
        warnings.warn(
            f"{function}: both `sakoe_chiba_radius` and `itakura_max_slope` are given and `global_constraint` does not "
            "say which holds: neither does",
            RuntimeWarning,
            stacklevel=4,
        )
    elif kind == "sakoe_chiba" or (not kind and radius is not None):
        return {"band": 1 if radius is None else int(radius)}
    elif kind == "itakura" or (not kind and slope is not None):
        given = 2.0 if slope is None else positive(function, "itakura_max_slope", slope)
        allowed = parallelogram(*sizes, given)
        if not bool(allowed.any(0).all() and allowed.any(1).all()):
            raise ValueError(f"{function}: `itakura_max_slope` must leave a path for lengths {sizes}, got {given}")
        return {"allowed": allowed}
    return {}


def _tensors_wanted(be: Any, *series: Any) -> bool:
    """Whether the answer is a tensor, by tslearn's backend or by what was handed in."""
    if be is None:
        return any(isinstance(s, Tensor) for s in series)
    return "torch" in be.lower() if isinstance(be, str) else bool(getattr(be, "is_pytorch", False))


def _series(s: Any) -> Tensor:
    """A series (n, d) in double precision, without rows of NaN at the end."""
    x = s if isinstance(s, Tensor) else torch.as_tensor(np.asarray(s, dtype=np.float64))
    x = x.to(torch.float64)
    x = x if x.dim() > 1 else x.reshape(-1, 1)
    full = (~x.detach().isnan()).any(1).nonzero()
    return x[: int(full[-1]) + 1 if len(full) else 0]
