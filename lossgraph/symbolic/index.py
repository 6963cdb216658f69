"""Functions of ``F`` that select by index.

Indices may be of any dtype; floats are truncated towards zero. ``mode`` says what happens to
an index outside: ``clip`` takes the nearest, ``wrap`` counts around, ``raise`` is an input
error for the Python interface and NaN in an exported graph, which cannot raise. In mode ``raise``
a float that is no whole number is outside too.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from ..ir import ops
from ..ir.dims import Dim, product
from ..ir.expr import Expr, const
from ..ir.types import FLOATS, broadcast_shapes, canonical_axis
from .arguments import require_rank
from .elementwise import fix
from .reduce import log_softmax, sum_
from .register import function
from .symbol import (
    DtypeLike,
    Operand,
    ShapeLike,
    SizeLike,
    Symbol,
    _dim_of,
    as_expr,
    as_shape,
    created,
    promote,
    static,
    wrap,
)

_MODES = ("clip", "wrap", "raise")


def in_range(index: Expr, length: Dim, mode: str) -> Expr:
    """Indices as int64 from 0 to length-1."""
    if mode == "raise":
        return ops.class_index(index, length)
    last = ops.size_of(length) - 1
    if mode == "wrap":
        whole = ops.cast(index, "int64")
        return ops.mod(whole, ops.maximum(last + 1, 1))
    if index.type.is_float:  # in floats, as a cast of what int64 cannot hold is undefined
        index = ops.minimum(ops.maximum(index, 0.0), ops.cast(last, index.dtype))
        index = ops.where(ops.isnan(index), 0.0, index)
    return ops.minimum(ops.maximum(ops.cast(index, "int64"), 0), last)


def _validity(index: Expr, length: Dim, mode: str, dtype: str) -> Expr | None:
    """A factor, NaN for an index that stands for no element; None where all do."""
    if dtype not in FLOATS:
        return None
    if mode == "raise":
        return ops.class_mask(index, length, dtype)
    if index.type.is_float:
        return ops.nan_mask(index, dtype)
    return None


def _check_mode(mode: str) -> None:
    if mode not in _MODES:
        raise InputError(f"mode: expected one of {_MODES}, got {mode!r}")


@function(True)
def pick(
    data: Operand, index: Operand, axis: int = -1, keepdims: bool = False, mode: str = "clip"
) -> Symbol:
    """One element of each row along an axis: the one that the index names."""
    _check_mode(mode)
    x, chosen = as_expr(data), as_expr(index)
    axis = canonical_axis(axis, x.rank)
    kept = [1 if i == axis else dim for i, dim in enumerate(x.shape)]
    if chosen.rank == x.rank - 1:
        chosen = ops.expand_dims(chosen, (axis,))
    elif (chosen.rank == 0 and x.rank == 1) or x.rank == chosen.rank == 1:
        chosen = ops.reshape(chosen, (1,))
    if chosen.rank != x.rank or chosen.shape[axis] != 1:
        raise InputError(
            f"pick: an index of type {as_expr(index).type} does not choose from {x.type} along "
            f"axis {axis}: expected the shape of the array without that axis"
        )
    shape = broadcast_shapes(chosen.shape, tuple(kept))
    chosen = ops.broadcast_to(chosen, shape)
    if x.shape[axis] == 0:
        raise InputError(f"pick: {x.type} has nothing to pick from along axis {axis}")
    mask = _validity(chosen, x.shape[axis], mode, x.dtype)
    spoils_row = x.op in (ops.log_softmax.op, ops.softmax.op)  # by its own gradient
    if mask is not None and not spoils_row:
        x = x * mask  # before the choice, so that the gradient of the whole row is NaN
    picked = ops.pick(x, in_range(chosen, x.shape[axis], mode), axis)
    if mask is not None and spoils_row:
        picked = picked * mask
    if keepdims:
        return wrap(picked)
    return wrap(ops.reshape(picked, [d for i, d in enumerate(shape) if i != axis] or [1]))


@function(True)
def take_along_axis(data: Operand, indices: Operand, axis: int) -> Symbol:
    """Elements along an axis, by indices of the array's rank; those outside are clipped.

    NumPy's function, which MXNet has not: other axes of the two broadcast.
    """
    x, index = as_expr(data), as_expr(indices)
    axis = canonical_axis(axis, x.rank)
    if index.rank != x.rank:
        raise InputError(f"take_along_axis: an index {index.type} needs the rank of {x.type}")
    shape = list(broadcast_shapes(*(_without(a.shape, axis) for a in (x, index))))
    length, count = x.shape[axis], index.shape[axis]
    x = ops.broadcast_to(x, [*shape[:axis], length, *shape[axis:]])
    index = ops.broadcast_to(in_range(index, length, "clip"), [*shape[:axis], count, *shape[axis:]])
    return wrap(ops.pick(x, index, axis, unique_indices=count == 1))


@function(True)
def put_along_axis(data: Operand, indices: Operand, values: Operand, axis: int) -> Symbol:
    """``data`` with other values at indices along an axis, which differ and are clipped.

    NumPy's function, which MXNet has not, with the result as its value: indices and values have
    the shape of the array but for that axis.
    """
    (x, v), _ = promote(data, values)
    axis = canonical_axis(axis, x.rank)
    return wrap(ops.scatter(x, in_range(as_expr(indices), x.shape[axis], "clip"), v, axis))


def _without(shape: Sequence[Dim], axis: int) -> tuple[Dim, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


@function(True)
def take(a: Operand, indices: Operand, axis: int = 0, mode: str = "clip") -> Symbol:
    """Slices along an axis, which the axes of the indices replace."""
    _check_mode(mode)
    x, index = as_expr(a), as_expr(indices)
    axis = canonical_axis(axis, x.rank)
    taken = ops.take(x, in_range(index, x.shape[axis], mode), axis)
    mask = _validity(index, x.shape[axis], mode, x.dtype)
    if mask is not None:
        after = range(axis + index.rank, taken.rank)
        taken = taken * ops.expand_dims(mask, [*range(axis), *after])
    return wrap(taken)


@function()
def batch_take(a: Operand, indices: Operand) -> Symbol:
    """One element of each row of a matrix."""
    taken: Symbol = pick(a, indices, axis=1)
    return taken


@function()
def Embedding(
    data: Operand,
    weight: Operand,
    input_dim: int = 0,
    output_dim: int = 0,
    dtype: DtypeLike = "float32",
    sparse_grad: bool = False,
) -> Symbol:
    """Rows of ``weight`` by index, clipped."""
    rows: Symbol = take(weight, data, axis=0)
    return rows


@function(True)
def one_hot(
    indices: Operand,
    depth: SizeLike,
    on_value: float = 1.0,
    off_value: float = 0.0,
    dtype: DtypeLike = None,
) -> Symbol:
    """``on_value`` at the index along a new last axis; an index outside has none.

    Without a dtype they take that of what they meet, as the elements of ``zeros`` do.
    """
    index = as_expr(indices)
    length = _dim_of(depth)
    if index.type.is_float:  # NaN and what int64 cannot hold are outside
        bound = ops.cast(ops.size_of(length), index.dtype)
        inside = ops.logical_and(ops.greater(index, -1.0), ops.less(index, bound))
        index = ops.where(inside, index, -1.0)
    chosen = ops.cast(index, "int64")
    if (on_value, off_value) == (1.0, 0.0):
        return created(lambda kind: ops.one_hot(chosen, length, kind), dtype)
    hot = ops.one_hot(chosen, length, "bool")
    return created(
        lambda kind: ops.where(hot, const(on_value, kind), const(off_value, kind)), dtype
    )


@function()
def gather_nd(data: Operand, indices: Operand) -> Symbol:
    """Elements whose index tuples stand along the first axis of ``indices``."""
    x = as_expr(data)
    linear, depth = _linear_index(as_expr(indices), x.shape)
    flat = ops.reshape(x, (product(x.shape[:depth]), *x.shape[depth:]))
    return wrap(ops.take(flat, linear, 0))


@function()
def scatter_nd(data: Operand, indices: Operand, shape: ShapeLike) -> Symbol:
    """Zeros with ``data`` put at index tuples; data of one index is summed."""
    rows, target = as_expr(data), as_shape(shape)
    linear, depth = _linear_index(as_expr(indices), target)
    summed = ops.scatter_rows(rows, linear, product(target[:depth]))
    return wrap(ops.reshape(summed, target))


def _linear_index(indices: Expr, shape: Sequence[Dim]) -> tuple[Expr, int]:
    """Index tuples along axis 0 as one index into the first axes joined; and their number."""
    require_rank("indices", indices, 1)
    depth = static(indices.shape[0], "the length of index tuples")
    if depth > len(shape):
        raise InputError(f"index tuples of length {depth} for an array of rank {len(shape)}")
    linear: Expr | None = None
    for axis in range(depth):
        part = ops.squeeze(ops.take_range(indices, 0, axis, 1), (0,))
        whole, length = ops.cast(part, "int64"), ops.size_of(shape[axis])
        from_front = ops.where(ops.less(whole, 0), whole + length, whole)
        part = in_range(from_front, shape[axis], "clip")
        linear = part if linear is None else linear * ops.size_of(shape[axis]) + part
    if linear is None:
        raise InputError("index tuples need at least one element")
    return linear, depth


@function(True)
def softmax_cross_entropy(data: Operand, label: Operand) -> Symbol:
    """The sum over rows of ``-log(softmax(data))`` at the label."""
    total: Symbol = sum_(pick(log_softmax(data, axis=-1), truncated(label), mode="raise"))
    return -total


def truncated(label: Operand) -> Symbol:
    """Class labels as MXNet reads them: floats truncated towards zero."""
    expr = as_expr(label)
    return fix(wrap(expr)) if expr.type.is_float else wrap(expr)
