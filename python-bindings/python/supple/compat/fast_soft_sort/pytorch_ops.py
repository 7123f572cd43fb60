"""``fast_soft_sort.pytorch_ops``: soft sorting and ranking of PyTorch tensors along the last axis.

What differs from the original:

* tensors of any number of axes, not two only;
* the type of the values is kept: the original's ``soft_sort`` returns ``float64`` for ``float32``;
* second derivatives, which are right; the original has none.
"""

from __future__ import annotations

from torch import Tensor

from ... import torch as _supple
from .._tensors import as_given
from .._words import descending, positive, regularization as _regularization


def soft_rank(
    values: Tensor, direction: str = "ASCENDING", regularization_strength: float = 1.0, regularization: str = "l2"
) -> Tensor:
    """Soft ranks along the last axis, from 1; the shape of ``values``.

    * ``direction``: ``"ASCENDING"``, where the smallest has rank 1, or ``"DESCENDING"``.
    * ``regularization_strength``: the distance at which values stop to share ranks, Supple's ``softness``.
    * ``regularization``: ``"l2"`` or ``"kl"``.
    """
    strength = positive("soft_rank", "regularization_strength", regularization_strength)
    kind = _regularization("soft_rank", regularization)
    return as_given(_supple.soft_rank(values, strength, kind, descending("soft_rank", direction)), values)


def soft_sort(
    values: Tensor, direction: str = "ASCENDING", regularization_strength: float = 1.0, regularization: str = "l2"
) -> Tensor:
    """Values softly sorted along the last axis; the shape of ``values``.

    * ``direction``: ``"ASCENDING"`` or ``"DESCENDING"``.
    * ``regularization_strength``: one over the distance at which values start to mix, Supple's ``softness``.
    * ``regularization``: ``"l2"`` or ``"kl"``.
    """
    strength = positive("soft_sort", "regularization_strength", regularization_strength)
    kind = _regularization("soft_sort", regularization)
    return as_given(_supple.soft_sort(values, strength, kind, descending("soft_sort", direction)), values)


__all__ = ["soft_rank", "soft_sort"]
