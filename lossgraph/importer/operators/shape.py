"""Operators that move elements, and those that say shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir import ops
from ...ir.dims import Dim, Size, floordiv, is_nonnegative, is_positive, maximum, minimum, product
from ...ir.expr import Expr, const
from ...ir.types import broadcast_shapes, canonical_axes, canonical_axis
from ..known import sizes_vector
from ..node import Node
from ..translations import NotTranslatedError, translates


@translates("Constant")
def _constant(node: Node) -> Expr:
    for name, dtype in (("value_int", "int64"), ("value_ints", "int64"),
                        ("value_float", "float32"), ("value_floats", "float32")):  # fmt: skip
        if name in node.attributes:
            return const(node.attributes[name], dtype)
    value = node.attribute("value")
    if not isinstance(value, np.ndarray):
        raise NotTranslatedError("it is no tensor of numbers")
    return const(value)


@translates("Shape")
def _shape(node: Node) -> Expr:
    rank = node[0].rank
    start, end = node.attribute("start", 0), node.attribute("end", rank)
    dims = node[0].shape[slice(start, end)]
    return sizes_vector(dims, *_late(node, dims))


@translates("Size")
def _size(node: Node) -> Expr:
    return ops.size_of(product(node[0].shape), *_late(node, node[0].shape))


def _late(node: Node, dims: Sequence[Dim]) -> tuple[Expr, ...]:
    """The value itself if a length of it is known when the model runs."""
    return (node[0],) if node.around.dims.are_late(dims) else ()


@translates("Reshape", since=5)
def _reshape(node: Node) -> Expr:
    x, target = node[0], node.sizes(1)
    if not node.attribute("allowzero", 0):
        target = [x.shape[i] if size == 0 else size for i, size in enumerate(target)]
    return ops.reshape(x, _without_minus_one(x, target))


def _without_minus_one(x: Expr, target: Sequence[Dim]) -> list[Dim]:
    """The one size that is not said is what is left."""
    if -1 not in target:
        return list(target)
    rest = product(size for size in target if size != -1)
    left = floordiv(product(x.shape), rest)
    return [left if size == -1 else size for size in target]


@translates("Flatten")
def _flatten(node: Node) -> Expr:
    x, axis = node[0], node.attribute("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    return ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))


@translates("Squeeze")
def _squeeze(node: Node) -> Expr:
    x = node[0]
    axes = node.ints(1, "axes")
    if axes is None:
        if any(isinstance(dim, Size) for dim in x.shape):
            raise NotTranslatedError("which of its axes have length 1 is known at run time")
        axes = [axis for axis, dim in enumerate(x.shape) if dim == 1]
    axes = canonical_axes(axes, x.rank)
    return ops.reshape(x, [dim for axis, dim in enumerate(x.shape) if axis not in axes])


@translates("Unsqueeze")
def _unsqueeze(node: Node) -> Expr:
    return ops.expand_dims(node[0], node.ints(1, "axes"))


@translates("Transpose")
def _transpose(node: Node) -> Expr:
    x = node[0]
    return ops.transpose(x, node.attribute("perm", range(x.rank)[::-1]))


@translates("Concat", since=4)
def _concat(node: Node) -> Expr:
    return ops.concat([node[place] for place in range(len(node.inputs))], node.attribute("axis"))


@translates("Expand", since=8)
def _expand(node: Node) -> Expr:
    """Broadcasting in both directions: a length of the input may be larger than what is asked."""
    x, target = node[0], tuple(node.sizes(1))
    return ops.broadcast_to(x, broadcast_shapes(x.shape, target))


@translates("Split", since=2)
def _split(node: Node) -> list[Expr]:
    x = node[0]
    axis, count = canonical_axis(node.attribute("axis", 0), x.rank), len(node.outputs)
    sizes = node.sizes(1, "split")
    if sizes is None:
        whole = x.shape[axis]
        each = floordiv(whole + (count - 1), count)
        sizes = [each] * (count - 1) + [whole - each * (count - 1)]
    starts = [sum(sizes[:k], start=0) for k in range(count)]
    return [ops.take_range(x, axis, s, n) for s, n in zip(starts, sizes, strict=True)]


@translates("Slice", since=10)
def _slice(node: Node) -> Expr:
    starts, ends = node.sizes(1), node.sizes(2)
    return _sliced(node[0], starts, ends, node.ints(3), node.ints(4))


@translates("Slice")
def _slice_by_attributes(node: Node) -> Expr:
    given = node.attributes
    return _sliced(node[0], given["starts"], given["ends"], given.get("axes"), None)


def _sliced(
    x: Expr,
    starts: Sequence[Dim],
    ends: Sequence[Dim],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Expr:
    axes = list(range(len(starts))) if axes is None else [canonical_axis(a, x.rank) for a in axes]
    steps = [1] * len(starts) if steps is None else steps
    begin: list[Dim] = [0] * x.rank
    stride, size = [1] * x.rank, list(x.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        dim = x.shape[axis]
        low, high = (0, dim) if step > 0 else (-1, dim - 1)
        first = _clamped(_from_front(start, dim), 0 if step > 0 else low, high)
        last = _clamped(_from_front(end, dim), low, high)
        length = last - first if step > 0 else first - last
        count = maximum(floordiv(length + (abs(step) - 1), abs(step)), 0)
        begin[axis], stride[axis], size[axis] = first, step, count
    return ops.slice_(x, begin, stride, size)


def _from_front(place: Dim, dim: Dim) -> Dim:
    """A place that counts from the end if it is negative."""
    if isinstance(place, int):
        return place + dim if place < 0 else place
    if is_nonnegative(place):
        return place
    if is_positive(0 - place):
        return place + dim
    raise NotTranslatedError(f"whether {place} counts from the end is known at run time")


def _clamped(place: Dim, low: Dim, high: Dim) -> Dim:
    return minimum(maximum(place, low), high)


@translates("Range", since=11)
def _range(node: Node) -> Expr:
    start, step = node.number(0), node.number(2)
    limit = node.number(1)
    dtype = node[0].dtype
    if not isinstance(step, int) or step < 1 or not dtype.startswith("int"):
        raise NotTranslatedError("its numbers are not those of sizes")
    count = maximum(floordiv(limit - start + (step - 1), step), 0)
    numbers = ops.iota(count)
    if step != 1:
        numbers = ops.mul(numbers, const(step, "int64"))
    if start != 0:
        numbers = ops.add(numbers, ops.size_of(start))
    return ops.cast(numbers, dtype)


@translates("ConstantOfShape", since=9)
def _constant_of_shape(node: Node) -> Expr:
    value = node.attribute("value", np.zeros(1, np.float32))
    return ops.broadcast_to(const(value.reshape(())), node.sizes(0))


@translates("Dropout", since=7)
def _dropout(node: Node) -> list[Expr]:
    """Without training nothing is dropped."""
    mode = node.optional(2)
    if mode is not None and node.number(2):
        raise NotTranslatedError("it drops at random")
    return [node[0], ops.full(True, "bool", node[0].shape)]
