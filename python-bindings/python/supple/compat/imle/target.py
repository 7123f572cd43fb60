"""Where the objective is moved along the incoming gradient: the target of implicit maximum likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Optional

import torch
from torch import Tensor


class BaseTargetDistribution(ABC):
    """A target: ``params`` moves the objective, ``process`` changes the gradient, and by default does not."""

    @abstractmethod
    def params(self, theta: Tensor, dy: Optional[Tensor], _is_minimization: bool = False) -> Tensor:
        """The target of ``theta`` for the incoming gradient ``dy``; without ``dy``, that of no gradient."""

    def process(self, theta: Tensor, dy: Tensor, gradient: Tensor) -> Tensor:
        """The gradient to use instead of ``gradient`` (B, samples, ...)."""
        return gradient


class TargetDistribution(BaseTargetDistribution):
    """The target α θ - β dy.

    * ``alpha``: weight of the objective. ``beta``: weight of the incoming gradient, the paper's λ.
    * ``do_gradient_scaling``: whether to divide the gradient by ``beta``, or by ``eps`` where that is larger.

    >>> TargetDistribution(alpha=1.0, beta=2.0).params(torch.tensor([1.0]), torch.tensor([0.5]))
    tensor([0.])
    """

    def __init__(
        self, alpha: float = 1.0, beta: float = 1.0, do_gradient_scaling: bool = False, eps: float = 1e-7
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.do_gradient_scaling = do_gradient_scaling
        self.eps = eps

    def params(  # type: ignore[override]  # two more arguments in between, as in the original
        self,
        theta: Tensor,
        dy: Optional[Tensor],
        alpha: Optional[float] = None,
        beta: Optional[float] = None,
        _is_minimization: bool = False,
    ) -> Tensor:
        """α θ - β dy, or plus for minimisation; ``alpha`` and ``beta`` replace those of the object."""
        step = self.beta if beta is None else beta
        return _moved(theta, dy, self.alpha if alpha is None else alpha, step, _is_minimization)

    def process(self, theta: Tensor, dy: Tensor, gradient: Tensor) -> Tensor:
        """The gradient, divided by β where that is asked for."""
        return gradient / max(self.beta, self.eps) if self.do_gradient_scaling else gradient


class AdaptiveTargetDistribution(BaseTargetDistribution):
    """The target α θ - s dy with a step s = β ‖θ‖ / ‖dy‖, whose β moves until gradients are dense enough.

    * ``initial_alpha``, ``initial_beta``: α and the first β.
    * ``initial_grad_norm``: first value of the running mean of entries of the gradient that are not zero, a sample.
    * ``beta_update_step``: by how much β grows where that mean is below ``target_norm``, and else shrinks, at least
      to 0. ``beta_update_momentum``: part of the last change that is added.
    * ``grad_norm_decay_rate``: weight of the past in the running mean.
    """

    def __init__(
        self,
        initial_alpha: float = 1.0,
        initial_beta: float = 1.0,
        initial_grad_norm: float = 1.0,
        beta_update_step: float = 0.0001,
        beta_update_momentum: float = 0.0,
        grad_norm_decay_rate: float = 0.9,
        target_norm: float = 1.0,
    ) -> None:
        super().__init__()
        self.alpha = initial_alpha
        self.beta = initial_beta
        self.grad_norm = initial_grad_norm
        self.beta_update_step = beta_update_step
        self.beta_update_momentum = beta_update_momentum
        self.previous_beta_update = 0.0
        self.grad_norm_decay_rate = grad_norm_decay_rate
        self.target_norm = target_norm

    def params(self, theta: Tensor, dy: Optional[Tensor], _is_minimization: bool = False) -> Tensor:
        """α θ - s dy, or plus for minimisation."""
        return _moved(theta, dy, self.alpha, self._step(theta, dy), _is_minimization)

    def process(self, theta: Tensor, dy: Tensor, gradient: Tensor) -> Tensor:
        """The gradient divided by the step; moves β for the next one."""
        step = self._step(theta, dy)
        dense = float(torch.count_nonzero(gradient)) / (gradient.shape[0] * gradient.shape[1])
        keep = self.grad_norm_decay_rate
        self.grad_norm = keep * self.grad_norm + (1.0 - keep) * dense
        change = self.beta_update_step if self.grad_norm < self.target_norm else -self.beta_update_step
        change += self.beta_update_momentum * self.previous_beta_update
        self.beta = max(self.beta + change, 0.0)
        self.previous_beta_update = change
        return gradient / (step if step > 0.0 else 1.0)

    def _step(self, theta: Tensor, dy: Optional[Tensor]) -> float:
        size = 1.0 if dy is None else float(torch.linalg.norm(dy))
        return self.beta * float(torch.linalg.norm(theta)) / size if size > 0.0 else 0.0


def _moved(theta: Tensor, dy: Optional[Tensor], alpha: float, step: float, minimization: bool) -> Tensor:
    if dy is None:
        return alpha * theta
    return alpha * theta + (step if minimization else -step) * dy


__all__ = ["AdaptiveTargetDistribution", "BaseTargetDistribution", "TargetDistribution"]
