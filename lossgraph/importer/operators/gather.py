"""Operators that take and put elements by index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import ops
from ...ir.dims import Dim, is_nonnegative
from ...ir.expr import Expr, Movement, const
from ...ir.types import canonical_axis
from ..known import sizes_vector
from ..node import Node
from ..translations import NotTranslatedError, translates
from ..types import DTYPE_NAMES


@translates("Gather")
def _gather(node: Node) -> Expr:
    x = node[0]
    axis = canonical_axis(node.attribute("axis", 0), x.rank)
    index = node[1]
    run = _run(node, index, x.shape[axis])
    if run is None:
        return ops.take(x, _from_the_front(node, index, x.shape[axis]), axis)
    shape = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    return ops.reshape(ops.take_range(x, axis, *run), shape)


def _run(node: Node, index: Expr, size: Dim) -> tuple[Dim, Dim] | None:
    """Where indices that follow each other begin, and how many they are: a slice."""
    counted = index
    while counted.op.movement is Movement.RESHAPE:
        counted = counted.args[0]
    if counted.op is ops.iota.op:
        return 0, counted.shape[0]
    known = node.known.elements(index)
    if known is None or not known.size:
        return None
    places = [
        place + size if isinstance(place, int) and place < 0 else place for place in known.flat
    ]
    if any(place != places[0] + step for step, place in enumerate(places)):
        return None
    return (places[0], len(places)) if is_nonnegative(places[0]) else None


@translates("GatherElements", since=11)
def _gather_elements(node: Node) -> Expr:
    """Along other axes the index may be shorter than the array."""
    x, index = node[0], node[1]
    axis = canonical_axis(node.attribute("axis", 0), x.rank)
    index = _from_the_front(node, index, x.shape[axis])
    sizes = [dim if i == axis else index.shape[i] for i, dim in enumerate(x.shape)]
    part = ops.slice_(x, [0] * x.rank, [1] * x.rank, sizes)
    return ops.pick(part, index, axis, _is_unique(node, index, axis))


@translates("GatherND", since=11)
def _gather_nd(node: Node) -> Expr:
    x, batch_dims = node[0], node.attribute("batch_dims", 0)
    return ops.gather_nd(x, _tuples_from_the_front(node, x, batch_dims), batch_dims)


@translates("ScatterElements", since=11)
@translates("Scatter")
def _scatter_elements(node: Node) -> Expr:
    x, index, values = node[0], node[1], node[2]
    axis = canonical_axis(node.attribute("axis", 0), x.rank)
    index = _from_the_front(node, index, x.shape[axis])
    reduction = node.attribute("reduction", "none")
    return ops.scatter_elements(x, index, values, axis, reduction, _is_unique(node, index, axis))


@translates("ScatterND", since=11)
def _scatter_nd(node: Node) -> Expr:
    x, values, reduction = node[0], node[2], node.attribute("reduction", "none")
    index = _tuples_from_the_front(node, x, 0)
    if reduction != "none":
        return ops.scatter_nd_reduced(x, index, values, reduction)
    return ops.scatter_nd(x, index, values, _are_unique(node, index))


def _from_the_front(node: Node, index: Expr, size: Dim) -> Expr:
    """Indices in int64; negative ones count from the end."""
    if _is_counted(node, index):
        return ops.cast(index, "int64")
    return _counted(ops.cast(index, "int64"), ops.size_of(size))


def _tuples_from_the_front(node: Node, x: Expr, batch_dims: int) -> Expr:
    """The same for tuples of indices, each of which has the lengths of its own axes."""
    index = node[1]
    depth = index.shape[-1] if index.rank else None
    if not isinstance(depth, int):
        raise NotTranslatedError("how many axes its indices have is known when it runs")
    if _is_counted(node, index):
        return ops.cast(index, "int64")
    sizes = sizes_vector(x.shape[batch_dims : batch_dims + depth])
    return _counted(ops.cast(index, "int64"), sizes)


def _is_counted(node: Node, index: Expr) -> bool:
    return node.known.never_negative(index)


def _counted(index: Expr, size: Expr) -> Expr:
    return ops.where(ops.less(index, const(0, "int64")), ops.add(index, size), index)


def _is_unique(node: Node, index: Expr, axis: int) -> bool:
    """Whether no index is there twice along an axis."""
    if index.shape[axis] == 1:
        return True
    known = _constant(node, index)
    if known is None:
        return False
    ordered = np.sort(known, axis=axis)
    return bool((np.diff(ordered, axis=axis) > 0).all())


def _are_unique(node: Node, index: Expr) -> bool:
    """Whether no tuple of indices is there twice."""
    known = _constant(node, index)
    if known is None:
        return all(dim == 1 for dim in index.shape[:-1])
    rows = known.reshape(-1, known.shape[-1])
    return len(np.unique(rows, axis=0)) == len(rows)


def _constant(node: Node, index: Expr) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None:
    known = node.known.elements(index)
    if known is None or not all(isinstance(i, int) for i in known.flat):
        return None
    return known.astype(np.int64)


@translates("TensorScatter", since=24)
def _tensor_scatter(node: Node) -> Expr:
    """Each sample's slices put into its cache, from a place of its own on."""
    cache, update, start = node[0], node[1], node.optional(2)
    axis = canonical_axis(node.attribute("axis", -2), cache.rank)
    place = ops.reshape(
        ops.iota(update.shape[axis]),
        [update.shape[axis] if i == axis else 1 for i in range(cache.rank)],
    )
    if start is not None:
        first = ops.reshape(ops.cast(start, "int64"), (start.shape[0], *(1,) * (cache.rank - 1)))
        place = ops.add(place, first)
    if node.attribute("mode", "linear") == "circular":
        place = ops.mod(place, ops.size_of(cache.shape[axis]))
    index = ops.broadcast_to(place, update.shape)
    formula = ops.scatter_elements(cache, index, update, axis, unique_indices=True)
    args = (cache, update) if start is None else (cache, update, start)
    (native,) = node.native(
        "TensorScatter", *args, types=[cache.type], axis=axis,
        mode=node.attribute("mode", "linear"),
    )  # fmt: skip
    return ops.derived_as(native, formula)


