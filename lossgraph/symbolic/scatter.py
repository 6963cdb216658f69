"""Functions of ``F`` that write at indices: sums of what meets, and rows by a known mask.

An index outside is refused where a loss is called; in an exported graph, which cannot refuse
anything, what is written there is NaN, and stands at the first place.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..ir import ops
from ..ir.expr import Expr, const, is_literal
from ..ir.types import canonical_axis
from ..reference.missing import MASK_REFUSED
from .index import _validity, in_range
from .register import function
from .symbol import Operand, Symbol, as_expr, promote, static, wrap


def _written(x: Expr, index: Expr, updates: Expr, axis: int) -> Expr:
    """``x`` with updates added at indices along an axis, in their shape."""
    length = x.shape[axis]
    if length == 0 and 0 in index.shape:
        return x
    mask = _validity(index, length, "raise", x.dtype)
    updates = updates if mask is None else updates * mask
    places = in_range(index, length, "raise")
    return x + ops.scatter_add(updates, places, axis, length, unique_indices=False)


@function(True)
def scatter_add(data: Operand, index: Operand, src: Operand, axis: int = 0) -> Symbol:
    """``data`` with ``src`` added at indices along an axis, as often as an index stands there.

    PyTorch's function, with MXNet's place of ``axis``: ``index`` and ``src`` have one shape, that
    of ``data`` but for that axis.
    """
    (x, updates), _ = promote(data, src)
    places = as_expr(index)
    axis = canonical_axis(axis, x.rank)
    if places.rank != x.rank or updates.rank != x.rank:
        raise InputError(
            f"scatter_add: index {places.type} and src {updates.type} need the rank of {x.type}"
        )
    return wrap(_written(x, places, ops.broadcast_to(updates, places.shape), axis))


@function(True)
def index_add(
    data: Operand, index: Operand, source: Operand, axis: int = 0, alpha: float = 1.0
) -> Symbol:
    """``data`` with slices of ``source``, times ``alpha``, added to those that ``index`` names.

    PyTorch's function, with MXNet's place of ``axis``: ``index`` is (n,), and ``source`` has n
    slices along the axis.
    """
    (x, updates), _ = promote(data, source)
    places = as_expr(index)
    axis = canonical_axis(axis, x.rank)
    if places.rank != 1 or updates.rank != x.rank:
        raise InputError(
            f"index_add: expected an index of rank 1 and a source of the rank of {x.type}, "
            f"got {places.type} and {updates.type}"
        )
    wide = ops.expand_dims(places, [i for i in range(x.rank) if i != axis])
    updates = updates if alpha == 1 else updates * float(alpha)
    return wrap(_written(x, ops.broadcast_to(wide, updates.shape), updates, axis))


@function()
def boolean_mask(data: Operand, index: Operand, axis: int = 0) -> Symbol:
    """The slices along an axis where a mask is not zero, which has to be known: a constant.

    Of a mask that is an input nobody could say how many those are.
    """
    x, mask = as_expr(data), as_expr(index)
    axis = canonical_axis(axis, x.rank)
    if not is_literal(mask):
        raise InputError(f"boolean_mask: {MASK_REFUSED}")
    chosen = mask.attrs["value"] != 0
    if chosen.ndim != 1 or chosen.shape[0] != static(x.shape[axis], "boolean_mask"):
        raise InputError(f"boolean_mask: a mask {mask.type} for axis {axis} of {x.type}")
    return wrap(ops.take(x, const(np.flatnonzero(chosen), "int64"), axis))
