"""The translations of ONNX's operators, by family; importing this declares them all."""

from __future__ import annotations

from . import control, convolution, elementwise, gather, linear, pooling, recurrent, reduce, shape

__all__ = [
    "control",
    "convolution",
    "elementwise",
    "gather",
    "linear",
    "pooling",
    "recurrent",
    "reduce",
    "shape",
]
