"""Operators around a function of the caller's: solvers in the loop, and estimators of a mean."""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

import torch
from torch import Tensor

from .. import _estimators
from .._callables import rows
from .._core import Operator
from .._signature import parse
from ._apply import new_seed, prepare
from ._autograd import Call, run

Function = Callable[..., Any]


def on_tensors(function: Function, like: Tensor) -> Function:
    """``function`` of tensors as a function of NumPy arrays; it gets tensors of the type and device of ``like``."""
    if not callable(function):
        return function

    def call(array: Any) -> Any:
        with torch.no_grad():
            result = function(torch.from_numpy(array).to(dtype=like.dtype, device=like.device))
        return torch.as_tensor(result).detach().to("cpu", torch.float64).numpy()

    return call


def solve_with(
    name: str, solve: Function, inputs: Tuple[Tensor, ...], batched: bool, either_sign: bool = True, **parameters: Any
) -> Tensor:
    """The operator ``name`` around a solver."""
    signature = "theta(n) -> y(n)" if len(inputs) == 1 else "theta(n), target(n) -> loss()"
    sig = parse(name, signature)
    tensors = prepare(sig, inputs)
    if "seed" in parameters and parameters["seed"] is None:
        parameters["seed"] = new_seed()
    solver = rows(name, "solve", on_tensors(solve, tensors[0]), batched)
    return run(Call(sig, Operator.solving(name, solver, either_sign, **parameters), "soft", None), tensors)[0]


def estimate(
    function: Function,
    x: Tensor,
    estimator: str = "smoothing",
    *,
    outputs: Optional[int] = None,
    evaluations: int = 100,
    seed: Optional[int] = None,
    common: bool = False,
    batched: bool = False,
    **parameters: Any,
) -> Tensor:
    r"""The mean of a function that need not have a gradient, with an estimate of its gradient in ``x``.

    With ``"smoothing"`` (and ``"spsa"``, ``"evolution_strategy"``) the mean is that of :math:`f(x + \sigma Z)`; with the
    others that of :math:`f(b)` for a discrete sample ``b`` of which ``x`` are the logits. Second derivatives are refused.

    * ``function``: a number from a tensor of n numbers, or with ``outputs`` that many numbers; with ``batched`` it takes a tensor
      of rows and gives as many rows. It is called without recording a graph: its own parameters get no gradient.
    * ``x``: parameters, shape ``(..., n)``; each row is an item of its own.
    * ``estimator`` and ``**parameters``: see :func:`supple.estimate`.
    * ``evaluations``: calls for each item. ``common``: whether all items take the same random numbers.

    The result has shape ``(...)``, or ``(..., outputs)``.
    """
    sig = parse("estimate", "x(n) -> y(m)")
    tensors = prepare(sig, (x,))
    operator = _estimators.estimating(
        on_tensors(function, tensors[0]),
        estimator,
        1 if outputs is None else outputs,
        evaluations,
        new_seed() if seed is None else seed,
        common,
        batched,
        parameters,
    )
    y = run(Call(sig, operator, "soft", None), tensors)[0]
    return y.squeeze(-1) if outputs is None else y
