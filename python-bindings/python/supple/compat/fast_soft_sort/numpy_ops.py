"""``fast_soft_sort.numpy_ops``: soft and hard sorting and ranking of NumPy arrays, with derivatives by hand.

Functions for values alone, and objects with ``compute()`` and after it ``jvp(vector)``, ``vjp(vector)`` and
``jacobian()``.

What differs from the original:

* any leading axes are batch, and ``jacobian()`` then has one matrix for each item;
* ``float32`` stays ``float32``: the original's ``soft_sort`` returns ``float64`` for it;
* blocks of the solution are remembered, not found again by comparing floats, so that derivatives are right at any
  scale of the data; blocks that just touch count as one;
* ``Projection`` takes weights in any order, the original only falling ones;
* ``isotonic_kl`` takes an ``input_w`` of a span below 700, in ``float32`` below 80: its exponentials are weights here.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np
from numpy.typing import ArrayLike

from ..._core import Operator, Pullback
from ..._types import Array
from .._words import descending, positive, regularization as _regularization


class _Differentiable:
    """``compute``, and derivatives in the first of the inputs of an operator."""

    #: The array that derivatives are in.
    _x: Array
    _inputs: Tuple[Array, ...]
    _outputs: Tuple[Array, ...]
    _operator: Operator
    _pullback: Optional[Pullback] = None

    @property
    def size(self) -> int:
        """The number of values."""
        return int(self._x.shape[-1])

    def compute(self) -> Array:
        """The result; needed before its derivatives."""
        self._outputs, self._pullback = self._operator.linearize(self._inputs)
        return self._outputs[0]

    def jvp(self, vector: ArrayLike) -> Array:
        """The Jacobian times a vector."""
        rest = tuple(np.zeros_like(x) for x in self._inputs[1:])
        (y,) = self._at().jvp(self._inputs, self._outputs, (self._like_x(vector), *rest))
        return y

    def vjp(self, vector: ArrayLike) -> Array:
        """A vector times the Jacobian."""
        return self._at().vjp(self._inputs, self._outputs, (self._like_x(vector),))[0]

    def jacobian(self) -> Array:
        """The Jacobian: rows are outputs, columns values."""
        return np.stack([self.jvp(row) for row in np.eye(self.size)], axis=-1)

    def _at(self) -> Pullback:
        if self._pullback is None:
            raise ValueError(f"{type(self).__name__}: need to run compute() first")
        return self._pullback

    def _like_x(self, vector: ArrayLike) -> Array:
        x = self._inputs[0]
        return np.ascontiguousarray(np.broadcast_to(np.asarray(vector, dtype=x.dtype), x.shape))


class SoftRank(_Differentiable):
    """Soft ranks from 1: :func:`soft_rank` with derivatives."""

    def __init__(
        self,
        values: ArrayLike,
        direction: str = "ASCENDING",
        regularization_strength: float = 1.0,
        regularization: str = "l2",
    ) -> None:
        self.values = np.asarray(values)
        strength = positive("SoftRank", "regularization_strength", regularization_strength)
        kind = _regularization("SoftRank", regularization)
        self._x = _floats(self.values)
        self._inputs = (self._x,)
        self._operator = Operator("soft_rank", (strength, kind, descending("SoftRank", direction)))


class SoftSort(_Differentiable):
    """Softly sorted values: :func:`soft_sort` with derivatives."""

    def __init__(
        self,
        values: ArrayLike,
        direction: str = "ASCENDING",
        regularization_strength: float = 1.0,
        regularization: str = "l2",
    ) -> None:
        self.values = np.asarray(values)
        strength = positive("SoftSort", "regularization_strength", regularization_strength)
        kind = _regularization("SoftSort", regularization)
        self._x = _floats(self.values)
        self._inputs = (self._x,)
        self._operator = Operator("soft_sort", (strength, kind, descending("SoftSort", direction)))


class Projection(_Differentiable):
    """Nearest point of the hull of all permutations of ``input_w``, by default ``n, …, 1``.

    In the ``"kl"`` form, ``input_w`` and the result are logarithms.
    """

    def __init__(self, input_theta: ArrayLike, input_w: Optional[ArrayLike] = None, regularization: str = "l2") -> None:
        self.input_theta = np.asarray(input_theta)
        self.input_w = _falling(self.input_theta) if input_w is None else np.asarray(input_w)
        self._x = _floats(self.input_theta)
        self._inputs = (self._x, _weights(self.input_w, self._x))
        self._operator = Operator("permutahedron_projection", (_regularization("Projection", regularization),))


class Isotonic(_Differentiable):
    """The falling sequence ``v`` nearest to ``input_s - input_w``, with derivatives in ``input_s``.

    ``"l2"`` has the least squares, ``"kl"`` the least ``sum(exp(input_s - v)) + sum(exp(input_w) * v)``.
    """

    def __init__(self, input_s: ArrayLike, input_w: ArrayLike, regularization: str = "l2") -> None:
        self.input_s = np.asarray(input_s)
        self.input_w = np.asarray(input_w)
        self.regularization = regularization
        kind = _regularization("Isotonic", regularization)
        self._x = _floats(self.input_s)
        w = _weights(self.input_w, self._x)
        # Weights e^w count relative to one another.
        weights = np.ones_like(w) if kind == "l2" else np.exp(w - w.max(axis=-1, keepdims=True, initial=-np.inf))
        self._inputs = (self._x - w, weights)
        self._operator = Operator("isotonic_regression", (kind, True))


class Sort(_Differentiable):
    """Hard sorting: :func:`sort` with derivatives."""

    def __init__(self, values: ArrayLike, direction: str = "ASCENDING") -> None:
        self.values = self._x = np.asarray(values)
        self._descending = descending("Sort", direction)
        self.permutation_: Optional[np.ndarray] = None

    def compute(self) -> Array:
        """The sorted values; needed before their derivatives."""
        if self._descending:
            self.permutation_ = np.argsort(self.values, axis=-1, kind="stable")[..., ::-1]
        else:
            backwards = np.argsort(self.values[..., ::-1], axis=-1, kind="stable")
            self.permutation_ = self.values.shape[-1] - 1 - backwards
        return np.take_along_axis(self.values, self.permutation_, axis=-1)

    def jvp(self, vector: ArrayLike) -> Array:
        """The vector in the order of the values."""
        return self._take(vector, self._order())

    def vjp(self, vector: ArrayLike) -> Array:
        """The vector from that order back to the order that the values had."""
        return self._take(vector, np.argsort(self._order(), axis=-1))

    def _order(self) -> np.ndarray:
        if self.permutation_ is None:
            raise ValueError("Sort: need to run compute() first")
        return self.permutation_

    @staticmethod
    def _take(vector: ArrayLike, order: np.ndarray) -> Array:
        return np.take_along_axis(np.broadcast_to(np.asarray(vector), order.shape), order, axis=-1)


def soft_rank(
    values: ArrayLike, direction: str = "ASCENDING", regularization_strength: float = 1.0, regularization: str = "l2"
) -> Array:
    """Soft ranks along the last axis, from 1; the shape of ``values``.

    * ``direction``: ``"ASCENDING"``, where the smallest has rank 1, or ``"DESCENDING"``.
    * ``regularization_strength``: the distance at which values stop to share ranks, Supple's ``softness``.
    * ``regularization``: ``"l2"`` or ``"kl"``.
    """
    return SoftRank(values, direction, regularization_strength, regularization).compute()


def soft_sort(
    values: ArrayLike, direction: str = "ASCENDING", regularization_strength: float = 1.0, regularization: str = "l2"
) -> Array:
    """Values softly sorted along the last axis; the shape of ``values``.

    * ``direction``: ``"ASCENDING"`` or ``"DESCENDING"``.
    * ``regularization_strength``: one over the distance at which values start to mix, Supple's ``softness``.
    * ``regularization``: ``"l2"`` or ``"kl"``.
    """
    return SoftSort(values, direction, regularization_strength, regularization).compute()


def sort(values: ArrayLike, direction: str = "ASCENDING") -> Array:
    """Values sorted along the last axis, ``"ASCENDING"`` or ``"DESCENDING"``; shape and type of ``values``."""
    return Sort(values, direction).compute()


def rank(values: ArrayLike, direction: str = "ASCENDING") -> Array:
    """Ranks along the last axis as whole numbers from 1; of equal values, the first has the lower ascending rank."""
    order = np.argsort(np.asarray(values), axis=-1, kind="stable")
    if descending("rank", direction):
        order = order[..., ::-1]
    return np.argsort(order, axis=-1) + 1


def isotonic_l2(input_s: ArrayLike, input_w: Optional[ArrayLike] = None) -> Array:
    """The falling sequence nearest to ``input_s - input_w`` in least squares; ``input_w`` is ``n, …, 1`` by default."""
    return Isotonic(input_s, _falling(np.asarray(input_s)) if input_w is None else input_w).compute()


def isotonic_kl(input_s: ArrayLike, input_w: Optional[ArrayLike] = None) -> Array:
    """The falling ``v`` with the least ``sum(exp(input_s - v)) + sum(exp(input_w) * v)``; ``input_w`` as before."""
    return Isotonic(input_s, _falling(np.asarray(input_s)) if input_w is None else input_w, "kl").compute()


def _floats(x: np.ndarray) -> Array:
    """``float32`` or ``float64``, as it computes."""
    return np.ascontiguousarray(x, dtype=np.float32 if x.dtype in (np.float16, np.float32) else np.float64)


def _falling(x: np.ndarray) -> Array:
    return np.arange(x.shape[-1], 0, -1)


def _weights(w: np.ndarray, x: Array) -> Array:
    return np.ascontiguousarray(np.broadcast_to(w, x.shape), dtype=x.dtype)


__all__ = [
    "Isotonic",
    "Projection",
    "SoftRank",
    "SoftSort",
    "Sort",
    "isotonic_kl",
    "isotonic_l2",
    "rank",
    "soft_rank",
    "soft_sort",
    "sort",
]
