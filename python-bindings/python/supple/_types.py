"""Types in the signatures of the generated functions."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional

from numpy.typing import ArrayLike, NDArray

#: An array of ``float32`` or ``float64``.
Array = NDArray[Any]
#: The relaxation, the discrete function, or its value with the relaxation's gradient.
Mode = Literal["soft", "hard", "straight_through"]
#: Sizes of the items of a ragged batch, by symbol of the signature.
Lengths = Optional[Mapping[str, ArrayLike]]

__all__ = ["Array", "ArrayLike", "Lengths", "Mode"]
