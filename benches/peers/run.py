#!/usr/bin/env python3
"""Supple beside its peers: answers first, then times.

    python3 benches/peers/run.py                 # everything, with one thread and with all: 15 minutes, 6 GB
    python3 benches/peers/run.py --quick         # smaller sizes, short: 2 minutes
    python3 benches/peers/run.py --only soft_rank    # workloads whose name and size match a regular expression

The first run makes benches/peers/.venv with the peers at pinned versions (5 GB, with PyTorch; some build from source
and need a C++ compiler), and builds Supple, which needs Rust. ``--wheel PATH`` installs a wheel instead, ``--as-is``
installs nothing: the environment is used as it is, with the Supple that is in it or in PYTHONPATH. It needs Linux and
Python 3.11 or later.

How to read the table: a row is a workload on Supple and on one peer, run in turn in one process: A, B, A, B, … . Times
are medians; ``ratio`` is the median of the ratios of rounds, the peer's time over Supple's: above 1, Supple is faster.
``error`` is the largest difference of an answer, gradients included, relative to the largest entry. Where answers
differ by more than the workload allows, there is no time, and the exit status is 1. A row without an error is beside a
simpler function, most often the hard one without a gradient. A peer that did not install has a row that says why.

Results go to benches/peers/results: results.json, with the machine and all versions, and peers.svg, the ratios at one
glance. Ratios, not times, carry over to other machines, and only from a machine that does nothing else: the run
says so if it was busy.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import environment

HERE = Path(__file__).resolve().parent
#: Whatever reads how many threads it may use.
THREADS = ("OMP", "RAYON", "OPENBLAS", "MKL", "NUMBA")

#: Share of the processor's time that others may take before times say nothing.
BUSY = 0.1


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Installs, measures, writes; 1 if answers differed."""
    if sys.version_info < (3, 11):
        raise SystemExit(f"run.py needs Python 3.11 or later, for the peers, got {platform.python_version()}")
    options = _options(arguments)
    python = environment.python_of(options.env)
    missing: Dict[str, str] = {}
    if not options.as_is:
        missing = environment.make(options.env)
        environment.install_supple(options.env, options.wheel)
    options.out.mkdir(parents=True, exist_ok=True)
    cores = len(os.sched_getaffinity(0))
    rows, work = [], 0.0
    for threads in sorted({1, cores}):
        work = max(work, _work())
        rows += _measure(python, threads, options, missing)
    work = max(work, _work())
    results = {
        "machine": {"cpu": _cpu(), "cores": cores, "system": platform.platform()},
        "other_work": round(work, 3),
        "busy": work > BUSY,
        "quick": options.quick,
        "versions": _versions(python),
        "not_installed": missing,
        "rows": rows,
    }
    written, plot = options.out / "results.json", options.out / "peers.svg"
    written.write_text(json.dumps(results, indent=1))
    subprocess.run([str(python), str(HERE / "plot.py"), str(written), str(plot)], check=True)
    return _conclude(results, written, plot)


def _options(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer repetitions")
    parser.add_argument("--only", default="", metavar="PATTERN", help="workloads that match")
    parser.add_argument("--wheel", type=Path, help="a wheel of Supple to install instead of building one")
    parser.add_argument("--as-is", action="store_true", help="install nothing")
    parser.add_argument("--env", type=Path, default=HERE / ".venv", help="where the environment is")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="where results go")
    return parser.parse_args(arguments)


def _measure(python: Path, threads: int, options: argparse.Namespace, missing: Dict[str, str]) -> List[Dict[str, Any]]:
    part = options.out / f"threads-{threads}.json"
    command = [str(python), str(HERE / "measure.py"), "--threads", str(threads), "--out", str(part)]
    command += ["--only", options.only, "--missing", json.dumps(missing), *(["--quick"] if options.quick else [])]
    limits = {f"{library}_NUM_THREADS": str(threads) for library in THREADS}
    if subprocess.run(command, env={**os.environ, **limits}).returncode != 0:
        raise SystemExit(f"measure.py failed with {threads} threads")
    rows: List[Dict[str, Any]] = json.loads(part.read_text())
    part.unlink()
    return rows


def _versions(python: Path) -> Dict[str, str]:
    """Python, Supple and everything in the environment."""
    script = (
        "import json, platform, supple; from importlib.metadata import distributions as d; "
        "print(json.dumps({**{x.metadata['Name']: x.version for x in d()}, "
        "'python': platform.python_version(), 'supple': supple.__version__}))"
    )
    versions: Dict[str, str] = json.loads(subprocess.check_output([str(python), "-c", script], text=True))
    return dict(sorted(versions.items(), key=lambda item: item[0].lower()))


def _work() -> float:
    """The share of all cores that others use now, in two seconds; 0 where the system does not say."""

    def ticks() -> Tuple[int, int]:
        fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    try:
        before = ticks()
        time.sleep(2)
        after = ticks()
    except OSError:
        return 0.0
    return 1 - (after[1] - before[1]) / max(1, after[0] - before[0])


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _conclude(results: Dict[str, Any], written: Path, plot: Path) -> int:
    print()
    for name, reason in results["not_installed"].items():
        print(f"not installed: {name}: {reason}")
    differ = [row for row in results["rows"] if row["problem"].startswith("answers differ")]
    for row in differ:
        print(f"ANSWERS DIFFER: {row['workload']}, {row['size']}, {row['peer']}: {row['problem']}")
    if results["busy"]:
        print(f"The machine was busy with other work ({results['other_work']:.0%}): these are not speeds.")
    print(f"{written}\n{plot}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
