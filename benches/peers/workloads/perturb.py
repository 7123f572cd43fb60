"""Top-k under noise, forward, beside the same in PyTorch's own functions. Both are means over samples of their own."""

from __future__ import annotations

from functools import partial
from typing import List, Tuple

import torch
from torch import Tensor

import supple.torch as supple

from .case import Peer, Run, Workload, forward, normal

K, SOFTNESS = 10, 0.5


def workloads(quick: bool) -> List[Workload]:
    """16 rows of scores."""
    samples = 100 if quick else 500
    return [Workload(f"perturbed_top_k forward, k = {K}, {samples} samples", "16×1000", partial(_build, samples))]


def _build(samples: int) -> Tuple[Run, List[Peer]]:
    inputs = [(normal(16, 1000),)]

    def noise(x: Tensor) -> Tensor:
        return torch.randn(samples, *x.shape)

    def vectorised(x: Tensor) -> Tensor:
        chosen = (x + SOFTNESS * noise(x)).topk(K, sorted=False).indices
        return torch.nn.functional.one_hot(chosen, x.shape[-1]).float().sum(-2).mean(0)

    # Six standard errors of the difference of two frequencies.
    tolerance = 6 * (0.5 / samples) ** 0.5
    ours = forward(lambda x: supple.perturbed_top_k(x, K, SOFTNESS, samples), inputs)
    return ours, [
        Peer("the same in PyTorch", "torch", lambda: forward(vectorised, inputs), tolerance),
        Peer("torch.randn and topk alone", "torch", lambda: forward(lambda x: noise(x).topk(K, sorted=False), inputs)),
    ]
