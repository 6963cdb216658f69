"""Options of losses, checked where they are given."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..errors import InputError
from ..reference import Array
from ..symbolic.arguments import is_int, is_numeric, shown
from ..symbolic.symbol import Symbol
from .inputs import Input


def is_unknown(value: Any) -> bool:
    """Whether an option's value is unknown until the graph runs, so that no check can see it."""
    return isinstance(value, (Input, Symbol, Array))


def is_number(value: Any) -> bool:
    """Whether an option is a Python number; an array is an input, whose value is unknown."""
    return isinstance(value, (int, float))


def require_above(name: str, value: Any, low: float, closed: bool = False) -> None:
    """Refuse a number that is not above ``low`` (``closed``: nor equal to it).

    Raises:
        InputError: naming the option.
    """
    if is_number(value) and not (value > low or (closed and value == low)):
        wanted = f"a number {'at least' if closed else 'above'} {low:g}"
        if low == 0:
            wanted = "a number that is not negative" if closed else "a positive number"
        raise InputError(f"{name}: expected {wanted}, got {value!r}")


def require_below(name: str, value: Any, high: float) -> None:
    """Refuse a number that is not below ``high``.

    Raises:
        InputError: naming the option.
    """
    if is_number(value) and not value < high:
        raise InputError(f"{name}: expected a number below {high:g}, got {value!r}")


def number(name: str, value: Any, optional: bool = False) -> Any:
    """A number, from a number or an array of one element; None too if it is optional.

    An ``Input`` passes this and all other checks of numbers, as does what stands for it.
    """
    if is_unknown(value):
        return value
    if optional and value is None:
        return None
    if is_number(value) and not isinstance(value, bool):
        return value
    if not isinstance(value, (bool, np.bool_)) and is_numeric(value) and np.size(value) == 1:
        return float(np.reshape(value, ())[()])
    raise InputError(f"{name}: expected a number, got {shown(value)}")


def is_zero(value: Any) -> bool:
    """Whether a number is known to be 0."""
    return not is_unknown(value) and bool(value == 0)


def positive(name: str, value: Any) -> Any:
    """A number above zero."""
    found = number(name, value)
    require_above(name, found, 0)
    return found


def between(name: str, value: Any, low: float, high: float) -> Any:
    """A number from ``low`` to ``high``, both included."""
    found = number(name, value)
    if not is_unknown(found) and not low <= found <= high:
        raise InputError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")
    return found


def integer(name: str, value: Any, least: int | None = None) -> int:
    """A whole number that is an int, not below the ``least``."""
    if not is_int(value) or (least is not None and value.__index__() < least):
        bound = "" if least is None else f", {least} or more"
        raise InputError(f"{name}: expected an int{bound}, got {shown(value)}")
    return int(value.__index__())


def require_callable(name: str, function: Any, arguments: str) -> None:
    """Refuse what cannot be called with arguments like these.

    Raises:
        InputError: naming the option.
    """
    try:
        if not isinstance(function, type):
            inspect.signature(function).bind(*arguments.split(", "))
            return
    except (TypeError, ValueError):  # no function, one of other arguments, or one that hides them
        pass
    raise InputError(f"{name}: expected a function of ({arguments}), got {function!r}")


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name}: expected one of {choices}, got {shown(value)}")
    return value
