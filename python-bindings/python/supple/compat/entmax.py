"""The functions, modules and losses of entmax 1.3: ``import supple.compat.entmax as entmax``.

What differs:

* answers are exact to round-off: ``k``, ``n_iter`` and ``ensure_sum_one`` are taken and change nothing;
* second derivatives are right throughout; those of the original are for sparsemax alone;
* ``alpha = 1`` is softmax; ``alpha`` below 1 costs more, as PyTorch computes it; far above 4, ``entmax_bisect`` may
  refuse an item whose answer double precision cannot resolve;
* ``budget_bisect`` has a gradient in ``budget``, which must be between 0 and the size of ``dim``;
* losses take ``X(..., n)`` and ``target(...)`` of any number of axes, and one ``alpha`` for each label;
* a negative ``ignore_index`` is honoured too, as in ``torch.nn.CrossEntropyLoss``; the original fails on such labels;
* an entry that has just reached zero counts as zero in derivatives, as there;
* entries of −∞ get probability zero; a row of nothing else is NaN.

The modules ``activations``, ``root_finding`` and ``losses`` are all here. The originals' ``*Function`` classes and
names with an underscore are left out.
"""

from __future__ import annotations

from typing import Optional, Union

from torch import Tensor

from ..torch._module import Module
from ._entmax_losses import (
    Entmax15Loss,
    EntmaxBisectLoss,
    NormmaxBisectLoss,
    SparsemaxBisectLoss,
    SparsemaxLoss,
    entmax15_loss,
    entmax_bisect_loss,
    normmax_bisect_loss,
    sparsemax_bisect_loss,
    sparsemax_loss,
)
from ._entmax_maps import budget_bisect, entmax15, entmax_bisect, normmax_bisect, sparsemax, sparsemax_bisect


class Sparsemax(Module):
    """:func:`sparsemax` as a module."""

    def __init__(self, dim: int = -1, k: Optional[int] = None) -> None:
        super().__init__("dim")
        self.dim = dim
        self.k = k

    def forward(self, X: Tensor) -> Tensor:
        """Probabilities along ``dim``."""
        return sparsemax(X, self.dim, self.k)


class Entmax15(Module):
    """:func:`entmax15` as a module."""

    def __init__(self, dim: int = -1, k: Optional[int] = None) -> None:
        super().__init__("dim")
        self.dim = dim
        self.k = k

    def forward(self, X: Tensor) -> Tensor:
        """Probabilities along ``dim``."""
        return entmax15(X, self.dim, self.k)


class SparsemaxBisect(Module):
    """:func:`sparsemax_bisect` as a module."""

    def __init__(self, dim: int = -1, n_iter: Optional[int] = None) -> None:
        super().__init__("dim")
        self.dim = dim
        self.n_iter = n_iter

    def forward(self, X: Tensor) -> Tensor:
        """Probabilities along ``dim``."""
        return sparsemax(X, self.dim)


class EntmaxBisect(Module):
    """:func:`entmax_bisect` as a module; an ``alpha`` that is a parameter of PyTorch is learnt."""

    def __init__(self, alpha: Union[float, Tensor] = 1.5, dim: int = -1, n_iter: int = 50) -> None:
        super().__init__("alpha", "dim")
        self.alpha = alpha
        self.dim = dim
        self.n_iter = n_iter

    def forward(self, X: Tensor) -> Tensor:
        """Probabilities along ``dim``."""
        return entmax_bisect(X, self.alpha, self.dim, self.n_iter)


class NormmaxBisect(Module):
    """:func:`normmax_bisect` as a module."""

    def __init__(self, alpha: Union[float, Tensor] = 2, dim: int = -1, n_iter: int = 50) -> None:
        super().__init__("alpha", "dim")
        self.alpha = alpha
        self.dim = dim
        self.n_iter = n_iter

    def forward(self, X: Tensor) -> Tensor:
        """Probabilities along ``dim``."""
        return normmax_bisect(X, self.alpha, self.dim, self.n_iter)


class BudgetBisect(Module):
    """:func:`budget_bisect` as a module."""

    def __init__(self, budget: Union[float, Tensor] = 2, dim: int = -1, n_iter: int = 50) -> None:
        super().__init__("budget", "dim")
        self.budget = budget
        self.dim = dim
        self.n_iter = n_iter

    def forward(self, X: Tensor) -> Tensor:
        """Entries between 0 and 1 along ``dim`` that sum to the budget."""
        return budget_bisect(X, self.budget, self.dim, self.n_iter)


__all__ = [
    "BudgetBisect",
    "Entmax15",
    "Entmax15Loss",
    "EntmaxBisect",
    "EntmaxBisectLoss",
    "NormmaxBisect",
    "NormmaxBisectLoss",
    "Sparsemax",
    "SparsemaxBisect",
    "SparsemaxBisectLoss",
    "SparsemaxLoss",
    "budget_bisect",
    "entmax15",
    "entmax15_loss",
    "entmax_bisect",
    "entmax_bisect_loss",
    "normmax_bisect",
    "normmax_bisect_loss",
    "sparsemax",
    "sparsemax_bisect",
    "sparsemax_bisect_loss",
    "sparsemax_loss",
]
