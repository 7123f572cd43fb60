"""What the PyTorch modules have in common."""

from __future__ import annotations

from torch import Tensor


def as_given(y: Tensor, x: Tensor) -> Tensor:
    """``y`` in the floating type of the user's ``x``: Supple itself returns ``float32`` for ``float16``."""
    return y.to(x.dtype) if x.is_floating_point() else y


def straight_through(soft: Tensor, dim: int = -1) -> Tensor:
    """One-hot at the largest entry along ``dim``, with the gradient of ``soft``."""
    hard = soft.new_zeros(soft.shape).scatter(dim, soft.argmax(dim, keepdim=True), 1.0)
    return (hard - soft).detach() + soft
