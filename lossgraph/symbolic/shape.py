"""Functions of ``F`` that change shapes, cut, join and create."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import dims, ops
from ..ir.dims import Dim
from ..ir.expr import Expr, const
from ..ir.types import canonical_axes, canonical_axis, require_equal
from .arguments import as_axes, numbers, require_as_many, require_rank
from .register import function
from .symbol import (
    Axes,
    DtypeLike,
    Operand,
    ShapeLike,
    SizeLike,
    Sizes,
    Symbol,
    _dim_of,
    as_expr,
    as_shape,
    created,
    definite,
    is_one,
    static,
    wrap,
)
from .symbol import (
    slice_axis as _slice_axis,
)

# --- reshape ------------------------------------------------------------------------------


@function(True, "Reshape")
def reshape(data: Operand, *dims_: Any, shape: ShapeLike = None, reverse: bool = False) -> Symbol:
    """Another shape for the same elements, as a tuple or as numbers.

    Codes: 0 copies the length of this axis, -1 infers, -2 copies all that remain, -3 joins
    two axes, -4 splits one into the two lengths that follow. ``reverse`` counts from the back.
    """
    x = as_expr(data)
    if shape is None:
        shape = dims_[0] if len(dims_) == 1 else dims_
    codes = [_dim_of(item) for item in (shape if isinstance(shape, (tuple, list)) else (shape,))]
    return wrap(ops.reshape(x, decode_shape(x.shape, codes, reverse)))


def decode_shape(source: Sequence[Dim], codes: Sequence[Dim], reverse: bool = False) -> list[Dim]:
    """The shape that MXNet's reshape codes stand for."""
    if reverse:
        return decode_shape(source[::-1], _reverse_codes(codes))[::-1]
    result: list[Dim] = []
    axis, place, infer = 0, 0, -1
    while place < len(codes):
        code = codes[place]
        if not isinstance(code, int) or code > 0:
            result.append(code)
            axis += 1
        elif code == 0:
            result.append(_at(source, axis, codes))
            axis += 1
        elif code == -1:
            if infer >= 0:
                raise InputError(f"reshape {tuple(codes)}: -1 may stand once")
            infer = len(result)
            result.append(1)
            axis += 1
        elif code == -2:
            result.extend(source[axis:])
            axis = len(source)
        elif code == -3:
            result.append(_at(source, axis, codes) * _at(source, axis + 1, codes))
            axis += 2
        elif code == -4:
            result.extend(_split(_at(source, axis, codes), codes[place + 1 : place + 3]))
            axis, place = axis + 1, place + 2
        else:
            raise InputError(f"reshape {tuple(codes)}: unknown code {code}")
        place += 1
    if infer >= 0:
        total = dims.product(source)
        result[infer] = dims.floordiv(total, dims.product(result)) if total != 0 else 0
    return result


def _reverse_codes(codes: Sequence[Dim]) -> list[Dim]:
    """Codes from the back: a -4 keeps standing before its two lengths."""
    groups: list[list[Dim]] = []
    place = 0
    while place < len(codes):
        width = 3 if codes[place] == -4 else 1
        group = list(codes[place : place + width])
        groups.append([group[0], *group[:0:-1]])
        place += width
    return [code for group in reversed(groups) for code in group]


def _split(length: Dim, parts: Sequence[Dim]) -> list[Dim]:
    if len(parts) != 2 or (parts[0] == -1 and parts[1] == -1):
        raise InputError("reshape: -4 needs two lengths after it, at most one of them -1")
    first, second = parts
    if first == -1:
        first = dims.floordiv(length, second)
    if second == -1:
        second = dims.floordiv(length, first)
    return [first, second]


def _at(source: Sequence[Dim], axis: int, codes: Sequence[Dim]) -> Dim:
    if axis >= len(source):
        raise InputError(
            f"reshape {tuple(codes)}: there is no axis {axis} to copy in {tuple(source)}"
        )
    return source[axis]


