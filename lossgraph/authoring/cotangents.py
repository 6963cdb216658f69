"""The cotangents that a user gives, as inputs of a graph."""

from __future__ import annotations

from typing import Any

from ..compiler.program import Program
from ..errors import DtypeError, InputError
from ..ir.expr import Expr
from ..ir.types import numpy_dtype
from ..runtime.arrays import device_of, to_numpy


def cotangents(ct: Any, program: Program) -> dict[str, Any]:
    """A cotangent for each value of a program, by the name of its input.

    Raises:
        InputError: for another number of them, and for what is no array of numbers.
    """
    if program.several and (not isinstance(ct, (tuple, list)) or len(ct) != len(program.values)):
        raise InputError(f"ct: expected one for each of the {len(program.values)} values")
    given = dict(enumerate(ct)) if program.several else {0: ct}
    return {
        node.attrs["name"]: _cotangent(node, given[i])
        for i, node in enumerate(program.inputs[-len(given) :])
    }


def _cotangent(node: Expr, ct: Any) -> Any:
    """A cotangent in its value's dtype; a number weighs a value of one element."""
    if device_of(ct) is not None:
        return ct
    array = to_numpy(node.attrs["name"], ct)
    if array.dtype.kind not in "iufb" and array.dtype.name != "bfloat16":
        raise DtypeError(f"{node.attrs['name']}: expected numbers, got dtype {array.dtype}")
    array = array.astype(numpy_dtype(node.dtype), copy=False)
    return array.reshape((1,) * node.rank) if array.ndim == 0 else array
