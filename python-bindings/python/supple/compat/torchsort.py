"""The functions of torchsort 0.1.10: ``import supple.compat.torchsort as torchsort``.

Ascending order, ranks from 1, and a ``regularization_strength`` that is larger for a softer answer, as there.

What differs:

* tensors of any number of axes, and the axis by ``dim``; torchsort takes two axes and works along the last;
* second derivatives are right; those of torchsort are wrong without a message;
* the compiled kernel runs on the host for now: tensors of another device are copied there and back;
* ``float32`` results do not lose digits in long rows, far from zero or at small strengths, where torchsort's do and
  its gradients of ``"kl"`` can be NaN;
* ``float16`` and ``bfloat16`` work on the host too, computed in ``float32``.

Equal values are treated alike in ``soft_rank``, and in ``soft_sort`` told apart by their position, as there.
"""

from __future__ import annotations

from torch import Tensor

from .. import torch as _supple
from ._tensors import as_given
from ._words import positive, regularization as _regularization


def soft_rank(
    values: Tensor, regularization: str = "l2", regularization_strength: float = 1.0, *, dim: int = -1
) -> Tensor:
    """Soft ranks along ``dim``, ascending from 1; the shape of ``values``.

    * ``regularization``: ``"l2"`` or ``"kl"``.
    * ``regularization_strength``: the distance at which values stop to share ranks, Supple's ``softness``.
    """
    strength = positive("soft_rank", "regularization_strength", regularization_strength)
    kind = _regularization("soft_rank", regularization)
    return as_given(_supple.soft_rank(values, strength, kind, dim=dim), values)


def soft_sort(
    values: Tensor, regularization: str = "l2", regularization_strength: float = 1.0, *, dim: int = -1
) -> Tensor:
    """Values softly sorted along ``dim``, ascending; the shape of ``values``.

    * ``regularization``: ``"l2"`` or ``"kl"``.
    * ``regularization_strength``: one over the distance at which values start to mix, Supple's ``softness``.
    """
    strength = positive("soft_sort", "regularization_strength", regularization_strength)
    kind = _regularization("soft_sort", regularization)
    return as_given(_supple.soft_sort(values, strength, kind, dim=dim), values)


__all__ = ["soft_rank", "soft_sort"]
