"""The types of a loss's inputs behind a model: those that the model gives, and the others."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..authoring.block import Block
from ..authoring.input_types import InputTypes, as_types
from ..authoring.signature import Kind
from ..authoring.untyped import TypesNeeded, run_body
from ..catalogue import entry_of
from ..catalogue.entry import Entry
from ..compiler.program import Program
from ..errors import GradientError, InputError
from ..ir.dims import Dim, Size, named, substitute
from ..ir.types import TensorType, shape_names, tensor_type
from ..symbolic.symbol import Symbol

Types = dict[str, TensorType]
Shape = tuple[Dim, ...]


def stated_types(inputs: InputTypes) -> Types:
    """Types as they were given; dims may have any name that a model has for them."""
    from .declared_types import identifier

    def plain(given: Any) -> Any:
        if isinstance(given, (list, tuple)) and len(given) == 2 and not isinstance(given[1], str):
            dtype, shape = given
            if isinstance(shape, (list, tuple)):
                return dtype, [identifier(d) if isinstance(d, str) and d else d for d in shape]
        return given

    return as_types({name: plain(given) for name, given in inputs.items()})


def guesses(
    block: Block,
    bound: Types,
    stated: Types,
    taken: Collection[str],
    wanted: Collection[str] = (),
) -> Iterator[Types]:
    """Types of all inputs that a loss must have: one guess, several where ranks leave a choice.

    Args:
        block: the loss.
        bound: types of the inputs that the model gives.
        stated: types that the user gave, with dims of the model or of the catalogue.
        taken: names of dims of the model.
        wanted: inputs that the loss need not have, and has here.
    """
    entry = entry_of(block)
    if entry is None:
        return _of_body(block, bound, stated, taken, wanted)
    return _of_entry(block, entry, bound, stated, taken, wanted)


def _of_entry(
    block: Block,
    entry: Entry,
    bound: Types,
    stated: Types,
    taken: Collection[str],
    wanted: Collection[str],
) -> Iterator[Types]:
    """What the catalogue says of its own losses, with the dims and the floats of the model."""
    needed = {**entry.declared, **dict.fromkeys(wanted, True)}
    examples = entry.examples(block)
    usual = {name: tensor_type(*example.type) for name, example in examples.items()}
    given = {**bound, **stated}
    missing = [name for name in usual if needed.get(name, True) and name not in given]
    dims = _meanings(usual, bound) | _meanings(stated, bound)
    fixed = _in_dims_of_the_model(stated, dims, bound)
    for name in missing:
        for dim in shape_names(usual[name].shape) - set(dims):
            dims[dim] = named(f"{name}_{dim}" if dim in taken else dim)
    first = block.arguments[0]
    choices = []
    for name in missing:
        type_ = usual[name].with_dtype(bound[first].dtype) if usual[name].is_float else usual[name]
        shapes = _shapes(type_.shape, usual[first].shape, bound[first].shape)
        choices.append([type_.with_shape(s) for s in shapes] or [_substituted(type_, dims)])
    for chosen in itertools.product(*choices):
        found = {**fixed, **dict(zip(missing, chosen, strict=True))}
        yield {name: found[name] for name in (*block.arguments, *found) if name in found}


def _of_body(
    block: Block, bound: Types, stated: Types, taken: Collection[str], wanted: Collection[str]
) -> Iterator[Types]:
    """What the body of a user's loss does with its inputs.

    One that it hands to a loss has the type that it has there; any other that of the prediction.
    """
    fixed = _in_dims_of_the_model(stated, _meanings(stated, bound), bound)
    fixed |= {name: TensorType("float32", ()) for name in block.scalar_inputs if name not in fixed}
    needed = [p.name for p in block.signature.parameters if p.kind is Kind.ARRAY and p.required]
    missing = [name for name in dict.fromkeys((*needed, *wanted)) if name not in fixed]
    for found in _used_by(block, fixed, missing, taken):
        yield {name: found[name] for name in (*block.arguments, *found) if name in found}


def _used_by(
    block: Block, known: Types, missing: Sequence[str], taken: Collection[str]
) -> Iterator[Types]:
    """The types of a body's inputs, found one after the other by tracing it."""
    try:
        run_body(block, known, missing)
    except TypesNeeded as needed:
        for types in _asked_for(needed, known, block.arguments[0], taken):
            left = [name for name in missing if name not in types]
            yield from _used_by(block, known | types, left, taken)
    except InputError:  # it is said when the loss is compiled
        yield known | dict.fromkeys(missing, known[block.arguments[0]])
    else:
        yield known | dict.fromkeys(missing, known[block.arguments[0]])


