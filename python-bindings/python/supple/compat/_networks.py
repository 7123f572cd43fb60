"""What :mod:`supple.compat.diffsort` and :mod:`supple.compat.difftopk` have in common: networks and their steepness."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from ._words import positive

_DISTRIBUTIONS = ("logistic", "logistic_phi", "gaussian", "cauchy", "reciprocal", "optimal")


class SortingNetwork(NamedTuple):
    """A network by its name; the originals have a list of matrices."""

    type: str
    size: int


def get_sorting_network(type: str, n: int, device: Any = None, k: Optional[int] = None) -> SortingNetwork:
    """A network that sorts ``n`` values: ``type`` is ``"bitonic"`` or ``"odd_even"``.

    ``device`` and ``k`` are not used, and ``"sparse_bitonic"`` is another word for ``"bitonic"``.
    """
    type = "bitonic" if type == "sparse_bitonic" else type
    if type not in ("bitonic", "odd_even"):
        raise NotImplementedError(f'get_sorting_network: `type` must be "bitonic" or "odd_even", got {type!r}')
    return SortingNetwork(type, n)


def check(function: str, network: Any, x: Tensor) -> SortingNetwork:
    """A network of ours, for as many values as there are."""
    if not isinstance(network, SortingNetwork):
        kind = network.__class__.__name__
        raise ValueError(f"{function}: `sorting_network` must be from get_sorting_network, got {kind}")
    if x.dim() < 1 or x.shape[-1] != network.size:
        raise ValueError(f"{function}: `vectors` must have {network.size} values in the last axis, got {list(x.shape)}")
    return network


def merged(function: str, distribution: Optional[str], interpolation_type: Optional[str]) -> str:
    """The distribution, which ``interpolation_type`` is an old word for."""
    if interpolation_type is not None:
        if distribution not in (None, "cauchy", interpolation_type):
            raise ValueError(
                f"{function}: `interpolation_type` must be that of `distribution`, {distribution!r}, "
                f"got {interpolation_type!r}"
            )
        distribution = interpolation_type
    return "cauchy" if distribution is None else distribution


def scaled(
    function: str, x: Tensor, steepness: Any, art_lambda: float, distribution: str
) -> Tuple[Tensor, Any, float, str]:
    """Values, what they were multiplied by, a softness and a distribution of Supple.

    A steepness that is a tensor multiplies the values, so that it gets a gradient.
    """
    if distribution not in _DISTRIBUTIONS:
        words = ", ".join(_DISTRIBUTIONS)
        raise NotImplementedError(f"{function}: `distribution` must be one of {words}, got {distribution!r}")
    power = 1.0
    if distribution == "logistic_phi":
        if art_lambda == 0.0:
            distribution = "logistic"
        elif art_lambda == 0.25:
            power = 1.0 / (1.0 - art_lambda)
        else:
            raise ValueError(f"{function}: `art_lambda` must be 0.25, or 0 for the logistic one, got {art_lambda!r}")
    if isinstance(steepness, Tensor):
        if not torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active():
            positive(function, "steepness", float(steepness.detach().min()))
        factor = steepness**power
        return x * factor, factor, 1.0, distribution
    return x, None, positive(function, "steepness", steepness) ** -power, distribution
