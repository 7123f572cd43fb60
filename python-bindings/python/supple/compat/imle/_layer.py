"""The layer of all estimators here: solutions under noise forward, a difference of solutions backward."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .target import TargetDistribution

Solver = Callable[..., Tensor]


class Settings(NamedTuple):
    """What a layer is made of."""

    name: str
    target: Any = None
    noise: Any = None
    samples: int = 1
    #: Samples that are averaged before ``target.process`` sees them.
    marginal: int = 1
    temperature: float = 1.0
    target_temperature: float = 1.0
    #: Whether the solution that is subtracted from is solved for anew at the target's noise, as AIMLE does.
    again: bool = False
    symmetric: bool = False
    minimization: bool = False
    gradient_path: Optional[str] = None


def layer(function: Solver, settings: Settings, theta: Tensor, args: Tuple[Any, ...]) -> Tensor:
    """The solutions of ``theta`` (B, ...) under noise, (B · samples, ...), with their gradient."""
    check(settings, theta)
    if settings.target is None:
        settings = settings._replace(target=TargetDistribution(alpha=1.0, beta=1.0))
    solutions: Tensor = _Layer.apply(theta, function, settings, args)  # type: ignore[no-untyped-call]
    return solutions


def check(settings: Settings, theta: Tensor) -> None:
    """Refuse an input without a batch axis, and layers without samples."""
    samples = (settings.samples, settings.marginal)
    if theta.dim() < 1:
        raise ValueError(f"{settings.name}: the input must have a batch axis, got none")
    if min(samples) < 1:
        raise ValueError(f"{settings.name}: numbers of samples must be >= 1, got {samples[0]} and {samples[1]}")


def solved(theta: Tensor, function: Solver, settings: Settings, args: Tuple[Any, ...]) -> Tuple[Tensor, Tensor]:
    """Noise of shape (B, samples, ...), and the solutions under it."""
    shape = torch.Size((theta.shape[0], settings.samples * settings.marginal, *theta.shape[1:]))
    noise = _noise(settings, shape, theta)
    points = theta.unsqueeze(1) + noise * settings.temperature
    return noise, _solve(function, args, settings, points, theta.dtype)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, theta: Tensor, function: Solver, settings: Settings, args: Tuple[Any, ...]) -> Tensor:
        noise, solutions = solved(theta, function, settings, args)
        ctx.call = (function, args, settings)
        ctx.save_for_backward(theta, noise, solutions)
        return solutions.flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tuple[Tensor, None, None, None]:
        theta, noise, solutions = ctx.saved_tensors
        function, args, of = ctx.call
        rows = theta.unsqueeze(1).expand(noise.shape).flatten(0, 1)
        shift = noise * of.target_temperature

        def solve(direction: Optional[Tensor]) -> Tensor:
            words = {"_is_minimization": True} if of.minimization else {}
            points = of.target.params(rows, direction, **words).reshape(noise.shape) + shift
            return _solve(function, args, of, points, theta.dtype)

        moved = solve(dy)
        if of.again:
            solutions = solve(-dy if of.symmetric else None)
        difference = solutions.to(moved.dtype) - moved
        if of.marginal > 1:
            difference = difference.unflatten(1, (of.samples, of.marginal)).mean(2)
        if of.symmetric:
            difference = difference / 2
        process = getattr(of.target, "process", None)
        gradient = difference if process is None else process(theta, dy, difference)
        if of.gradient_path is not None:
            _save(gradient, of.gradient_path)
        gradient = gradient.mean(1)
        return -gradient if of.minimization else gradient, None, None, None


def _noise(settings: Settings, shape: torch.Size, theta: Tensor) -> Tensor:
    if settings.noise is None:
        return torch.zeros(shape, dtype=theta.dtype, device=theta.device)
    noise: Tensor = settings.noise.sample(shape).to(theta.device)
    if noise.shape != shape:
        expected = f"{tuple(shape)}, got {tuple(noise.shape)}"
        raise ValueError(f"{settings.name}: `noise_distribution` must give noise of shape {expected}")
    return noise


def _solve(function: Solver, args: Tuple[Any, ...], settings: Settings, points: Tensor, dtype: torch.dtype) -> Tensor:
    """Solutions of (B, samples, ...), solved for in one batch, in a floating type."""
    solutions = function(points.flatten(0, 1), *args)
    if solutions.numel() != points.numel():
        expected = f"{tuple(points.flatten(0, 1).shape)}, got {tuple(solutions.shape)}"
        raise ValueError(f"{settings.name}: the solver must keep the shape {expected}")
    solutions = solutions.detach().to(points.device).reshape(points.shape)
    return solutions if solutions.is_floating_point() else solutions.to(dtype)


def _save(gradient: Tensor, path: str) -> None:
    import numpy as np

    with open(path, "wb") as file:
        np.save(file, gradient.detach().cpu().numpy())
