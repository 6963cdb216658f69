"""What is in a model: its graphs, those inside operators and functions too, nodes and tensors."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto

STANDARD = ("", "ai.onnx")  # two names of the domain of the standard operators

Graphs = Iterator[onnx.GraphProto]


def opset_of(model: onnx.ModelProto) -> int | None:
    """The version of the standard operators, None if a model has none of them."""
    return next((o.version for o in model.opset_import if o.domain in STANDARD), None)


def graphs_of(model: onnx.ModelProto) -> Graphs:
    """Every graph of a model: its own, and those inside operators and functions."""
    yield from graphs(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from inner_graphs(node)


def nodes_of(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of a model, in subgraphs and functions too."""
    for holder in (*graphs_of(model), *model.functions):
        yield from holder.node


def tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model: initializers and attributes, in subgraphs and functions too."""
    yield from initializers(model)
    for attribute in (attribute for node in nodes_of(model) for attribute in node.attribute):
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t
        for sparse in attribute.sparse_tensors:
            yield from (sparse.values, sparse.indices)
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)


def initializers(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """The initializers of every graph; of a sparse one its values and their indices."""
    for graph in graphs_of(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)


def value_names(graph: onnx.GraphProto) -> set[str]:
    """The names of all values of a graph and of the graphs in it."""
    names: set[str] = set()
    for inner in graphs(graph):
        for node in inner.node:
            names |= {*node.input, *node.output}
        names |= {info.name for info in (*inner.input, *inner.output)}
        names |= {tensor.name for tensor in inner.initializer}
        names |= {sparse.values.name for sparse in inner.sparse_initializer}
    return names - {""}


def fresh_name(name: str, taken: set[str]) -> str:
    """A name, with underscores until it is none of those taken; it is taken from now on."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def graphs(graph: onnx.GraphProto) -> Graphs:
    """A graph and those in it."""
    yield graph
    for node in graph.node:
        yield from inner_graphs(node)


def inner_graphs(node: onnx.NodeProto) -> Graphs:
    """The graphs inside an operator, and those inside them."""
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                yield from graphs(inner)
