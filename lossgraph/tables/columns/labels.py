"""Class labels that are none of the classes, found before the engine sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...compiler.program import Program
from ...ir.dims import Dim, evaluate
from ...ir.evaluate import evaluate as evaluate_exprs
from ...ir.expr import Expr, inputs_of
from ...ir.ops.labels import first_outside

Array = np.ndarray[Any, Any]
Place = tuple[int, ...]


def label_outside(
    program: Program, arrays: Mapping[str, Array], thorough: bool = False
) -> tuple[str, int, str] | None:
    """The input, the row and what is wrong with the first label that is no class; None if all are.

    Args:
        program: of the loss.
        arrays: all its inputs.
        thorough: whether labels that the loss computes with before it looks them up are computed,
            even if those given are classes.
    """
    sizes = _sizes(program, arrays)
    for name, classes in program.labels:
        count = evaluate(classes, sizes)
        if not _all_inside(arrays[name], count):
            place = first_outside(arrays[name], count)
            if place is not None:
                return name, place[0], _wrong(arrays[name][place], count)
    for label, classes in program.derived:
        count = evaluate(classes, sizes)
        if thorough or not _given_inside(label, arrays, count):
            found = _derived_outside(label, arrays, sizes, count)
            if found is not None:
                return found
    return None


def _wrong(value: Any, classes: int) -> str:
    return f"has {value}: expected one of 0 to {classes - 1}"


def _all_inside(labels: Array, classes: int) -> bool:
    """Whether integers lie between 0 and the last class: two fast passes for the usual case."""
    if labels.dtype.kind not in "iu":
        return False
    return not labels.size or (labels.min() >= 0 and labels.max() < classes)


def _given_inside(label: Expr, arrays: Mapping[str, Array], classes: int) -> bool:
    """Whether all that a label is computed of are classes: the engine looks at it once more."""
    given = [arrays[node.attrs["name"]] for node in inputs_of([label])]
    return all(_all_inside(array, classes) for array in given)


def _derived_outside(
    label: Expr, arrays: Mapping[str, Array], sizes: Mapping[str, int], classes: int
) -> tuple[str, int, str] | None:
    (values,) = evaluate_exprs([label], arrays, sizes)
    place = first_outside(values, classes)
    if place is None:
        return None
    names = [node.attrs["name"] for node in inputs_of([label])]
    name = next((n for n in names if _is_held(arrays[n], values, place)), names[0])
    return name, place[0], _wrong(values[place], classes)


def _is_held(array: Array, values: Array, place: Place) -> bool:
    return array.shape == values.shape and bool(array[place] == values[place])


def _sizes(program: Program, arrays: Mapping[str, Array]) -> dict[str, int]:
    """The values of the named dims."""
    sizes: dict[str, int] = {}
    for node in program.inputs:
        dims: tuple[Dim, ...] = node.type.shape
        for dim, length in zip(dims, arrays[node.attrs["name"]].shape, strict=True):
            if not isinstance(dim, int) and dim.name is not None:
                sizes[dim.name] = length
    return sizes
