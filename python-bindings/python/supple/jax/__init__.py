"""The functions of :mod:`supple` on JAX's arrays, with derivatives of first and second order.

They work under ``jit``, ``grad``, ``jvp``, ``vjp``, ``vmap``, ``jacfwd``, ``jacrev``, ``hessian``, ``checkpoint`` and
``lax.scan``. Inputs, ``lengths`` and a seed may be traced; parameters, ``axis`` and ``mode`` must be known when a
function is traced. Forward over forward mode and third derivatives raise ``NotImplementedError``.

Everything is computed on the host for now, under ``jit`` by a callback. Bad parameters and shapes raise ``ValueError``
while a function is traced. What depends on data, such as a label out of range, raises ``ValueError`` or
:class:`supple.Fault` outside ``jit``; inside, JAX raises a ``RuntimeError`` of its own that has the same message in it.

``float16`` and ``bfloat16`` are computed and returned in ``float32``; their gradients come back in their own type.
``float64`` needs ``jax_enable_x64``. Where noise is drawn, give a seed (a whole number, which means the same as in
:mod:`supple`) or a key of ``jax.random``: a traced function cannot draw anew by itself. Under ``vmap``, one seed or key
serves the whole batch, with other noise for each item; a batch of keys gives each item its own.

>>> import jax, jax.numpy as jnp, supple.jax as sj
>>> jax.grad(lambda x: sj.soft_rank(x, softness=2.0)[1])(jnp.array([5.0, 1.0, 2.0])).tolist()
[0.0, 0.25, -0.25]
"""

from . import functions
from .functions import *  # noqa: F403

__all__ = [*functions.__all__]
