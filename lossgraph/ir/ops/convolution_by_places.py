"""Convolutions as sums over the places of the kernel, of products of matrices.

What ONNX Runtime has no convolution for: arrays of float64. Each is what the operation of its name
is in ``convolution``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, floordiv, maximum
from ..expr import Expr
from .elementwise import add
from .linalg import matmul, matrix_transpose
from .shape import expand_dims, pad, reshape, slice_
from .windows import Ints, Window


def _padded(x: Expr, window: Window) -> Expr:
    return pad(x, (0, 0, *window.before), (0, 0, *window.after))


def _seen(x: Expr, window: Window, place: Ints, counts: Sequence[Dim]) -> Expr:
    """What one place of the kernel meets: (N, groups, C/groups, all counts)."""
    starts = [k * d for k, d in zip(place, window.dilation, strict=True)]
    cut = slice_(x, (0, 0, *starts), (1, 1, *window.stride), (*x.shape[:2], *counts))
    return _grouped(cut, window.groups)


def _grouped(x: Expr, groups: int) -> Expr:
    """(N, C, L..) as (N, groups, C/groups, all of L)."""
    length: Dim = 1
    for dim in x.shape[2:]:
        length = dim * length
    return reshape(x, (x.shape[0], groups, floordiv(x.shape[1], groups), length))


def _at(w: Expr, window: Window, place: Ints) -> Expr:
    """The weights of one place: (groups, O/groups, C/groups)."""
    ones = [1] * len(place)
    cut = slice_(w, (0, 0, *place), (1, 1, *ones), (*w.shape[:2], *ones))
    return reshape(cut, (window.groups, floordiv(w.shape[0], window.groups), w.shape[1]))


def _sum(terms: Sequence[Expr]) -> Expr:
    """In pairs, so that roundings do not add up."""
    while len(terms) > 1:
        pairs = [add(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = [*pairs, *terms[len(pairs) * 2 :]]
    return terms[0]


def convolve_by_places(x: Expr, w: Expr, *bias: Expr, window: Window) -> Expr:
    """``convolve``."""
    counts = [window.count(axis, length) for axis, length in enumerate(x.shape[2:])]
    wide = _padded(x, window)
    terms = [
        matmul(_at(w, window, place), _seen(wide, window, place, counts))
        for place in window.places()
    ]
    made = reshape(_sum(terms), (x.shape[0], w.shape[0], *counts))
    return _sum([made, *(expand_dims(b, range(1, made.rank - 1)) for b in bias)])


def unconvolve_by_places(w: Expr, y: Expr, window: Window, lengths: tuple[Dim, ...]) -> Expr:
    """``unconvolve``: each place of the kernel spreads what it gave, and zeros elsewhere."""
    given = _grouped(y, window.groups)
    channels = w.shape[1] * window.groups
    terms = []
    for place in window.places():
        part = matmul(matrix_transpose(_at(w, window, place)), given)
        part = reshape(part, (y.shape[0], channels, *y.shape[2:]))
        terms.append(_spread(part, window, place, lengths))
    return _sum(terms)


def _spread(part: Expr, window: Window, place: Ints, lengths: Sequence[Dim]) -> Expr:
    """What the slice of a place in ``_seen`` is the transpose of, without the padding."""
    for axis, (k, length) in enumerate(zip(place, lengths, strict=True), start=2):
        stride, before = window.stride[axis - 2], window.before[axis - 2]
        if stride > 1:
            part = _with_gaps(part, axis, stride)
        start, count = k * window.dilation[axis - 2], part.shape[axis]
        after = maximum(length + (before + window.after[axis - 2] - start) - count, 0)
        sides = [[side if i == axis else 0 for i in range(part.rank)] for side in (start, after)]
        part = pad(part, *sides)
        starts = [before if i == axis else 0 for i in range(part.rank)]
        sizes = [length if i == axis else dim for i, dim in enumerate(part.shape)]
        part = slice_(part, starts, [1] * part.rank, sizes)
    return part


def _with_gaps(x: Expr, axis: int, stride: int) -> Expr:
    """Zeros after each element."""
    split = reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
    none = [0] * split.rank
    wide = pad(split, none, [stride - 1 if i == axis + 1 else 0 for i in range(split.rank)])
    return reshape(wide, (*x.shape[:axis], x.shape[axis] * stride, *x.shape[axis + 1 :]))
