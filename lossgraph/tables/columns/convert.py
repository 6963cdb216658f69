"""Arrays in the dtype of an input, where no number is lost."""

from __future__ import annotations

from typing import Any

import numpy as np

from .rows import Elements

Array = np.ndarray[Any, Any]


def converted(array: Array, dtype: np.dtype[Any], elements: Elements) -> Array:
    """An array of elements in a dtype.

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
            raise elements.bad(place, f"has {array[place]}: expected {kind}")
    return made
