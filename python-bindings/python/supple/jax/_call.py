"""One call of an operator on NumPy's arrays: its outputs and their derivatives, found anew each time."""

from __future__ import annotations

import functools
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .._core import Operator
from .._signature import Signature, seeded, signature

Shapes = Tuple[Tuple[int, ...], ...]

#: What each function of a call takes beside its base, as many as there are real inputs (``x``) or outputs (``y``), and
#: what it gives. ``second`` is the derivative of ``jvp``, which is never computed.
KINDS: Dict[str, Tuple[str, str]] = {
    "apply": ("", "y"),
    "jvp": ("x", "y"),
    "vjp": ("y", "x"),
    "hvp": ("yx", "x"),
    "second": ("xx", "y"),
}


class Call(NamedTuple):
    """All of a call that is known when a function is traced.

    The rest are its operands: first its base, which is inputs, lengths and seed, then tangents and cotangents.
    """

    operator: str
    #: In the order of the catalogue, with None for a seed.
    parameters: Tuple[Any, ...]
    mode: str
    #: The symbols of ``lengths``.
    symbols: Tuple[str, ...]
    #: Whether there is a seed, two words of ``uint32``.
    seeded: bool

    @property
    def signature(self) -> Signature:
        return signature(self.operator)

    def split(self, kind: str, operands: Sequence[Any]) -> Tuple[Sequence[Any], List[Sequence[Any]]]:
        """The base, and a list for each group."""
        sig = self.signature
        start = len(sig.inputs) + len(self.symbols) + self.seeded
        base, groups = operands[:start], []
        for group in KINDS[kind][0]:
            count = len(sig.real) if group == "x" else len(sig.outputs)
            groups.append(operands[start : start + count])
            start += count
        return base, groups

    def real(self, base: Sequence[Any]) -> List[Any]:
        """The real inputs."""
        return [base[i] for i in self.signature.real]

    def refuse(self, kind: str) -> None:
        """Raises where derivatives do not exist."""
        gradient = Operator(self.operator, self.parameters).gradient
        if kind == "second":
            raise NotImplementedError(
                f"{self.operator}: forward over forward mode is not available: take forward over reverse, "
                "as jax.hessian does"
            )
        if kind in ("jvp", "hvp") and gradient in ("stochastic", "surrogate"):
            what = "jvp" if kind == "jvp" else "a second derivative"
            raise NotImplementedError(
                f"{self.operator}: {what} is not available: its gradient is {gradient}, "
                "not the derivative of its output"
            )


def shapes(call: Call, kind: str, operands: Sequence[Sequence[int]], directions: Optional[int]) -> Shapes:
    """The shapes of results for operands of these shapes. Bad parameters and shapes raise here."""
    base, _ = call.split(kind, operands)
    results = tuple(call.real(base)) if KINDS[kind][1] == "x" else _outputs(call, tuple(base))
    return results if directions is None else tuple((directions, *shape) for shape in results)


@functools.lru_cache(maxsize=4096)
def _outputs(call: Call, base: Shapes) -> Shapes:
    sig = call.signature
    operator = Operator(call.operator, call.parameters)
    inputs = base[: len(sig.inputs)]
    lengths = base[len(inputs) : len(inputs) + len(call.symbols)]
    batch = [shape[:axes] for shape, axes in zip(inputs, sig.batch_ranks([len(shape) for shape in inputs]))]

    def check(inputs: Sequence[Sequence[int]], lengths: Sequence[Sequence[int]]) -> None:
        operator(
            tuple(np.broadcast_to(np.zeros((), int if a.integer else float), s) for a, s in zip(sig.inputs, inputs)),
            None,
            call.mode,
            {symbol: np.broadcast_to(0, shape) for symbol, shape in zip(call.symbols, lengths)} or None,
        )

    try:
        whole = np.broadcast_shapes(*batch)
        if np.broadcast_shapes(whole, *lengths) != whole:
            raise ValueError(f"{call.operator}: `lengths` must be broadcastable to batch shape {whole}")
        # Without items there is nothing to compute.
        check([(0, *shape[len(axes) :]) for shape, axes in zip(inputs, batch)], [(0,)] * len(lengths))
    except ValueError:
        # The same with the shapes that were given, for the message.
        check(inputs, lengths)
        raise
    return tuple(sig.shapes(base[: len(sig.inputs)], operator.size))


def compute(call: Call, kind: str, operands: Sequence[np.ndarray], directions: Optional[int]) -> Sequence[Any]:
    """The results, with an axis in front of those and of all tangents and cotangents where there are ``directions``."""
    sig = call.signature
    base, groups = call.split(kind, operands)
    inputs = tuple(base[: len(sig.inputs)])
    parameters = call.parameters
    if call.seeded:
        low, high = base[-1]
        parameters = seeded(sig, parameters, lambda: int(low) | int(high) << 32)
    operator = Operator(call.operator, parameters)
    lengths = dict(zip(call.symbols, base[len(inputs) :])) or None
    if kind == "apply":
        y = operator(inputs, None, call.mode, lengths)
        return y if isinstance(y, tuple) else (y,)
    call.refuse(kind)
    x = tuple(call.real(inputs))
    y, pullback = operator.linearize(inputs, None, call.mode, lengths)

    def one(along: Sequence[Tuple[np.ndarray, ...]]) -> Sequence[np.ndarray]:
        if kind == "jvp":
            return pullback.jvp(x, y, along[0])
        if kind == "vjp":
            return pullback.vjp(x, y, along[0])
        return pullback.vjp_derivative(x, y, along[0], along[1])[1]

    if directions is None:
        return one([tuple(group) for group in groups])
    if not directions:
        return [np.zeros((0, *like.shape), like.dtype) for like in (y if KINDS[kind][1] == "y" else x)]
    each = [one([tuple(a[i, ...] for a in group) for group in groups]) for i in range(directions)]
    return [np.stack(column) for column in zip(*each)]
