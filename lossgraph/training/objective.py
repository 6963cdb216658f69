"""The scalar that is trained: a loss of a model's outputs, as one program with the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.input_types import InputTypes
from ..catalogue import entry_of
from ..compiler.program import Program
from ..compiler.trace import Traced, make_traced
from ..errors import InputError
from ..importer.graph import Graph
from ..ir import ops
from ..ir.dims import evaluate, names
from ..ir.expr import Expr, foreign_variable, inputs_of, substitute
from ..ir.types import TensorType, dtype_name, tensor_type
from ..models.loss_types import bound_places, guesses, program_of_guess, stated_types


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
    values = _values(block, graph, output, bind)
    bound = {name: value.type for name, value in values.items()}
    taken = set(graph.dims)
    wanted = _named(block, rename, bound)
    choices = guesses(block, bound, stated_types(inputs), taken, wanted)
    program = program_of_guess(block, choices, option="`inputs`")
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
    inputs_ = tuple(dict.fromkeys(everything))
    traced = make_traced(inputs_, [value], False, program.options, graph.moves)
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


def _values(
    block: Block, graph: Graph, output: str | None, bind: Mapping[str, str]
) -> dict[str, Expr]:
    """The values of the model that are inputs of the loss, as expressions."""
    outputs, givens = list(graph.outputs), list(graph.inputs)
    places = bound_places(block, outputs, givens, graph.values, output, bind)
    values = {name: graph.values[place] for name, place in places.items()}
    for name, value in values.items():
        if not isinstance(value.type, TensorType):
            raise InputError(f"{name}: {places[name]!r} of the model is no tensor of a known rank")
    first = block.arguments[0]
    if not values[first].type.is_float:
        what = values[first].type
        raise InputError(f"{first}: {places[first]!r} is {what}, predictions are floats")
    return values


def types_of_optional(
    graph: Graph,
    block: Block,
    output: str | None,
    bind: Mapping[str, str],
    inputs: InputTypes,
    arrays: Mapping[str, Any],
    sizes: Mapping[str, int],
) -> dict[str, TensorType]:
    """The types of optional inputs of which arrays are given.

    They are what the catalogue says, if the arrays fit that for the sizes of their batch, and those
    of the arrays if they do not, as a weight of shape (1,) for all classes.
    """
    bound = {name: x.type for name, x in _values(block, graph, output, bind).items()}
    choices = list(guesses(block, bound, stated_types(inputs), set(graph.dims), list(arrays)))
    types = {}
    for name, array in arrays.items():
        usual = [found[name] for found in choices if _fits(found[name], array, sizes)]
        types[name] = usual[0] if usual else tensor_type(array.dtype, array.shape)
    return types


def _fits(type_: TensorType, array: Any, sizes: Mapping[str, int]) -> bool:
    """Whether an array is of a type, for the sizes that are known."""
    if type_.rank != array.ndim or type_.dtype != dtype_name(array.dtype):
        return False
    known = [names(dim) <= sizes.keys() for dim in type_.shape]
    triples = zip(type_.shape, array.shape, known, strict=True)
    return all(evaluate(dim, sizes) == length for dim, length, is_known in triples if is_known)


def optional_inputs(block: Block, given: Collection[str]) -> frozenset[str]:
    """The inputs that a loss of the catalogue need not have, and that are not spoken of."""
    entry = entry_of(block)
    declared = entry.declared if entry is not None else {}
    return frozenset(n for n, needed in declared.items() if not needed and n not in given)


def _named(block: Block, rename: Mapping[str, str], bound: Mapping[str, Any]) -> list[str]:
    """The inputs of the loss that get names, which so it has to have."""
    for name in rename:
        if block.signature.find(name) is None or name in bound:
            left = [name for name in block.arguments if name not in bound]
            raise InputError(
                f"rename: {block.name} has no input {name!r} of its own: it has {left}"
            )
    return [name for name in rename if name in block.arguments]


def _scalar(program: Program) -> Expr:
    """The value if it is one number, else the sum of all values."""
    total: Expr | None = None
    for value in (out.expr for out in program.differentiable if out.kind == "value"):
        summed = value
        if value.rank:
            axes = tuple(range(value.rank))
            summed = ops.squeeze(ops.reduce_sum(value, axes), axes)
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
