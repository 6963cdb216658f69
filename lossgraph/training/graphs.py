"""The models of a training step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from ..compiler.outputs import value_outputs
from ..compiler.program import Program, finished
from ..importer.graph import Graph
from ..importer.writing import finish, writable_opset
from ..ir.expr import Expr
from ..lowering.lower import lower
from ..lowering.validate import check
from .updates import Updates


def gradient_graph(program: Program, graph: Graph, weights: Sequence[Expr]) -> onnx.ModelProto:
    """The loss and its gradients, of the batch and the parameters."""
    return _model(program.inputs, program.outputs, graph, weights)


def training_graph(
    program: Program, updates: Updates, graph: Graph, weights: Sequence[Expr]
) -> onnx.ModelProto:
    """The loss, and what follows a step, of the batch, the parameters and the state."""
    loss = {name: program.outputs[name] for name in program.values}
    names = [f"next_{name}" for name in updates.following]
    roots = finished(value_outputs(list(updates.following.values()), several=True))
    following = dict(zip(names, (output.expr for output in roots), strict=True))
    return _model((*program.inputs, *updates.inputs), {**loss, **following}, graph, weights)


def evaluation_graph(program: Program, graph: Graph, weights: Sequence[Expr]) -> onnx.ModelProto:
    """The loss and the outputs of the model."""
    loss = {name: program.outputs[name] for name in program.values}
    return _model(program.inputs, {**loss, **graph.outputs}, graph, weights)


def _model(
    inputs: Sequence[Expr], outputs: Mapping[str, Expr], graph: Graph, weights: Sequence[Expr]
) -> onnx.ModelProto:
    model = lower(inputs, outputs, opset=writable_opset(graph), name=graph.model.graph.name)
    finish(model, graph, {node.attrs["name"] for node in weights})
    check(model, {name: value.type for name, value in outputs.items()})
    return model
