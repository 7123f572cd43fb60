"""Operators in PyTorch's graphs: eager autograd to the second order, and the transforms of ``torch.func``.

Four functions follow from one another: the operator, its ``Jᵀ dy`` and ``J v``, and the derivative of ``Jᵀ dy``. Each knows how to be
batched: items of a batch are independent, so a batch axis of ``vmap`` is one more in front.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

from .._core import Operator, Pullback
from .._signature import Signature
from .._types import Lengths

Tensors = Tuple[Tensor, ...]


class Call:
    """One call of an operator, and once it has run, its derivatives."""

    __slots__ = ("batched", "lengths", "mode", "operator", "pullback", "signature")

    def __init__(self, sig: Signature, operator: Operator, mode: str, lengths: Lengths) -> None:
        for size in (lengths or {}).values():
            if isinstance(size, Tensor) and torch._C._functorch.is_batchedtensor(size):
                raise ValueError(
                    f"{sig.operator}: `lengths` must be the same for all items under vmap, got one that vmap batches: "
                    "give the whole batch instead"
                )
        self.signature = sig
        self.operator = operator
        self.mode = mode
        self.lengths = lengths
        self.pullback: Optional[Pullback] = None
        #: The call that ``vmap`` made of this one.
        self.batched: Optional[Call] = None

    def linearize(self, inputs: Sequence[Tensor]) -> Tuple[Any, ...]:
        outputs, self.pullback = self.operator.linearize(arrays(inputs), None, self.mode, self.lengths)
        return outputs

    def at(self, inputs: Sequence[Tensor]) -> Pullback:
        """The derivatives at inputs; under ``vmap`` they may have to be found anew."""
        if self.pullback is None:
            self.linearize(inputs)
        assert self.pullback is not None
        return self.pullback

    def under_vmap(self) -> Call:
        if self.batched is None:
            self.batched = Call(self.signature, self.operator, self.mode, self.lengths)
        return self.batched

    def split(self, tensors: Sequence[Any], *groups: str) -> List[Sequence[Any]]:
        """Inputs first, then groups that have as many as there are real inputs (``x``) or outputs (``y``)."""
        counts = {"x": len(self.signature.real), "y": len(self.signature.outputs)}
        parts, start = [], 0
        for count in [len(self.signature.inputs), *(counts[group] for group in groups)]:
            parts.append(tensors[start : start + count])
            start += count
        return parts

    def real(self, inputs: Sequence[Any]) -> List[Any]:
        return [inputs[i] for i in self.signature.real]

    def spread(self, gradients: Sequence[Any]) -> List[Any]:
        """One for each input: ``None`` for those of whole numbers."""
        given = iter(gradients)
        return [None if argument.integer else next(given) for argument in self.signature.inputs]


def arrays(tensors: Sequence[Tensor]) -> Tuple[Any, ...]:
    return tuple([_zeros(x) if x._is_zerotensor() else x.numpy(force=True) for x in tensors])


def _zeros(x: Tensor) -> Any:
    """A zero that autograd has no memory for: not every PyTorch writes it out by itself."""
    return torch.zeros(x.shape, dtype=x.dtype).numpy()


def tensors(results: Sequence[Any], like: Tensor) -> Tensors:
    if like.device.type == "cpu":
        return tuple([torch.from_numpy(y) for y in results])
    return tuple([torch.from_numpy(y).to(like.device) for y in results])


def evaluate(call: Call, inputs: Sequence[Tensor]) -> Tensors:
    """The outputs alone."""
    outputs = call.operator(arrays(inputs), None, call.mode, call.lengths)
    results = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple([torch.as_tensor(y, device=inputs[0].device) for y in results])


def run(call: Call, inputs: Sequence[Tensor]) -> Tensors:
    """The outputs, with their derivatives in the graph if anybody wants them."""
    if _is_transformed():
        return _Apply.apply(call, *inputs)
    if torch.is_grad_enabled() and any([x.requires_grad for x in inputs]):
        return _Eager.apply(call, *inputs)
    return evaluate(call, inputs)


def _vjp(call: Call, inputs: Sequence[Tensor], y: Sequence[Tensor], dy: Sequence[Tensor]) -> Tensors:
    if not torch.is_grad_enabled() and not _is_transformed():
        return _vjp_now(call, inputs, y, dy)
    return _Vjp.apply(call, *inputs, *y, *dy)


def _vjp_now(call: Call, inputs: Sequence[Tensor], y: Sequence[Tensor], dy: Sequence[Tensor]) -> Tensors:
    pullback = call.at(inputs)
    dx = pullback.vjp(arrays(call.real(inputs)), arrays(y), arrays(dy))
    return tensors(dx, dy[0])


def _is_transformed() -> bool:
    """Whether ``torch.func`` or forward mode is at work."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def _filled(tangents: Sequence[Optional[Tensor]], like: Sequence[Tensor]) -> List[Tensor]:
    return [torch.zeros_like(x) if v is None else v for v, x in zip(tangents, like)]


