"""How every function of this package calls its operator."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import jax
import jax.numpy as jnp
from jax import Array

from .._core import Operator, entries
from .._signature import Signature, from_end, signature
from .._types import Lengths
from ._call import Call
from ._primitives import PRIMITIVES
from ._seed import Seed, draws, words

__all__ = ["Seed", "apply"]


def apply(
    name: str, parameters: Tuple[Any, ...], inputs: Tuple[Any, ...], axis: Optional[int], mode: str, lengths: Lengths
) -> Any:
    """The outputs of an entry of the catalogue: one array, or a tuple where it has several."""
    sig = signature(name)
    arrays = _prepare(sig, inputs)
    if axis is not None and axis != -1:
        axis = from_end(sig, [x.ndim for x in arrays], axis, "axis")
        arrays = [jnp.moveaxis(x, axis, -1) if a.core else x for x, a in zip(arrays, sig.inputs)]
    symbols, sizes = _sizes(name, lengths)
    seed: List[Array] = []
    if sig.seed is not None:
        given = parameters[sig.seed]
        if given is not None or draws(name, parameters):
            seed = [words(name, given)]
        parameters = (*parameters[: sig.seed], None, *parameters[sig.seed + 1 :])
    call = Call(name, _static(name, parameters), mode, symbols, bool(seed))
    outputs = PRIMITIVES["apply"].bind(*arrays, *sizes, *seed, call=call, directions=None)
    if axis is not None and axis != -1:
        outputs = [jnp.moveaxis(y, -1, axis) if a.core else y for y, a in zip(outputs, sig.outputs)]
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


_FLOATS = (jnp.dtype("float32"), jnp.dtype("float64"))


def _prepare(sig: Signature, inputs: Sequence[Any]) -> List[Array]:
    """Real inputs in one type, ``float32`` or ``float64``, and integer ones as they are."""
    if len(inputs) == 1 and isinstance(inputs[0], Array) and inputs[0].dtype in _FLOATS:
        return [inputs[0]]
    arrays = [_array(sig.operator, argument.name, x) for argument, x in zip(sig.inputs, inputs)]
    for argument, x in zip(sig.inputs, arrays):
        if argument.integer and x.size and not _is(x, jnp.integer, jnp.bool_):
            raise ValueError(f"{sig.operator}: `{argument.name}` must be an array of whole numbers, got {x.dtype}")
        if not argument.integer and not _is(x, jnp.integer, jnp.bool_, jnp.floating):
            raise ValueError(f"{sig.operator}: `{argument.name}` must be an array of real numbers, got {x.dtype}")
    wide = jnp.result_type(*(arrays[i] for i in sig.real), float) == jnp.float64
    dtype = jnp.float64 if wide else jnp.float32
    for i, argument in enumerate(sig.inputs):
        if not argument.integer:
            arrays[i] = arrays[i].astype(dtype)
        elif not _is(arrays[i], jnp.integer):
            arrays[i] = arrays[i].astype(jnp.int32)
    return arrays


def _array(name: str, argument: str, x: Any) -> Array:
    try:
        return jnp.asarray(x)
    except (TypeError, ValueError) as e:
        raise ValueError(f"{name}: `{argument}` must be an array of numbers, got {type(x).__name__}: {e}") from e


def _is(x: Array, *kinds: Any) -> bool:
    return any(jnp.issubdtype(x.dtype, kind) for kind in kinds)


def _sizes(name: str, lengths: Lengths) -> Tuple[Tuple[str, ...], List[Array]]:
    """Symbols, and the sizes for each."""
    if not lengths:
        return (), []
    if not hasattr(lengths, "items"):
        raise ValueError(f"{name}: `lengths` must be a dict of sizes by symbol, got {lengths!r}")
    symbols = tuple(sorted(str(symbol) for symbol in lengths))
    sizes = [_array(name, "lengths", lengths[symbol]) for symbol in symbols]
    for x in sizes:
        if not _is(x, jnp.integer):
            raise ValueError(f"{name}: `lengths` must be arrays of whole numbers, got {x.dtype}")
    return symbols, sizes


def _static(name: str, parameters: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """Parameters as plain Python values."""
    for i, value in enumerate(parameters):
        if isinstance(value, jax.core.Tracer):
            known = next(entry["parameters"] for entry in entries() if entry["name"] == name)
            raise ValueError(f"{name}: `{list(known)[i]}` must be known when a function is traced, got {value}")
    plain = tuple(p.item() if hasattr(p, "item") and p.ndim == 0 else p for p in parameters)
    if not all(p is None or isinstance(p, (str, int, float)) for p in plain):
        Operator(name, plain)  # says what is wrong
    return plain
