"""Functions of ``F`` on sequences: batches along axis 1, time along axis 0 (or exchanged)."""

from __future__ import annotations

from ..errors import InputError
from ..ir import ops
from ..ir.expr import Expr
from .index import in_range
from .register import function
from .symbol import Operand, Symbol, as_expr, wrap


def _lengths(
    x: Expr, sequence_length: Operand | None, use_sequence_length: bool, axis: int
) -> Expr | None:
    """Lengths as int64, shaped to stand beside positions along ``axis``; None for all."""
    if axis not in (0, 1) or x.rank < 2:
        raise InputError(f"a sequence has time along axis 0 or 1 of two or more, got axis {axis}")
    if not use_sequence_length:
        return None
    if sequence_length is None:
        raise InputError("use_sequence_length=True needs sequence_length")
    return ops.expand_dims(ops.cast(as_expr(sequence_length), "int64"), (axis,))


def _positions(x: Expr, axis: int) -> Expr:
    return ops.expand_dims(ops.iota(x.shape[axis]), (1 - axis,))


@function()
def SequenceMask(
    data: Operand,
    sequence_length: Operand | None = None,
    use_sequence_length: bool = False,
    value: float = 0.0,
    axis: int = 0,
) -> Symbol:
    """``value`` from the length of each sequence on."""
    x = as_expr(data)
    lengths = _lengths(x, sequence_length, use_sequence_length, axis)
    if lengths is None:
        return wrap(x)
    inside = ops.less(_positions(x, axis), lengths)
    return wrap(ops.where(ops.expand_dims(inside, range(2, x.rank)), x, value))


@function()
def SequenceLast(
    data: Operand,
    sequence_length: Operand | None = None,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> Symbol:
    """The last element of each sequence; of an empty one the first."""
    x = as_expr(data)
    lengths = _lengths(x, sequence_length, use_sequence_length, axis)
    if lengths is None:
        last = ops.take_range(x, axis, x.shape[axis] - 1, 1)
    else:
        last = _along_time(x, lengths - 1, axis)
    return wrap(ops.squeeze(last, (axis,)))


@function()
def SequenceReverse(
    data: Operand,
    sequence_length: Operand | None = None,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> Symbol:
    """Each sequence in reverse order; what lies beyond its length stays."""
    x = as_expr(data)
    lengths = _lengths(x, sequence_length, use_sequence_length, axis)
    if lengths is None:
        return wrap(ops.flip(x, (axis,)))
    places = _positions(x, axis)
    index = ops.where(ops.less(places, lengths), lengths - 1 - places, places)
    return wrap(_along_time(x, index, axis))


def _along_time(x: Expr, index: Expr, axis: int) -> Expr:
    """Elements at positions that differ by sequence; one outside is taken as the nearest."""
    index = in_range(index, x.shape[axis], "clip")
    wide = ops.expand_dims(index, range(2, x.rank))
    return ops.pick(x, ops.broadcast_to(wide, (*index.shape[:2], *x.shape[2:])), axis)
