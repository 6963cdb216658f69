"""Types of inputs: as users give them, and as they follow from the arrays of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.dims import Dim, named
from ..ir.types import TensorType, dtype_name, tensor_type

InputTypes = Mapping[str, "TensorType | tuple[Any, Sequence[Any]]"]
Arrays = Mapping[str, np.ndarray[Any, Any]]


def as_types(inputs: InputTypes) -> dict[str, TensorType]:
    """Types of inputs as users give them.

    Raises:
        InputError: for what is no type.
    """
    if not isinstance(inputs, Mapping):
        raise InputError(f"inputs: expected a mapping of names to types, got {inputs!r}")
    return {
        name: given if isinstance(given, TensorType) else _as_type(name, given)
        for name, given in inputs.items()
    }


def _as_type(name: str, given: Any) -> TensorType:
    try:
        dtype, shape = given
    except (TypeError, ValueError):
        raise InputError(
            f"inputs[{name!r}]: expected (dtype, shape) like ('float32', ('N', 10)), got {given!r}"
        ) from None
    try:
        return tensor_type(dtype, shape)
    except InputError as error:
        raise error.reworded(f"inputs[{name!r}]: {error}") from None


def symbolic_shapes(arrays: Arrays) -> dict[str, tuple[Dim, ...]]:
    """Shapes with names for lengths: equal lengths share one, a length of 1 stays 1."""
    known: dict[int, Dim] = {1: 1}

    def dim(name: str, axis: int, length: int) -> Dim:
        return known.setdefault(length, named(f"{name.replace('.', '_')}_{axis}"))

    return {
        name: tuple(dim(name, axis, length) for axis, length in enumerate(a.shape))
        for name, a in arrays.items()
    }


def length_pattern(arrays: Arrays) -> tuple[tuple[int, ...], ...]:
    """Which lengths are 1 and which are equal, as small numbers."""
    known: dict[int, int] = {1: 0}
    return tuple(
        tuple(known.setdefault(n, len(known)) for n in array.shape) for array in arrays.values()
    )


def type_of_array(
    name: str, array: np.ndarray[Any, Any], shape: Sequence[Dim], static: Mapping[str, int]
) -> TensorType:
    """The type of an array, some of the named dims of its shape given as ints.

    Raises:
        InputError: for a dtype that no input can have.
    """
    try:
        dtype = dtype_name(array.dtype.newbyteorder("="))
    except InputError as error:
        raise error.reworded(f"{name}: {error}") from None
    dims = tuple(d if isinstance(d, int) else static.get(d.name or "", d) for d in shape)
    return TensorType(dtype, dims)
