"""A call's arguments as what the graph takes: arrays, which are its inputs, and constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import reference
from ..errors import InputError
from ..runtime.arrays import is_array
from ..symbolic.symbol import Symbol
from .inputs import scalar
from .signature import Kind, Parameter, Signature

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
        if value.__class__ is np.ndarray and parameter.kind is not Kind.SCALAR:  # type: ignore[union-attr]
            arrays[name] = value
        else:
            _sort(name, value, parameter, arrays, constants)
    if not arrays:
        raise InputError(f"{owner}{signature}: no argument is an array")
    return arrays, constants


def _sort(
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
    elif _is_constant(parameter, value):
        constants[name] = value.item() if isinstance(value, np.generic) else tuple(value)
    elif isinstance(value, (Symbol, reference.Array)) or is_array(value):
        arrays[name] = value
    elif parameter.role.number and isinstance(value, (int, float)):
        arrays[name] = np.asarray(value)
    elif value is not None or parameter.default is not None:
        constants[name] = value


def _is_constant(parameter: Parameter, value: Any) -> bool:
    option = parameter.kind is Kind.OPTION and not parameter.required
    return option and isinstance(value, (list, tuple, np.generic))
