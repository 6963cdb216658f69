"""The initial state of a training step as files that ONNX Runtime alone reads and a loop writes.

No format of arrays is read by Python, C++ and JavaScript without a library of its own, but all of
them run models. So the state is a model without inputs, ``initial.onnx``, whose outputs are the
parameters, the state and the scalars by name. Its data are in ``state.bin`` beside it: the tensors
one after the other, without a header, in the order of the outputs, as little-endian numbers. A
program that writes its tensors in that order has written a checkpoint.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.types import TensorType
from ..lowering.onnx_api import dtype_code, helper, numpy_helper, onnx, value_info
from ..models.light_copy import copy_of
from ..models.walk import inner_graphs, value_names

if TYPE_CHECKING:
    from ..training.step import TrainingStep

INITIAL, STATE = "initial.onnx", "state.bin"
_LARGE = 2**20  # bytes of weights that are worth a file of their own
_ALIGNED = 64
_SMALL = 2**10  # bytes of a weight that stays in its model

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Place:
    """Where a tensor stands in a file of data: from ``offset``, ``length`` bytes."""

    type: TensorType
    offset: int
    length: int


def initial_arrays(step: TrainingStep) -> dict[str, Array]:
    """All that a step begins with, in the order of the file.

    The widest types come first: so each tensor stands at a multiple of the size of its elements,
    as an engine that maps the file into memory has to find it.
    """
    arrays = {**step.state, **step.parameters, **step.hyper}
    found = {name: np.asarray(array) for name, array in arrays.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1].dtype.itemsize))


def layout(arrays: Mapping[str, Array]) -> dict[str, Place]:
    """The places of arrays that are written one after the other."""
    places, offset = {}, 0
    for name, array in arrays.items():
        places[name] = Place(TensorType(array.dtype.name, array.shape), offset, array.nbytes)
        offset += array.nbytes
    return places


def joined_bytes(arrays: Mapping[str, Array]) -> bytes:
    """The content of a file of data."""
    return b"".join(numpy_helper.from_array(array).raw_data for array in arrays.values())


def external_tensor(name: str, place: Place, location: str) -> onnx.TensorProto:
    """A tensor whose data are in a file."""
    dims = [int(str(dim)) for dim in place.type.shape]
    tensor = onnx.TensorProto(name=name, data_type=dtype_code(place.type.dtype), dims=dims)
    if math.prod(dims):
        tensor.data_location = onnx.TensorProto.EXTERNAL
        said = {"location": location, "offset": place.offset, "length": place.length}
        for key, value in said.items():
            tensor.external_data.add(key=key, value=str(value))
    else:
        tensor.raw_data = b""
    return tensor


def stored_tensors(arrays: Mapping[str, Array]) -> list[onnx.TensorProto]:
    """Tensors of arrays, with their data."""
    return [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def constants_model(
    tensors: Sequence[onnx.TensorProto], types: Mapping[str, TensorType], like: onnx.ModelProto
) -> onnx.ModelProto:
    """A model without inputs that gives tensors by their names.

    Args:
        tensors: what it gives; their names are changed.
        types: their types, by name.
        like: a model whose versions of operators and format it takes.
    """
    nodes = []
    for tensor in tensors:  # an initializer that is an output itself is refused by some engines
        stored = f"stored/{tensor.name}"
        nodes.append(helper.make_node("Identity", [stored], [tensor.name]))
        tensor.name = stored
    outputs = [value_info(name, type_) for name, type_ in types.items()]
    graph = helper.make_graph(nodes, "constants", [], outputs, list(tensors))
    standard = [entry for entry in like.opset_import if entry.domain in ("", "ai.onnx")]
    return helper.make_model(graph, opset_imports=standard, ir_version=like.ir_version)


def initial_model(places: Mapping[str, Place], like: onnx.ModelProto) -> onnx.ModelProto:
    """The model without inputs that gives the state, whose data are in its file."""
    tensors = [external_tensor(name, place, STATE) for name, place in places.items()]
    return constants_model(tensors, {name: place.type for name, place in places.items()}, like)


def trained_model(step: TrainingStep, places: Mapping[str, Place]) -> onnx.ModelProto:
    """The inference model, whose parameters and running statistics are in the file of the state.

    A copy that is tied to a parameter, and a weight of fewer bits than its parameter, is computed.
    """
    dtypes = {tensor.name: tensor.data_type for tensor in step.model.graph.initializer}
    changed = [name for name in (*step.parameters, *step.state) if name in dtypes]
    stored = {name: external_tensor(name, places[name], STATE) for name in changed}
    model = _with(step.model, stored)
    before = []
    for tensor in model.graph.initializer:
        name = tensor.name
        if name in stored and tensor.data_type != dtypes[name]:
            tensor.name = f"{name}/state"
            before.append(helper.make_node("Cast", [tensor.name], [name], to=dtypes[name]))
    for name, tie in step.tied.items():
        operator = "Transpose" if tie.transposed else "Identity"
        before.append(helper.make_node(operator, [tie.parameter], [name]))
    _replace_values(model.graph, before)
    return model


def _replace_values(graph: onnx.GraphProto, before: Sequence[onnx.NodeProto]) -> None:
    """Let nodes in front of a graph compute what were initializers of it."""
    computed = {node.output[0] for node in before}
    for field in (graph.initializer, graph.input):
        kept = [value for value in field if value.name not in computed]
        del field[:]
        field.extend(kept)
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def prediction_model(step: TrainingStep) -> onnx.ModelProto:
    """The outputs of the model alone, of its inputs and the parameters."""
    model = copy_of(step.evaluate)
    graph = model.graph
    outputs = [info for info in graph.output if info.name != "loss"]
    needed = {info.name for info in outputs}
    kept = []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed |= {*node.input}.union(*(value_names(inner) for inner in inner_graphs(node)))
    for field, values in (
        (graph.output, outputs),
        (graph.node, kept[::-1]),
        (graph.initializer, [t for t in graph.initializer if t.name in needed]),
        (graph.input, [info for info in graph.input if info.name in needed]),
    ):
        del field[:]
        field.extend(values)
    return model


def share_weights(
    models: Mapping[str, onnx.ModelProto], location: str
) -> tuple[dict[str, onnx.ModelProto], bytes]:
    """Models whose large weights are in one file, each once; an empty one if they are few.

    Args:
        models: the models, by name; they are not changed.
        location: the name of the file.

    Returns:
        The models, and the content of the file.
    """
    content, places = bytearray(), dict[bytes, Place]()
    others = {
        name: {
            tensor.name: external_tensor(tensor.name, _add(tensor, content, places), location)
            for tensor in model.graph.initializer
            if _is_shared(tensor)
        }
        for name, model in models.items()
    }
    if len(content) < _LARGE:
        return dict(models), b""
    return {name: _with(model, others[name]) for name, model in models.items()}, bytes(content)


def _with(model: onnx.ModelProto, others: Mapping[str, onnx.TensorProto]) -> onnx.ModelProto:
    """A copy of a model with other initializers in the place of those of the same names."""
    return copy_of(model, lambda tensor: others.get(tensor.name, tensor))


def _is_shared(tensor: onnx.TensorProto) -> bool:
    inside = tensor.data_location != onnx.TensorProto.EXTERNAL
    size = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return inside and size >= _SMALL


def _add(tensor: onnx.TensorProto, content: bytearray, places: dict[bytes, Place]) -> Place:
    """The place of a tensor in a file, at whose end it is added unless it is there."""
    array = numpy_helper.to_array(tensor)
    data = numpy_helper.from_array(array).raw_data
    type_ = TensorType(array.dtype.name, array.shape)
    key = hashlib.sha256(str(type_).encode() + data).digest()
    if key not in places:
        content.extend(bytes(-len(content) % _ALIGNED))
        places[key] = Place(type_, len(content), len(data))
        content.extend(data)
    return places[key]
