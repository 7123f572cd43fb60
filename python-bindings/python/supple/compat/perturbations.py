"""Differentiable perturbed optimizers, of the PyTorch port of Berthet et al.'s code.

``import supple.compat.perturbations as perturbations`` stands for the port's module of that name, and for its
``fenchel_young`` too.

What differs:

* the noise is drawn and added on the host in double precision; the function gets tensors of the input's type and
  device. ``device`` is taken and changes nothing. ``torch.manual_seed`` decides the noise, but other noise than in the
  port;
* the function is called once on the input as it is, to see the shape of its answer, and then once for each item of
  the batch with all its samples;
* answers may have any shape after the batch axis; whole numbers and booleans are fine;
* further arguments are handed on to the function and get no gradient; the port takes them, but cannot go backward;
* answers that have not the input's shape, such as one number an item, have a baseline in their gradient: less noise,
  the same mean;
* second derivatives are refused, where the port gives none.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import torch as _supple
from ._tensors import as_given
from ._words import choice, positive

_GUMBEL = "gumbel"
_NORMAL = "normal"
SUPPORTED_NOISES = (_GUMBEL, _NORMAL)

_NOISES: Dict[str, Any] = {_GUMBEL: "gumbel", _NORMAL: "gaussian"}


def sample_noise_with_gradients(noise: str, shape: Sequence[int]) -> Tuple[Tensor, Tensor]:
    """Noise of this shape, and the negative gradient of its log density.

    * ``noise``: ``"normal"``, or ``"gumbel"`` with mean 0.5772.
    """
    choice("sample_noise_with_gradients", "noise", noise, _NOISES)
    if noise == _NORMAL:
        samples = torch.randn(tuple(shape))
        return samples, samples
    samples = -torch.empty(tuple(shape)).exponential_().log()
    return samples, 1 - torch.exp(-samples)


def perturbed(
    func: Optional[Callable[..., Tensor]] = None,
    num_samples: int = 1000,
    sigma: float = 0.05,
    noise: str = _NORMAL,
    batched: bool = True,
    device: Any = None,
) -> Callable[..., Any]:
    """The mean of ``func`` under noise on its input, with a gradient; also a decorator, with and without arguments.

    * ``func``: takes a batch (B, ...), also where ``batched`` is ``False``, and answers with (B, ...): the solution of
      a linear program, larger input for larger entries. It is called without recording a graph.
    * ``num_samples``: calls for each item. ``sigma``: scale of the noise, Supple's ``softness``.
    * ``noise``: ``"normal"`` or ``"gumbel"``. ``device``: taken, without effect.
    * ``batched``: whether the input of the result has a batch axis.
    """
    if func is None:
        return functools.partial(
            perturbed, num_samples=num_samples, sigma=sigma, noise=noise, batched=batched, device=device
        )
    softness = positive("perturbed", "sigma", sigma)
    kind = choice("perturbed", "noise", noise, _NOISES)
    function = func

    @functools.wraps(func)
    def wrapper(input_tensor: Tensor, *args: Any) -> Tensor:
        if batched and input_tensor.dim() < 2:
            raise ValueError(f"perturbed: batched inputs must have at least two axes, got {input_tensor.dim()}")
        x = input_tensor if batched else input_tensor.unsqueeze(0)
        with torch.no_grad():
            answer = function(x.detach(), *args).shape
        if answer[:1] != x.shape[:1]:
            raise ValueError(f"perturbed: `func` must keep the batch axis of {x.shape[0]}, got shape {tuple(answer)}")
        rows = x.flatten(1) if x.dim() > 1 else x.unsqueeze(1)

        def solve(points: Tensor) -> Tensor:
            return function(points.reshape(-1, *x.shape[1:]), *args).reshape(len(points), -1)

        if answer == x.shape:
            y = _supple.perturbed_argmax(solve, rows, softness, num_samples, kind, batched=True)
        else:
            y = _mean(solve, rows, math.prod(answer[1:]), num_samples, softness, kind)
        y = as_given(y, x).reshape(answer)
        return y if batched else y[0]

    return wrapper


def _mean(
    solve: Callable[[Tensor], Tensor], rows: Tensor, outputs: int, samples: int, softness: float, noise: str
) -> Tensor:
    """The mean of answers of another shape than the input's."""
    settings: Dict[str, Any] = {"softness": softness, "noise": noise}
    settings["baseline"] = "leave_one_out" if samples > 1 else "none"
    return _supple.estimate(solve, rows, outputs=outputs, evaluations=samples, batched=True, **settings)


class FenchelYoungLoss(torch.nn.Module):
    """The Fenchel-Young loss of a perturbed function, by its gradient: the mean answer less the true one.

    As in the original, the *value* is another: the squared length of that difference, one number an item.

    * ``func``, ``num_samples``, ``sigma``, ``noise``, ``batched``, ``device``: of :func:`perturbed`.
    * ``maximize``: whether the function maximises; else the gradient has the other sign.
    """

    def __init__(
        self,
        func: Optional[Callable[..., Tensor]] = None,
        num_samples: int = 1000,
        sigma: float = 0.01,
        noise: str = _NORMAL,
        batched: bool = True,
        maximize: bool = True,
        device: Any = None,
    ) -> None:
        super().__init__()
        self._batched = batched
        self._maximize = maximize
        self.func = func
        self.perturbed = perturbed(func, num_samples, sigma, noise, batched, device)

    def forward(self, input_tensor: Tensor, y_true: Tensor, *args: Any) -> Tensor:
        """The loss of ``input_tensor`` against the true answer, shape (B,), or a single number without a batch."""
        with torch.no_grad():
            difference = self.perturbed(input_tensor, *args) - y_true.to(input_tensor.dtype)
        difference = difference if self._maximize else -difference
        loss: Tensor = _SquaredLength.apply(input_tensor, difference, self._batched)  # type: ignore[no-untyped-call]
        return loss


class _SquaredLength(torch.autograd.Function):
    """The squared length of the difference, with the difference as gradient of the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, difference: Tensor, batched: bool) -> Tensor:
        ctx.save_for_backward(difference)
        squares = difference.square()
        return squares.flatten(1).sum(1) if batched else squares.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Tuple[Tensor, None, None]:
        (difference,) = ctx.saved_tensors
        return dy.reshape(dy.shape + (1,) * (difference.dim() - dy.dim())) * difference, None, None


__all__ = ["FenchelYoungLoss", "SUPPORTED_NOISES", "perturbed", "sample_noise_with_gradients"]
