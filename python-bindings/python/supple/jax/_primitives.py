"""Operators and their derivatives as JAX's primitives.

``jvp`` is linear in the tangents of the real inputs, and ``vjp`` is its transpose. ``hvp`` is the derivative of ``vjp``
along the inputs: the Hessian of ⟨dy, f⟩ times a vector, its own transpose. ``second`` is the derivative of ``jvp``: it
has a transpose, which is ``hvp``, and is never computed itself.
"""

from __future__ import annotations

from inspect import signature
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching, mlir

from ._batching import batch
from ._call import KINDS, Call, compute, shapes

try:
    from jax.extend.core import Primitive
except ImportError:  # before JAX 0.4.36
    from jax.core import Primitive  # type: ignore

#: Each use of a callback is lowered anew, as some devices need; older JAX always does.
_LOWERING: Dict[str, Any] = {"cacheable": False} if "cacheable" in signature(mlir.register_lowering).parameters else {}


def _make(kind: str) -> Any:
    primitive: Any = Primitive(f"supple_{kind}")
    primitive.multiple_results = True

    def abstract(*avals: Any, call: Call, directions: Optional[int]) -> List[Any]:
        dtype = avals[call.signature.real[0]].dtype
        found = shapes(call, kind, [aval.shape for aval in avals], directions)
        return [jax.core.ShapedArray(shape, dtype) for shape in found]

    def run(*operands: Any, call: Call, directions: Optional[int]) -> List[Any]:
        """At once, without a callback."""
        return [jnp.asarray(y) for y in compute(call, kind, [np.asarray(x) for x in operands], directions)]

    def lower(ctx: Any, *operands: Any, call: Call, directions: Optional[int]) -> Any:
        call.refuse(kind)

        def callback(*operands: Any) -> Tuple[np.ndarray, ...]:
            results = compute(call, kind, operands, directions)
            return tuple(np.asarray(y, aval.dtype) for y, aval in zip(results, ctx.avals_out))

        # Not jax.pure_callback: it makes arrays of JAX's own for the callback, and waits for ever for them where all of
        # its threads are in callbacks.
        return mlir.emit_python_callback(
            ctx, callback, None, list(operands), ctx.avals_in, ctx.avals_out, has_side_effect=False
        )[0]

    def batched(operands: Sequence[Any], dims: Sequence[Optional[int]], **parameters: Any) -> Any:
        return batch(primitive, kind, operands, dims, **parameters)

    primitive.def_abstract_eval(abstract)
    primitive.def_impl(run)
    mlir.register_lowering(primitive, lower, **_LOWERING)
    batching.primitive_batchers[primitive] = batched
    ad.primitive_jvps[primitive] = _jvp(primitive, kind)
    return primitive


def _jvp(primitive: Any, kind: str) -> Callable[..., Any]:
    """The rule of forward mode: along the inputs, and then linear in each group."""

    def rule(primals: Sequence[Any], tangents: Sequence[Any], *, call: Call, directions: Optional[int]) -> Any:
        params = {"call": call, "directions": directions}
        results = primitive.bind(*primals, **params)
        base, groups = call.split(kind, primals)
        base_tangents, group_tangents = call.split(kind, tangents)
        terms = []
        v = call.real(base_tangents)
        if _any(v):
            if kind not in _ALONG:
                raise NotImplementedError(f"{call.operator}: a third derivative is not available")
            if kind == "vjp":
                call.refuse("hvp")
            v = [_spread(t, directions) for t in _dense(v)]
            terms.append(PRIMITIVES[_ALONG[kind]].bind(*base, *_flat(groups), *v, **params))
        for i, group in enumerate(group_tangents):
            if _any(group):
                varied = [*groups[:i], _dense(group), *groups[i + 1 :]]
                terms.append(primitive.bind(*base, *_flat(varied), **params))
        if not terms:
            return results, [jnp.zeros_like(y) for y in results]
        return results, [sum(column[1:], column[0]) for column in zip(*terms)]

    return rule


def _transpose(kind: str) -> Callable[..., Any]:
    """The rule of reverse mode: with respect to the one group that is unknown."""

    def rule(cotangents: Sequence[Any], *operands: Any, call: Call, directions: Optional[int]) -> List[Any]:
        _, groups = call.split(kind, operands)
        unknown = next(i for i, group in enumerate(groups) if any(map(_unknown, group)))
        known = [group for i, group in enumerate(groups) if i != unknown]
        base, ct = operands[: len(operands) - len(_flat(groups))], _dense(cotangents)
        other = _TRANSPOSED[kind][unknown]
        # A cotangent of outputs comes before a tangent of inputs.
        given = [ct, *known] if KINDS[kind][1] == "y" else [*known, ct]
        results = iter(PRIMITIVES[other].bind(*base, *_flat(given), call=call, directions=directions))
        found: List[Any] = [None] * len(base)
        for i, group in enumerate(groups):
            found.extend([next(results) for _ in group] if i == unknown else [None] * len(group))
        return [y if _unknown(x) else None for x, y in zip(operands, found)]

    return rule


def _unknown(x: Any) -> bool:
    return isinstance(x, ad.UndefinedPrimal)


def _any(tangents: Sequence[Any]) -> bool:
    return any(not isinstance(t, ad.Zero) for t in tangents)


def _dense(tangents: Sequence[Any]) -> List[Any]:
    return [ad.instantiate_zeros(t) for t in tangents]


def _spread(x: Any, directions: Optional[int]) -> Any:
    return x if directions is None else jnp.broadcast_to(x, (directions, *x.shape))


def _flat(groups: Sequence[Sequence[Any]]) -> List[Any]:
    return [x for group in groups for x in group]


#: The derivative of each along the inputs.
_ALONG = {"apply": "jvp", "jvp": "second", "vjp": "hvp"}

#: The transpose of each with respect to each of its groups.
_TRANSPOSED = {"jvp": ("vjp",), "vjp": ("jvp",), "hvp": ("second", "hvp"), "second": ("hvp", "hvp")}

#: By the names of ``KINDS``.
PRIMITIVES = {kind: _make(kind) for kind in KINDS}
for _kind in _TRANSPOSED:
    ad.primitive_transposes[PRIMITIVES[_kind]] = _transpose(_kind)
