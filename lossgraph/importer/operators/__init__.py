"""The translations of ONNX's operators, by family; importing this declares them all."""

from __future__ import annotations

from . import (
    control,
    recurrent,
)

__all__ = [
    "control",
    "recurrent",
]
