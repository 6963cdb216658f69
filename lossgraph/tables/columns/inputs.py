"""The inputs of a loss that a table can give: which there are, and of which dtype each is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ...authoring.block import Block
from ...authoring.signature import Kind
from ...catalogue import OBSERVED, Example, examples_of, hint
from ...compose.composite import Composite
from ...compose.renaming import Renamed
from ...errors import InputError
from .names import listed

DType = np.dtype[Any]


def check_inputs(
    loss: Block,
    columns: Collection[str],
    shared: Collection[str],
    filled: Collection[str],
    fillable: Collection[str],
) -> None:
    """Refuse columns for what is no input of rows, and a loss that lacks an input.

    Args:
        loss: the loss.
        columns: the inputs that columns give.
        shared: those that all rows share.
        filled: those that the lengths of lists give.
        fillable: those that these could give.

    Raises:
        InputError: naming the input.
    """
    signature, scalars = loss.signature, loss.scalar_inputs
    known = [*inputs_of(loss), *scalars]
    for name in (*columns, *shared):
        declared = signature.find(name)
        if name not in (*known, *loss.parameter_shapes) and (
            declared is None or declared.kind is Kind.OPTION
        ):
            raise InputError(
                f"{loss.name} has no input {name!r}{hint(name, known)}: it takes {listed(known)}"
            )
    for name in columns:
        if name in shared:
            raise InputError(f"{name}: given by a column, and as what all rows share")
        if name in scalars:
            raise InputError(f"{name} is one number for all rows: give it by shared=")
    needed = [p.name for p in signature.parameters if p.kind is Kind.ARRAY and p.required]
    for name in dict.fromkeys((*needed, *scalars, *loss.parameter_shapes)):
        if name not in (*columns, *shared, *filled):
            where = "shared=" if name not in needed else "a column, or by shared="
            where += ", or leave it to ragged='pad'" if name in fillable else ""
            raise InputError(f"{loss.name} needs {name!r}: say it by {where}")


def inputs_of(loss: Block) -> tuple[str, ...]:
    """The arrays that a loss can be given."""
    return tuple(p.name for p in loss.signature.parameters if p.kind is Kind.ARRAY)


def declared_of(loss: Block) -> dict[str, Example]:
    """What the catalogue says of inputs; of a loss made of losses what it says of those."""
    if not isinstance(loss, Composite):
        return examples_of(loss)
    names = loss.names if isinstance(loss, Renamed) else {}
    found: dict[str, Example] = {}
    for part in loss.losses.values():
        found |= {names.get(name, name): said for name, said in declared_of(part).items()}
    return found


def dtype_for(loss: Block, input: str, stored: DType, ranks: Mapping[str, int]) -> DType:
    """The dtype of an input whose column has another, where the loss needs it.

    A graph takes integers and floats together, so that most stay as they are stored. Labels that
    the loss looks up are integers, masks are bool, and what it computes with are floats.

    Args:
        loss: the loss.
        input: the name of the input.
        stored: the dtype of the column.
        ranks: the ranks of all inputs, as columns give them.
    """
    declared, first = declared_of(loss), loss.arguments[0]
    said = declared.get(input)
    if said is None:
        computed = input == first and input not in loss.signature.labels
    else:
        if said.dtype == "bool":
            return np.dtype(bool)
        if not said.dtype.startswith("float"):
            return _label(stored, _is_distribution(input, first, declared, ranks))
        computed = input == first or input not in OBSERVED
    return np.dtype(np.float64) if computed and stored.kind != "f" else stored


def _label(stored: DType, is_distribution: bool) -> DType:
    if stored.kind == "f":
        return stored if is_distribution else np.dtype(np.int64)
    return np.dtype(np.uint8) if stored.kind == "b" else stored


def _is_distribution(
    input: str, first: str, declared: Mapping[str, Example], ranks: Mapping[str, int]
) -> bool:
    """Whether there is a number for each class where there could be a label."""
    if first not in ranks or first not in declared:
        return False
    has_axis_less = len(declared[input].shape) < len(declared[first].shape)
    return has_axis_less and ranks[input] == ranks[first]
