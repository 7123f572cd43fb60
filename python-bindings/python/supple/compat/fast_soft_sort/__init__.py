"""The modules of google-research/fast-soft-sort: ``from supple.compat.fast_soft_sort import numpy_ops``,
``pytorch_ops`` or ``jax_ops``.

All work along the last axis, with any leading axes as batch; the original takes one axis in ``numpy_ops`` and two in
the others. ``tf_ops`` is left out: Supple has no TensorFlow functions.
"""
