"""What formulas ask of their options and shapes before they compute."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..symbolic.symbol import same_size


def is_number(value: Any) -> bool:
    """Whether an option is a number: given as an array it is an input, whose value is not known."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def require_above(name: str, value: Any, low: float, closed: bool = False) -> None:
    """Refuse a number that is not above ``low`` (``closed``: nor equal to it).

    Raises:
        InputError: naming the option.
    """
    if is_number(value) and not (value > low or (closed and value == low)):
        bound = "at least" if closed else "above"
        raise InputError(f"{name}: expected a number {bound} {low:g}, got {value!r}")


def require_rank(name: str, x: Any, rank: int) -> None:
    """Refuse an array of another rank.

    Raises:
        InputError: naming the array.
    """
    if len(x.shape) != rank:
        raise InputError(f"{name}: expected {rank} axes, got shape {x.shape}")


def require_shape(name: str, x: Any, shape: tuple[Any, ...]) -> None:
    """Refuse an array of another shape; None in ``shape`` stands for any length.

    Raises:
        InputError: naming the array.
    """
    fits = len(x.shape) == len(shape) and all(
        b is None or same_size(a, b) for a, b in zip(x.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("*" if b is None else str(b) for b in shape)
        raise InputError(f"{name}: expected shape ({wanted}), got {x.shape}")
