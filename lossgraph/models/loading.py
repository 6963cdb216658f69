"""ONNX models from files."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf import json_format, text_format
from google.protobuf.message import DecodeError

from ..errors import InputError
from .walk import tensors

_PARSE_ERRORS = (  # onnx.load takes the suffix for the format
    DecodeError,
    json_format.Error,
    text_format.Error,
    onnx.parser.ParseError,
    onnx.checker.ValidationError,
    ValueError,
    OSError,
)


def require_model(name: str, value: object) -> None:
    """Refuse what is no model and no path of one.

    Raises:
        InputError: naming the argument.
    """
    if not isinstance(value, (onnx.ModelProto, str, Path)):
        raise InputError(f"{name}: expected a ModelProto or a path, got {value!r}")


def require_utf8(model: onnx.ModelProto, what: str) -> None:
    """Refuse a model whose values have names that are no text.

    Raises:
        InputError: saying so.
    """
    graph = model.graph
    names = [info.name for infos in (graph.input, graph.output) for info in infos]
    names += [name for node in graph.node for name in (node.name, *node.input, *node.output)]
    if any(isinstance(name, bytes) for name in names):  # protobuf gives them as they are
        raise InputError(f"{what} is not an ONNX model: it has names that are no UTF-8")


def require_weights(model: onnx.ModelProto) -> None:
    """Refuse a model whose weights are in a file that was not read.

    Raises:
        InputError: naming a weight and the file.
    """
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            places = [e.value for e in tensor.external_data if e.key == "location"]
            raise InputError(
                f"the elements of {tensor.name!r} are in the file {''.join(places)!r} beside the "
                "model: load it with them, by onnx.load(path), or give its path"
            )


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
    except _PARSE_ERRORS as error:
        raise InputError(f"{path} is not an ONNX model: {error}") from error
    if not model.graph.output:
        raise InputError(f"{path} is not an ONNX model: it has no graph with outputs")
    require_utf8(model, str(path))
    return model