def _asked_for(
    needed: TypesNeeded, known: Types, first: str, taken: Collection[str]
) -> Iterator[Types]:
    """The types that a use of inputs leaves them."""
    loss, names = needed.loss, needed.names
    if loss is None or loss.arguments[0] in names:
        yield dict.fromkeys(names.values(), known[first])
        return
    symbols = {key: value for key, value in needed.given.items() if key not in names}
    bound = {key: value.expr.type for key, value in symbols.items() if isinstance(value, Symbol)}
    for types in guesses(loss, bound, {}, taken, tuple(names)):
        yield {own: types[name] for name, own in names.items()}


def _in_dims_of_the_model(stated: Types, dims: Mapping[str, Dim], bound: Types) -> Types:
    """Stated types with the dims that they mean in the model, and the bound ones."""
    own = frozenset().union(*(shape_names(type_.shape) for type_ in bound.values()))
    meant = {name: dim for name, dim in dims.items() if name not in own}
    return {name: _substituted(type_, meant) for name, type_ in stated.items()} | bound


def _meanings(other: Types, bound: Types) -> dict[str, Dim]:
    """What dims of the catalogue or the user are in the model, seen from inputs of equal ranks."""
    dims: dict[str, Dim] = {}
    for name, type_ in bound.items():
        if name in other and other[name].rank == type_.rank:
            for dim, found in zip(other[name].shape, type_.shape, strict=True):
                if isinstance(dim, Size) and dim.name:
                    dims.setdefault(dim.name, found)
    return dims


def _substituted(type_: TensorType, dims: Mapping[str, Dim]) -> TensorType:
    return type_.with_shape([substitute(dim, dims) for dim in type_.shape])


def _shapes(wanted: Shape, first: Shape, actual: Shape) -> list[Shape]:
    """What a shape may be where the loss's first input has another rank than the catalogue says.

    It is that of the first input again, or lacks one of its axes, or has the first alone.
    """
    if len(first) == len(actual):
        return []
    if wanted == first:
        return [actual]
    if wanted in _without_one(first):
        return [actual[:1], *_without_one(actual)]
    return []


def _without_one(shape: Shape) -> list[Shape]:
    return [shape[:axis] + shape[axis + 1 :] for axis in range(len(shape))]


# --- where a loss is bound, and which of the guesses it takes ---


def bound_places(
    block: Block,
    outputs: Sequence[str],
    inputs: Sequence[str],
    values: Container[str],
    output: str | None,
    bind: Mapping[str, str],
) -> dict[str, str]:
    """The values of a model that are inputs of a loss, by the names of those.

    Args:
        block: the loss.
        outputs: names of the model's outputs.
        inputs: names of its inputs.
        values: names of all values that can be bound.
        output: the value that is the loss's first input.
        bind: the values that others are.

    Raises:
        InputError: if it is not said which output is meant, or there is none of a name.
    """
    if not block.arguments:
        raise InputError(f"{block.name} has no inputs, so that no output can be one")
    first = block.arguments[0]
    if output is not None and bind.get(first, output) != output:
        raise InputError(f"{first} is bound to {bind[first]!r} and to the output {output!r}")
    if output is None and first not in bind and len(outputs) > 1:
        raise InputError(f"{first}: which output of the model is it? There are {list(outputs)}")
    found = {first: output or outputs[0], **bind}
    for name, value in found.items():
        if value not in values:
            raise InputError(
                f"{name}: the model has no output {value!r}: its outputs are {list(outputs)}, its "
                f"inputs {list(inputs)}, and no value inside is called so"
            )
    return found


def program_of_guess(
    block: Block, choices: Iterable[Types], wrt: Sequence[str] = (), *, option: str
) -> Program:
    """The program for the one guess that a loss takes.

    Args:
        block: the loss.
        choices: types of all its inputs, as ``guesses`` gives them.
        wrt: the inputs that it is differentiated by.
        option: what states other types, for the errors.

    Raises:
        InputError: if it takes none of them, or several.
    """
    found: dict[str, Program] = {}
    refused: InputError | None = None
    for types in choices:
        listed = ", ".join(f"{name} {type_}" for name, type_ in types.items())
        try:
            found[listed] = block.program(types, grad=wrt)
        except GradientError:
            raise
        except InputError as error:
            said = f"{block.name} of {listed}: {error} ({option} states other types)"
            refused = InputError(said)
    if len(found) > 1:
        choice = " or of ".join(found)
        raise InputError(f"{block.name} may be of {choice}: say which with {option}")
    if not found:
        assert refused is not None
        raise refused
    return next(iter(found.values()))
