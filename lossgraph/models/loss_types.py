"""The types of a loss's inputs behind a model: those that the model gives, and the others."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..authoring.block import Block
from ..authoring.input_types import InputTypes, as_types
from ..catalogue import entry_of
from ..ir.dims import Dim, Size, named, substitute
from ..ir.types import TensorType, shape_names, tensor_type

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


def guesses(block: Block, bound: Types, stated: Types, taken: Collection[str]) -> Iterator[Types]:
    """Types of all inputs that a loss must have: one guess, several where ranks leave a choice.

    Args:
        block: the loss.
        bound: types of the inputs that the model gives.
        stated: types that the user gave, with dims of the model or of the catalogue.
        taken: names of dims of the model.
    """
    entry = entry_of(block)
    examples, needed = (entry.examples(block), entry.declared) if entry else ({}, {})
    usual = {name: tensor_type(*example.type) for name, example in examples.items()}
    given = {**bound, **stated}
    missing = [name for name in usual if needed.get(name, True) and name not in given]
    dims = _meanings(usual, bound) | _meanings(stated, bound)
    own = frozenset().union(*(shape_names(type_.shape) for type_ in bound.values()))
    known = {name: dim for name, dim in dims.items() if name not in own}
    fixed = {name: _substituted(type_, known) for name, type_ in stated.items()} | bound
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