@function(True)
def reshape_like(
    lhs: Operand,
    rhs: Operand,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
) -> Symbol:
    """``lhs`` in the shape of ``rhs``, or some of its axes in that of some of the other's."""
    x, like = as_expr(lhs), as_expr(rhs)
    left = slice(*_range(lhs_begin, lhs_end, x.rank))
    right = slice(*_range(rhs_begin, rhs_end, like.rank))
    target = (*x.shape[: left.start], *like.shape[right], *x.shape[left.stop :])
    return wrap(ops.reshape(x, target))


def _range(begin: int | None, end: int | None, rank: int) -> tuple[int, int]:
    start = 0 if begin is None else begin + rank * (begin < 0)
    stop = rank if end is None else end + rank * (end < 0)
    return start, stop


@function(True, "Flatten")
def flatten(data: Operand) -> Symbol:
    """All axes but the first joined."""
    x = as_expr(data)
    require_rank("flatten: data", x, 1)
    return wrap(ops.reshape(x, (x.shape[0], dims.product(x.shape[1:]))))


@function(True)
def expand_dims(data: Operand, axis: int) -> Symbol:
    """A new axis of length one at ``axis``."""
    return wrap(ops.expand_dims(as_expr(data), (axis,)))


@function(True)
def squeeze(data: Operand, axis: Axes = None) -> Symbol:
    """Axes of length one dropped: those named, or all; one axis always remains."""
    x = as_expr(data)
    if axis is None:
        axes: Sequence[int] = [i for i, dim in enumerate(x.shape) if is_one(dim)]
    else:
        axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    if x.rank and len(axes) == x.rank:
        axes = list(axes)[:-1]
    return wrap(ops.squeeze(x, axes))


@function(True)
def transpose(data: Operand, axes: Axes = None) -> Symbol:
    """Axes in another order, reversed by default."""
    x = as_expr(data)
    return wrap(ops.transpose(x, as_axes(axes or range(x.rank)[::-1])))


@function(True, "SwapAxis")
def swapaxes(data: Operand, dim1: int = 0, dim2: int = 0) -> Symbol:
    """Two axes exchanged."""
    x = as_expr(data)
    perm = list(range(x.rank))
    a, b = canonical_axis(dim1, x.rank), canonical_axis(dim2, x.rank)
    perm[a], perm[b] = perm[b], perm[a]
    return wrap(ops.transpose(x, perm))


@function(True)
def moveaxis(data: Operand, source: int, destination: int) -> Symbol:
    """One axis moved to another place."""
    x = as_expr(data)
    perm = list(range(x.rank))
    perm.insert(canonical_axis(destination, x.rank), perm.pop(canonical_axis(source, x.rank)))
    return wrap(ops.transpose(x, perm))


@function(True, "reverse")
def flip(data: Operand, axis: Axes) -> Symbol:
    """The order of elements reversed along axes."""
    return wrap(ops.flip(as_expr(data), as_axes(axis)))


# --- broadcast and repeat -----------------------------------------------------------------


@function(True)
def broadcast_to(data: Operand, shape: ShapeLike) -> Symbol:
    """Axes of length one stretched to ``shape``; 0 keeps a length."""
    x = as_expr(data)
    target = list(as_shape(shape))
    offset = len(target) - x.rank
    if offset < 0:
        raise InputError(f"broadcast_to: {x.type} has more axes than {tuple(target)}")
    for axis, dim in enumerate(x.shape):
        if target[axis + offset] == 0:
            target[axis + offset] = dim
    return wrap(ops.broadcast_to(x, target))


@function(True)
def broadcast_like(
    lhs: Operand, rhs: Operand, lhs_axes: Axes = None, rhs_axes: Axes = None
) -> Symbol:
    """Axes of length one stretched to the lengths that ``rhs`` has there."""
    x, like = as_expr(lhs), as_expr(rhs)
    if lhs_axes is None or rhs_axes is None:
        return wrap(ops.broadcast_to(x, like.shape))
    target = list(x.shape)
    left, right = as_axes(lhs_axes), as_axes(rhs_axes)
    require_as_many("broadcast_like: lhs_axes and rhs_axes", left, right)
    for a, b in zip(left, right, strict=True):
        target[canonical_axis(a, x.rank)] = like.shape[canonical_axis(b, like.rank)]
    return wrap(ops.broadcast_to(x, target))


