"""Noise on the input of a solver."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Optional, Sequence

import torch
from torch import Tensor

from .._words import positive


class BaseNoiseDistribution(ABC):
    """Noise: a class with a method ``sample``. Subclass it, or write any class that has the method."""

    @abstractmethod
    def sample(self, shape: torch.Size) -> Tensor:
        """Noise of this shape."""


class SumOfGammaNoiseDistribution(BaseNoiseDistribution):
    """Noise whose sum over ``k`` chosen entries is close to Gumbel's: for solutions with ``k`` ones.

    * ``k``: the number of ones. ``nb_iterations``: terms of the sum. ``device``: where it is drawn.
    """

    def __init__(self, k: float, nb_iterations: int = 10, device: Optional[torch.device] = None) -> None:
        super().__init__()
        self.k = positive("SumOfGammaNoiseDistribution", "k", k)
        if nb_iterations < 1:
            raise ValueError(f"SumOfGammaNoiseDistribution: `nb_iterations` must be >= 1, got {nb_iterations}")
        self.nb_iterations = nb_iterations
        self.device = device

    def sample(self, shape: Sequence[int]) -> Tensor:
        """(Σ Gamma(1/k, rate i/k) - ln nb_iterations) / k over i from 1 to ``nb_iterations``, of this shape."""
        concentration = torch.full(tuple(shape), 1.0 / self.k, device=self.device)
        total = torch.zeros(tuple(shape), device=self.device)
        for i in range(1, self.nb_iterations + 1):
            total += torch.distributions.Gamma(concentration, i / self.k).sample()
        return (total - math.log(self.nb_iterations)) / self.k


class GumbelNoiseDistribution(BaseNoiseDistribution):
    """Gumbel noise with this location and scale; ``device`` is where it is drawn."""

    def __init__(self, location: float = 0.0, scale: float = 1.0, device: Optional[torch.device] = None) -> None:
        super().__init__()
        self.location = torch.tensor(float(location), device=device)
        self.scale = torch.tensor(positive("GumbelNoiseDistribution", "scale", scale), device=device)
        self.device = device
        self.distribution = torch.distributions.Gumbel(self.location, self.scale)

    def sample(self, shape: Sequence[int]) -> Tensor:
        """Noise of this shape."""
        sample: Tensor = self.distribution.sample(torch.Size(shape))  # type: ignore[no-untyped-call]
        return sample


__all__ = ["BaseNoiseDistribution", "GumbelNoiseDistribution", "SumOfGammaNoiseDistribution"]
