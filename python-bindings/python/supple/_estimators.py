"""Estimators of the gradient of a mean, from values of the function that is averaged."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Optional

import numpy as np

from ._arrays import promote
from ._callables import rows
from ._core import Operator, estimate_at, fresh_seed
from ._types import Array, ArrayLike

#: Parameters with their defaults, by estimator.
ESTIMATORS: Dict[str, Dict[str, Any]] = {
    "smoothing": {"softness": 1.0, "noise": "gaussian", "baseline": "leave_one_out", "design": "monte_carlo"},
    "spsa": {"softness": 1.0},
    "evolution_strategy": {"softness": 1.0, "utilities": "centred"},
    "reinforce": {"distribution": "categorical", "classes": 0, "k": 1, "baseline": "leave_one_out"},
    "without_replacement": {"distribution": "categorical", "classes": 0},
    "arm": {},
    "disarm": {},
}


#: The most evaluations of one estimate; all of their points are kept at once.
MOST = 1_000_000_000


class Estimate(NamedTuple):
    """A mean and its gradient, estimated."""

    #: The mean of the function.
    value: float
    #: Its gradient in the parameters.
    gradient: Array
    #: The standard error of each entry of the gradient, from the spread of the replicates; ``None`` with fewer than two
    #: of them and where the spread says nothing. It does not show a bias.
    standard_error: Optional[Array]
    #: Points at which the function was evaluated.
    evaluations: int


def estimate(
    function: Callable[..., Any],
    x: ArrayLike,
    estimator: str = "smoothing",
    *,
    evaluations: int = 100,
    replicates: int = 1,
    seed: Optional[int] = None,
    batched: bool = False,
    **parameters: Any,
) -> Estimate:
    r"""The gradient of a mean, from values of a function that need not have a gradient.

    With ``"smoothing"`` (and ``"spsa"``, ``"evolution_strategy"``) the mean is that of :math:`f(x + \sigma Z)`; with the
    others that of :math:`f(b)` for a discrete sample ``b`` of which ``x`` are the logits.

    Parameters
    ----------
    function : callable
        A number from an array of n numbers; with ``batched`` as many numbers as there are rows in an array.
    x : array_like, shape (n,)
        The parameters.
    estimator : str
        ``"smoothing"``, ``"spsa"``, ``"evolution_strategy"``, ``"reinforce"``, ``"without_replacement"``, ``"arm"`` or
        ``"disarm"``.
    evaluations : int
        How often to call the function, shared by the replicates.
    replicates : int
        Independent estimates to average; with two or more there is a standard error.
    seed : int, optional
        Seed of all random numbers; drawn where there is none.
    batched : bool
        Whether the function takes all points at once.
    **parameters
        Of the estimator: ``softness``, ``noise``, ``baseline`` and ``design`` for smoothing; ``softness``;
        ``utilities``; ``distribution`` (``"categorical"`` with ``classes``, ``"bernoulli"``, ``"subset"`` with ``k``,
        ``"plackett_luce"``) and ``baseline`` for reinforce.

    Examples
    --------
    >>> step = lambda x: float(x[0] > 0)
    >>> found = supple.estimate(step, [0.5], evaluations=10000, replicates=10, seed=1)
    >>> bool(abs(found.gradient[0] - 0.3521) < 4 * found.standard_error[0])  # the normal density at 0.5
    True

    References
    ----------
    Petersen, Borgelt, Mishra and Ermon, Generalizing stochastic smoothing, 2024.
    """
    (x,) = promote("estimate", ["x"], [False], [x])
    if x.ndim != 1:
        raise ValueError(f"estimate: `x` must be an array with one axis, got shape {x.shape}")
    given = settings(estimator, parameters, evaluations)
    given.update(seed=fresh_seed() if seed is None else seed)
    if not isinstance(replicates, int) or replicates < 1:
        raise ValueError(f"estimate: `replicates` must be a whole number >= 1, got {replicates!r}")
    call = rows("estimate", "function", function, batched)
    value, gradient, error, spent = estimate_at(estimator, call, x.tolist(), replicates, given)
    return Estimate(value, np.array(gradient), None if error is None else np.array(error), spent)


def settings(estimator: str, parameters: Dict[str, Any], evaluations: int) -> Dict[str, Any]:
    """The estimator's parameters, defaults filled in, and the number of evaluations."""
    if estimator not in ESTIMATORS:
        names = ", ".join(ESTIMATORS)
        raise ValueError(f"estimate: `estimator` must be one of {names}, got {estimator!r}")
    defaults = ESTIMATORS[estimator]
    for name in parameters:
        if name not in defaults:
            raise ValueError(f"{estimator}: parameters must be among {', '.join(defaults) or 'none'}, got `{name}`")
    if not isinstance(evaluations, int) or not 1 <= evaluations <= MOST:
        raise ValueError(f"{estimator}: `evaluations` must be a whole number in [1, {MOST}], got {evaluations!r}")
    return {**defaults, **parameters, "evaluations": evaluations}


def estimating(
    function: Callable[..., Any],
    estimator: str,
    outputs: int,
    evaluations: int,
    seed: int,
    common: bool,
    batched: bool,
    parameters: Dict[str, Any],
) -> Operator:
    """The mean of a function with ``outputs`` values, as an operator."""
    if not isinstance(outputs, int) or outputs < 1:
        raise ValueError(f"estimate: `outputs` must be a whole number >= 1, got {outputs!r}")
    given = settings(estimator, parameters, evaluations)
    given.update(seed=seed, common=common)
    return Operator.estimating(estimator, rows("estimate", "function", function, batched), outputs, **given)
