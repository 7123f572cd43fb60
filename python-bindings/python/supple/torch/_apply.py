"""How every function of this package calls its operator."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .._core import Operator
from .._signature import Signature, from_end, seeded, signature
from .._types import Lengths
from . import _compiled
from ._autograd import Call, run


def apply(
    name: str, parameters: Tuple[Any, ...], inputs: Tuple[Tensor, ...], dim: Optional[int], mode: str, lengths: Lengths
) -> Any:
    """The outputs of an entry of the catalogue: one tensor, or a tuple where it has several."""
    sig = signature(name)
    for parameter in parameters:
        if isinstance(parameter, Tensor) and parameter.requires_grad:
            raise ValueError(
                f"{name}: parameters must be numbers, got a tensor that requires a gradient; for a softness that is "
                "learnt, divide what it is measured in: x / softness, at a fixed softness"
            )
    tensors = prepare(sig, inputs)
    if dim is not None and dim != -1:
        dim = from_end(sig, [x.dim() for x in tensors], dim, "dim")
        tensors = [x.movedim(dim, -1) if a.core else x for x, a in zip(tensors, sig.inputs)]
    if torch.compiler.is_compiling():
        outputs = _compiled.run(sig, parameters, mode, lengths, tensors)
    else:
        call = Call(sig, Operator(name, seeded(sig, parameters, new_seed)), mode, lengths)
        outputs = run(call, tensors)
    if dim is not None and dim != -1:
        outputs = tuple(y.movedim(-1, dim) if a.core else y for y, a in zip(outputs, sig.outputs))
    return outputs[0] if len(outputs) == 1 else outputs


def prepare(sig: Signature, inputs: Sequence[Any]) -> Sequence[Tensor]:
    """Real inputs in one type and integer ones as ``int64``, on one device."""
    first = inputs[0]
    if len(inputs) == 1 and isinstance(first, Tensor) and first.dtype in (torch.float32, torch.float64):
        return inputs
    return _promote(sig, inputs)


def _promote(sig: Signature, inputs: Sequence[Any]) -> Sequence[Tensor]:
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    if not tensors:
        kind = type(inputs[0]).__name__
        raise ValueError(f"{sig.operator}: `{sig.inputs[0].name}` must be a tensor, got {kind}")
    elsewhere = [x.device for x in tensors if x.device.type != "cpu"]
    device = elsewhere[0] if elsewhere else tensors[0].device
    dtype = torch.float32
    reals = [inputs[i] for i in sig.real if isinstance(inputs[i], Tensor)]
    if any(x.dtype == torch.float64 for x in reals):
        dtype = torch.float64
    elif not any(x.is_floating_point() for x in reals):
        dtype = torch.get_default_dtype()
    result = []
    for argument, x in zip(sig.inputs, inputs):
        try:
            x = torch.as_tensor(x, device=device)
        except (TypeError, ValueError, RuntimeError):
            kind = type(x).__name__
            raise ValueError(f"{sig.operator}: `{argument.name}` must be a tensor or a number, got {kind}") from None
        if argument.integer and (x.is_floating_point() or x.is_complex()):
            raise ValueError(f"{sig.operator}: `{argument.name}` must be a tensor of whole numbers, got {x.dtype}")
        if x.is_complex():
            raise ValueError(f"{sig.operator}: `{argument.name}` must be a tensor of real numbers, got {x.dtype}")
        result.append(x.to(torch.int64 if argument.integer else dtype))
    return result


def new_seed() -> int:
    """A seed from PyTorch's own generator, so that ``torch.manual_seed`` decides it, under ``vmap`` too."""
    with torch._C._DisableFuncTorch():
        return int(torch.randint(2**62, (), device="cpu"))
