"""The straight-through estimator of torch-adaptive-imle."""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional, Tuple

import torch
from torch import Tensor

from ._layer import Settings, Solver, check, solved
from .noise import BaseNoiseDistribution


def ste(
    function: Optional[Solver] = None,
    noise_distribution: Optional[BaseNoiseDistribution] = None,
    noise_temperature: float = 1.0,
    nb_samples: int = 1,
) -> Callable[..., Any]:
    """``function`` as a layer whose gradient is the incoming one, averaged over samples; also a decorator.

    * ``function``: takes a batch of objectives (B, ...) and gives solutions of the same shape.
    * ``noise_distribution``: has ``sample(shape)``; no noise by default. ``noise_temperature``: its factor.
    * ``nb_samples``: samples an item; the layer gives (B · nb_samples, ...).

    Bengio, Léonard and Courville, 2013, arXiv:1308.3432.
    """
    if function is None:
        return functools.partial(
            ste, noise_distribution=noise_distribution, noise_temperature=noise_temperature, nb_samples=nb_samples
        )
    settings = Settings("ste", noise=noise_distribution, samples=nb_samples, temperature=noise_temperature)
    solver = function

    @functools.wraps(function)
    def wrapper(theta: Tensor, *args: Any) -> Tensor:
        check(settings, theta)
        solutions: Tensor = _Through.apply(theta, solver, settings, args)  # type: ignore[no-untyped-call]
        return solutions

    return wrapper


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, function: Solver, settings: Settings, args: Tuple[Any, ...]) -> Tensor:
        solutions = solved(theta, function, settings, args)[1]
        ctx.shape = solutions.shape
        return solutions.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tuple[Tensor, None, None, None]:
        return dy.reshape(ctx.shape).mean(1), None, None, None


__all__ = ["ste"]
