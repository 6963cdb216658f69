"""PyTorch's own cross-entropy of a linear layer, which has a chunk of the logits at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .peer_torch import Torch


class TorchChunked(Torch):
    name = "torch-chunked"
    title = "PyTorch chunked"
    home = "torch"
    requirements = ()

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        if not hasattr(self._torch.nn, "LinearCrossEntropyOptions"):
            raise ImportError("this PyTorch has no linear_cross_entropy in chunks")

    @classmethod
    def has(cls, loss: str) -> bool:
        return loss == "linear"

    def _linear_loss(self) -> Callable[..., Any]:
        compute = self._torch.nn.functional.linear_cross_entropy
        options = self._torch.nn.LinearCrossEntropyOptions()
        return lambda *inputs: compute(*inputs, options=options)
