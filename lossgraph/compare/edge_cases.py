"""Inputs at the edges of what each kind of number may be: large, zero, certain."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .differences import is_float

Array = np.ndarray[Any, Any]
Change = Callable[[Array, np.random.Generator], Array]  # of the numbers of one input

_LARGE = 1e4
_SURE = -_LARGE  # the logarithm of a probability that is none


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
    """The inputs with some of them moved to an edge, by which one: those cases that change them.

    Args:
        arrays: inputs.
        kinds: what they are, in the words of ``examples.VALUES``; what they seem to be for others.
    """
    known = {name: (kinds or {}).get(name) or kind_of(array) for name, array in arrays.items()}
    found = {title: _changed(arrays, known, changes) for title, changes in _CASES.items()}
    return {
        title: moved
        for title, moved in found.items()
        if any(not np.array_equal(moved[name], array) for name, array in arrays.items())
    }


def mixed_edges(
    arrays: Mapping[str, Array], kinds: Mapping[str, str], large: float = _LARGE
) -> dict[str, Array]:
    """The inputs with each number at an edge of its own, drawn at random: also ties.

    Args:
        arrays: inputs.
        kinds: what they are; others stay.
        large: the size of real numbers that are large.
    """
    reals = {"real": _one_of(large, -large, 0.0, 1.0)}
    return _changed(arrays, kinds, {**_MIXED, **reals})


def _changed(
    arrays: Mapping[str, Array], kinds: Mapping[str, str], changes: Mapping[str, Change]
) -> dict[str, Array]:
    return {
        name: changes[kinds[name]](array.astype(np.float64), _generator(name)).astype(array.dtype)
        if is_float(array.dtype) and array.size and kinds.get(name) in changes
        else array
        for name, array in arrays.items()
    }


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"extreme {name}".encode()))


def _sums_to_one(array: Array) -> bool:
    if not array.ndim or array.shape[-1] < 2 or (array < 0).any():
        return False
    return bool(np.allclose(array.sum(axis=-1), 1, atol=1e-2))


def _of_size(size: float) -> Change:
    """Numbers of about a size, in the order in which they were: ties would be kinks."""

    def moved(array: Array, _: np.random.Generator) -> Array:
        share = np.abs(array) / np.maximum(np.abs(array).max(), np.finfo(np.float64).tiny)
        return np.copysign(size * (1 + share) / 2, array)

    return moved


def _one_of(*numbers: float) -> Change:
    return lambda array, rng: rng.choice(numbers, array.shape)


def _largest(array: Array, _: np.random.Generator) -> Array:
    """The largest probability is certain."""
    return np.asarray(array == array.max(axis=-1, keepdims=True), np.float64)


def _any_class(array: Array, rng: np.random.Generator) -> Array:
    """One class, whichever, is certain."""
    if not array.ndim:
        return array
    return np.eye(array.shape[-1])[rng.integers(0, array.shape[-1], array.shape[:-1])]


def _logarithms(certain: Change) -> Change:
    return lambda array, rng: np.where(certain(array, rng) == 1, 0.0, _SURE)


# What becomes of the numbers of each kind.
_CASES: Mapping[str, Mapping[str, Change]] = {
    "logits of 200": {"real": _of_size(200.0)},  # whose exp is no float32, and a float64
    "logits of 1e4": {"real": _of_size(_LARGE)},
    "logits of 0": {"real": lambda array, _: np.zeros_like(array)},
    "certain": {
        "unit": lambda array, _: np.round(array),
        "simplex": _largest,
        "log_simplex": _logarithms(_largest),
    },
}
_MIXED: Mapping[str, Change] = {
    "unit": _one_of(0.0, 1.0, 0.5),
    "positive": _one_of(1 / _LARGE, 1.0, _LARGE),
    "count": _one_of(0.0, 1.0, 1e3),
    "simplex": _any_class,
    "log_simplex": _logarithms(_any_class),
}
