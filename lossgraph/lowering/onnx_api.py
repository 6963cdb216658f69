"""onnx, imported at its first use: it takes a tenth of a second, which ``import lossgraph`` saves.

Modules import it from here at their top, as if it were there already. ONNX's names for dtypes and
its descriptions of values are here too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..ir.types import OpaqueType, TensorType


class _Late:
    """A module that is imported when one of its attributes is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, value)  # found without coming here from now on
        return value


if TYPE_CHECKING:
    import onnx
    from onnx import checker, helper, numpy_helper, shape_inference
else:
    onnx = _Late("onnx")
    checker = _Late("onnx.checker")
    helper = _Late("onnx.helper")
    numpy_helper = _Late("onnx.numpy_helper")
    shape_inference = _Late("onnx.shape_inference")

__all__ = [
    "checker",
    "dtype_code",
    "helper",
    "numpy_helper",
    "onnx",
    "shape_inference",
    "value_info",
]

_NAMES = {"float32": "FLOAT", "float64": "DOUBLE"}  # the others are ours in capitals


def dtype_code(dtype: str) -> int:
    """ONNX's number for a dtype."""
    return int(onnx.TensorProto.DataType.Value(_NAMES.get(dtype, dtype.upper())))


def value_info(name: str, type_: TensorType | OpaqueType) -> onnx.ValueInfoProto:
    """A value of a graph, with its type."""
    if isinstance(type_, OpaqueType):
        return onnx.ValueInfoProto(name=name, type=onnx.TypeProto.FromString(type_.proto))
    shape = [dim if isinstance(dim, int) else str(dim) for dim in type_.shape]
    return helper.make_tensor_value_info(name, dtype_code(type_.dtype), shape)
