"""Operators under ``torch.compile``: custom ops, which the compiler takes as they are.

A compiled graph keeps tensors and nothing else from forward to backward, so the backward pass finds the derivatives
anew. Inside a compiled graph there is ``torch.func.vmap``, but PyTorch differentiates no custom op by ``torch.func.grad`` there;
nor does it compile a second backward pass.
"""

from __future__ import annotations

import ast
from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.library import custom_op

from .._core import Operator
from .._signature import Signature, seeded, signature
from .._types import Lengths
from ._autograd import Call, arrays, batch_inputs, evaluate, front, tensors


def run(
    sig: Signature, parameters: Tuple[Any, ...], mode: str, lengths: Lengths, inputs: Sequence[Tensor]
) -> Tuple[Tensor, ...]:
    """The outputs, while a graph is being compiled."""
    seed = None
    if sig.seed is not None and parameters[sig.seed] is None:
        seed = torch.randint(2**62, ())
    symbols = sorted(lengths or ())
    sizes = [torch.as_tensor((lengths or {})[symbol]) for symbol in symbols]
    words = repr(tuple([_word(parameter) for parameter in parameters]))
    floats = [torch.scalar_tensor(p, dtype=torch.float64) for p in parameters if isinstance(p, float)]
    return tuple(_apply(sig.operator, words, mode, ",".join(symbols), list(inputs), sizes, floats, seed))


def _word(parameter: Any) -> Any:
    """A parameter as it stands in a graph: a number with a point is an input, for it may vary from call to call; a whole number
    is fixed, for shapes depend on it."""
    if isinstance(parameter, float):
        return "."
    if isinstance(parameter, int) and not isinstance(parameter, bool):
        return len(range(parameter)) if parameter >= 0 else -1
    return parameter


def _operator(name: str, words: str, floats: Sequence[float], seed: int) -> Operator:
    given = iter(floats)
    parameters = tuple(next(given) if word == "." else word for word in ast.literal_eval(words))
    return Operator(name, seeded(signature(name), parameters, lambda: seed))


def _call(
    name: str,
    words: str,
    mode: str,
    symbols: str,
    lengths: List[Tensor],
    floats: List[Tensor],
    seed: Optional[Tensor],
) -> Call:
    operator = _operator(name, words, [float(x) for x in floats], 0 if seed is None else int(seed))
    sizes = {symbol: size.numpy() for symbol, size in zip(symbols.split(","), lengths)}
    return Call(signature(name), operator, mode, sizes or None)


@custom_op("supple::apply", mutates_args=())
def _apply(
    name: str,
    words: str,
    mode: str,
    symbols: str,
    inputs: List[Tensor],
    lengths: List[Tensor],
    floats: List[Tensor],
    seed: Optional[Tensor],
) -> List[Tensor]:
    """An operator's outputs. ``words`` is the ``repr`` of the parameters, with "." where ``floats``
    go; ``symbols`` are those of ``lengths``."""
    return list(evaluate(_call(name, words, mode, symbols, lengths, floats, seed), inputs))


@custom_op("supple::vjp", mutates_args=())
def _vjp(
    name: str,
    words: str,
    mode: str,
    symbols: str,
    inputs: List[Tensor],
    lengths: List[Tensor],
    floats: List[Tensor],
    seed: Optional[Tensor],
    dy: List[Tensor],
) -> List[Tensor]:
    """``Jᵀ dy``, for the real inputs."""
    call = _call(name, words, mode, symbols, lengths, floats, seed)
    y = call.linearize(inputs)
    assert call.pullback is not None
    return list(tensors(call.pullback.vjp(arrays(call.real(inputs)), y, arrays(dy)), dy[0]))


@_apply.register_fake
def _(name, words, mode, symbols, inputs, lengths, floats, seed):  # type: ignore[no-untyped-def]
    size = _operator(name, words, [0.5] * len(floats), 0).size
    real = inputs[signature(name).real[0]]
    return [real.new_empty(shape) for shape in signature(name).shapes([x.shape for x in inputs], size)]


@_vjp.register_fake
def _(name, words, mode, symbols, inputs, lengths, floats, seed, dy):  # type: ignore[no-untyped-def]
    return [inputs[i].new_empty(inputs[i].shape) for i in signature(name).real]


def _setup(ctx: Any, inputs: Tuple[Any, ...], output: List[Tensor]) -> None:
    *ctx.words, tensors, lengths, floats, seed = inputs
    ctx.counts = (len(tensors), len(lengths), len(floats))
    ctx.save_for_backward(*tensors, *lengths, *floats, *([] if seed is None else [seed]))


def _backward(ctx: Any, dy: List[Tensor]) -> Tuple[Any, ...]:
    saved = iter(ctx.saved_tensors)
    inputs, lengths, floats = ([next(saved) for _ in range(count)] for count in ctx.counts)
    dx = iter(_vjp(*ctx.words, inputs, lengths, floats, next(saved, None), list(dy)))
    grads = [None if argument.integer else next(dx) for argument in signature(ctx.words[0]).inputs]
    return None, None, None, None, grads, [None] * len(lengths), [None] * len(floats), None


_apply.register_autograd(_backward, setup_context=_setup)


def _refuse(ctx: Any, *g: Any) -> Tuple[Any, ...]:
    raise NotImplementedError(f"{ctx.operator}: a second derivative is not available in a compiled graph")


def _remember(ctx: Any, inputs: Tuple[Any, ...], output: List[Tensor]) -> None:
    ctx.operator = inputs[0]


_vjp.register_autograd(_refuse, setup_context=_remember)


@_apply.register_vmap
def _(info, in_dims, name, words, mode, symbols, inputs, lengths, floats, seed):  # type: ignore[no-untyped-def]
    inputs = batch_inputs(signature(name), info.batch_size, in_dims[4], inputs)
    outputs = _apply(name, words, mode, symbols, inputs, lengths, floats, seed)
    return outputs, [0] * len(outputs)


@_vjp.register_vmap
def _(info, in_dims, name, words, mode, symbols, inputs, lengths, floats, seed, dy):  # type: ignore[no-untyped-def]
    size, dims = info.batch_size, in_dims[4]
    batched = batch_inputs(signature(name), size, dims, inputs)
    dy = [front(x, dim, size) for x, dim in zip(dy, in_dims[8])]
    dx = _vjp(name, words, mode, symbols, batched, lengths, floats, seed, dy)
    dx = [g.reshape(front(inputs[i], dims[i], size).shape) for g, i in zip(dx, signature(name).real)]
    return dx, [0] * len(dx)
