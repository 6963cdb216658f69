"""Expressions of a model back to a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

import onnx
from onnx import numpy_helper

from ..errors import LoweringError
from ..ir.expr import Expr, toposort
from ..ir.ops.opaque import is_opaque
from ..lowering.lower import lower_wide
from ..lowering.opsets import MAX_OPSET, MIN_OPSET
from ..models.merging import name_dims
from ..models.walk import graphs, nodes_of, opset_of, value_names


class ReadModel(Protocol):
    """What is written: a ``Graph``, which this module does not import as it is written by it."""

    @property
    def inputs(self) -> Mapping[str, Expr]: ...
    @property
    def weights(self) -> Mapping[str, Expr]: ...
    @property
    def outputs(self) -> Mapping[str, Expr]: ...
    @property
    def dims(self) -> Mapping[str, str]: ...
    @property
    def model(self) -> onnx.ModelProto: ...


def written(graph: ReadModel, opset: int | None = None) -> onnx.ModelProto:
    """``Graph.to_onnx``."""
    inputs = [*graph.inputs.values(), *graph.weights.values()]
    model = lower_wide(inputs, graph.outputs, opset=writable_opset(graph, opset), name="graph")
    model.graph.name = graph.model.graph.name
    finish(model, graph)
    return model


def writable_opset(graph: ReadModel, opset: int | None = None) -> int:
    """The version of the standard operators that a model is written in."""
    found = opset_of(graph.model) or MIN_OPSET
    wanted = min(max(found, MIN_OPSET), MAX_OPSET) if opset is None else opset
    if wanted != found:
        _require_same_meaning(graph.outputs, wanted)
    return wanted


def finish(model: onnx.ModelProto, graph: ReadModel, given: Collection[str] = ()) -> None:
    """Give a model made of a graph the weights, functions, dims and metadata of the model read.

    Args:
        model: what was made, with all weights as inputs; it is changed.
        graph: what it was made of.
        given: the weights that stay inputs.
    """
    held = {tensor.name: tensor for tensor in graph.model.graph.initializer}
    stored = set(graph.weights) - set(given)
    kept = [info for info in model.graph.input if info.name not in stored]
    weights = [held[info.name] for info in model.graph.input if info.name in stored]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    _name_constants(model, [t for t in held.values() if t.name not in graph.weights])
    model.graph.initializer.extend(weights)
    name_dims((*model.graph.input, *model.graph.output), graph.dims)
    own = {(node.domain, node.op_type) for node in nodes_of(model)}
    if any((f.domain, f.name) in own for f in graph.model.functions):
        model.functions.extend(graph.model.functions)
    used = {domain for domain, _ in own} | {f.domain for f in model.functions}
    used -= {entry.domain for entry in model.opset_import}
    model.opset_import.extend(e for e in graph.model.opset_import if e.domain in used)
    model.ir_version = max(model.ir_version, min(graph.model.ir_version, onnx.IR_VERSION))
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        setattr(model, field, getattr(graph.model, field))
    del model.metadata_props[:]
    model.metadata_props.extend(graph.model.metadata_props)


def _name_constants(model: onnx.ModelProto, small: Iterable[onnx.TensorProto]) -> None:
    """Give small constants the names that they had as initializers."""
    taken = value_names(model.graph) | {info.name for info in model.graph.input}
    before: dict[Any, list[str]] = {}
    for tensor in small:
        if tensor.name not in taken and tensor.data_type != onnx.TensorProto.STRING:
            before.setdefault(_content(tensor), []).append(tensor.name)
    names: dict[str, str] = {}
    outputs = {info.name for info in model.graph.output}
    for tensor in model.graph.initializer:
        found = before.get(_content(tensor)) if tensor.name not in outputs else None
        if found:
            names[tensor.name] = found.pop(0)
            tensor.name = names[tensor.name]
    for graph in graphs(model.graph) if names else ():
        for node in graph.node:
            node.input[:] = [names.get(name, name) for name in node.input]
        for info in graph.output:
            info.name = names.get(info.name, info.name)


def _content(tensor: onnx.TensorProto) -> tuple[int, tuple[int, ...], bytes]:
    return tensor.data_type, tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes()


def _require_same_meaning(outputs: Mapping[str, Expr], wanted: int) -> None:
    """Refuse another opset where a node that is kept as it was means something else there.

    Raises:
        LoweringError: naming the node.
    """
    for node in filter(is_opaque, toposort(list(outputs.values()))):
        proto = onnx.NodeProto.FromString(node.attrs["proto"])
        if proto.domain:
            continue
        own = node.attrs["version"]
        versions = [onnx.defs.get_schema(proto.op_type, v).since_version for v in (own, wanted)]
        if versions[0] != versions[1]:
            raise LoweringError(
                f"{node.attrs['label']}: it means something else in opset {wanted} than in "
                f"{own}: convert the model first, by onnx.version_converter"
            )
