"""The top-k networks of :mod:`supple.compat.difftopk`, as a function."""

from __future__ import annotations

from typing import Tuple, Union

import torch
from torch import Tensor

from .. import torch as _supple
from ._networks import SortingNetwork, check, scaled
from ._tensors import as_given


def topk(
    sorting_network: SortingNetwork,
    vectors: Tensor,
    k: int,
    steepness: Union[float, Tensor] = 10.0,
    art_lambda: float = 0.25,
    distribution: str = "cauchy",
    sparse: bool = False,
) -> Tuple[None, Tensor]:
    """``None``, and the columns of the k largest of the matrix that sorts from the right: ``(..., n, k)``.

    * ``sorting_network``: from ``get_sorting_network``.
    * ``vectors``: values, ``(..., n)``.
    * ``k``: how many columns, from 1 to n; that of the largest is the last.
    * ``steepness``, ``art_lambda``, ``distribution``: as in ``supple.compat.diffsort.sort``.
    * ``sparse``: not used.
    """
    network = check("topk", sorting_network, vectors)
    if not 1 <= k <= network.size:
        raise ValueError(f"topk: `k` must be in 1..{network.size}, got {k!r}")
    x, _, softness, shape = scaled("topk", vectors, steepness, art_lambda, distribution)
    # The transposed matrix carries the last k places back to the values.
    places = torch.eye(network.size, dtype=x.dtype, device=x.device)[:, network.size - k :]
    matrix = _supple.sort_with(
        x,
        places,
        softness,
        "sorting_network",
        transposed=True,
        network=network.type,  # type: ignore[arg-type]
        distribution=shape,  # type: ignore[arg-type]
    )
    return None, as_given(matrix, vectors)
