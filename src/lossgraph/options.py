"""Options of losses, checked where they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InputError
from .inputs import Input
from .reference import Array
from .symbolic.symbol import Symbol


def is_unknown(value: Any) -> bool:
    """Whether an option is an input, or what stands for it in a graph: no check sees its value."""
    return isinstance(value, (Input, Symbol, Array))


def number(name: str, value: Any, optional: bool = False) -> Any:
    """A number, from a number or an array of one element; None too if it is optional.

    An ``Input`` passes this and all other checks of numbers, as does what stands for it.
    """
    if is_unknown(value):
        return value
    if optional and value is None:
        return None
    if not isinstance(value, bool) and isinstance(value, (int, float)):
        return value
    try:
        if not isinstance(value, (bool, str)) and np.size(value) == 1:
            return float(np.reshape(value, ())[()])
    except (TypeError, ValueError):
        pass
    raise InputError(f"{name}: expected a number, got {value!r}")


def is_zero(value: Any) -> bool:
    """Whether a number is known to be 0."""
    return not is_unknown(value) and bool(value == 0)


def positive(name: str, value: Any) -> Any:
    """A number above zero."""
    if not is_unknown(number(name, value)) and not number(name, value) > 0:
        raise InputError(f"{name}: expected a positive number, got {value!r}")
    return number(name, value)


def between(name: str, value: Any, low: float, high: float) -> Any:
    """A number from ``low`` to ``high``, both included."""
    if not is_unknown(number(name, value)) and not low <= number(name, value) <= high:
        raise InputError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")
    return number(name, value)


def integer(name: str, value: Any) -> int:
    """A whole number that is an int."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InputError(f"{name}: expected an int, got {value!r}")
    return int(value.__index__())


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    if value not in choices:
        raise InputError(f"{name}: expected one of {choices}, got {value!r}")
    return str(value)
