"""The sorting networks of diffsort 0.2.0: ``import supple.compat.diffsort as diffsort``.

``DiffSortNet(type, size, ...)(x)`` returns the sorted values and a matrix ``P`` that acts from the right: ``x @ P``
are the sorted values, and its columns are output positions. ``steepness`` is one over Supple's ``softness``.

What differs:

* tensors of any number of axes; the original takes two;
* the engine runs on the host: ``device`` is not used, tensors of any device work;
* ``"bitonic"`` is another network for some sizes that are no power of two: 11, 19, 21, 22, 23, 27, ...; the original's
  does not sort for some of them, 22 first;
* second derivatives are right for ``"gaussian"`` too;
* ``art_lambda`` is 0.25 for ``"logistic_phi"``, or 0, where it is ``"logistic"``; others are an error. Its gradient
  is zero between equal values, where the true one is infinite;
* a network is a name and a size, not matrices: one of your own making is an error, and ``bitonic_network`` and
  ``odd_even_network``, which return such matrices, are left out.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple, Union

from torch import Tensor

from .. import torch as _supple
from ..torch._module import Module
from ._networks import SortingNetwork, check, get_sorting_network, merged, scaled
from ._tensors import as_given


def sort(
    sorting_network: SortingNetwork,
    vectors: Tensor,
    steepness: Union[float, Tensor] = 10.0,
    art_lambda: float = 0.25,
    distribution: str = "cauchy",
) -> Tuple[Tensor, Tensor]:
    """Sorted values, ``(..., n)``, and the matrix that sorts from the right, ``(..., n, n)``.

    * ``sorting_network``: from :func:`get_sorting_network`.
    * ``vectors``: values, ``(..., n)``.
    * ``steepness``: one over the distance at which values mix; a tensor gets a gradient.
    * ``art_lambda``: the exponent of ``"logistic_phi"``.
    * ``distribution``: ``"logistic"``, ``"logistic_phi"``, ``"gaussian"``, ``"cauchy"``, ``"reciprocal"`` or
      ``"optimal"``.
    """
    network = check("sort", sorting_network, vectors).type
    x, factor, softness, shape = scaled("sort", vectors, steepness, art_lambda, distribution)
    values = _supple.sorting_network(x, softness, network, shape)  # type: ignore[arg-type]
    matrix = _supple.sorting_network_permutation(x, softness, network, shape)  # type: ignore[arg-type]
    if factor is not None:
        values = values / factor
    return as_given(values, vectors), as_given(matrix, vectors).transpose(-2, -1)


class DiffSortNet(Module):
    """:func:`sort` as a module, for vectors of ``size`` values by a ``"bitonic"`` or an ``"odd_even"`` network.

    ``interpolation_type`` is an old word for ``distribution``. ``device`` is not used.
    """

    def __init__(
        self,
        sorting_network_type: str,
        size: int,
        device: Any = "cpu",
        steepness: Union[float, Tensor] = 10.0,
        art_lambda: float = 0.25,
        interpolation_type: Optional[str] = None,
        distribution: Optional[str] = "cauchy",
    ) -> None:
        super().__init__("sorting_network_type", "size", "steepness", "distribution")
        self.sorting_network_type = sorting_network_type
        self.size = size
        self.sorting_network = get_sorting_network(sorting_network_type, size, device)
        self.steepness = steepness
        self.art_lambda = art_lambda
        self.distribution = merged("DiffSortNet", distribution, interpolation_type)

    def forward(self, vectors: Tensor) -> Tuple[Tensor, Tensor]:
        """Sorted values and the matrix that sorts from the right."""
        return sort(self.sorting_network, vectors, self.steepness, self.art_lambda, self.distribution)


class functional:
    """What the original has in its module ``functional``."""

    sort = staticmethod(sort)


__all__ = ["DiffSortNet", "functional", "get_sorting_network", "sort"]