@function(True, "broadcast_axes")
def broadcast_axis(data: Operand, axis: Axes = (), size: ShapeLike = ()) -> Symbol:
    """Axes of length one stretched to ``size``."""
    x = as_expr(data)
    axes, sizes = as_axes(axis), as_shape(size)
    require_as_many("broadcast_axis: axis and size", axes, sizes)
    target = list(x.shape)
    for a, length in zip(axes, sizes, strict=True):
        target[canonical_axis(a, x.rank)] = length
    return wrap(ops.broadcast_to(x, target))


@function(True)
def tile(data: Operand, reps: ShapeLike) -> Symbol:
    """The whole array repeated along each axis."""
    x = as_expr(data)
    given = as_shape(reps)
    times: list[Dim] = [*[1] * (x.rank - len(given)), *given]
    shape: list[Dim] = [*[1] * (len(times) - x.rank), *x.shape]
    x = ops.reshape(x, [d for dim in shape for d in (1, dim)])
    x = ops.broadcast_to(x, [d for n, dim in zip(times, shape, strict=True) for d in (n, dim)])
    return wrap(ops.reshape(x, [n * dim for n, dim in zip(times, shape, strict=True)]))


@function(True)
def repeat(data: Operand, repeats: SizeLike, axis: int | None = None) -> Symbol:
    """Every element repeated along an axis, or every one of all."""
    x = as_expr(data)
    if axis is None:
        x, axis = ops.reshape(x, (dims.product(x.shape),)), 0
    axis = canonical_axis(axis, x.rank)
    times = _dim_of(repeats)
    wide = ops.expand_dims(x, (axis + 1,))
    wide = ops.broadcast_to(wide, (*x.shape[: axis + 1], times, *x.shape[axis + 1 :]))
    return wrap(ops.reshape(wide, (*x.shape[:axis], x.shape[axis] * times, *x.shape[axis + 1 :])))


# --- cut and join -------------------------------------------------------------------------


@function(True)
def slice_axis(data: Operand, axis: int, begin: Any, end: Any) -> Symbol:
    """Elements from ``begin`` to before ``end`` along one axis."""
    return wrap(_slice_axis(as_expr(data), axis, begin, end))


@function(True)
def slice_(data: Operand, begin: Any, end: Any, step: Any = None) -> Symbol:
    """Elements from ``begin`` to before ``end`` along the first axes."""
    x = as_expr(data)
    begins, ends = (v if isinstance(v, (tuple, list)) else (v,) for v in (begin, end))
    steps = step if isinstance(step, (tuple, list)) else (step,) * len(begins)
    steps = [*steps, *[None] * (len(begins) - len(steps))]
    if len(begins) > x.rank or len(begins) != len(ends):
        raise InputError(f"slice: begin {begin} and end {end} do not fit {x.type}")
    for axis, (b, e, s) in enumerate(zip(begins, ends, steps, strict=True)):
        x = _slice_axis(x, axis, b, e, s)
    return wrap(x)


@function(True)
def slice_like(data: Operand, shape_like: Operand, axes: Axes = ()) -> Symbol:
    """The beginning of each axis, as long as the other array's."""
    x, like = as_expr(data), as_expr(shape_like)
    every = axes is None or axes == ()
    named = range(like.rank) if every else canonical_axes(as_axes(axes), x.rank)
    require_rank("slice_like: data", x, max(named, default=-1) + 1)
    require_rank("slice_like: shape_like", like, max(named, default=-1) + 1)
    for axis in named:
        if x.shape[axis] != like.shape[axis]:
            x = ops.take_range(x, axis, 0, like.shape[axis])
    return wrap(x)


@function(False, "Concat")
def concat(*data: Operand, dim: int = 1, num_args: int | None = None) -> Symbol:
    """Arrays joined along an axis."""
    arrays = data[0] if len(data) == 1 and isinstance(data[0], (tuple, list)) else data
    return wrap(ops.concat(definite(*arrays), dim))


@function()
def stack(*data: Operand, axis: int = 0, num_args: int | None = None) -> Symbol:
    """Arrays joined along a new axis."""
    arrays = data[0] if len(data) == 1 and isinstance(data[0], (tuple, list)) else data
    return wrap(ops.concat([ops.expand_dims(x, (axis,)) for x in definite(*arrays)], axis))


