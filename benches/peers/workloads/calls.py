"""What a call costs: soft ranks of 16 numbers, forward only, beside a hard sort of them."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np
import torch

import supple
import supple.torch

from .case import Peer, Run, Workload, arrays, both_ways, forward, several


def workloads(quick: bool) -> List[Workload]:
    """One array, one tensor, and one tensor with its gradient."""
    return [
        Workload("a call, NumPy", "1×16", _array),
        Workload("a call, PyTorch", "1×16", _tensor),
        Workload("a call, PyTorch, forward and backward", "1×16", _graph),
    ]


def _array() -> Tuple[Run, List[Peer]]:
    inputs = arrays(several(1, 16))
    ours = forward(lambda x: supple.soft_rank(x, 0.1), inputs)
    return ours, [Peer("np.sort, hard", "numpy", lambda: forward(np.sort, inputs))]


def _tensor() -> Tuple[Run, List[Peer]]:
    inputs = several(1, 16)
    ours = forward(lambda x: supple.torch.soft_rank(x, 0.1), inputs)
    return ours, [Peer("torch.sort, hard", "torch", lambda: forward(torch.sort, inputs))]


def _graph() -> Tuple[Run, List[Peer]]:
    inputs = several(1, 16)
    ours = both_ways(lambda x: supple.torch.soft_rank(x, 0.1), inputs)
    return ours, [Peer("torch.sort, hard", "torch", lambda: both_ways(torch.sort, inputs))]
