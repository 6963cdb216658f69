"""ONNX models from files, ours or others': their types, and running them with checked inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ..errors import DtypeError, InputError
from ..ir.dims import Dim, named
from ..ir.types import DTYPES, TensorType
from ..lowering.onnx_api import dtype_code
from ..runtime.input_checks import check_arrays, check_labels
from ..runtime.sessions import engine_errors, make_session, run_session

Array = np.ndarray[Any, Any]

_DTYPES = {dtype_code(name): name for name in DTYPES}


def load_model(path: Path, weights: bool = True) -> onnx.ModelProto:
    """The model in a file.

    Args:
        path: the file.
        weights: load those that are in other files too.

    Raises:
        InputError: if there is no such file, or it holds no ONNX model.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        model = onnx.load(path, load_external_data=weights)
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        raise InputError(f"{path} is not an ONNX model: {error}") from error
    if not model.graph.output:
        raise InputError(f"{path} is not an ONNX model: it has no graph with outputs")
    return model


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


def identifier(text: str) -> str:
    """The name of a dim for one that another tool has named."""
    plain = re.sub(r"\W", "_", text)
    return plain if plain.isidentifier() else f"_{plain}"


class ModelRunner:
    """A model in an ONNX Runtime session: checks its inputs, runs, returns outputs by name."""

    def __init__(self, model: onnx.ModelProto, providers: Any = None) -> None:
        self.types = input_types(model)
        self._dtypes = output_dtypes(model)
        self._labels = _labels_of(model, self.types)
        try:
            self._session = make_session(model, providers)
        except engine_errors() as error:
            raise InputError(f"ONNX Runtime cannot load the model: {_short(error)}") from error

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for arrays by input name.

        Raises:
            InputError: for arrays that the declared inputs do not allow, or that the engine
                refuses.
        """
        sizes = check_arrays(self.types, arrays)
        for name, classes in self._labels.items():
            check_labels(name, arrays[name], classes, sizes)
        feeds = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        try:
            return run_session(self._session, _same_rank(feeds, arrays), self._dtypes)
        except engine_errors() as error:
            raise InputError(f"ONNX Runtime cannot run the model: {_short(error)}") from error


def _same_rank(feeds: Mapping[str, Array], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """``ascontiguousarray`` makes a scalar a vector."""
    return {name: array.reshape(arrays[name].shape) for name, array in feeds.items()}


def _labels_of(model: onnx.ModelProto, types: Mapping[str, TensorType]) -> dict[str, Dim]:
    """Inputs of class labels with the number of classes, where our metadata say them."""
    said = {prop.key: prop.value for prop in model.metadata_props}
    try:
        labels = dict(json.loads(said.get("labels", "{}")))
    except (TypeError, ValueError):
        return {}  # another tool's metadata of the same name
    known = {str(dim): dim for type_ in types.values() for dim in type_.shape}
    return {k: known[v] for k, v in labels.items() if k in types and v in known}


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
    return named(identifier(dim.dim_param or f"{name}_{axis}"))


def _short(error: Exception) -> str:
    """The engine's message without its prefix, ``[ONNXRuntimeError] : 2 : INVALID_ARGUMENT``."""
    return str(error).split(" : ", 3)[-1]
