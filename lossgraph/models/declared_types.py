"""The types that the inputs and outputs of a model are declared with."""

from __future__ import annotations

import re

import onnx

from ..errors import DtypeError, InputError
from ..ir.dims import Dim, named
from ..ir.types import DTYPES, TensorType
from ..lowering.onnx_api import dtype_code

_DTYPES = {dtype_code(name): name for name in DTYPES}
_UNKNOWN = ("?", "-1", "None")  # what exporters write for any size, on several axes


def input_types(model: onnx.ModelProto) -> dict[str, TensorType]:
    """The types of the inputs that have to be given.

    Raises:
        InputError: for an input that is no tensor of known rank.
    """
    optional = {tensor.name for tensor in model.graph.initializer}
    return {
        info.name: declared_type(info) for info in model.graph.input if info.name not in optional
    }


def output_types(model: onnx.ModelProto) -> dict[str, TensorType]:
    """The types of the outputs, by name, in order.

    Raises:
        InputError: for an output that is no tensor of known rank.
    """
    return {info.name: declared_type(info) for info in model.graph.output}


def output_dtypes(model: onnx.ModelProto) -> dict[str, str]:
    """The dtypes of the outputs, by name, in order."""
    return {info.name: _dtype(info) for info in model.graph.output}


def declared_type(info: onnx.ValueInfoProto) -> TensorType:
    """The type that an input or output is declared with.

    Raises:
        InputError: if that is no tensor of known rank.
    """
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        raise InputError(f"{info.name!r} is not declared as a tensor of a rank")
    dims = info.type.tensor_type.shape.dim
    return TensorType(_dtype(info), tuple(_dim(info.name, i, dim) for i, dim in enumerate(dims)))


def type_text(type_: onnx.TypeProto) -> str:
    """Any declared type in words, like ``float32[N, 3]`` or ``sequence(int64[?])``.

    A dim that is not declared is ``?``; a tensor of unknown rank has the dims ``...``.
    """
    kind = type_.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(type_, kind)
        sparse = "sparse " if kind == "sparse_tensor_type" else ""
        return f"{sparse}{dtype_text(tensor.elem_type)}[{_dims_text(tensor)}]"
    if kind in ("sequence_type", "optional_type"):
        return f"{kind.removesuffix('_type')}({type_text(getattr(type_, kind).elem_type)})"
    if kind == "map_type":
        key = dtype_text(type_.map_type.key_type)
        return f"map({key}, {type_text(type_.map_type.value_type)})"
    return kind or "unknown"


def dtype_text(code: int) -> str:
    """The name of a dtype by ONNX's code, as NumPy has it."""
    if code not in onnx.TensorProto.DataType.values():
        return f"dtype {code}"
    name = onnx.TensorProto.DataType.Name(code).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _dims_text(tensor: onnx.TypeProto.Tensor | onnx.TypeProto.SparseTensor) -> str:
    if not tensor.HasField("shape"):
        return "..."
    dims = tensor.shape.dim
    texts = (str(d.dim_value) if d.HasField("dim_value") else d.dim_param for d in dims)
    return ", ".join(text or "?" for text in texts)


def identifier(text: str) -> str:
    """The name of a dim for one that another tool has named."""
    plain = re.sub(r"\W", "_", text)
    return plain if plain.isidentifier() else f"_{plain}"


def _dtype(info: onnx.ValueInfoProto) -> str:
    code = info.type.tensor_type.elem_type
    if code not in _DTYPES:
        name = onnx.TensorProto.DataType.Name(code)
        raise DtypeError(f"{info.name!r} is a tensor of {name}, which is not supported")
    return _DTYPES[code]


def _dim(name: str, axis: int, dim: onnx.TensorShapeProto.Dimension) -> Dim:
    """A declared dim; other tools name them as they like, or not at all."""
    if dim.HasField("dim_value") and dim.dim_value >= 0:  # some tools write -1 for any
        return int(dim.dim_value)
    return named(identifier(dim_name(dim) or f"{name}_{axis}"))


def dim_name(dim: onnx.TensorShapeProto.Dimension) -> str:
    """The name of a dim; empty if it has none, or only a mark that its size is not known."""
    return "" if dim.dim_param in _UNKNOWN else dim.dim_param
