"""A call's arguments as what the graph takes: arrays, which are its inputs, and constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import reference
from ..errors import DtypeError, InputError
from ..ir.types import numpy_dtype
from ..runtime.arrays import is_array, to_numpy
from ..symbolic.arguments import shown
from ..symbolic.symbol import Symbol
from .inputs import require_option, scalar
from .signature import Kind, Parameter, Signature

_NUMBERS = "fiub"  # kinds of NumPy's dtypes

Bound = tuple[dict[str, Any], dict[str, Any]]


def bind_call(
    signature: Signature, owner: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Bound:
    """The arrays and the constants of a call by their flat names, in the order of the signature.

    Raises:
        InputError: for arguments that do not fit, and if none is an array.
    """
    arrays: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    by_name = signature.by_name
    for name, value in signature.bind(owner, args, kwargs).items():
        parameter = by_name.get(name) or signature.find(name)
        if (
            value.__class__ is np.ndarray
            and parameter.kind is Kind.ARRAY  # type: ignore[union-attr]
            and value.dtype.kind in _NUMBERS
        ):
            arrays[name] = value
        else:
            _sort(owner, name, value, parameter, arrays, constants)
    if not arrays:
        raise InputError(f"{owner}{signature}: no argument is an array")
    return arrays, constants


def _sort(
    owner: str,
    name: str,
    value: Any,
    parameter: Any,
    arrays: dict[str, Any],
    constants: dict[str, Any],
) -> None:
    """Put an argument among the arrays or the constants; an optional one that is None is neither.

    An option is a constant where elsewhere numbers and tuples of them are arrays.
    """
    if parameter.kind is Kind.SCALAR:
        arrays[name] = scalar(name, value)
        return
    if parameter.kind is Kind.OPTION:
        require_option(owner, parameter, value)
    if _is_constant(parameter, value):
        constants[name] = value.item() if isinstance(value, np.generic) else tuple(value)
    elif isinstance(value, (Symbol, reference.Array)):
        arrays[name] = value
    elif is_array(value):
        arrays[name] = _of_numbers(owner, name, value)
    elif parameter.kind in (Kind.OPTION, Kind.OTHERS):
        if value is not None or parameter.default is not None:
            constants[name] = value
    elif isinstance(value, (int, float)):
        arrays[name] = np.asarray(value, _dtype_beside(value, arrays))
    elif value is not None or parameter.required:
        raise InputError(f"{owner}: {name}: expected an array, got {shown(value)}")


def _dtype_beside(number: float, arrays: Mapping[str, Any]) -> Any:
    """The dtype of a number that is given for an array: of a float that of the floats before it."""
    floats = (x.dtype for x in arrays.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f")
    return next(floats, np.float32) if isinstance(number, float) else None


def _is_constant(parameter: Parameter, value: Any) -> bool:
    option = parameter.kind is Kind.OPTION and not parameter.required
    return option and isinstance(value, (list, tuple, np.generic)) and parameter.allows(value)


def _of_numbers(owner: str, name: str, value: Any) -> Any:
    """An array, of lists a NumPy one.

    Raises:
        InputError: for what is no array, and for one of other things than numbers.
    """
    if isinstance(value, (list, tuple)):
        value = to_numpy(f"{owner}: {name}", value)
    foreign = not isinstance(value, (np.ndarray, np.generic))
    if foreign or value.dtype.kind in _NUMBERS or value.dtype == numpy_dtype("bfloat16"):
        return value
    raise DtypeError(f"{owner}: {name}: expected numbers, got {shown(value)}")
