"""Inputs at the extremes of what each kind of number may be: large, zero, certain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .differences import is_float

Array = np.ndarray[Any, Any]

_SURE = -1e4  # the logarithm of a probability that is none


def kind_of(array: Array) -> str:
    """What the elements of an array seem to be, in the words of ``examples.VALUES``.

    Of floats: distributions or their logarithms along the last axis, numbers within [0, 1], signs,
    numbers above 0, else real numbers. Empty for anything else.
    """
    if not is_float(array.dtype) or not array.size:
        return ""
    wide = array.astype(np.float64)
    if set(np.unique(wide)) <= {-1.0, 1.0}:
        return "sign"
    if _sums_to_one(wide):
        return "simplex"
    if array.ndim and (wide <= 0).all() and _sums_to_one(np.exp(wide)):
        return "log_simplex"
    if ((wide >= 0) & (wide <= 1)).all():
        return "unit"
    return "positive" if (wide >= 0).all() else "real"


def edge_cases(
    arrays: Mapping[str, Array], kinds: Mapping[str, str] | None = None
) -> dict[str, dict[str, Array]]:
    """The inputs with some of them moved to extremes, by what is extreme: those that it changes.

    Args:
        arrays: inputs.
        kinds: what they are, in the words of ``examples.VALUES``; what they seem to be for others.
    """
    known = {name: (kinds or {}).get(name) or kind_of(array) for name, array in arrays.items()}
    found = {}
    for title, changes in _CASES.items():
        moved = {
            name: changes[known[name]](array.astype(np.float64)).astype(array.dtype)
            for name, array in arrays.items()
            if known[name] in changes and is_float(array.dtype) and array.size
        }
        if any(not np.array_equal(moved[name], arrays[name]) for name in moved):
            found[title] = {**arrays, **moved}
    return found


def _sums_to_one(array: Array) -> bool:
    if not array.ndim or array.shape[-1] < 2 or (array < 0).any():
        return False
    return bool(np.allclose(array.sum(axis=-1), 1, atol=1e-2))


def _of_size(size: float) -> Callable[[Array], Array]:
    """Numbers of about a size, in the order in which they were: ties would be kinks."""

    def moved(array: Array) -> Array:
        share = np.abs(array) / np.maximum(np.abs(array).max(), np.finfo(np.float64).tiny)
        return np.copysign(size * (1 + share) / 2, array)

    return moved


def _one_hot(array: Array) -> Array:
    return np.asarray(array == array.max(axis=-1, keepdims=True), np.float64)


# What becomes of the numbers of each kind.
_CASES: Mapping[str, Mapping[str, Callable[[Array], Array]]] = {
    "logits of 200": {"real": _of_size(200.0)},  # whose exp is no float32, and a float64
    "logits of 1e4": {"real": _of_size(1e4)},
    "logits of 0": {"real": np.zeros_like},
    "certain": {
        "unit": np.round,
        "simplex": _one_hot,
        "log_simplex": lambda array: np.where(_one_hot(array), 0.0, _SURE),
    },
}
