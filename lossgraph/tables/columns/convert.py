"""Arrays in the dtype of an input, where no number is lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from .rows import BadRowError

Array = np.ndarray[Any, Any]


def converted(column: str, array: Array, dtype: np.dtype[Any], each: int) -> Array:
    """An array in a dtype.

    Args:
        column: the column that it is of.
        array: the elements.
        dtype: the dtype.
        each: how many elements a row has.

    Raises:
        BadRowError: for the first element that a dtype of integers or bool has not.
    """
    if array.dtype == dtype:
        return array
    if array.dtype == bool and dtype == np.uint8:
        return array.view(np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):
        made = array.astype(dtype)
    if dtype.kind in "biu":
        other = made != array
        if other.any():
            place = int(np.argmax(other))
            kind = "0 or 1" if dtype.kind == "b" else "a whole number"
            raise BadRowError(place // each, column, f"has {array.flat[place]}: expected {kind}")
    return made
