"""Derivatives on NumPy arrays."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import numpy as np

from ._arrays import promote
from ._core import Operator, Pullback, entries
from ._signature import Signature, signature
from ._types import Array, Lengths, Mode

_DEFAULTS: Dict[str, Dict[str, Any]] = {entry["name"]: entry["parameters"] for entry in entries()}


class Linearized:
    """The outputs of a call, and its derivatives at these inputs, which must not be changed in between."""

    def __init__(self, sig: Signature, inputs: Tuple[Array, ...], outputs: Tuple[Array, ...], pullback: Pullback) -> None:
        self._signature = sig
        self._inputs = tuple(inputs[i] for i in sig.real)
        self._pullback = pullback
        #: The outputs, in the order of the signature; the derivatives read them, so they cannot be written to.
        self.outputs = outputs
        for y in outputs:
            y.flags.writeable = False

    def __repr__(self) -> str:
        return f"<{self._signature.operator} at inputs of shapes {', '.join(str(x.shape) for x in self._inputs)}>"

    def vjp(self, *dy: Any) -> Tuple[Array, ...]:
        """``Jᵀ dy``: the gradients of ⟨dy, outputs⟩ in the real inputs, for one ``dy`` for each output; None is zero."""
        return self._pullback.vjp(self._inputs, self.outputs, self._like("dy", dy, self.outputs))

    def jvp(self, *v: Any) -> Tuple[Array, ...]:
        """``J v``: how the outputs change along ``v``, one for each real input; None is zero."""
        return self._pullback.jvp(self._inputs, self.outputs, self._like("v", v, self._inputs))

    def vjp_derivative(self, dy: Tuple[Any, ...], v: Tuple[Any, ...]) -> Tuple[Tuple[Array, ...], Tuple[Array, ...]]:
        """The derivative of ``vjp(*dy)`` along ``v``: what belongs to ``dy``, which is ``J v``, and what belongs to the inputs."""
        dy, v = self._like("dy", dy, self.outputs), self._like("v", v, self._inputs)
        return self._pullback.vjp_derivative(self._inputs, self.outputs, dy, v)

    def _like(self, name: str, given: Tuple[Any, ...], like: Tuple[Array, ...]) -> Tuple[Array, ...]:
        if len(given) != len(like):
            raise ValueError(f"{self._signature.operator}: `{name}` must be {len(like)} in number, got {len(given)}")
        return tuple(self._one(name, g, x) for g, x in zip(given, like))

    def _one(self, name: str, given: Any, like: Array) -> Array:
        if given is None:
            return np.zeros_like(like)
        (array,) = promote(self._signature.operator, [name], [False], [given])
        if array.shape not in ((), like.shape):
            raise ValueError(
                f"{self._signature.operator}: `{name}` must be a number or an array of shape {like.shape}, got shape {array.shape}"
            )
        return np.require(np.broadcast_to(array, like.shape), like.dtype, "A")


def linearize(
    operator: str,
    *inputs: Any,
    axis: Optional[int] = None,
    mode: Mode = "soft",
    lengths: Lengths = None,
    **parameters: Any,
) -> Linearized:
    """An entry of the catalogue by name, with its derivatives: ``outputs``, ``vjp``, ``jvp`` and ``vjp_derivative``.

    >>> at = supple.linearize("log_sum_exp", [0.0, 0.0], softness=1.0)
    >>> at.vjp(1.0)
    (array([0.5, 0.5]),)
    """
    if operator not in _DEFAULTS:
        raise ValueError(f"linearize: `operator` must be an entry of the catalogue, got {operator!r}")
    defaults, sig = _DEFAULTS[operator], signature(operator)
    for name in parameters:
        if name not in defaults:
            raise ValueError(f"{operator}: parameters must be among {', '.join(defaults) or 'none'}, got `{name}`")
    if len(inputs) != len(sig.inputs):
        raise ValueError(f"{operator}: inputs must be {', '.join(a.name for a in sig.inputs)}, got {len(inputs)} of them")
    arrays = promote(operator, [a.name for a in sig.inputs], [a.integer for a in sig.inputs], inputs)
    values = tuple({**defaults, **parameters}.values())
    outputs, pullback = Operator(operator, values).linearize(arrays, axis, mode, lengths)
    return Linearized(sig, arrays, outputs, pullback)
