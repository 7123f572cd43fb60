"""The maps of :mod:`supple.compat.entmax`, as functions."""

from __future__ import annotations

from typing import Optional, Union

import torch
from torch import Tensor

from .. import torch as _supple
from ._entmax_below_one import entmax_below_one, some_below_one
from ._tensors import as_given


def sparsemax(X: Tensor, dim: int = -1, k: Optional[int] = None) -> Tensor:
    """Sparsemax of ``X`` along ``dim``: the nearest probabilities; the shape of ``X``. ``k`` is not used."""
    return _as_softmax(_supple.sparsemax(X, dim=dim), X)


def entmax15(X: Tensor, dim: int = -1, k: Optional[int] = None) -> Tensor:
    """1.5-entmax of ``X`` along ``dim``, between softmax and sparsemax; the shape of ``X``. ``k`` is not used."""
    return _as_softmax(_supple.entmax15(X, dim=dim), X)


def sparsemax_bisect(X: Tensor, dim: int = -1, n_iter: int = 50, ensure_sum_one: bool = True) -> Tensor:
    """Sparsemax of ``X`` along ``dim``, as :func:`sparsemax`; ``n_iter`` and ``ensure_sum_one`` are not used."""
    return sparsemax(X, dim)


def entmax_bisect(
    X: Tensor, alpha: Union[float, Tensor] = 1.5, dim: int = -1, n_iter: int = 50, ensure_sum_one: bool = True
) -> Tensor:
    """α-entmax of ``X`` along ``dim``; the shape of ``X``.

    ``alpha`` is a number or a tensor that expands to the shape of ``X`` with 1 at ``dim``, and gets a gradient there:
    1 for softmax, 2 for sparsemax. ``n_iter`` and ``ensure_sum_one`` are not used.
    """
    alphas = _by_row("entmax_bisect", "alpha", alpha, X, dim)
    if not some_below_one(alphas):
        return _as_softmax(_supple.entmax(X, alphas, dim=dim), X)
    x = X.movedim(dim, -1).to(alphas.dtype)
    alphas = alphas.unsqueeze(-1)
    below = alphas < 1.0
    p = entmax_below_one(x, torch.where(below, alphas, 0.5))
    if not bool(below.all()):
        above = torch.where(below, 1.5, alphas).expand(*x.shape[:-1], 1).squeeze(-1)
        p = torch.where(below, p, _supple.entmax(x, above))
    return _as_softmax(p.movedim(-1, dim), X)


def normmax_bisect(X: Tensor, alpha: Union[float, Tensor] = 2, dim: int = -1, n_iter: int = 50) -> Tensor:
    """α-normmax of ``X`` along ``dim``; the shape of ``X``.

    ``alpha`` is a number above 1, or a tensor of them that expands to the shape of ``X`` with 1 at ``dim``. It gets no
    gradient, and each different value costs one call. ``n_iter`` is not used.
    """
    number = one_number(alpha)
    if number is not None:
        return _as_softmax(_supple.normmax(X, alpha=number, dim=dim), X)
    alphas = _by_row("normmax_bisect", "alpha", alpha, X, dim).detach().reshape(-1)
    x = X.movedim(dim, -1)
    rows = x.reshape(-1, x.shape[-1])
    values, which = torch.unique(alphas, return_inverse=True)
    places = [(which == i).nonzero().squeeze(-1) for i in range(len(values))]
    parts = [_supple.normmax(rows[place], alpha=value) for place, value in zip(places, values.tolist())]
    p = torch.cat(parts)[torch.argsort(torch.cat(places))] if parts else rows
    return _as_softmax(p.reshape(x.shape).movedim(-1, dim), X)


def budget_bisect(X: Tensor, budget: Union[float, Tensor] = 2, dim: int = -1, n_iter: int = 50) -> Tensor:
    """The nearest point to ``X`` along ``dim`` with entries between 0 and 1 that sum to ``budget``; the shape of ``X``.

    ``budget`` is a number from 0 to the size of ``dim``, or a tensor that expands to the shape of ``X`` with 1 at
    ``dim``, and gets a gradient there. ``n_iter`` is not used.
    """
    return _as_softmax(
        _supple.capped_simplex_projection(X, _by_row("budget_bisect", "budget", budget, X, dim), dim=dim), X
    )


def one_number(value: Union[float, Tensor]) -> Optional[float]:
    """The number, where it is only one."""
    if isinstance(value, Tensor):
        return float(value.detach()) if value.numel() == 1 else None
    return float(value)


def reals(X: Tensor) -> torch.dtype:
    """The type that ``X`` is computed in."""
    return torch.promote_types(X.dtype, torch.float32) if X.is_floating_point() else torch.get_default_dtype()


def _by_row(function: str, name: str, value: Union[float, Tensor], X: Tensor, dim: int) -> Tensor:
    """One number for each row of ``X`` along ``dim``, or one for all."""
    dtype = reals(X)
    if not isinstance(value, Tensor) or value.numel() == 1:
        return torch.as_tensor(value, dtype=dtype, device=X.device).reshape(())
    shape = list(X.shape)
    shape[dim] = 1
    try:
        return value.to(dtype).expand(shape).squeeze(dim)
    except RuntimeError as e:
        raise ValueError(
            f"{function}: `{name}` must be a number or a tensor that expands to {shape}, got shape {list(value.shape)}"
        ) from e


def _as_softmax(p: Tensor, X: Tensor) -> Tensor:
    """In the type that ``torch.softmax`` would return: that of ``X``, and ``float32`` under CUDA's autocast."""
    return p if X.is_cuda and torch.is_autocast_enabled("cuda") else as_given(p, X)
