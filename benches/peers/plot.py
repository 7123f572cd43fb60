"""The plot: how many times as long a peer takes, a line for each workload, and Supple at 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "supple"  # the same file from the same results

import matplotlib.pyplot as plt  # noqa: E402

Row = Mapping[str, Any]
Places = Mapping[Tuple[str, str], int]


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Writes an SVG, with a panel for each number of threads."""
    timed = [row for row in results["rows"] if row["times"]]
    places: Dict[Tuple[str, str], int] = {}
    for row in timed:
        places.setdefault(_key(row), len(places))
    threads = sorted({row["threads"] for row in timed}) or [1]
    size = (4.5 + 4 * len(threads), 1.8 + 0.21 * len(places))
    figure, panels = plt.subplots(
        1, len(threads), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axes, number in zip(panels[0], threads):
        _panel(axes, [row for row in timed if row["threads"] == number], places)
        axes.set_title(f"{number} thread{'s' if number > 1 else ''}", fontsize=9)
    first = panels[0][0]
    first.set_yticks(range(len(places)), [f"{name}   {size}" for name, size in places], fontsize=7)
    first.set_ylim(len(places) - 0.5, -0.5)
    figure.suptitle(_title(results), fontsize=9)
    figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _panel(axes: Any, rows: Sequence[Row], places: Places) -> None:
    for place in range(0, len(places), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f4f4f4", zorder=0)
    axes.axvline(1, color="black", linewidth=1.5, zorder=1)
    same = [row for row in rows if row["error"] is not None]
    hard = [row for row in rows if row["error"] is None]
    tensors, arrays = ([row for row in hard if (row["package"] == "numpy") == numpy] for numpy in (False, True))
    hollow = {"color": "#777777", "mfc": "white"}
    _points(axes, same, places, "the same function in the peer at the point", fmt="o", color="#0072b2")
    _points(axes, tensors, places, "a simpler function, most often the hard one, in PyTorch", fmt="o", **hollow)
    _points(axes, arrays, places, "and in NumPy", fmt="s", **hollow)
    for (name, place), ratio in _rightmost(same, places).items():
        text = {"textcoords": "offset points", "va": "center", "fontsize": 6, "color": "#0072b2"}
        axes.annotate(name, (ratio, place), (5, 0), **text)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}×")
    axes.grid(axis="x", color="#cccccc", linewidth=0.5)
    axes.set_xlabel("time of the peer / time of Supple: right of the line, Supple is faster", fontsize=8)
    axes.tick_params(axis="x", top=True, labeltop=True, labelsize=7)


def _points(axes: Any, rows: Sequence[Row], places: Places, label: str, **style: Any) -> None:
    times = [row["times"] for row in rows]
    spread: List[List[float]] = [
        [max(0.0, t["ratio"] - t["low"]) for t in times],
        [max(0.0, t["high"] - t["ratio"]) for t in times],
    ]
    ratios, heights = [t["ratio"] for t in times], [places[_key(row)] for row in rows]
    axes.errorbar(ratios, heights, xerr=spread, label=label, ms=4.5, elinewidth=1, zorder=2, **style)


def _rightmost(rows: Sequence[Row], places: Places) -> Dict[Tuple[str, int], float]:
    """Where to write the name of each peer: right of the last of its points of a workload."""
    found: Dict[Tuple[str, int], float] = {}
    for row in rows:
        key = ("PyTorch" if row["package"] == "torch" else row["package"], places[_key(row)])
        found[key] = max(found.get(key, 0.0), row["times"]["ratio"], row["times"]["high"])
    return found


def _key(row: Row) -> Tuple[str, str]:
    return row["workload"], row["size"]


def _title(results: Mapping[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    title = f"Supple {versions.get('supple', '?')} and its peers on {machine['cpu']}, {machine['cores']} cores"
    return title + (": THE MACHINE WAS BUSY, NO SPEEDS" if results["busy"] else "")


if __name__ == "__main__":
    source, target = (Path(argument) for argument in sys.argv[1:])
    draw(json.loads(source.read_text()), target)
