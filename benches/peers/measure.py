"""Measures all workloads in one process, in the environment that run.py made: answers first, then times."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np
import torch

import table
import timing
from workloads import workloads
from workloads.case import Missing, Peer, Run, Workload


@dataclass
class Row:
    """One workload beside one peer. ``problem`` says why there are no times, or is empty."""

    workload: str
    size: str
    threads: int
    peer: str
    package: str
    #: The largest relative error of an answer; none beside another function.
    error: Optional[float] = None
    #: The peer's own, where Supple is compared with the peer in double precision.
    peer_error: Optional[float] = None
    times: Optional[Dict[str, float]] = None
    problem: str = ""


def rows(
    chosen: Sequence[Workload], threads: int, seconds: float, reasons: Mapping[str, str]
) -> Iterator[Row]:
    """A row for each peer of each workload, as soon as it is there; ``reasons`` why peers did not install."""
    for workload in chosen:
        try:
            ours, peers = workload.build()
            answers = _answers(ours)
        except Missing as e:
            yield Row(workload.name, workload.size, threads, "", "", problem=str(e))
            continue
        for peer in peers:
            row = Row(workload.name, workload.size, threads, peer.name, peer.package)
            try:
                _measure(row, peer, ours, answers, seconds)
            except ImportError as e:
                row.problem = f"not installed: {reasons.get(peer.package, e)}"
            except Exception as e:  # a peer that fails is a result
                row.problem = f"failed: {type(e).__name__}: {e}"[:200]
            yield row


def _measure(row: Row, peer: Peer, ours: Run, answers: List[np.ndarray], seconds: float) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = peer.make()
        other = _answers(theirs)
    if peer.tolerance is not None:
        if peer.reference is not None:
            single, other = other, _answers(peer.reference())
            row.peer_error = error(single, other)
        row.error = error(answers, other)
        if not row.error <= peer.tolerance:
            row.problem = f"answers differ by {row.error:.1e}, more than {peer.tolerance:.0e}"
            return
    row.times = timing.paired(ours, theirs, seconds)


def _answers(run: Run) -> List[np.ndarray]:
    return [np.asarray(y, dtype=np.float64) for y in run()]


def error(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float:
    """The largest difference of an output or a gradient, relative to the peer's largest entry; infinite if shapes or
    numbers of outputs differ."""
    if [y.shape for y in ours] != [y.shape for y in theirs]:
        return float("inf")
    return max(float(np.abs(a - b).max() / (np.abs(b).max() or 1.0)) for a, b in zip(ours, theirs) if b.size)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """``--threads 0`` is all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--missing", type=json.loads, default={})
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    threads = options.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    chosen = [w for w in workloads(options.quick) if re.search(options.only, f"{w.name} {w.size}")]
    if not chosen:
        raise SystemExit(f"no workload matches {options.only!r}")
    found: List[Dict[str, Any]] = []
    print(table.heading(threads), flush=True)
    for row in rows(chosen, threads, 0.3 if options.quick else 2.0, options.missing):
        found.append(asdict(row))
        print(table.line(found[-1]), flush=True)
    options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
