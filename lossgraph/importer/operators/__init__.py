"""The translations of ONNX's operators, by family; importing this declares them all."""

from __future__ import annotations

from . import elementwise, gather, linear, recurrent, reduce, shape

__all__ = ["elementwise", "gather", "linear", "recurrent", "reduce", "shape"]
