"""Times of two functions, one in turn with the other."""

from __future__ import annotations

import gc
import statistics
import time
from typing import Any, Callable, Dict, List, Tuple

#: What a time is taken of lasts at least this long, in seconds: short calls are repeated.
SHORTEST = 2e-4


def paired(ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float) -> Dict[str, float]:
    """Runs A, B, A, B, … for about ``seconds``: milliseconds of each and how many times as long the second takes.

    Times are medians, ``ratio`` is the median of the ratios of rounds, ``low`` and ``high`` are their quartiles. There
    are three rounds or more, but one only where a single call takes all the time. Both functions have run before.
    """
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        rounds = [(_time(ours, 1), _time(theirs, 1))]
        if sum(rounds[0]) < seconds:
            rounds = _rounds(ours, theirs, seconds)
    finally:
        if collecting:
            gc.enable()
    ratios = [theirs / ours for ours, theirs in rounds]
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(rounds) > 1 else ratios * 3
    return {
        "supple_ms": 1e3 * statistics.median(ours for ours, _ in rounds),
        "peer_ms": 1e3 * statistics.median(theirs for _, theirs in rounds),
        "ratio": statistics.median(ratios),
        "low": quartiles[0],
        "high": quartiles[2],
        "rounds": len(rounds),
    }


def _rounds(ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float) -> List[Tuple[float, float]]:
    a, b = _repeats(ours), _repeats(theirs)
    rounds: List[Tuple[float, float]] = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(rounds) < 3:
        rounds.append((_time(ours, a), _time(theirs, b)))
    return rounds


def _time(run: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def _repeats(run: Callable[[], Any]) -> int:
    """How often to call so that a time can be taken."""
    return max(1, round(SHORTEST / min(_time(run, 1) for _ in range(3))))
