"""The translations of ONNX's operators, by family; importing this declares them all."""

from __future__ import annotations

from . import elementwise, gather, layout, linear, pad, reduce, resize, selection, shape

__all__ = [
    "elementwise",
    "gather",
    "layout",
    "linear",
    "pad",
    "reduce",
    "resize",
    "selection",
    "shape",
]
