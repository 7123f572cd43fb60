"""Seeds: whole numbers or JAX's keys, traced or not."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple, Union

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

#: A whole number below 2⁶⁴, an integer scalar of JAX's, or a key of ``jax.random``.
Seed = Union[int, Array, None]

#: Operators that draw noise for some parameters only.
_SOMETIMES: Dict[str, Callable[..., bool]] = {
    "argmax": lambda method, *_: method == "gumbel_softmax",
    "successive_softmax": lambda k, softness, gumbel, *_: bool(gumbel),
}


def draws(operator: str, parameters: Tuple[Any, ...]) -> bool:
    """Whether an operator that has a seed uses it."""
    return operator not in _SOMETIMES or _SOMETIMES[operator](*parameters)


def words(operator: str, seed: Any) -> Array:
    """A seed as two ``uint32``, the low one first."""
    if seed is None:
        raise ValueError(
            f"{operator}: `seed` must be given, a whole number or a key of jax.random, since a traced function cannot "
            "draw anew at each call; got None"
        )
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer, np.ndarray, Array)):
        raise ValueError(f"{operator}: `seed` must be a whole number or a key of jax.random, got {seed!r}")
    if isinstance(seed, (np.ndarray, Array)):
        if jnp.issubdtype(seed.dtype, jax.dtypes.prng_key) and seed.ndim == 0:
            return jax.random.bits(seed, (2,), jnp.uint32)
        if seed.dtype == jnp.uint32 and seed.ndim == 1:
            return jax.random.bits(jnp.asarray(seed), (2,), jnp.uint32)
        if seed.ndim or not jnp.issubdtype(seed.dtype, jnp.integer):
            raise ValueError(
                f"{operator}: `seed` must be one whole number or one key of jax.random, got an array of shape "
                f"{seed.shape} and dtype {seed.dtype}"
            )
        if isinstance(seed, jax.core.Tracer):
            high = seed >> 32 if seed.dtype.itemsize > 4 else jnp.zeros_like(seed)
            return jnp.stack([seed.astype(jnp.uint32), high.astype(jnp.uint32)])
    number = int(seed)
    if not 0 <= number < 2**64:
        raise ValueError(f"{operator}: `seed` must be in 0..2**64, got {number}")
    return jnp.asarray(np.array([number & 0xFFFFFFFF, number >> 32], np.uint32))
