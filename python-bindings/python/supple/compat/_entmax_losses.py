"""The losses of :mod:`supple.compat.entmax`."""

from __future__ import annotations

from typing import Callable, Optional, Union

import torch
from torch import Tensor

from .. import torch as _supple
from ..torch._module import Module
from ._entmax_maps import entmax_bisect, normmax_bisect, one_number, reals
from ._tensors import as_given


def sparsemax_loss(X: Tensor, target: Tensor, k: Optional[int] = None) -> Tensor:
    """Sparsemax loss of scores ``X(..., n)`` and labels ``target(...)``; one value for each label.

    ``k`` is not used.
    """
    return entmax_bisect_loss(X, target, 2.0)


def sparsemax_bisect_loss(X: Tensor, target: Tensor, n_iter: int = 50) -> Tensor:
    """Sparsemax loss of scores ``X(..., n)`` and labels ``target(...)``, as :func:`sparsemax_loss`."""
    return entmax_bisect_loss(X, target, 2.0)


def entmax15_loss(X: Tensor, target: Tensor, k: Optional[int] = None) -> Tensor:
    """1.5-entmax loss of scores ``X(..., n)`` and labels ``target(...)``; one value for each label.

    ``k`` is not used.
    """
    return entmax_bisect_loss(X, target, 1.5)


def entmax_bisect_loss(X: Tensor, target: Tensor, alpha: Union[float, Tensor] = 1.5, n_iter: int = 50) -> Tensor:
    """α-entmax loss of scores ``X(..., n)`` and labels ``target(...)``; one value for each label.

    ``alpha`` is one number, or a tensor with one for each label: of the shape of ``target``, or with 1 as one more
    last axis. It gets no gradient. ``n_iter`` is not used.
    """
    number = one_number(alpha)
    if number is not None and number >= 1.0:
        return as_given(_supple.entmax_loss(X, target, number), X)
    rows = _by_label(alpha, X, target)
    p = entmax_bisect(X, rows)

    def omega(p: Tensor) -> Tensor:
        a = rows.to(p.dtype)
        terms = torch.where((a - 1.0).abs() < 1e-6, -torch.xlogy(p, p), (p - p**a) / (a * (a - 1.0)))
        return terms.sum(-1)

    return _fenchel_young(X, target, p, omega)


def normmax_bisect_loss(X: Tensor, target: Tensor, alpha: Union[float, Tensor] = 2, n_iter: int = 50) -> Tensor:
    """Normmax loss of scores ``X(..., n)`` and labels ``target(...)``; one value for each label.

    ``alpha`` as in :func:`entmax_bisect_loss`, above 1. ``n_iter`` is not used.
    """
    rows = _by_label(alpha, X, target)
    p = normmax_bisect(X, rows)

    def omega(p: Tensor) -> Tensor:
        a = rows.to(p.dtype)
        return 1.0 - ((p**a).sum(-1, keepdim=True) ** (1.0 / a)).squeeze(-1)

    return _fenchel_young(X, target, p, omega)


def _by_label(alpha: Union[float, Tensor], X: Tensor, target: Tensor) -> Tensor:
    """α as a constant that broadcasts with the scores."""
    if not isinstance(alpha, Tensor):
        return torch.as_tensor(alpha, dtype=reals(X), device=X.device)
    return (alpha.unsqueeze(-1) if alpha.shape == target.shape else alpha).detach()


def _fenchel_young(X: Tensor, target: Tensor, p: Tensor, omega: Callable[[Tensor], Tensor]) -> Tensor:
    """The loss ``max_q(<q, X> + omega(q)) - X[target]``, which is at ``q = p``, with its gradient ``p - e[target]``."""
    label = target.unsqueeze(-1)
    q, x = p.detach(), X.detach()
    value = omega(q) + torch.where(q > 0.0, q * x, 0.0).sum(-1) - x.gather(-1, label).squeeze(-1)
    gradient = p.scatter_add(-1, label, torch.full_like(p, -1.0))
    # A step of zero by the trapezoidal rule: its derivatives are right to the second order.
    step = torch.where(x == -torch.inf, 0.0, X - x)
    return as_given(value + ((gradient + gradient.detach()) / 2.0 * step).sum(-1), X)


