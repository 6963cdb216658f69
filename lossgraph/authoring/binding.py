"""A call's arguments as what the graph takes: arrays, which are its inputs, and constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import reference
from ..errors import DtypeError, InputError
from ..ir.types import numpy_dtype
from ..runtime.arrays import is_array, stand_in, to_numpy
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
    numbers: list[str] = []
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
            _sort(owner, name, value, parameter, arrays, constants, numbers)
    if not arrays:
        raise InputError(f"{owner}{signature}: no argument is an array")
    if numbers:
        _as_rank_0(arrays, numbers)
    return arrays, constants


def _sort(
    owner: str,
    name: str,
    value: Any,
    parameter: Any,
    arrays: dict[str, Any],
    constants: dict[str, Any],
    numbers: list[str],
) -> None:
    """Put an argument among the arrays or the constants; an optional one that is None is neither.

    An option is a constant where elsewhere numbers and tuples of them are arrays. A Python number
    is an array of rank 0 where one is declared; ``numbers`` takes down its name.
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
    elif isinstance(value, (int, float)) and parameter.takes_number:
        arrays[name] = value
        numbers.append(name)
    elif isinstance(value, (int, float)) or parameter.kind in (Kind.OPTION, Kind.OTHERS):
        if value is not None or parameter.default is not None:
            constants[name] = value
    elif value is not None or parameter.required:
        raise InputError(f"{owner}: {name}: expected an array, got {shown(value)}")


def _as_rank_0(arrays: dict[str, Any], numbers: Sequence[str]) -> None:
    """Make arrays of numbers: of ints as they are, of others in the dtype of the first float array.

    Beside symbols they stay numbers, which are constants there.
    """
    others = [value for name, value in arrays.items() if name not in numbers]
    if any(isinstance(value, (Symbol, reference.Array)) for value in others):
        return
    dtypes = (stand_in("", value).dtype for value in others)
    dtype = next((d for d in dtypes if d.kind not in "iub"), np.dtype("float32"))
    for name in numbers:
        value = arrays[name]
        arrays[name] = np.asarray(value, dtype if isinstance(value, float) else None)


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
