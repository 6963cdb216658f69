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
    following = _following(updates.following)
    inputs = dict.fromkeys([*program.inputs, *updates.inputs])
    return _model(list(inputs), {**_loss(program), **following}, graph, weights)


def accumulation_graph(
    program: Program, updates: Updates, graph: Graph, weights: Sequence[Expr]
) -> onnx.ModelProto:
    """The loss, and the sums of gradients with those of a batch, of the batch and the sums."""
    inputs = dict.fromkeys([*program.inputs, *updates.summing])
    return _model(list(inputs), {**_loss(program), **_following(updates.sums)}, graph, weights)


def evaluation_graph(program: Program, graph: Graph, weights: Sequence[Expr]) -> onnx.ModelProto:
    """The loss and the outputs of the model."""
    return _model(program.inputs, {**_loss(program), **graph.outputs}, graph, weights)


def _loss(program: Program) -> dict[str, Expr]:
    return {name: program.outputs[name] for name in program.values}


def _following(values: Mapping[str, Expr]) -> dict[str, Expr]:
    roots = finished(value_outputs(list(values.values()), several=True))
    return {f"next_{name}": output.expr for name, output in zip(values, roots, strict=True)}


def _model(
    inputs: Sequence[Expr], outputs: Mapping[str, Expr], graph: Graph, weights: Sequence[Expr]
) -> onnx.ModelProto:
    model = lower(inputs, outputs, opset=writable_opset(graph), name=graph.model.graph.name)
    finish(model, graph, {node.attrs["name"] for node in weights})
    check(model, {name: value.type for name, value in outputs.items()})
    return model
