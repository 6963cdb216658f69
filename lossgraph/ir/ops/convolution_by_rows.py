"""Convolutions as one product of matrices, of rows that are gathered.

A row is what the kernel meets at one place, channels last: gathering copies all channels of an
element at once. For many channels and small images, of which there is little to a sample, one
product of all samples is faster than what ONNX Runtime's Conv and ConvTranspose do, which is one
product for each sample. Lengths have to be known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..dims import product
from ..expr import Array, Expr, const
from .index import take
from .linalg import gemm
from .shape import pad, reshape, transpose
from .windows import Window


def are_known(x: Expr) -> bool:
    """Whether the lengths of a signal are known."""
    return all(isinstance(length, int) for length in x.shape[2:])


def rows_met(x: Expr, window: Window) -> Expr:
    """What the kernel meets at each place of each sample: (N*M, K*C)."""
    starts, inside = [], []
    for axis, length in enumerate(_lengths(x)):
        count = int(window.count(axis, length))  # type: ignore[arg-type]
        first = np.arange(count) * window.stride[axis] - window.before[axis]
        met = first[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]
        starts.append(met)
        inside.append((met >= 0) & (met < length))
    return _gathered(x, starts, inside)


def unconvolve_by_rows(w: Expr, y: Expr, window: Window, lengths: Sequence[int]) -> Expr:
    """``unconvolve``, for a stride of 1: each element gathers what saw it, and by which place."""
    starts, inside = [], []
    for axis, (length, count) in enumerate(zip(lengths, _lengths(y), strict=True)):
        first = np.arange(length) + window.before[axis]
        saw = first[:, None] - np.arange(window.kernel[axis]) * window.dilation[axis]
        starts.append(saw)
        inside.append((saw >= 0) & (saw < count))
    rows = _gathered(y, starts, inside)
    weights = transpose(w, (*range(2, w.rank), 0, 1))
    flat = reshape(weights, (product(weights.shape[:-1]), w.shape[1]))
    return _channels_second(reshape(gemm(rows, flat), (y.shape[0], *lengths, w.shape[1])))


def _lengths(x: Expr) -> list[int]:
    return [length for length in x.shape[2:] if isinstance(length, int)]


def _gathered(x: Expr, starts: Sequence[Array], inside: Sequence[Array]) -> Expr:
    """Rows of elements, by their places along each axis; zeros for those that are not inside."""
    lengths = _lengths(x)
    index, known = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    for length, along, within in zip(lengths, starts, inside, strict=True):
        index = _of_pairs(index * length, along, np.add)
        known = _of_pairs(known, within, np.logical_and)
    total = math.prod(lengths)
    elements = transpose(x, (0, *range(2, x.rank), 1))
    elements = reshape(elements, (x.shape[0], total, x.shape[1]))
    if not known.all():
        elements = pad(elements, (0, 0, 0), (0, 1, 0))
    places = const(np.where(known, index, total).reshape(-1), "int64")
    rows = take(elements, places, 1)
    return reshape(rows, (x.shape[0] * len(index), index.shape[1] * x.shape[1]))


def _of_pairs(left: Array, right: Array, function: np.ufunc) -> Array:
    """Of all pairs of rows and all pairs of columns."""
    pairs = function(left[:, None, :, None], right[None, :, None, :])
    return np.asarray(pairs).reshape(len(left) * len(right), -1)


def _channels_second(x: Expr) -> Expr:
    return transpose(x, (0, x.rank - 1, *range(1, x.rank - 1)))
