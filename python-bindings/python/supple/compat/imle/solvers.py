"""Solvers that select the k largest entries."""

from __future__ import annotations

import torch
from torch import Tensor


def select_k(logits: Tensor, k: int) -> Tensor:
    """Ones at the ``k`` largest entries of each row (..., n), zeros elsewhere."""
    return torch.zeros_like(logits).scatter(-1, logits.topk(k).indices, 1.0)


def mathias_select_k(logits: Tensor, k: int) -> Tensor:
    """Ones at all entries of each row (..., n) that reach its ``k``-th largest: more than ``k`` among equals."""
    return (logits >= logits.topk(k).values[..., -1:]).to(torch.float)


__all__ = ["mathias_select_k", "select_k"]
