"""The losses of :mod:`supple.compat.difftopk`."""

from __future__ import annotations

import math
from typing import Any, Optional, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from .. import torch as _supple
from ..torch._module import Module
from ._networks import get_sorting_network, merged
from ._topk import topk
from ._words import positive

_NETWORKS = {"bitonic": "bitonic", "bitonic__non_sparse": "bitonic", "odd_even": "odd_even"}
_ROWS = {"neuralsort": "neural_sort", "softsort": "soft_sort_prillo"}


class TopKCrossEntropyLoss(Module):
    """Cross entropy of the label being among the first k, for a distribution ``p_k`` over k; the mean over labels.

    * ``diffsort_method``: ``"bitonic"``, ``"bitonic__non_sparse"`` (the same here), ``"odd_even"``, ``"neuralsort"``
      or ``"softsort"``.
    * ``inverse_temperature``: one over Supple's ``softness``.
    * ``p_k``: the probabilities of k = 1, 2, …; they sum to 1.
    * ``n``: the number of classes.
    * ``m``: keeps only the label and the m − 1 largest others; none by default.
    * ``distribution``, ``art_lambda``: those of a network.
    * ``top1_mode``: what stands for the first place: ``"sm"``, the softmax of the scores, ``"smce"``, a cross entropy
      of its own, or ``"sort"``, the relaxed order as for the others.
    * ``device``: not used.
    """

    def __init__(
        self,
        diffsort_method: str,
        inverse_temperature: float,
        p_k: Sequence[float],
        n: int,
        m: Optional[int] = None,
        distribution: Optional[str] = None,
        art_lambda: float = 0.25,
        device: Any = "cpu",
        top1_mode: str = "sm",
    ) -> None:
        super().__init__("diffsort_method", "inverse_temperature", "p_k", "n", "m", "top1_mode")
        name = type(self).__name__
        if diffsort_method not in (*_NETWORKS, *_ROWS):
            words = ", ".join((*_NETWORKS, *_ROWS))
            raise NotImplementedError(f"{name}: `diffsort_method` must be one of {words}, got {diffsort_method!r}")
        if not 0.9999 < sum(p_k) < 1.0001:
            raise ValueError(f"{name}: `p_k` must sum to 1, got {p_k!r}, which sums to {sum(p_k)}")
        if top1_mode not in ("sm", "smce", "sort"):
            raise ValueError(f'{name}: `top1_mode` must be "sm", "smce" or "sort", got {top1_mode!r}')
        if m is not None and not len(p_k) < m < n:
            raise ValueError(f"{name}: `m` must be between the length of `p_k`, {len(p_k)}, and `n`, {n}, got {m!r}")
        self.diffsort_method = diffsort_method
        self.inverse_temperature = inverse_temperature
        self.p_k = p_k
        self.k = len(p_k)
        self.device = device
        self.top1_mode = top1_mode
        self.n = n
        self.m = m
        self.art_lambda = art_lambda
        self.distribution = merged(name, distribution, None)

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The loss of scores ``outputs(..., n)`` and labels ``labels(...)``: one number."""
        if outputs.shape[-1] != self.n:
            raise ValueError(
                f"TopKCrossEntropyLoss: `outputs` must have {self.n} classes in the last axis, "
                f"got {list(outputs.shape)}"
            )
        label = labels.unsqueeze(-1)
        if self.m is not None:
            others = outputs.scatter(-1, label, -math.inf).topk(self.m - 1, dim=-1).values
            outputs = torch.cat([outputs.gather(-1, label), others], dim=-1)
            label = torch.zeros_like(label)
        places = self._places(outputs)
        # The chance of the label at each place, the largest last, and how often that place counts.
        chance = places.gather(-2, label.unsqueeze(-1).expand(*label.shape, self.k)).squeeze(-2)
        counts = list(self.p_k) if self.top1_mode == "sort" else [0.0, *self.p_k[1:]]
        tails = [sum(counts[place:]) for place in reversed(range(self.k))]
        held = (chance * chance.new_tensor(tails)).sum(-1)
        if self.top1_mode == "sm":
            held = held + self.p_k[0] * torch.softmax(outputs, dim=-1).gather(-1, label).squeeze(-1)
        loss = -torch.log(held * (1 - 2e-7) + 1e-7).mean()
        if self.top1_mode != "smce":
            return loss
        first = cross_entropy(outputs.reshape(-1, outputs.shape[-1]), label.reshape(-1))
        return self.p_k[0] * first + sum(self.p_k[1:]) * loss

    def _places(self, outputs: Tensor) -> Tensor:
        """The columns of the k largest, ascending: ``(..., n, k)``."""
        if self.diffsort_method in _NETWORKS:
            network = get_sorting_network(_NETWORKS[self.diffsort_method], outputs.shape[-1])
            return topk(network, outputs, self.k, self.inverse_temperature, self.art_lambda, self.distribution)[1]
        softness = 1.0 / positive("TopKCrossEntropyLoss", "inverse_temperature", self.inverse_temperature)
        method = _ROWS[self.diffsort_method]
        rows = _supple.row_top_k(outputs, self.k, softness, method)  # type: ignore[arg-type]
        return rows.flip(-2).transpose(-2, -1)


class SmoothTopKLoss(Module):
    """The smooth top-k support vector loss at temperature ``tau``, with margin 1: the mean over labels.

    ``num_classes`` is the number of scores; ``device`` is not used.
    """

    def __init__(self, num_classes: int, k: int, tau: float = 1, device: Any = "cpu") -> None:
        super().__init__("num_classes", "k", "tau")
        self.num_classes = num_classes
        self.k = k
        self.tau = tau

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of scores ``x(..., n)`` and labels ``y(...)``: one number."""
        return self._smooth(x, y).mean()

    def _smooth(self, x: Tensor, y: Tensor) -> Tensor:
        return _supple.smooth_top_k_svm_loss(x, y, self.k, float(self.tau))


class SmoothHardTopKLoss(SmoothTopKLoss):
    """As :class:`SmoothTopKLoss`, but hard for an item whose k-th and next largest scores are more than
    ``k * tau * log(1000)`` apart."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of scores ``x(..., n)`` and labels ``y(...)``: one number."""
        top = x.detach().topk(self.k + 1, dim=-1).values
        hard = top[..., self.k - 1] - top[..., self.k] >= self.k * self.tau * math.log(1e3)
        label = y.unsqueeze(-1)
        last = x.scatter(-1, label, -math.inf).topk(self.k, dim=-1).values[..., -1]
        margin = torch.relu(1.0 + (last - x.gather(-1, label).squeeze(-1)) / self.k)
        return torch.where(hard, margin, self._smooth(x, y)).mean()
