"""Entmax for α below 1, where no option gets zero. Supple's own operator begins at 1, with softmax."""

from __future__ import annotations

import torch
from torch import Tensor


def entmax_below_one(x: Tensor, alpha: Tensor) -> Tensor:
    """Probabilities along the last axis for α < 1, with derivatives in both to the second order.

    With ``a = 1 - alpha``, ``p = (1 + a t) ** (-1 / a)`` at ``t = s + max(x) - x``, for the ``s`` at which ``p`` sums
    to one. ``alpha`` has the shape of ``x`` with 1 as the last axis, or one that broadcasts to it.
    """
    masked = x == -torch.inf
    top = x.detach().amax(-1, keepdim=True)
    below = torch.where(masked, 0.0, top - x)
    a = 1.0 - alpha

    def at(s: Tensor) -> Tensor:
        return torch.where(masked, 0.0, torch.exp(-torch.log1p(a * (s + below)) / a))

    with torch.no_grad():
        low = torch.zeros_like(top)
        high = torch.expm1(a * torch.log(torch.full_like(top, x.shape[-1]))) / a
        for _ in range(60 if x.dtype == torch.float64 else 30):
            middle = (low + high) / 2.0
            enough = at(middle).sum(-1, keepdim=True) >= 1.0
            low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    s = low
    # Two steps of Newton from a constant have the derivatives of the solution to the second order.
    for _ in range(2):
        p = at(s)
        s = s + (p.sum(-1, keepdim=True) - 1.0) / (p / (1.0 + a * (s + below))).sum(-1, keepdim=True)
    return at(s)


def some_below_one(alpha: Tensor) -> bool:
    """Whether there is an α below 1, where that can be told: not within transforms and compiled graphs."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    return bool((alpha.detach() < 1.0).any())
