"""The top-k networks and losses of difftopk 0.2.0: ``import supple.compat.difftopk as difftopk``.

``DiffTopkNet(type, size, k)(x)`` returns ``None`` and a matrix of k columns that act from the right: ``x @ P`` are
the k largest values, ascending, the largest last. ``steepness`` and ``inverse_temperature`` are one over Supple's
``softness``.

What differs:

* tensors of any number of axes; the original takes two;
* ``torch-sparse`` is not needed: ``sparse`` and ``device`` change nothing, and nothing is printed;
* only the rows of the k largest are computed; NeuralSort and SoftSort form no n × n matrix for the loss;
* the gradient of NeuralSort at equal values is halfway between the two sides;
* ``distribution=None``, the default of the loss, is ``"cauchy"`` where there is a network; the original fails there;
* ``art_lambda`` and networks as in :mod:`supple.compat.diffsort`;
* the smooth losses are exact for any n and k, without an approximation of their gradients;
* ``"splitter_selection"`` and a ``pow`` other than 1 in ``SoftSort`` are not available.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple, Union

from torch import Tensor

from .. import torch as _supple
from ..torch._module import Module
from ._difftopk_losses import SmoothHardTopKLoss, SmoothTopKLoss, TopKCrossEntropyLoss
from ._networks import get_sorting_network, merged
from ._tensors import as_given, straight_through
from ._topk import topk


class DiffTopkNet(Module):
    """:func:`topk` as a module, for vectors of ``size`` values by a ``"bitonic"`` or an ``"odd_even"`` network.

    ``interpolation_type`` is an old word for ``distribution``. ``sparse`` and ``device`` are not used.
    """

    def __init__(
        self,
        sorting_network_type: str,
        size: int,
        k: int,
        sparse: bool = False,
        device: Any = "cpu",
        steepness: Union[float, Tensor] = 10.0,
        art_lambda: float = 0.25,
        interpolation_type: Optional[str] = None,
        distribution: Optional[str] = "cauchy",
    ) -> None:
        super().__init__("sorting_network_type", "size", "k", "steepness", "distribution")
        self.sorting_network_type = sorting_network_type
        self.size = size
        self.k = k
        self.sparse = sparse
        self.sorting_network = get_sorting_network(sorting_network_type, size, device, k)
        self.steepness = steepness
        self.art_lambda = art_lambda
        self.distribution = merged("DiffTopkNet", distribution, interpolation_type)

    def forward(self, vectors: Tensor) -> Tuple[None, Tensor]:
        """``None``, and the matrix of k columns for vectors ``(..., size)``: ``(..., size, k)``."""
        return topk(
            self.sorting_network, vectors, self.k, self.steepness, self.art_lambda, self.distribution, self.sparse
        )


class NeuralSort(Module):
    """NeuralSort's matrix for scores ``(..., n)``: ``(..., n, n)``, acting from the right, ascending.

    ``tau`` is Supple's ``softness``; ``hard`` takes the most probable place of each score, with the soft gradient.
    """

    def __init__(self, tau: float = 1.0, hard: bool = False) -> None:
        super().__init__("tau", "hard")
        self.hard = hard
        self.tau = tau

    def forward(self, scores: Tensor) -> Tensor:
        """The matrix that sorts from the right: columns are places."""
        matrix = as_given(_supple.neural_sort_permutation(scores, self.tau), scores).transpose(-2, -1)
        return straight_through(matrix) if self.hard else matrix


class SoftSort(Module):
    """SoftSort's matrix for scores ``(..., n)``: ``(..., n, n)``, acting from the left, descending.

    ``tau`` is Supple's ``softness``; ``hard`` takes the most probable score of each place, with the soft gradient;
    ``pow`` must be 1.
    """

    def __init__(self, tau: float = 1.0, hard: bool = False, pow: float = 1.0) -> None:
        super().__init__("tau", "hard")
        if pow != 1.0:
            raise ValueError(f"SoftSort: `pow` must be 1, got {pow!r}")
        self.hard = hard
        self.tau = tau
        self.pow = pow

    def forward(self, scores: Tensor) -> Tensor:
        """The matrix that sorts from the left: rows are places, that of the largest first."""
        matrix = as_given(_supple.soft_sort_prillo_permutation(scores, self.tau, descending=True), scores)
        return straight_through(matrix) if self.hard else matrix


__all__ = [
    "DiffTopkNet",
    "NeuralSort",
    "SmoothHardTopKLoss",
    "SmoothTopKLoss",
    "SoftSort",
    "TopKCrossEntropyLoss",
    "get_sorting_network",
    "topk",
]
