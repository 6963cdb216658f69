"""Nodes that were read from a model, put into another as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .onnx_api import onnx


def placed(
    proto: bytes, inputs: Sequence[str], outputs: Sequence[str], fresh: Callable[[str], str]
) -> onnx.NodeProto:
    """A node of a model, with the names that its values have here.

    Args:
        proto: the node; what it and its graphs read from outside is called ``"0"``, ``"1"``, ..
        inputs: the names of that.
        outputs: the names of its outputs; a place that the node leaves empty stays so.
        fresh: a name that is not taken, of a stem, for each value of the graphs inside.
    """
    node = onnx.NodeProto.FromString(proto)
    outside = {str(place): name for place, name in enumerate(inputs)}
    node.input[:] = [outside.get(name, name) for name in node.input]
    node.output[:] = [new if old else "" for old, new in zip(node.output, outputs, strict=True)]
    node.name = f"{outputs[0]}/{node.op_type}"
    for graph in graphs_in(node):
        _rename(graph, outside, fresh)
    return node


def graphs_in(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs that are attributes of a node."""
    listed = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return listed + [graph for attribute in node.attribute for graph in attribute.graphs]


def _rename(graph: onnx.GraphProto, outside: dict[str, str], fresh: Callable[[str], str]) -> None:
    """Give the values that a graph makes names of their own, and others those of ``outside``."""
    made = [info.name for info in (*graph.input, *graph.initializer)]
    made += [sparse.values.name for sparse in graph.sparse_initializer]
    made += [name for node in graph.node for name in node.output if name]
    names = {**outside, **{name: fresh("inner") for name in dict.fromkeys(made)}}
    for named in (*graph.input, *graph.output, *graph.initializer):
        named.name = names.get(named.name, named.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = names[sparse.values.name]
    del graph.value_info[:]  # what is inferred is inferred again
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in graphs_in(node):
            _rename(inner, names, fresh)
