"""``fast_soft_sort.jax_ops``: soft sorting and ranking of JAX arrays along the last axis.

What differs from the original:

* arrays of any number of axes, not two only;
* the functions work under ``jax.jit`` and ``jax.vmap``; the original's need concrete values.
"""

from __future__ import annotations

from typing import Any

from ... import jax as _supple
from .._words import descending, positive, regularization as _regularization


def soft_rank(
    values: Any, direction: str = "ASCENDING", regularization_strength: float = 1.0, regularization: str = "l2"
) -> Any:
    """Soft ranks along the last axis, from 1; the shape of ``values``.

    * ``direction``: ``"ASCENDING"``, where the smallest has rank 1, or ``"DESCENDING"``.
    * ``regularization_strength``: the distance at which values stop to share ranks, Supple's ``softness``.
    * ``regularization``: ``"l2"`` or ``"kl"``.
    """
    strength = positive("soft_rank", "regularization_strength", regularization_strength)
    kind = _regularization("soft_rank", regularization)
    return _supple.soft_rank(values, strength, kind, descending("soft_rank", direction))


def soft_sort(
    values: Any, direction: str = "ASCENDING", regularization_strength: float = 1.0, regularization: str = "l2"
) -> Any:
    """Values softly sorted along the last axis; the shape of ``values``.

    * ``direction``: ``"ASCENDING"`` or ``"DESCENDING"``.
    * ``regularization_strength``: one over the distance at which values start to mix, Supple's ``softness``.
    * ``regularization``: ``"l2"`` or ``"kl"``.
    """
    strength = positive("soft_sort", "regularization_strength", regularization_strength)
    kind = _regularization("soft_sort", regularization)
    return _supple.soft_sort(values, strength, kind, descending("soft_sort", direction))


__all__ = ["soft_rank", "soft_sort"]