@translates("OneHot", since=9)
def _one_hot(node: Node) -> Expr:
    """Between the values on and off, which have derivatives; an index outside is off."""
    index, (depth,), values = node[0], node.lengths(1), node[2]
    axis = canonical_axis(node.attribute("axis", -1), index.rank + 1)
    places = ops.cast(index, "int64")
    if not _is_counted(node, index):
        places = _counted(places, ops.size_of(depth))
    hot = ops.cast(ops.one_hot(places, depth, "int64"), "bool")
    order = [*range(axis), index.rank, *range(axis, index.rank)]
    off, on = (ops.squeeze(ops.take_range(values, 0, k, 1), (0,)) for k in (0, 1))
    return ops.where(ops.transpose(hot, order), on, off)


@translates("EyeLike", since=9)
def _eye_like(node: Node) -> Expr:
    x, k = node[0], node.attribute("k", 0)
    rows, columns = (_line(dim, axis) for axis, dim in enumerate(x.shape))
    code = node.attribute("dtype")
    dtype = x.dtype if code is None else DTYPE_NAMES[code]
    return ops.cast(ops.equal(ops.add(rows, const(k, "int64")), columns), dtype)


def _line(dim: Dim, axis: int) -> Expr:
    """0, 1, .. along the rows or the columns of a matrix."""
    return ops.expand_dims(ops.iota(dim), (1 - axis,))


@translates("ReverseSequence", since=10)
def _reverse_sequence(node: Node) -> Expr:
    """The first elements of each sequence, as many as it is long, in the other order."""
    x, lengths = node[0], ops.cast(node[1], "int64")
    time, batch = node.attribute("time_axis", 0), node.attribute("batch_axis", 1)
    turned = ops.transpose(x, _moved_to_front(x.rank, (batch, time)))
    place, length = _line(turned.shape[1], 1), ops.expand_dims(lengths, (1,))
    mirrored = ops.sub(ops.sub(length, place), const(1, "int64"))
    index = ops.where(ops.less(place, length), mirrored, place)
    moved = ops.gather_nd(turned, ops.expand_dims(index, (-1,)), 1)
    back = np.argsort(_moved_to_front(x.rank, (batch, time)))
    return ops.transpose(moved, [int(axis) for axis in back])


def _moved_to_front(rank: int, axes: Sequence[int]) -> list[int]:
    return [*axes, *(axis for axis in range(rank) if axis not in axes)]
