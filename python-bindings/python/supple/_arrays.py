"""What people hand in, as arrays that the engine reads. The compiled half calls this where an input is no such array
as it is."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence, Tuple

import numpy as np


def promote(
    operator: str, names: Sequence[str], integer: Sequence[bool], inputs: Sequence[Any]
) -> Tuple[np.ndarray, ...]:
    """Real inputs in one dtype and integer ones as ``int64``, all aligned.

    ``float16`` and ``float32`` give ``float32``; any ``float64``, and integers alone, give ``float64``. Python's
    numbers and lists take the dtype of the arrays beside them.
    """
    arrays = [_array(operator, name, x) for name, x in zip(names, inputs)]
    strong = [a.dtype for a, x, i in zip(arrays, inputs, integer) if not i and hasattr(x, "dtype")]
    double = not strong or any(d.kind != "f" or d.itemsize > 4 for d in strong)
    dtype = np.dtype(np.float64 if double else np.float32)
    return tuple(
        _indices(operator, name, a) if i else _reals(operator, name, a, dtype)
        for name, a, i in zip(names, arrays, integer)
    )


def sizes(operator: str, lengths: Mapping[str, Any]) -> Dict[str, np.ndarray]:
    """The sizes of a ragged batch as ``int64``."""
    if not isinstance(lengths, Mapping):
        raise ValueError(f'{operator}: `lengths` must be a dict of sizes by symbol, got {lengths!r}')
    arrays = {str(symbol): _indices(operator, "lengths", _array(operator, "lengths", x)) for symbol, x in lengths.items()}
    for array in arrays.values():
        if array.size and array.min() < 0:
            raise ValueError(f"{operator}: `lengths` must be >= 0, got {array.min()}")
    return arrays


def _array(operator: str, name: str, x: Any) -> np.ndarray:
    if x is None:
        raise ValueError(f"{operator}: `{name}` must be an array, got None; where there are no rows, one of shape (0, n)")
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(f"{operator}: `{name}` must be an array without a mask, got a masked array")
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as e:
        raise ValueError(f"{operator}: `{name}` must be an array of numbers, got {type(x).__name__}: {e}") from e
    if array.ndim > 32:
        raise ValueError(f"{operator}: `{name}` must be an array of at most 32 axes, got {array.ndim}")
    return array


def _reals(operator: str, name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{operator}: `{name}` must be an array of real numbers, got dtype {array.dtype}")
    return np.require(array, dtype, "A")


def _indices(operator: str, name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iub" and array.size:
        raise ValueError(f"{operator}: `{name}` must be an array of whole numbers, got dtype {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{operator}: `{name}` must fit into 64 bits with a sign, got {array.max()}")
    return np.require(array, np.int64, "A")