class _Eager(Function):
    """``y = f(x)`` without transforms, which would take 20 µs more."""

    @staticmethod
    def forward(ctx: Any, call: Call, *inputs: Tensor) -> Tensors:
        output = tensors(call.linearize(inputs), inputs[0])
        ctx.call = call
        ctx.save_for_backward(*inputs, *output)
        return output

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> Tuple[Any, ...]:
        inputs, y = ctx.call.split(ctx.saved_tensors, "y")
        return (None, *ctx.call.spread(_vjp(ctx.call, inputs, y, dy)))


class _Apply(Function):
    """``y = f(x)`` with all transforms."""

    @staticmethod
    def forward(call: Call, *inputs: Tensor) -> Tensors:
        return tensors(call.linearize(inputs), inputs[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Tensors) -> None:
        ctx.call = inputs[0]
        ctx.save_for_backward(*inputs[1:], *output)
        ctx.save_for_forward(*inputs[1:], *output)

    backward = _Eager.backward

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Optional[Tensor]) -> Tensors:
        inputs, y = ctx.call.split(ctx.saved_tensors, "y")
        v = _filled(ctx.call.real(tangents), ctx.call.real(inputs))
        return _Jvp.apply(ctx.call, *inputs, *y, *v)

    @staticmethod
    def vmap(info: Any, in_dims: Tuple[Any, ...], call: Call, *inputs: Tensor) -> Tuple[Tensors, Any]:
        batched = batch_inputs(call.signature, info.batch_size, in_dims[1:], inputs)
        outputs = _Apply.apply(call.under_vmap(), *batched)
        return outputs, (0,) * len(outputs)


class _Vjp(Function):
    """``Jᵀ dy`` as a function of x and dy. The outputs y are at hand and count as constants: they follow from x."""

    @staticmethod
    def forward(call: Call, *given: Tensor) -> Tensors:
        inputs, y, dy = call.split(given, "y", "y")
        return _vjp_now(call, inputs, y, dy)

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Tensors) -> None:
        ctx.call = inputs[0]
        ctx.save_for_backward(*inputs[1:])
        ctx.save_for_forward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *v: Tensor) -> Tuple[Any, ...]:
        inputs, y, dy = ctx.call.split(ctx.saved_tensors, "y", "y")
        both = _Second.apply(ctx.call, *inputs, *y, *dy, *v)
        jv, hv = both[: len(y)], both[len(y) :]
        return (None, *ctx.call.spread(hv), *[None] * len(y), *jv)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Optional[Tensor]) -> Tensors:
        call = ctx.call
        inputs, y, dy = call.split(ctx.saved_tensors, "y", "y")
        v, _, t = call.split(tangents, "y", "y")
        v = _filled(call.real(v), call.real(inputs))
        hv = _Second.apply(call, *inputs, *y, *dy, *v)[len(y) :]
        # The Hessian of ⟨dy, f⟩ is symmetric.
        return tuple(h + g for h, g in zip(hv, _vjp(call, inputs, y, _filled(t, dy))))

    @staticmethod
    def vmap(info: Any, in_dims: Tuple[Any, ...], call: Call, *given: Tensor) -> Tuple[Tensors, Any]:
        return _batched(_Vjp, info, in_dims[1:], call, given, ("y", "y"))


