"""The environment of the comparison: peers at pinned versions, and Supple. Standard library only."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path
from typing import Dict, List, Optional, Sequence

HERE = Path(__file__).resolve().parent
#: Tools that build the peers that come as source.
TOOLS = ("pip<24", "setuptools<81", "wheel", "ninja")

#: Without these there is no comparison.
NEEDED = {"torch", "numpy", "matplotlib"}


def python_of(environment: Path) -> Path:
    """Its interpreter."""
    return environment / "bin" / "python"


def make(environment: Path) -> Dict[str, str]:
    """Makes or completes the environment; answers which peers are missing, each with the reason.

    What was installed for the same pins is not installed again; a peer that failed is tried again.
    """
    if not python_of(environment).exists():
        print(f"making {environment}", flush=True)
        venv.EnvBuilder(with_pip=True).create(environment)
    stamp = environment / "peers.json"
    binaries, sources = _pins("requirements.txt"), _pins("requirements-sources.txt")
    if stamp.exists() and json.loads(stamp.read_text()) == [*TOOLS, *binaries, *sources]:
        return {}
    missing: Dict[str, str] = {}
    reason = _install(environment, TOOLS)
    # All at once, so that they fit together; if that fails, one after the other, so that one does not stop the rest.
    reason = reason or _install(environment, binaries)
    if reason:
        missing.update(_each(environment, binaries, ()))
        for name in NEEDED & missing.keys():
            raise SystemExit(f"{name} does not install: {missing[name]}")
    missing.update(_each(environment, sources, ("--no-build-isolation", "--no-deps")))
    if not missing:
        stamp.write_text(json.dumps([*TOOLS, *binaries, *sources]))
    return missing


def install_supple(environment: Path, wheel: Optional[Path]) -> None:
    """Installs Supple from a wheel, or builds it from this repository, which needs Rust."""
    source = wheel or HERE.parent.parent / "python-bindings"
    reason = _install(environment, ("--force-reinstall", "--no-deps", str(source)))
    if reason:
        raise SystemExit(f"Supple does not install from {source}: {reason}")


def _pins(name: str) -> List[str]:
    lines = (HERE / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _each(environment: Path, pins: Sequence[str], options: Sequence[str]) -> Dict[str, str]:
    reasons = {pin.partition("==")[0]: _install(environment, (*options, pin)) for pin in pins}
    return {name: reason for name, reason in reasons.items() if reason}


def _install(environment: Path, what: Sequence[str]) -> Optional[str]:
    """Nothing, or why it failed: the last line that says so."""
    print("pip install", *what, flush=True)
    pip = [str(python_of(environment)), "-m", "pip", "install", "--no-input", "--quiet", *what]
    done = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [f"pip ended with {done.returncode}"])[-1][:200]
