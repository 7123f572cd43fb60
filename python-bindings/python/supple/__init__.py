"""Differentiable relaxations of discrete algorithms, on NumPy arrays.

Sorting, ranking, top-k, argmax, quantiles, projections, transport, paths, alignment and more, with one vocabulary:
``softness`` is larger for a softer answer, ranks count from 1, leading axes are batch. :mod:`supple.torch` and
:mod:`supple.jax` have the same functions with derivatives; :mod:`supple.compat` speaks the dialects of other packages.

>>> import numpy as np, supple
>>> supple.soft_rank(np.array([2.9, 0.1, 1.2]), softness=0.1)
array([3., 1., 2.])
"""

from __future__ import annotations

from typing import Any, Dict, List

from . import functions
from ._core import Fault, __version__, entries
from ._estimators import Estimate, estimate
from ._linearize import Linearized, linearize
from .functions import *  # noqa: F403


def catalogue() -> List[Dict[str, Any]]:
    """All operators: name, family, signature, summary, kind of gradient, cost, paper, parameters with defaults.

    >>> [entry["name"] for entry in supple.catalogue() if entry["family"] == "elementwise"]
    ['soft_heaviside', 'soft_round']
    """
    return entries()


__all__ = [
    "Estimate",
    "Fault",
    "Linearized",
    "__version__",
    "catalogue",
    "estimate",
    "linearize",
    # The names of Python's own functions are had as `supple.max` only.
    *(name for name in functions.__all__ if name not in ("max", "min")),
]
