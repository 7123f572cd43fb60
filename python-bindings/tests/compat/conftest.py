"""Reference values of the peers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "tests" / "golden"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], List[Dict[str, Any]]]:
    """The cases of a file of golden values; each file names its source."""

    def load(name: str) -> List[Dict[str, Any]]:
        return list(json.loads((FOLDER / f"{name}.json").read_text())["cases"])

    return load
