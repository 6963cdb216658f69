"""What optax's losses refuse."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..losses.axes import same_shape
from ..losses.limits import is_number


def positive(name: str, value: float) -> float:
    """The number.

    Raises:
        InputError: if it is not positive.
    """
    if is_number(value) and not value > 0:
        raise InputError(f"{name}: expected a positive number, got {value!r}")
    return value


def nonnegative(name: str, value: float) -> float:
    """The number.

    Raises:
        InputError: if it is negative.
    """
    if is_number(value) and not value >= 0:
        raise InputError(f"{name}: expected a number that is not negative, got {value!r}")
    return value


def require_same_shape(**arrays: Any) -> None:
    """Two arrays that optax does not broadcast.

    Raises:
        InputError: if their shapes differ.
    """
    (name, x), (other, y) = arrays.items()
    if not same_shape(x, y):
        raise InputError(f"{name} of shape {x.shape} and {other} of shape {y.shape} differ")