class _Jvp(Function):
    """``J v`` as a function of x and v."""

    @staticmethod
    def forward(call: Call, *given: Tensor) -> Tensors:
        inputs, y, v = call.split(given, "y", "x")
        pullback = call.at(inputs)
        return tensors(pullback.jvp(arrays(call.real(inputs)), arrays(y), arrays(v)), y[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Tensors) -> None:
        ctx.call = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *g: Tensor) -> Tuple[Any, ...]:
        inputs, y, v = ctx.call.split(ctx.saved_tensors, "y", "x")
        hv = _Second.apply(ctx.call, *inputs, *y, *g, *v)[len(y) :]
        return (None, *ctx.call.spread(hv), *[None] * len(y), *_vjp(ctx.call, inputs, y, g))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensors:
        raise NotImplementedError(
            f"{ctx.call.signature.operator}: forward over forward mode is not available: take forward over reverse, "
            "as torch.func.hessian does"
        )

    @staticmethod
    def vmap(info: Any, in_dims: Tuple[Any, ...], call: Call, *given: Tensor) -> Tuple[Tensors, Any]:
        return _batched(_Jvp, info, in_dims[1:], call, given, ("y", "x"))


class _Second(Function):
    """The derivative of ``Jᵀ dy`` along v: what belongs to dy, ``J v``, and what belongs to x."""

    @staticmethod
    def forward(call: Call, *given: Tensor) -> Tensors:
        inputs, y, dy, v = call.split(given, "y", "y", "x")
        pullback = call.at(inputs)
        jv, hv = pullback.vjp_derivative(arrays(call.real(inputs)), arrays(y), arrays(dy), arrays(v))
        return tensors((*jv, *hv), y[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: Tuple[Any, ...], output: Tensors) -> None:
        ctx.call = inputs[0]

    @staticmethod
    def backward(ctx: Any, *g: Any) -> Tuple[Any, ...]:
        raise NotImplementedError(f"{ctx.call.signature.operator}: a third derivative is not available")

    jvp = backward

    @staticmethod
    def vmap(info: Any, in_dims: Tuple[Any, ...], call: Call, *given: Tensor) -> Tuple[Tensors, Any]:
        return _batched(_Second, info, in_dims[1:], call, given, ("y", "y", "x"))


def front(x: Tensor, dim: Optional[int], size: int) -> Tensor:
    """With the batch axis of ``vmap`` in front, whether it has one or not."""
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)


def batch_inputs(sig: Signature, size: int, dims: Sequence[Optional[int]], inputs: Sequence[Tensor]) -> List[Tensor]:
    """Inputs with one more batch axis, in front of as many others as any of them has."""
    fronts = [front(x, dim, size) for x, dim in zip(inputs, dims)]
    batches = sig.batch_ranks([x.dim() - 1 for x in fronts])
    most = max(batches)
    return [x.reshape(size, *[1] * (most - axes), *x.shape[1:]) for x, axes in zip(fronts, batches)]


def _batched(
    function: Any, info: Any, dims: Sequence[Optional[int]], call: Call, given: Sequence[Tensor], groups: Sequence[str]
) -> Tuple[Tensors, Any]:
    """A derivative under ``vmap``."""
    size = info.batch_size
    inputs, y, *along = call.split(given, *groups)
    input_dims, y_dims, *along_dims = call.split(dims, *groups)
    if all(dim is None for dim in (*input_dims, *y_dims)):
        # Many directions at one point: what was found there serves them all.
        each = []
        for i in range(size):
            pick = [
                x if dim is None else x.select(dim, i)
                for xs, ds in zip(along, along_dims)
                for x, dim in zip(xs, ds)
            ]
            each.append(function.apply(call, *inputs, *y, *pick))
        results = tuple(torch.stack(column) for column in zip(*each))
        return results, (0,) * len(results)
    batched = batch_inputs(call.signature, size, input_dims, inputs)
    rest: List[Tensor] = [front(x, dim, size) for x, dim in zip(y, y_dims)]
    for xs, ds, group in zip(along, along_dims, groups[1:]):
        fronts = [front(x, dim, size) for x, dim in zip(xs, ds)]
        # A direction has the shape of its input.
        like = call.real(batched) if group == "x" else fronts
        rest.extend(x.reshape(like_x.shape) for x, like_x in zip(fronts, like))
    results = function.apply(call.under_vmap(), *batched, *rest)
    shapes: List[Any] = [None] * len(results)
    # Gradients have the shapes of the inputs: without the axes that were put between.
    first = len(results) - len(call.signature.real) if function is not _Jvp else len(results)
    for place, (x, dim) in enumerate(zip(call.real(inputs), call.real(input_dims))):
        if first + place < len(results):
            shapes[first + place] = front(x, dim, size).shape
    results = tuple(y if shape is None else y.reshape(shape) for y, shape in zip(results, shapes))
    return results, (0,) * len(results)
