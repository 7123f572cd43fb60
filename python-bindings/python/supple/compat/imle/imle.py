"""``imle`` of torch-adaptive-imle."""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from torch import Tensor

from ._layer import Settings, Solver, layer
from .noise import BaseNoiseDistribution
from .target import BaseTargetDistribution


def imle(
    function: Optional[Solver] = None,
    target_distribution: Optional[BaseTargetDistribution] = None,
    noise_distribution: Optional[BaseNoiseDistribution] = None,
    nb_samples: int = 1,
    nb_marginal_samples: int = 1,
    theta_noise_temperature: float = 1.0,
    target_noise_temperature: float = 1.0,
    _gradient_save_path: Optional[str] = None,
    _is_minimization: bool = False,
) -> Callable[..., Any]:
    """``function`` as a layer with the gradient of implicit maximum likelihood; also a decorator.

    As :func:`supple.compat.imle.wrapper.imle`, and:

    * ``nb_marginal_samples``: samples that are averaged before ``target_distribution.process`` sees the gradient; the
      layer gives (B · nb_samples · nb_marginal_samples, ...).
    * ``_gradient_save_path``: a file for the gradient of each sample, in NumPy's format.
    * ``_is_minimization``: whether the solver minimises.

    Niepert et al., NeurIPS 2021, arXiv:2106.01798.
    """
    if function is None:
        return functools.partial(
            imle,
            target_distribution=target_distribution,
            noise_distribution=noise_distribution,
            nb_samples=nb_samples,
            nb_marginal_samples=nb_marginal_samples,
            theta_noise_temperature=theta_noise_temperature,
            target_noise_temperature=target_noise_temperature,
            _gradient_save_path=_gradient_save_path,
            _is_minimization=_is_minimization,
        )
    settings = Settings(
        "imle",
        target=target_distribution,
        noise=noise_distribution,
        samples=nb_samples,
        marginal=nb_marginal_samples,
        temperature=theta_noise_temperature,
        target_temperature=target_noise_temperature,
        minimization=_is_minimization,
        gradient_path=_gradient_save_path,
    )
    solver = function

    @functools.wraps(function)
    def wrapper(theta: Tensor, *args: Any) -> Tensor:
        return layer(solver, settings, theta, args)

    return wrapper


__all__ = ["imle"]
