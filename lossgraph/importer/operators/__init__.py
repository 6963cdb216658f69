"""The translations of ONNX's operators, by family; importing this declares them all."""

from __future__ import annotations

from . import convolution, elementwise, gather, linear, pooling, reduce, shape

__all__ = ["convolution", "elementwise", "gather", "linear", "pooling", "reduce", "shape"]
