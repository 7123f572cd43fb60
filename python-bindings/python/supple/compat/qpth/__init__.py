"""The differentiable quadratic programs of qpth 0.0.18: ``import supple.compat.qpth as qpth``.

What is different is said in :mod:`supple.compat.qpth.qp`.
"""

from . import qp

__all__ = ["qp"]
