"""Functions that people hand in, as the engine calls them: rows of ``float64`` in, as many rows out."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

Rows = Callable[[np.ndarray, int], np.ndarray]


def rows(operator: str, argument: str, function: Callable[..., Any], batched: bool) -> Rows:
    """``function`` of one row, or with ``batched`` of all rows at once, as a function of rows and of how many numbers
    each gives."""
    if not callable(function):
        raise ValueError(f"{operator}: `{argument}` must be callable, got {type(function).__name__}")

    def all_at_once(points: np.ndarray, width: int) -> np.ndarray:
        return checked(function(points), (len(points), width))

    def one_by_one(points: np.ndarray, width: int) -> np.ndarray:
        return np.stack([checked(function(point), (width,)) for point in points])

    def checked(result: Any, shape: tuple) -> np.ndarray:
        array = np.asarray(result, dtype=np.float64)
        if array.size != int(np.prod(shape)) or (shape[-1] != 1 and array.shape != shape):
            raise ValueError(f"{operator}: `{argument}` must give an array of shape {shape}, got shape {array.shape}")
        return np.ascontiguousarray(array.reshape(shape))

    return all_at_once if batched else one_by_one
