"""What the modules of ``supple.torch.nn`` have in common."""

from __future__ import annotations

from torch import nn


class Module(nn.Module):
    """A module that shows its parameters; they are plain attributes and may be changed between calls."""

    def __init__(self, *shown: str) -> None:
        super().__init__()
        self._shown = shown

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
