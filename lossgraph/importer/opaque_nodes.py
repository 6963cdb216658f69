"""Nodes that no translation holds for: read as they are, their types told by ONNX's inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
from onnx import defs, shape_inference

from ..ir.expr import Expr
from ..ir.ops.opaque import opaque
from ..ir.types import OpaqueType
from ..lowering.foreign import graphs_in
from ..lowering.onnx_api import helper, numpy_helper
from .types import AnyType, Dims, proto_of, type_of

_UNKNOWN = OpaqueType(b"")


def read_as_it_is(
    node: onnx.NodeProto,
    value_of: Callable[[str], Expr],
    dims: Dims,
    *,
    opsets: Mapping[str, int],
    declared: Mapping[str, onnx.TypeProto],
    label: str,
    reason: str,
) -> list[Expr]:
    """The outputs of a node of ONNX that stays one.

    Args:
        node: the node.
        value_of: the expression of a value that it reads, or that graphs inside it read.
        dims: the dims of the model.
        opsets: the versions of domains.
        declared: types of values that inference over the whole model, or the model itself, tells.
        label: what an error calls the node.
        reason: why it was not translated.
    """
    read = list(dict.fromkeys([name for name in node.input if name] + captured_by(node)))
    args = tuple(value_of(name) for name in read)
    places = {name: str(place) for place, name in enumerate(read)}
    kept = onnx.NodeProto()
    kept.CopyFrom(node)
    kept.ClearField("metadata_props")
    kept.input[:] = [places.get(name, "") for name in node.input]
    for graph in graphs_in(kept):
        _rename_reads(graph, places)
    protos = _inferred(node, dict(zip(read, args, strict=True)), dims, opsets)
    types: list[AnyType] = []
    defines = []
    for place, name in enumerate(node.output):
        found, new = _best(protos.get(name), declared.get(name), dims, name)
        types.append(found)
        defines += [(dim, place, axis) for dim, axis in new]
    return opaque(
        args,
        kept.SerializeToString(deterministic=True),
        tuple(types),
        defines=tuple(defines),
        version=opsets.get(node.domain, 1),
        label=label,
        reason=reason,
    )


def captured_by(node: onnx.NodeProto) -> list[str]:
    """The names outside that graphs inside a node read."""
    return [name for graph in graphs_in(node) for name in captured(graph)]


def captured(graph: onnx.GraphProto) -> list[str]:
    """The names that a graph reads and does not make."""
    made = {info.name for info in graph.input} | {t.name for t in graph.initializer}
    made |= {sparse.values.name for sparse in graph.sparse_initializer}
    found: dict[str, None] = {}
    for node in graph.node:
        names = [*node.input, *captured_by(node)]
        found.update(dict.fromkeys(name for name in names if name and name not in made))
        made.update(node.output)
    outputs = (info.name for info in graph.output)
    found.update(dict.fromkeys(name for name in outputs if name not in made))
    return list(found)


def _rename_reads(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for inner in graphs_in(node):
            _rename_reads(inner, names)
    for info in graph.output:
        info.name = names.get(info.name, info.name)


def _inferred(
    node: onnx.NodeProto, inputs: Mapping[str, Expr], dims: Dims, opsets: Mapping[str, int]
) -> dict[str, onnx.TypeProto]:
    """What ONNX's inference says of the outputs, seen from the inputs."""
    version = opsets.get(node.domain, 0)
    if not version or not defs.has(node.op_type, version, node.domain):
        return {}
    types = {name: proto_of(value.type, dims) for name, value in inputs.items()}
    if any(not type_.WhichOneof("value") for type_ in types.values()):
        return {}
    constants: dict[str, Any] = {
        name: numpy_helper.from_array(value.attrs["value"])
        for name, value in inputs.items()
        if "value" in value.attrs and value.dtype != "bfloat16"
    }
    schema = defs.get_schema(node.op_type, version, node.domain)
    imports = [helper.make_opsetid(*pair) for pair in opsets.items()]
    try:
        return dict(
            shape_inference.infer_node_outputs(
                schema, node, types, constants, opset_imports=imports, ir_version=10
            )
        )
    except Exception:  # it raises whatever it runs into; then nothing is known
        return {}


def _best(
    inferred: onnx.TypeProto | None, declared: onnx.TypeProto | None, dims: Dims, name: str
) -> tuple[AnyType, list[tuple[str, int]]]:
    """The type that says most: that of inference, which does not lie as declarations may."""
    for proto in (inferred, declared):
        if proto is not None and proto.WhichOneof("value"):
            found, new = type_of(proto, dims, name)
            if not isinstance(found, OpaqueType) or proto is declared or declared is None:
                return found, new
    return (_UNKNOWN, [])
