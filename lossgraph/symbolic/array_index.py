"""Indexing by arrays, as NumPy has it: elements whose indices stand in arrays that broadcast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..ir import ops
from ..ir.dims import Dim, product
from ..ir.expr import Expr, is_literal
from ..ir.types import broadcast_shapes


def take_elements(x: Expr, axes: Sequence[int], indices: Sequence[Expr], first: int) -> Expr:
    """The elements of ``x`` at indices along some axes.

    Args:
        x: the array.
        axes: the axes that are indexed.
        indices: integers for each of the axes, negative ones counted from the end; an index
            outside takes the nearest element.
        first: where the axes of the indices, broadcast, stand in the result.

    Raises:
        InputError: for an index that is known to be outside.
    """
    shape: tuple[Dim, ...] = ()
    for index in indices:
        shape = broadcast_shapes(shape, index.shape)
    lengths = [x.shape[axis] for axis in axes]
    linear = None
    for index, length in zip(indices, lengths, strict=True):
        place = _from_front(index, length)
        linear = place if linear is None else linear * ops.size_of(length) + place
    others = [axis for axis in range(x.rank) if axis not in axes]
    moved = ops.transpose(x, [*others[:first], *axes, *others[first:]])
    rest = [x.shape[axis] for axis in others]
    flat = ops.reshape(moved, [*rest[:first], product(lengths), *rest[first:]])
    assert linear is not None
    return ops.take(flat, ops.broadcast_to(linear, shape), first)


def _from_front(index: Expr, length: Dim) -> Expr:
    whole = ops.cast(index, "int64")
    if is_literal(index) and isinstance(length, int):
        outside = [i for i in np.ravel(index.attrs["value"]) if not -length <= i < length]
        if outside:
            raise InputError(
                f"index {int(outside[0])} is out of range for an axis of length {length}"
            )
    size = ops.size_of(length)
    counted = ops.where(ops.less(whole, 0), whole + size, whole)
    return ops.minimum(ops.maximum(counted, 0), size - 1)
