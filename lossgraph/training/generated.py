"""Tensors that somebody computed rather than trained, told by their elements."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_HUGE = 1e4  # what masks add to forbid an element
_MOST = 1 << 22  # elements of tensors that are looked at closely
_FEW = 64
_TOLERANCE = 1e-3  # of float16


def is_uniform(array: Array) -> bool:
    """Whether all elements are equal."""
    return bool(array.size) and bool((array == array.flat[0]).all())


def generated(array: Array) -> str:
    """What a tensor is that no training made; empty if it may be a parameter."""
    if array.size > _MOST or not array.size:
        return ""
    x = array.astype(np.float64)
    if is_uniform(x):
        return f"all its elements are {x.flat[0]:g}"
    if _is_mask(x):
        return "it is a mask"
    with np.errstate(all="ignore"):
        if _is_ramp(x):
            return "its elements count in equal steps"
        if _repeats(x):
            return "its elements are few numbers again and again"
        if x.ndim >= 2 and _is_waves(x.reshape(-1, x.shape[-1])):
            return "its elements are sines and cosines of positions"
    return ""


def _repeats(x: Array) -> bool:
    """Whether a matrix has few different elements, as grids of coordinates have."""
    shape = [n for n in x.shape if n > 1]
    filled = x[x != 0]
    if len(shape) < 2 or filled.size < 16:
        return False
    different = np.unique(filled).size
    return different <= _FEW and 3 * different <= filled.size


def _is_mask(x: Array) -> bool:
    """Whether elements are 0 and 1, or 0 and numbers that forbid."""
    if x.ndim >= 2 and bool(((x == 0) | (x == 1)).all()):
        return True
    return bool(((x == 0) | (x <= -_HUGE)).all())


def _is_ramp(x: Array) -> bool:
    """Whether elements, or their logarithms, go up or down evenly."""
    flat = x.reshape(-1)
    if flat.size < 4 or max(x.shape) != flat.size:
        return False
    return _is_even(flat) or (bool((flat > 0).all()) and _is_even(np.log(flat)))


def _is_even(x: Array) -> bool:
    steps = np.diff(x)
    return bool(np.allclose(steps, steps.mean(), rtol=_TOLERANCE, atol=0) and steps.mean() != 0)


def _is_waves(rows: Array) -> bool:
    """Whether rows are positions in sinusoidal encodings, or cosines or sines of them alone."""
    if rows.shape[0] < 3 or rows.shape[1] < 2 or np.abs(rows).max() > 1 + _TOLERANCE:
        return False
    half = rows.shape[1] // 2
    pairs = (
        (rows[:, : 2 * half : 2], rows[:, 1 : 2 * half : 2]),
        (rows[:, :half], rows[:, half : 2 * half]),
    )
    if any(_is_close(a * a + b * b, 1) for a, b in pairs):
        return True
    first, second, third = rows[:3]
    cosines = _is_close(first, 1) and _is_close(third, 2 * second**2 - 1)
    sines = _is_close(first, 0) and _is_close(third**2, 4 * second**2 * (1 - second**2))
    return cosines or sines


def _is_close(x: Array, y: Array | int) -> bool:
    return bool(np.allclose(x, y, rtol=0, atol=_TOLERANCE))
