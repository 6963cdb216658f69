"""Copies of a model whose weights are left out, or which are larger than a message may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import onnx
from onnx import TensorProto

_LARGE = 1024  # elements of a constant on which no shape depends
# The fields that hold a tensor's elements, or say where they are.
_DATA = (
    "raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data",
    "uint64_data", "external_data", "data_location",
)  # fmt: skip

Dimension = onnx.TensorShapeProto.Dimension


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with inputs in the place of its weights.

    Sparse ones too: engines make them dense, which ONNX's inference knows nothing of.
    """
    light = _bare(model)
    light.graph.initializer.extend(t for t in model.graph.initializer if not _is_large(t))
    weights = [(t.name, t.data_type, t.dims) for t in filter(_is_large, model.graph.initializer)]
    weights += [(s.values.name, s.values.data_type, s.dims) for s in model.graph.sparse_initializer]
    inputs = {info.name for info in model.graph.input}
    for name, code, dims in weights:
        if name not in inputs:
            type_ = light.graph.input.add(name=name).type.tensor_type
            type_.elem_type = code
            type_.shape.dim.extend(Dimension(dim_value=size) for size in dims)
            type_.shape.SetInParent()
    return light


def restore_weights(light: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Undo ``without_weights``."""
    declared = {info.name for info in model.graph.input}
    inputs = [info for info in light.graph.input if info.name in declared]
    light.graph.ClearField("input")
    light.graph.input.extend(inputs)
    _add_tensors(light, filter(_is_large, model.graph.initializer))
    light.graph.sparse_initializer.extend(model.graph.sparse_initializer)


def copy_of(
    model: onnx.ModelProto, changed: Callable[[TensorProto], TensorProto] = lambda tensor: tensor
) -> onnx.ModelProto:
    """What ``CopyFrom`` would do, which fails for messages of more than 2 GiB.

    Args:
        model: the model.
        changed: what stands in the place of an initializer.
    """
    copy = _bare(model)
    _add_tensors(copy, map(changed, model.graph.initializer))
    copy.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    return copy


def without_elements(
    tensor: TensorProto, size: int, location: str = "given", offset: int = 0
) -> TensorProto:
    """A tensor whose elements, of so many bytes, are in a file, or given to the engine."""
    made = TensorProto()
    _set_fields(made, tensor, *_DATA)
    made.data_location = TensorProto.EXTERNAL
    places = {"location": location, "offset": str(offset), "length": str(size)}
    for key, value in places.items():
        made.external_data.add(key=key, value=value)
    return made


def with_data(tensor: TensorProto, data: bytes) -> TensorProto:
    """A tensor with other elements, as ``raw_data`` has them."""
    made = TensorProto()
    _set_fields(made, tensor, *_DATA)
    made.raw_data = data
    return made


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without initializers."""
    bare = onnx.ModelProto()
    _set_fields(bare, model, "graph")
    _set_fields(bare.graph, model.graph, "initializer", "sparse_initializer")
    return bare


def _add_tensors(model: onnx.ModelProto, tensors: Iterable[TensorProto]) -> None:
    for tensor in tensors:
        _set_fields(model.graph.initializer.add(), tensor)


def _is_large(tensor: TensorProto) -> bool:
    """Whether a tensor is large or in another file; no shape depends on it."""
    return tensor.data_location == TensorProto.EXTERNAL or math.prod(tensor.dims) > _LARGE


def _set_fields(message: Any, other: Any, *without: str) -> None:
    """Set the fields of a message to those of another, one by one."""
    for field, value in other.ListFields():
        if field.name in without:
            continue
        if isinstance(value, (int, float, str, bytes)):
            setattr(message, field.name, value)
        else:
            getattr(message, field.name).MergeFrom(value)