class _Loss(Module):
    """What the losses have in common: labels that do not count, and how values are brought together."""

    def __init__(self, ignore_index: int, reduction: str, *shown: str) -> None:
        super().__init__(*shown, "ignore_index", "reduction")
        if reduction not in ("elementwise_mean", "sum", "none"):
            raise ValueError(
                f'{type(self).__name__}: `reduction` must be "elementwise_mean", "sum" or "none", got {reduction!r}'
            )
        self.ignore_index = ignore_index
        self.reduction = reduction

    def loss(self, X: Tensor, target: Tensor) -> Tensor:
        """One value for each label."""
        raise NotImplementedError

    def forward(self, X: Tensor, target: Tensor) -> Tensor:
        """The loss of scores ``X(..., n)`` and labels ``target(...)``, reduced."""
        ignored = target == self.ignore_index
        # Some label with a finite loss takes their place.
        loss = self.loss(X, torch.where(ignored, X.detach().argmax(-1), target)).masked_fill(ignored, 0.0)
        if self.reduction == "none":
            return loss
        return loss.sum() if self.reduction == "sum" else loss.sum() / (~ignored).sum()


class SparsemaxLoss(_Loss):
    """:func:`sparsemax_loss`, reduced: ``"elementwise_mean"`` over labels other than ``ignore_index``, ``"sum"`` or
    ``"none"``."""

    def __init__(
        self, k: Optional[int] = None, ignore_index: int = -100, reduction: str = "elementwise_mean"
    ) -> None:
        super().__init__(ignore_index, reduction)
        self.k = k

    def loss(self, X: Tensor, target: Tensor) -> Tensor:
        """One value for each label."""
        return sparsemax_loss(X, target, self.k)


class SparsemaxBisectLoss(_Loss):
    """:func:`sparsemax_bisect_loss`, reduced as in :class:`SparsemaxLoss`."""

    def __init__(self, n_iter: int = 50, ignore_index: int = -100, reduction: str = "elementwise_mean") -> None:
        super().__init__(ignore_index, reduction)
        self.n_iter = n_iter

    def loss(self, X: Tensor, target: Tensor) -> Tensor:
        """One value for each label."""
        return sparsemax_bisect_loss(X, target, self.n_iter)


class Entmax15Loss(_Loss):
    """:func:`entmax15_loss`, reduced as in :class:`SparsemaxLoss`."""

    def __init__(
        self, k: Optional[int] = 100, ignore_index: int = -100, reduction: str = "elementwise_mean"
    ) -> None:
        super().__init__(ignore_index, reduction)
        self.k = k

    def loss(self, X: Tensor, target: Tensor) -> Tensor:
        """One value for each label."""
        return entmax15_loss(X, target, self.k)


class EntmaxBisectLoss(_Loss):
    """:func:`entmax_bisect_loss`, reduced as in :class:`SparsemaxLoss`."""

    def __init__(
        self,
        alpha: Union[float, Tensor] = 1.5,
        n_iter: int = 50,
        ignore_index: int = -100,
        reduction: str = "elementwise_mean",
    ) -> None:
        super().__init__(ignore_index, reduction, "alpha")
        self.alpha = alpha
        self.n_iter = n_iter

    def loss(self, X: Tensor, target: Tensor) -> Tensor:
        """One value for each label."""
        return entmax_bisect_loss(X, target, self.alpha, self.n_iter)


class NormmaxBisectLoss(_Loss):
    """:func:`normmax_bisect_loss`, reduced as in :class:`SparsemaxLoss`."""

    def __init__(
        self,
        alpha: Union[float, Tensor] = 2,
        n_iter: int = 50,
        ignore_index: int = -100,
        reduction: str = "elementwise_mean",
    ) -> None:
        super().__init__(ignore_index, reduction, "alpha")
        self.alpha = alpha
        self.n_iter = n_iter

    def loss(self, X: Tensor, target: Tensor) -> Tensor:
        """One value for each label."""
        return normmax_bisect_loss(X, target, self.alpha, self.n_iter)
