"""Signatures of operators, for callers that must know the shapes of outputs before anything is computed."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ._core import entries


class Argument(NamedTuple):
    """One argument: its name, its core axes as symbols, and whether it holds whole numbers."""

    name: str
    core: Tuple[str, ...]
    integer: bool


class Signature(NamedTuple):
    """Inputs and outputs of an operator, as in ``x(n), label: index() -> loss()``."""

    operator: str
    inputs: Tuple[Argument, ...]
    outputs: Tuple[Argument, ...]
    elementwise: bool
    #: Position of the parameter ``seed``, where there is one.
    seed: Optional[int]
    #: Positions of the real inputs.
    real: Tuple[int, ...]

    def rank(self, argument: Argument) -> int:
        """The number of core axes of an argument."""
        return 0 if self.elementwise else len(argument.core)

    def batch_ranks(self, ranks: Sequence[int]) -> List[int]:
        """How many batch axes inputs with so many axes have."""
        batch = [rank - self.rank(argument) for rank, argument in zip(ranks, self.inputs)]
        for argument, axes in zip(self.inputs, batch):
            if axes < 0:
                least = self.rank(argument)
                raise ValueError(
                    f"{self.operator}: `{argument.name}` must be an array with at least {least} axes, got {axes + least}"
                )
        return batch

    def shapes(self, shapes: Sequence[Sequence[int]], size: Callable[[str], Optional[int]]) -> List[Tuple[int, ...]]:
        """The shapes of the outputs for inputs of these shapes, core axes last; ``size`` tells the size of a symbol
        that no input has."""
        batches = self.batch_ranks([len(shape) for shape in shapes])
        sizes: Dict[str, int] = {}
        most = max(batches, default=0)
        batch: List[int] = [1] * most
        for shape, axes, argument in zip(shapes, batches, self.inputs):
            if not self.elementwise:
                sizes.update(zip(argument.core, shape[axes:]))
            for i, length in enumerate(shape[:axes]):
                place = most - axes + i
                batch[place] = length if batch[place] == 1 else batch[place]
        result = []
        for argument in self.outputs:
            core = () if self.elementwise else argument.core
            known = [sizes[s] if s in sizes else size(s) for s in core]
            result.append((*batch, *[0 if n is None else n for n in known]))
        return result


def parse(operator: str, text: str, parameters: Sequence[str] = ()) -> Signature:
    """A signature in the notation of the catalogue."""
    inputs, outputs = text.split("->")
    seed = list(parameters).index("seed") if "seed" in parameters else None
    arguments = _arguments(inputs)
    real = tuple(i for i, argument in enumerate(arguments) if not argument.integer)
    return Signature(operator, arguments, _arguments(outputs), "..." in text, seed, real)


def _arguments(text: str) -> Tuple[Argument, ...]:
    arguments = []
    for part in text.split(")"):
        if "(" not in part:
            continue
        name, core = part.strip(" ,").split("(")
        symbols = tuple(s.split(">=")[0].strip() for s in core.split(",") if s.strip())
        arguments.append(Argument(name.split(":")[0].strip(), symbols, ":" in name))
    return tuple(arguments)


def seeded(sig: Signature, parameters: Tuple[Any, ...], draw: Callable[[], int]) -> Tuple[Any, ...]:
    """Parameters with a seed, drawn where there should be one and none is given."""
    if sig.seed is None or parameters[sig.seed] is not None:
        return parameters
    return (*parameters[: sig.seed], draw(), *parameters[sig.seed + 1 :])


def from_end(sig: Signature, ranks: Sequence[int], axis: Any, word: str) -> int:
    """``axis`` counted from the end, by the input that has the most axes; all that have core axes must have it. ``word`` is
    what the caller's people call it."""
    if not isinstance(axis, (int, np.integer)):
        raise ValueError(f"{sig.operator}: `{word}` must be a whole number, got {axis!r}")
    most = max([rank for argument, rank in zip(sig.inputs, ranks) if argument.core])
    if not -most <= axis < most:
        raise ValueError(f"{sig.operator}: `{word}` must be in {-most}..{most}, got {axis}")
    axis = int(axis) if axis < 0 else int(axis) - most
    for argument, rank in zip(sig.inputs, ranks):
        if argument.core and rank < -axis:
            raise ValueError(f"{sig.operator}: `{argument.name}` must have an axis {axis}, got {rank} axes")
    return axis


SIGNATURES: Dict[str, Signature] = {
    entry["name"]: parse(entry["name"], entry["signature"], entry["parameters"]) for entry in entries()
}


def signature(operator: str) -> Signature:
    """The signature of an entry of the catalogue."""
    return SIGNATURES[operator]
