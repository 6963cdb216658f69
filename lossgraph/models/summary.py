"""What a model is, told without running it: its inputs, operators, parameters and files.

Only the model's own file is read. Of files that hold its weights nothing but the size is asked,
and of none outside the model's folder even that.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from ..errors import InputError
from .declared_types import dtype_text, type_text
from .loading import load_model
from .signature import dims_of
from .walk import graphs_of, nodes_of, tensors

_OPSETS_SINCE = 3  # the IR in which a model has to say which operators it imports
_OURS = ("loss", "options", "labels", "constraints", "lossgraph_version")
_ATTACHED = re.compile(r"lossgraph(_\d+)?")


@dataclass(frozen=True)
class DataFile:
    """A file that holds weights of a model.

    Attributes:
        location: where the model says that it is, relative to the model's folder.
        size: its bytes; None where ``problem`` says why they are not known.
        problem: ``missing``, ``outside the folder``, or empty.
    """

    location: str
    size: int | None
    problem: str = ""


@dataclass(frozen=True)
class Parameters:
    """The initializers of a model, those of its subgraphs too.

    Attributes:
        tensors: how many there are.
        elements: how many numbers they hold; of sparse ones those that are stored.
        bytes: how much room these take.
        dtypes: the number of elements by dtype.
    """

    tensors: int
    elements: int
    bytes: int
    dtypes: Mapping[str, int]


@dataclass(frozen=True)
class ModelSummary:
    """What a model is.

    Attributes:
        file: its file.
        file_size: the bytes of that file.
        data_files: the files that hold its weights, if these are not in the model's own.
        ir_version: the version of the representation.
        opsets: the version of the operators by domain; the standard one is ``ai.onnx``.
        producer: who wrote it, with a version.
        graph: the name of its graph.
        inputs: the types of the inputs that must be given.
        optional_inputs: the types of the inputs that have defaults.
        outputs: the types of the outputs.
        operators: how often each operator occurs, in subgraphs and functions too.
        subgraphs: how many graphs are inside operators.
        functions: how many nodes the body of each of its functions has.
        parameters: its initializers.
        lossgraph: what lossgraph wrote into it: the loss, its options and more.
        attached: the losses that lossgraph attached to it.
        metadata: what else it says of itself.
    """

    file: str
    file_size: int
    data_files: tuple[DataFile, ...]
    ir_version: int
    opsets: Mapping[str, int]
    producer: str
    graph: str
    inputs: Mapping[str, str]
    optional_inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    operators: Mapping[str, int]
    subgraphs: int
    functions: Mapping[str, int]
    parameters: Parameters
    lossgraph: Mapping[str, Any]
    attached: tuple[Any, ...]
    metadata: Mapping[str, str]

    @property
    def total_size(self) -> int:
        """The bytes of all files whose size is known."""
        return self.file_size + sum(file.size or 0 for file in self.data_files)


def summarize(path: Path) -> ModelSummary:
    """What the model in a file is.

    Raises:
        InputError: if there is no such file, or it holds no whole ONNX model.
    """
    model = load_model(path, weights=False)
    if not model.opset_import and model.ir_version >= _OPSETS_SINCE:
        raise InputError(f"{path} is not a whole ONNX model: it imports no operators")
    if not all(isinstance(text, str) for text in _texts(model)):
        raise InputError(f"{path} is not an ONNX model: it has names that are no UTF-8")
    return _summary(path, model)


def _texts(model: onnx.ModelProto) -> Iterator[object]:
    """The texts that are told; protobuf gives bytes for one that is no UTF-8."""
    yield from (model.producer_name, model.producer_version, model.graph.name)
    for prop in model.metadata_props:
        yield from (prop.key, prop.value)
    for info in (*model.graph.input, *model.graph.output):
        yield info.name
        yield from (dim.dim_param for dim in dims_of(info))
    for node in nodes_of(model):
        yield from (node.op_type, node.domain)
    for function in model.functions:
        yield from (function.name, function.domain)
    yield from (entry.domain for entry in model.opset_import)
    for tensor in tensors(model):
        yield from (entry.value for entry in tensor.external_data)


def _summary(path: Path, model: onnx.ModelProto) -> ModelSummary:
    defaults = {tensor.name for tensor in model.graph.initializer}
    defaults |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    inputs = {info.name: type_text(info.type) for info in model.graph.input}
    said = {prop.key: prop.value for prop in model.metadata_props}
    ours = [key for key in _OURS if key in said] if "lossgraph_version" in said else []
    attached = [key for key in said if _ATTACHED.fullmatch(key)]
    return ModelSummary(
        file=str(path),
        file_size=path.stat().st_size,
        data_files=tuple(_data_files(path.parent, tensors(model))),
        ir_version=model.ir_version,
        opsets={_domain(entry.domain): entry.version for entry in model.opset_import},
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        graph=model.graph.name,
        inputs={name: type_ for name, type_ in inputs.items() if name not in defaults},
        optional_inputs={name: type_ for name, type_ in inputs.items() if name in defaults},
        outputs={info.name: type_text(info.type) for info in model.graph.output},
        operators=_operators(model),
        subgraphs=sum(1 for _ in graphs_of(model)) - 1,
        functions={_qualified(f.domain, f.name): len(f.node) for f in model.functions},
        parameters=_parameters(model),
        lossgraph={key: _decoded(said[key]) for key in ours},
        attached=tuple(_decoded(said[key]) for key in attached),
        metadata={key: value for key, value in said.items() if key not in (*ours, *attached)},
    )


# --- operators ---


def _operators(model: onnx.ModelProto) -> dict[str, int]:
    """The counts, largest first."""
    found = Counter(_qualified(node.domain, node.op_type) for node in nodes_of(model))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _qualified(domain: str, name: str) -> str:
    return name if domain in ("", "ai.onnx") else f"{domain}.{name}"


def _domain(domain: str) -> str:
    return domain or "ai.onnx"


# --- parameters and files ---


def _parameters(model: onnx.ModelProto) -> Parameters:
    """Of a sparse initializer the values count, and the room of their indices."""
    graphs = list(graphs_of(model))
    values = [tensor for graph in graphs for tensor in graph.initializer]
    sparse = [tensor for graph in graphs for tensor in graph.sparse_initializer]
    values += [tensor.values for tensor in sparse]
    dtypes: Counter[str] = Counter()
    for tensor in values:
        dtypes[dtype_text(tensor.data_type)] += math.prod(tensor.dims)
    size = sum(map(_size, [*values, *(tensor.indices for tensor in sparse)]))
    return Parameters(len(values), sum(dtypes.values()), size, dict(dtypes.most_common()))


def _size(tensor: TensorProto) -> int:
    """The bytes of a tensor's elements, as its type says; of texts, what they take."""
    if tensor.data_type == TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    name = dtype_text(tensor.data_type)
    bits = 8 if name == "bool" else int((re.search(r"\d+", name) or ["0"])[0])
    return (math.prod(tensor.dims) * bits + 7) // 8


def _data_files(folder: Path, held: Iterable[TensorProto]) -> list[DataFile]:
    locations = {
        entry.value: None
        for tensor in held
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [_data_file(folder, location) for location in locations]


def _data_file(folder: Path, location: str) -> DataFile:
    """A file by its location, which may lead out of the folder by no ``..`` and no link."""
    try:
        path = (folder / location).resolve()
        if not path.is_relative_to(folder.resolve()):
            return DataFile(location, None, "outside the folder")
        if not path.is_file():
            return DataFile(location, None, "missing")
        return DataFile(location, path.stat().st_size)
    except (OSError, ValueError, RuntimeError):  # names that no file can have, links in a circle
        return DataFile(location, None, "missing")


# --- metadata ---


def _decoded(text: str) -> Any:
    """What was written as JSON; the text itself where it was not."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
