"""The scalar that is trained: a loss of a model's outputs, as one program with the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.input_types import InputTypes
from ..compiler.program import Program
from ..compiler.trace import Traced, make_traced
from ..errors import GradientError, InputError
from ..importer.graph import Graph
from ..ir import ops
from ..ir.expr import Expr, foreign_variable, inputs_of, substitute
from ..ir.types import TensorType
from ..models.loss_types import Types, guesses, stated_types


def objective(
    graph: Graph,
    loss: Any,
    output: str | None,
    bind: Mapping[str, str],
    rename: Mapping[str, str],
    inputs: InputTypes,
) -> Traced:
    """A loss behind a model: its value as one number, of the inputs of both and the weights.

    Raises:
        InputError: for names and types that do not fit.
    """
    block = as_loss(loss)
    places = _places(block, graph, output, bind)
    values = {name: graph.values[place] for name, place in places.items()}
    for name, value in values.items():
        if not isinstance(value.type, TensorType):
            raise InputError(f"{name}: {places[name]!r} of the model is no tensor of a known rank")
    bound = {name: value.type for name, value in values.items()}
    if not bound[block.arguments[0]].is_float:
        first = block.arguments[0]
        raise InputError(f"{first}: {places[first]!r} is {bound[first]}, predictions are floats")
    taken = set(graph.dims)
    program = _program(block, guesses(block, bound, stated_types(inputs), taken))
    own = {node: rename.get(node.attrs["name"], node.attrs["name"]) for node in program.inputs}
    own = {node: name for node, name in own.items() if node.attrs["name"] not in values}
    _require_free(own.values(), graph)
    replaced = {
        node: values.get(node.attrs["name"]) or foreign_variable(own[node], node.type)
        for node in program.inputs
    }
    (value,) = substitute([_scalar(program)], replaced)
    fresh = [replaced[node] for node in program.inputs if node in own]
    everything = (*graph.inputs.values(), *fresh, *graph.weights.values())
    traced = make_traced(tuple(dict.fromkeys(everything)), [value], False, program.options)
    # What its value, simplified by now, does not tell any more.
    return replace(traced, **_labels(program, replaced, own))


def _labels(
    program: Program, replaced: Mapping[Expr, Expr], own: Mapping[Expr, str]
) -> dict[str, Any]:
    """The class labels among the inputs that the loss has of its own."""
    names = {node.attrs["name"]: name for node, name in own.items()}
    labels = ((names[name], count) for name, count in program.labels if name in names)
    derived = [(x, count) for x, count in program.derived if set(inputs_of([x])) <= own.keys()]
    moved = substitute([label for label, _ in derived], replaced)
    counts = (count for _, count in derived)
    return {"labels": tuple(labels), "derived": tuple(zip(moved, counts, strict=True))}


def _places(
    block: Block, graph: Graph, output: str | None, bind: Mapping[str, str]
) -> dict[str, str]:
    """The values of the model that are inputs of the loss."""
    first, outputs = block.arguments[0], list(graph.outputs)
    if output is None and first not in bind and len(outputs) > 1:
        raise InputError(f"{first}: which output of the model is it? There are {outputs}")
    places = {first: output or bind.get(first) or outputs[0], **bind}
    for name, place in places.items():
        if place not in graph.values:
            raise InputError(
                f"{name}: the model has no output {place!r}: its outputs are {outputs}, its inputs "
                f"{list(graph.inputs)}, and no value inside is called so"
            )
    return places


def _program(block: Block, choices: Iterator[Types]) -> Program:
    """The loss for the types that it takes, of those that there may be."""
    refused: InputError | None = None
    found: dict[str, Program] = {}
    for types in choices:
        listed = ", ".join(f"{name} {type_}" for name, type_ in types.items())
        try:
            found[listed] = block.program(types)
        except GradientError:
            raise
        except InputError as error:
            refused = InputError(f"{block.name} of {listed}: {error}")
    if len(found) > 1:
        raise InputError(f"{block.name} may be of {' or of '.join(found)}: say which by `inputs`")
    if not found:
        assert refused is not None
        raise refused
    return next(iter(found.values()))


def _scalar(program: Program) -> Expr:
    """The value if it is one number, else the sum of all values."""
    total: Expr | None = None
    for value in (out.expr for out in program.differentiable if out.kind == "value"):
        summed = value
        if value.rank:
            axes = tuple(range(value.rank))
            summed = ops.squeeze(ops.reduce_sum(value, axes=axes), axes)
        total = summed if total is None else ops.add(total, summed)
    assert total is not None
    return total


def _require_free(names: Any, graph: Graph) -> None:
    for name in names:
        if name in graph.values:
            raise InputError(
                f"the model has a value {name!r} already: give the loss's input another name, as "
                f'in rename={{"{name}": "{name}_2"}}'
            )
