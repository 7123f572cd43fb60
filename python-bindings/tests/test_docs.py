"""Examples in the documentation run, and say what comes out."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import supple
from supple import _estimators, _linearize

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.parametrize("module", [supple, _estimators, _linearize])
def test_docstrings(module):
    found = doctest.testmod(module, extraglobs={"supple": supple, "np": np})
    assert found.attempted > 0 and found.failed == 0


def test_the_readme_runs():
    names: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        exec(block.replace("help(", "repr("), names)


def test_the_functions_are_listed():
    entries = [entry["name"] for entry in supple.catalogue()]
    assert all(callable(getattr(supple, name)) for name in entries) and len(set(entries)) == len(entries)


def test_the_documentation_is_in_pythons_words():
    for entry in supple.catalogue():
        text = getattr(supple, entry["name"]).__doc__
        for word in ("crate::", "super::", "Mode::", "``f64``", "\\["):
            assert word not in text, (entry["name"], word)


def test_a_star_leaves_pythons_own_functions_alone():
    names: dict = {}
    exec("from supple import *; from supple.torch import *", names)
    assert "max" not in names and "min" not in names and "soft_rank" in names
