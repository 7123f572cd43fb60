"""The functions of :mod:`supple` on PyTorch's tensors, with derivatives of first and second order.

Tensors of any device are computed on the host for now. ``float16`` and ``bfloat16`` are computed and returned in
``float32``; their gradients come back in their own type. They work under ``torch.func`` (``vmap``, ``jvp``, ``vjp``,
``jacrev``, ``jacfwd``, ``hessian``) and ``torch.compile(fullgraph=True)``; :mod:`supple.torch.nn` has them as modules.
:mod:`supple.torch.solvers` puts any solver into the loop, and :func:`estimate` differentiates the mean of any function;
these two call Python and are not compiled.

Where noise is drawn, PyTorch's seed decides it, and each item of a batch has noise of its own, under ``vmap`` too,
whatever its ``randomness``. ``is_grads_batched`` of ``torch.autograd.grad`` is refused by PyTorch: take ``torch.func``.
"""

from . import functions, nn, solvers
from ._callables import estimate
from .functions import *  # noqa: F403
from .solvers import *  # noqa: F403

__all__ = ["estimate", "nn", *(name for name in functions.__all__ if name not in ("max", "min")), *solvers.__all__]
