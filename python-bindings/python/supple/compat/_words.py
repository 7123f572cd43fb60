"""The words of the peers, as those of Supple."""

from __future__ import annotations

import math
from typing import Any, Literal, Mapping


def positive(function: str, name: str, value: Any) -> float:
    """A strength or steepness as a float."""
    try:
        number = float(value)
    except (TypeError, ValueError) as e:
        raise ValueError(f"{function}: `{name}` must be one number, got {value!r}") from e
    if not (math.isfinite(number) and number > 0.0):
        raise ValueError(f"{function}: `{name}` must be finite and > 0, got {value!r}")
    return number


def choice(function: str, name: str, value: Any, choices: Mapping[str, Any]) -> Any:
    """What a word of a peer stands for."""
    if not isinstance(value, str) or value not in choices:
        words = " or ".join(f'"{word}"' for word in choices)
        raise ValueError(f"{function}: `{name}` must be {words}, got {value!r}")
    return choices[value]


def regularization(function: str, value: Any) -> Literal["l2", "entropic"]:
    """``"l2"`` and ``"kl"``."""
    kind: Literal["l2", "entropic"] = choice(function, "regularization", value, {"l2": "l2", "kl": "entropic"})
    return kind


def descending(function: str, value: Any) -> bool:
    """``"ASCENDING"`` and ``"DESCENDING"``."""
    return bool(choice(function, "direction", value, {"ASCENDING": False, "DESCENDING": True}))
