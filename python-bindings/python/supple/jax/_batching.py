"""The primitives under ``vmap``: one more batch axis in front of as many others as any input has."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import jax
import jax.numpy as jnp

from ._call import KINDS, Call

Dims = Sequence[Optional[int]]
Batched = Tuple[List[Any], List[int]]


def batch(
    primitive: Any, kind: str, operands: Sequence[Any], dims: Dims, *, call: Call, directions: Optional[int]
) -> Batched:
    """The rule for one primitive."""
    size = next(x.shape[dim] for x, dim in zip(operands, dims) if dim is not None)
    base, groups = call.split(kind, operands)
    base_dims, group_dims = call.split(kind, dims)
    if call.seeded and base_dims[-1] is not None:
        return _one_by_one(primitive, operands, dims, call, directions)
    if all(dim is None for dim in base_dims):
        return _directions(primitive, base, groups, group_dims, size, call, directions)
    place = 0 if directions is None else 1
    inputs = _inputs(call, base, base_dims, size, kind != "apply")
    real = call.real(inputs)
    rest = []
    for group, xs, ds in zip(KINDS[kind][0], groups, group_dims):
        moved = [_at(x, dim, size, place) for x, dim in zip(xs, ds)]
        # A tangent has the shape of its input.
        rest += [x.reshape((*x.shape[:place], *r.shape)) for x, r in zip(moved, real)] if group == "x" else moved
    results = primitive.bind(*inputs, *rest, call=call, directions=directions)
    if KINDS[kind][1] == "x":
        # A gradient has the shape of its input, without the axes that were put between.
        plain = [_without(x.shape, dim) for x, dim in zip(call.real(base), call.real(base_dims))]
        results = [y.reshape((*y.shape[:place], size, *shape)) for y, shape in zip(results, plain)]
    return list(results), [place] * len(results)


def _inputs(call: Call, base: Sequence[Any], dims: Dims, size: int, all_of_them: bool) -> List[Any]:
    """The base with one more batch axis; inputs without one still broadcast, unless all are to have it."""
    sig = call.signature
    count = len(sig.inputs)
    cores = [sig.rank(a) for a in sig.inputs] + [0] * len(call.symbols)
    ranks = [x.ndim - (dim is not None) - core for x, dim, core in zip(base, dims, cores)]
    most = max(ranks[:count])
    expand = all_of_them or all(dim is None for dim in dims[:count])
    result = []
    for i, (x, dim, axes) in enumerate(zip(base, dims, ranks)):
        if dim is not None or (expand and i < count):
            x = _at(x, dim, size, 0)
            x = x.reshape((size, *[1] * (most - axes), *x.shape[1:]))
        result.append(x)
    return [*result, *base[len(cores) :]]


def _directions(
    primitive: Any, base: Sequence[Any], groups: Any, dims: Any, size: int, call: Call, directions: Optional[int]
) -> Batched:
    """Many directions at one point: what is found there serves them all."""
    many = size if directions is None else size * directions
    along = []
    for x, dim in zip([x for group in groups for x in group], [dim for group in dims for dim in group]):
        x = _at(x, dim, size, 0)
        along.append(x if directions is None else x.reshape((many, *x.shape[2:])))
    results = primitive.bind(*base, *along, call=call, directions=many)
    if directions is not None:
        results = [y.reshape((size, directions, *y.shape[1:])) for y in results]
    return list(results), [0] * len(results)


def _one_by_one(primitive: Any, operands: Sequence[Any], dims: Dims, call: Call, directions: Optional[int]) -> Batched:
    """A seed for each item."""
    moved = [jnp.moveaxis(x, dim, 0) for x, dim in zip(operands, dims) if dim is not None]

    def item(xs: Sequence[Any]) -> Any:
        given = iter(xs)
        each = [x if dim is None else next(given) for x, dim in zip(operands, dims)]
        return primitive.bind(*each, call=call, directions=directions)

    results = jax.lax.map(item, moved)
    return list(results), [0] * len(results)


def _at(x: Any, dim: Optional[int], size: int, place: int) -> Any:
    """With the new axis at a place, whether it has one or not."""
    if dim is None:
        return jnp.broadcast_to(jnp.expand_dims(x, place), (*x.shape[:place], size, *x.shape[place:]))
    return jnp.moveaxis(x, dim, place)


def _without(shape: Tuple[int, ...], dim: Optional[int]) -> Tuple[int, ...]:
    return shape if dim is None else (*shape[:dim], *shape[dim + 1 :])
