"""Supple in the dialects of other packages: a change of one import line switches a program over.

Each module has the public names of a peer, with its argument order, defaults and conventions, and says what differs:

* :mod:`supple.compat.torchsort` for ``import torchsort``;
* :mod:`supple.compat.fast_soft_sort` for ``from fast_soft_sort import numpy_ops, pytorch_ops, jax_ops``;
* :mod:`supple.compat.entmax` for ``import entmax``;
* :mod:`supple.compat.diffsort` for ``import diffsort``;
* :mod:`supple.compat.difftopk` for ``import difftopk``;
* :mod:`supple.compat.softdtw` for ``from soft_dtw_cuda import SoftDTW`` and tslearn's ``SoftDTWLossPyTorch``, ``soft_dtw``;
* :mod:`supple.compat.pysdtw` for ``import pysdtw``;
* :mod:`supple.compat.qpth` for ``from qpth.qp import QPFunction``;
* :mod:`supple.compat.perturbations` for ``import perturbations, fenchel_young``;
* :mod:`supple.compat.imle` for ``from imle.wrapper import imle`` and ``from imle.aimle import aimle``.

>>> import supple.compat.torchsort as torchsort  # instead of: import torchsort
"""
