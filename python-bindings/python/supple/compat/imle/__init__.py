"""Implicit maximum likelihood of torch-imle and torch-adaptive-imle: ``import supple.compat.imle as imle``.

* ``from supple.compat.imle.wrapper import imle`` is the layer of torch-imle;
* ``from supple.compat.imle.imle import imle`` and ``from supple.compat.imle.aimle import aimle`` are those of
  torch-adaptive-imle; ``ste`` is its straight-through estimator;
* ``target``, ``noise`` and ``solvers`` have the targets, noises and top-k of both.

The solver takes a batch (B, ...) and maximises. Results have a row for each sample, (B · nb_samples, ...), those of an
item together; :func:`supple.torch.imle` gives their mean instead, and computes the whole layer in the engine. Here
noise and targets may be classes of the user's, so that the layer is PyTorch throughout, on the device of its input.

What differs:

* further arguments of the layer are handed on to the solver and get no gradient; the originals drop them;
* a solver may answer with whole numbers or booleans; a layer's result has the type of its input then;
* noise goes to the device of the input;
* second derivatives are refused.
"""

from . import aimle, imle, noise, solvers, ste, target, wrapper

__all__ = ["aimle", "imle", "noise", "solvers", "ste", "target", "wrapper"]
