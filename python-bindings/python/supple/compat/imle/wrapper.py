"""``imle`` of torch-imle."""

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
    input_noise_temperature: float = 1.0,
    target_noise_temperature: float = 1.0,
    *,
    theta_noise_temperature: Optional[float] = None,
) -> Callable[..., Any]:
    """``function`` as a layer with the gradient of implicit maximum likelihood; also a decorator.

    * ``function``: takes a batch of objectives (B, ...) and gives maximisers of the same shape.
    * ``target_distribution``: has ``params(theta, dy)``; θ - dy by default.
    * ``noise_distribution``: has ``sample(shape)``; no noise by default.
    * ``nb_samples``: samples an item; the layer gives (B · nb_samples, ...).
    * ``input_noise_temperature``, also ``theta_noise_temperature``: factor of the noise forward.
      ``target_noise_temperature``: its factor backward.

    The gradient of an item is the mean over its samples of the solution less the solution at the target.

    Niepert et al., NeurIPS 2021, arXiv:2106.01798.
    """
    given = input_noise_temperature if theta_noise_temperature is None else theta_noise_temperature
    if function is None:
        return functools.partial(
            imle,
            target_distribution=target_distribution,
            noise_distribution=noise_distribution,
            nb_samples=nb_samples,
            input_noise_temperature=given,
            target_noise_temperature=target_noise_temperature,
        )
    settings = Settings(
        "imle",
        target=target_distribution,
        noise=noise_distribution,
        samples=nb_samples,
        temperature=given,
        target_temperature=target_noise_temperature,
    )
    solver = function

    @functools.wraps(function)
    def wrapper(input: Tensor, *args: Any) -> Tensor:
        return layer(solver, settings, input, args)

    return wrapper


__all__ = ["imle"]
