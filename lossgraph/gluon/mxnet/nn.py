"""``mxnet.gluon.nn``: the bases of blocks; layers belong to models, and say so when made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ...errors import InputError
from ..block import Block, HybridBlock

__all__ = ["Block", "HybridBlock"]


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """A layer, which refuses to be made."""
    if not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def layer(*args: Any, **kwargs: Any) -> NoReturn:
        raise InputError(
            f"nn.{name}: layers belong to the model: give the loss what the layer computes, or "
            "write it with F (F.FullyConnected, F.Convolution) with its weights as inputs"
        )

    return layer
