"""``aimle`` of torch-adaptive-imle."""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from torch import Tensor

from ._layer import Settings, Solver, layer
from .noise import BaseNoiseDistribution
from .target import BaseTargetDistribution


def aimle(
    function: Optional[Solver] = None,
    target_distribution: Optional[BaseTargetDistribution] = None,
    noise_distribution: Optional[BaseNoiseDistribution] = None,
    nb_samples: int = 1,
    nb_marginal_samples: int = 1,
    theta_noise_temperature: float = 1.0,
    target_noise_temperature: float = 1.0,
    symmetric_perturbation: bool = False,
    _is_minimization: bool = False,
) -> Callable[..., Any]:
    """``function`` as a layer with the gradient of adaptive implicit maximum likelihood; also a decorator.

    As :func:`supple.compat.imle.imle.imle`, but the solution that the target's is subtracted from is one of ``params``
    too: of no gradient, or with ``symmetric_perturbation`` of the negative one, and then the difference is halved.
    ``target_distribution`` is θ - dy by default, as there; hand in an
    :class:`~supple.compat.imle.target.AdaptiveTargetDistribution` to adapt.

    Minervini et al., AAAI 2023, arXiv:2209.04862.
    """
    if function is None:
        return functools.partial(
            aimle,
            target_distribution=target_distribution,
            noise_distribution=noise_distribution,
            nb_samples=nb_samples,
            nb_marginal_samples=nb_marginal_samples,
            theta_noise_temperature=theta_noise_temperature,
            target_noise_temperature=target_noise_temperature,
            symmetric_perturbation=symmetric_perturbation,
            _is_minimization=_is_minimization,
        )
    settings = Settings(
        "aimle",
        target=target_distribution,
        noise=noise_distribution,
        samples=nb_samples,
        marginal=nb_marginal_samples,
        temperature=theta_noise_temperature,
        target_temperature=target_noise_temperature,
        again=True,
        symmetric=symmetric_perturbation,
        minimization=_is_minimization,
    )
    solver = function

    @functools.wraps(function)
    def wrapper(theta: Tensor, *args: Any) -> Tensor:
        return layer(solver, settings, theta, args)

    return wrapper


__all__ = ["aimle"]
