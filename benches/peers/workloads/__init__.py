"""The workloads: one file for each family of operators."""

from __future__ import annotations

from typing import List

from . import calls, choice, convex, networks, order, perturb, sequence, transport
from .case import Workload

FAMILIES = (order, choice, networks, sequence, transport, perturb, convex, calls)


def workloads(quick: bool) -> List[Workload]:
    """All of them, in the order of the report; ``quick`` has fewer and smaller sizes."""
    return [workload for family in FAMILIES for workload in family.workloads(quick)]
