"""Operators that move elements, and those that say shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    x, target = node[0], node.parts(1)
    if not node.attribute("allowzero", 0):
        target = [
            _instead_of_zero(size, x.shape[axis]) if axis < x.rank else size
            for axis, size in enumerate(target)
        ]
    return ops.reshape(x, [node.length(size) for size in _without_minus_one(x, target)])


def _instead_of_zero(size: Dim | Expr, length: Dim) -> Dim | Expr:
    """A zero stands for the length that the axis has."""
    if not isinstance(size, Expr):
        return length if size == 0 else size
    return ops.where(ops.equal(size, const(0, "int64")), ops.size_of(length), size)


def _without_minus_one(x: Expr, target: Sequence[Any]) -> list[Any]:
    """The one size that is not said is what is left; of a single unknown one it is, too."""
    open_ = [place for place, size in enumerate(target) if isinstance(size, Expr) or size == -1]
    if not open_:
        return list(target)
    whole = product(x.shape)
    if len(open_) == 1:
        rest = product(size for place, size in enumerate(target) if place not in open_)
        return [floordiv(whole, rest) if place in open_ else s for place, s in enumerate(target)]
    sizes = [ops.size_of(size) if not isinstance(size, Expr) else size for size in target]
    negated = _times(sizes)  # the product of all, of which one is -1, or none
    left = ops.div(ops.size_of(whole), ops.maximum(ops.neg(negated), const(1, "int64")))
    zero = const(0, "int64")
    return [
        ops.where(ops.less(size, zero), left, size) if place in open_ else target[place]
        for place, size in enumerate(sizes)
    ]


def _times(factors: Sequence[Expr]) -> Expr:
    total = factors[0]
    for factor in factors[1:]:
        total = ops.mul(total, factor)
    return total


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
    x, target = node[0], node.parts(1)
    own = (*(1,) * (len(target) - x.rank), *x.shape)
    if len(own) > len(target):
        target = [*(1,) * (len(own) - len(target)), *target]
    asked = [
        node.length(size) if not isinstance(size, Expr) or length == 1 else length
        for size, length in zip(target, own, strict=True)
    ]
    return ops.broadcast_to(x, broadcast_shapes(x.shape, tuple(asked)))


@translates("Split", since=2)
def _split(node: Node) -> list[Expr]:
    x = node[0]
    axis, count = canonical_axis(node.attribute("axis", 0), x.rank), len(node.outputs)
    sizes = node.lengths(1, "split")
    if sizes is None:
        whole = x.shape[axis]
        each = floordiv(whole + (count - 1), count)
        sizes = [each] * (count - 1) + [whole - each * (count - 1)]
    return ops.split(x, axis, sizes)


@translates("Slice", since=10)
def _slice(node: Node) -> Expr:
    return _sliced(node, node.parts(1), node.parts(2), node.ints(3), node.ints(4))


@translates("Slice")
def _slice_by_attributes(node: Node) -> Expr:
    given = node.attributes
    return _sliced(node, given["starts"], given["ends"], given.get("axes"), None)


def _sliced(
    node: Node,
    starts: Sequence[Any],
    ends: Sequence[Any],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Expr:
    x = node[0]
    axes = list(range(len(starts))) if axes is None else [canonical_axis(a, x.rank) for a in axes]
    steps = [1] * len(starts) if steps is None else steps
    begin: list[Dim] = [0] * x.rank
    stride, size = [1] * x.rank, list(x.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        stride[axis] = step
        begin[axis], size[axis] = _section(node, x.shape[axis], start, end, step)
    return ops.slice_(x, begin, stride, size)


def _section(node: Node, dim: Dim, start: Any, end: Any, step: int) -> tuple[Dim, Dim]:
    """Where a slice of an axis begins, and how many elements it has."""
    low, high = (0, dim) if step > 0 else (-1, dim - 1)
    first = _place(node, start, dim, 0 if step > 0 else low, high)
    last = _place(node, end, dim, low, high)
    stride = abs(step)
    if isinstance(first, Expr) or isinstance(last, Expr):
        sides = (_as_expr(first), _as_expr(last)) if step > 0 else (_as_expr(last), _as_expr(first))
        length = ops.maximum(ops.sub(sides[1], sides[0]), _ZERO)
        if stride > 1:
            more = ops.add(length, const(stride - 1, "int64"))
            length = ops.div(more, const(stride, "int64"))
        if isinstance(first, Expr) and step < 0:
            first = ops.maximum(first, _ZERO)
        return node.length(first), node.length(length)
    count = last - first if step > 0 else first - last
    return first, maximum(floordiv(count + (stride - 1), stride), 0)


_ZERO = const(0, "int64")


def _place(node: Node, place: Any, dim: Dim, low: Dim, high: Dim) -> Dim | Expr:
    """A place from the front, within bounds; an expression where that is known at run time."""
    known = _from_front(place, dim)
    if known is not None:
        return minimum(maximum(known, low), high)
    found = _as_expr(place)
    if not node.known.never_negative(found):
        found = ops.where(ops.less(found, _ZERO), ops.add(found, ops.size_of(dim)), found)
        found = ops.maximum(found, ops.size_of(low))
    return ops.minimum(found, ops.size_of(high))


def _from_front(place: Any, dim: Dim) -> Dim | None:
    """A place that counts from the end if it is negative; None if that is not known."""
    if isinstance(place, int):
        return place + dim if place < 0 else place
    if isinstance(place, Expr):
        return None
    if is_nonnegative(place):
        found: Dim = place
        return found
    return place + dim if is_positive(0 - place) else None


def _as_expr(size: Any) -> Expr:
    return size if isinstance(size, Expr) else ops.size_of(size)


@translates("Range", since=11)
def _range(node: Node) -> Expr:
    """Numbers in steps: start + k step, for each k before the limit."""
    dtype = node[0].dtype
    if dtype not in ("int16", "int32", "int64"):
        return _range_of_floats(node)
    start, limit, step = (node.parts(place)[0] for place in range(3))
    count = node.length(_steps(start, limit, step))
    numbers = ops.iota(count)
    if step != 1:
        numbers = ops.mul(numbers, _as_expr(step))
    if start != 0:
        numbers = ops.add(numbers, _as_expr(start))
    return ops.cast(numbers, dtype)


def _steps(start: Any, limit: Any, step: Any) -> Dim | Expr:
    """How many steps there are."""
    if isinstance(step, int) and not any(isinstance(end, Expr) for end in (start, limit)):
        length = limit - start if step > 0 else start - limit
        return maximum(floordiv(length + (abs(step) - 1), abs(step)), 0)
    length, stride = ops.sub(_as_expr(limit), _as_expr(start)), _as_expr(step)
    whole = ops.div(length, stride)  # rounded towards zero
    rest = ops.sub(length, ops.mul(whole, stride))
    zero = const(0, "int64")
    is_more = ops.logical_and(
        ops.logical_not(ops.equal(rest, zero)),
        ops.equal(ops.less(rest, zero), ops.less(stride, zero)),
    )
    return ops.maximum(ops.add(whole, ops.cast(is_more, "int64")), zero)


def _range_of_floats(node: Node) -> Expr:
    start, limit, step = (ops.reshape(node[place], ()) for place in range(3))
    ends = (ops.cast(end, "float64") for end in (ops.sub(limit, start), step))
    whole = ops.cast(ops.ceil(ops.div(*ends)), "int64")
    found = node.known.parts(ops.maximum(whole, const(0, "int64")))
    assert found is not None  # of one int64 something is known always
    count = node.length(found.flat[0])
    return ops.add(start, ops.mul(ops.cast(ops.iota(count), start.dtype), step))


@translates("ConstantOfShape", since=9)
def _constant_of_shape(node: Node) -> Expr:
    value = node.attribute("value", np.zeros(1, np.float32))
    return ops.broadcast_to(const(value.reshape(())), node.lengths(0))
