"""The table in the terminal."""

from __future__ import annotations

from typing import Any, Mapping

_LINE = "{:<42} {:>14} {:>10} {:>10} {:>9} {:>8}  {}"

#: Errors of a peer's own above this are said.
NOTED = 1e-3


def heading(threads: int) -> str:
    """The first lines, of a run with so many threads."""
    titles = _LINE.format("workload", "size", "Supple", "peer", "ratio", "error", "peer")
    return f"\n{threads} {'thread' if threads == 1 else 'threads'}\n{titles}\n{'-' * 124}"


def line(row: Mapping[str, Any]) -> str:
    """One row of the results."""
    times, error = row["times"], row["error"]
    shown = ["", "", ""]
    if times is not None:
        shown = [_time(times["supple_ms"]), _time(times["peer_ms"]), _ratio(times["ratio"])]
    difference = "" if error is None else f"{error:.0e}"
    problem = f"{row['peer']}: {row['problem']}".removeprefix(": ") if row["problem"] else row["peer"]
    own = row["peer_error"] or 0.0
    note = f" (its own answer is off by {own:.0e})" if own > NOTED else ""
    return _LINE.format(row["workload"], row["size"], *shown, difference, problem + note)


def _ratio(times: float) -> str:
    """Three figures, of how many times as long the peer takes."""
    return f"{times:,.0f} ×" if times >= 100 else f"{times:.3g} ×"


def _time(milliseconds: float) -> str:
    for unit, size in (("s", 1e3), ("ms", 1.0)):
        if milliseconds >= 0.1 * size:
            return f"{milliseconds / size:.3g} {unit}"
    return f"{milliseconds * 1e3:.3g} µs"