@function(True, "SliceChannel")
def split(data: Operand, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> Any:
    """Equal parts along an axis, as a list; a single part by itself."""
    x = as_expr(data)
    axis = canonical_axis(axis, x.rank)
    size = dims.floordiv(x.shape[axis], num_outputs)
    require_equal(size * num_outputs, x.shape[axis])
    parts = [ops.take_range(x, axis, size * i, size) for i in range(num_outputs)]
    if squeeze_axis and x.rank > 1:  # MXNet knows no rank 0
        static(x.shape[axis], "split(squeeze_axis=True)")
        parts = [ops.squeeze(part, (axis,)) for part in parts]
    return wrap(parts[0]) if num_outputs == 1 else [wrap(part) for part in parts]


@function(False, "Pad")
def pad(
    data: Operand, mode: str = "constant", pad_width: Sizes = (), constant_value: float = 0.0
) -> Symbol:
    """Elements around an array: a constant, the edge's, or mirrored."""
    x = as_expr(data)
    before: list[Any] = list(pad_width[::2])
    after: list[Any] = list(pad_width[1::2])
    if mode == "constant":
        inner = ops.pad(x, before, after)
        if constant_value == 0:
            return wrap(inner)
        inside = ops.pad(ops.full(1, x.dtype, x.shape), before, after)
        return wrap(ops.where(ops.greater(inside, 0), inner, const(constant_value, x.dtype)))
    if mode not in ("edge", "reflect"):
        raise InputError(f"mode: expected one of ('constant', 'edge', 'reflect'), got {mode!r}")
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        x = _pad_from_inside(x, axis, low, high, mode)
    return wrap(x)


def _pad_from_inside(x: Expr, axis: int, low: int, high: int, mode: str) -> Expr:
    length = x.shape[axis]
    if mode == "edge":
        shape = list(x.shape)

        def side(start: Dim, count: int) -> Expr:
            return ops.broadcast_to(
                ops.take_range(x, axis, start, 1), [*shape[:axis], count, *shape[axis + 1 :]]
            )

        ends = (0, length - 1)
    else:

        def side(start: Dim, count: int) -> Expr:
            return ops.flip(ops.take_range(x, axis, start, count), (axis,))

        ends = (1, length - 1 - high)
    front, back = (
        [side(start, count)] if count else []
        for start, count in zip(ends, (low, high), strict=True)
    )
    return ops.concat([*front, x, *back], axis)


# --- products of matrices -----------------------------------------------------------------


@function(True)
def dot(lhs: Operand, rhs: Operand, transpose_a: bool = False, transpose_b: bool = False) -> Symbol:
    """The last axis of the left array times the first of the right."""
    a, b = definite(lhs, rhs, floating=True)
    require_rank("dot: lhs", a, 1)
    require_rank("dot: rhs", b, 1)
    a = ops.transpose(a, (*range(1, a.rank), 0)) if transpose_a else a
    b = ops.transpose(b, (b.rank - 1, *range(b.rank - 1))) if transpose_b else b
    left = ops.reshape(a, (dims.product(a.shape[:-1]), a.shape[-1]))
    right = ops.reshape(b, (b.shape[0], dims.product(b.shape[1:])))
    shape = (*a.shape[:-1], *b.shape[1:]) or (1,)
    return wrap(ops.reshape(ops.matmul(left, right), shape))


@function(True)
def batch_dot(
    lhs: Operand, rhs: Operand, transpose_a: bool = False, transpose_b: bool = False
) -> Symbol:
    """Products of the matrices in two stacks."""
    a, b = definite(lhs, rhs, floating=True)
    a = ops.matrix_transpose(a) if transpose_a else a
    b = ops.matrix_transpose(b) if transpose_b else b
    return wrap(ops.matmul(a, b))


# --- creation -----------------------------------------------------------------------------


def _filled(value: float, shape: Any, dtype: Any) -> Symbol:
    return created(lambda kind: ops.full(value, kind, as_shape(shape)), dtype)


@function()
def zeros(shape: ShapeLike, ctx: Any = None, dtype: DtypeLike = None) -> Symbol:
    """Zeros, which without a dtype take that of what they meet."""
    return _filled(0.0, shape, dtype)


@function()
def ones(shape: ShapeLike, ctx: Any = None, dtype: DtypeLike = None) -> Symbol:
    """Ones, which without a dtype take that of what they meet."""
    return _filled(1.0, shape, dtype)


@function()
def full(shape: ShapeLike, val: float, ctx: Any = None, dtype: DtypeLike = None) -> Symbol:
    """One number everywhere."""
    return _filled(val if isinstance(val, (int, np.integer)) else float(val), shape, dtype)


@function()
def array(source_array: Any, ctx: Any = None, dtype: DtypeLike = None) -> Symbol:
    """A constant array."""
    given = numbers(source_array)
    return created(lambda kind: const(given, kind), dtype)


@function(True)
def scalar(data: Operand) -> Symbol:
    """An array of one element without its axes, which MXNet does not know. Lossgraph's own."""
    return wrap(ops.reshape(as_expr(data), ()))


@function(True)
def zeros_like(data: Operand) -> Symbol:
    """Zeros in the shape and dtype of ``data``."""
    x = as_expr(data)
    return wrap(ops.full(0, x.dtype, x.shape))


@function(True)
def ones_like(data: Operand) -> Symbol:
    """Ones in the shape and dtype of ``data``."""
    x = as_expr(data)
    return wrap(ops.full(1, x.dtype, x.shape))


@function()
def eye(
    N: SizeLike, M: SizeLike = 0, k: int = 0, ctx: Any = None, dtype: DtypeLike = None
) -> Symbol:
    """Ones on the k-th diagonal of an N x M matrix, M = N by default.

    Without a dtype they take that of what they meet, as the elements of ``zeros`` do.
    """
    rows = _dim_of(N)
    columns = rows if isinstance(M, (int, np.integer)) and M == 0 else _dim_of(M)
    return created(lambda kind: ops.cast(_on_diagonal(rows, columns, k), kind), dtype)


def _on_diagonal(rows: Dim, columns: Dim, k: int) -> Expr:
    """Where the k-th diagonal of a matrix is, as bool."""
    row = ops.expand_dims(ops.iota(rows), (1,))
    return ops.equal(row + k, ops.expand_dims(ops.iota(columns), (0,)))


@function(True)
def diag(data: Operand, k: int = 0, axis1: int = 0, axis2: int = 1) -> Symbol:
    """The k-th diagonal, or the matrix that has a vector there."""
    x = as_expr(data)
    if x.rank == 1:
        size = x.shape[0] + abs(k)
        before, after = (0, k) if k >= 0 else (-k, 0)
        column = ops.expand_dims(ops.pad(x, (before,), (after,)), (1,))
        return wrap(ops.where(_on_diagonal(size, size, k), column, 0))
    a, b = canonical_axis(axis1, x.rank), canonical_axis(axis2, x.rank)
    rest = [axis for axis in range(x.rank) if axis not in (a, b)]
    x = ops.transpose(x, (*rest, a, b))
    x = ops.take_range(x, x.rank - 1 if k >= 0 else x.rank - 2, abs(k), _less(x, k))
    size = dims.minimum(x.shape[-2], x.shape[-1])
    x = ops.take_range(ops.take_range(x, x.rank - 2, 0, size), x.rank - 1, 0, size)
    picked = ops.pick(x, ops.broadcast_to(ops.expand_dims(ops.iota(size), (1,)),
                                          (*x.shape[:-1], 1)), -1)  # fmt: skip
    return wrap(ops.squeeze(picked, (-1,)))


def _less(x: Expr, k: int) -> Dim:
    return (x.shape[-1] if k >= 0 else x.shape[-2]) - abs(k)


@function(True)
def shape_array(data: Operand) -> Symbol:
    """The lengths of the axes, as an int64 vector."""
    x = as_expr(data)
    return wrap(ops.concat([ops.expand_dims(ops.size_of(dim), (0,)) for dim in x.shape], 0))


@function(True)
def size_array(data: Operand) -> Symbol:
    """The number of elements, as an int64 vector of one."""
    return wrap(ops.expand_dims(ops.size_of(dims.product(as_expr(data).shape)), (0,)))
