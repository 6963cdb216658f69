"""Pad in all its modes, and cutting where a number of elements is negative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import Dim, maximum
from ...ir.expr import Expr, const
from ...ir.types import canonical_axis
from ..node import Node
from ..translations import NotTranslatedError, translates

Sides = list[Any]  # numbers before or after each axis: ints, dims, expressions


@translates("Pad", since=11)
def _pad(node: Node) -> Expr:
    x, given, axes = node[0], node.parts(1), node.ints(3)
    axes = range(x.rank) if axes is None else [canonical_axis(axis, x.rank) for axis in axes]
    before, after = _sides(x, given, list(axes))
    return _padded(node, before, after, node.attribute("mode", "constant"), node.optional(2))


@translates("Pad")
def _pad_by_attributes(node: Node) -> Expr:
    x = node[0]
    given = node.attribute("pads", node.attribute("paddings"))
    before, after = _sides(x, given, list(range(x.rank)))
    value = const(node.attribute("value", 0.0), x.dtype)
    return _padded(node, before, after, node.attribute("mode", "constant"), value)


def _sides(x: Expr, given: Sequence[Any], axes: list[int]) -> tuple[Sides, Sides]:
    """The numbers before and after each axis."""
    before, after = [0] * x.rank, [0] * x.rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = given[place], given[place + len(axes)]
    return before, after


def _padded(node: Node, before: Sides, after: Sides, mode: str, value: Expr | None) -> Expr:
    x = _cut(node, before, after)
    before, after = ([_above_zero(node, size) for size in sides] for sides in (before, after))
    if mode == "constant":
        zero = const(0, x.dtype)
        value = zero if value is None else ops.reshape(value, ())
        return ops.pad(x, before, after) if value is zero else ops.pad_with(x, value, before, after)
    if mode == "wrap":
        return _wrapped(x, before, after)
    if mode not in ("reflect", "edge"):
        raise NotTranslatedError(f"nothing is known of its mode {mode!r}")
    return ops.pad_edges(x, before, after, mode)


def _cut(node: Node, before: Sides, after: Sides) -> Expr:
    """Without the elements that negative numbers take away."""
    x = node[0]
    starts, ends = ([_above_zero(node, 0 - size) for size in sides] for sides in (before, after))
    sizes = [dim - start - end for dim, start, end in zip(x.shape, starts, ends, strict=True)]
    return ops.slice_(x, starts, [1] * x.rank, sizes)


def _above_zero(node: Node, size: Any) -> Dim:
    """A number if it is positive, else zero."""
    if isinstance(size, Expr):
        return node.length(ops.maximum(size, const(0, "int64")))
    return maximum(size, 0)


def _wrapped(x: Expr, before: Sequence[Dim], after: Sequence[Dim]) -> Expr:
    """As if the array were repeated in all directions."""
    for axis, (b, a) in enumerate(zip(before, after, strict=True)):
        if b == 0 and a == 0:
            continue
        length = x.shape[axis]
        if isinstance(length, int) and isinstance(b, int) and isinstance(a, int):
            x = _ringed_by_index(x, axis, length, (b, a))
        else:
            x = _ringed(x, axis, b, a)
    return x


def _ringed_by_index(x: Expr, axis: int, length: int, sides: tuple[int, int]) -> Expr:
    """The same where an array may go around several times."""
    if max(sides) <= length:
        return _ringed(x, axis, *sides)
    return ops.take(x, const(np.pad(np.arange(length), sides, mode="wrap"), "int64"), axis)


def _ringed(x: Expr, axis: int, before: Dim, after: Dim) -> Expr:
    """What is at one end of an axis put before the other."""
    left = ops.take_range(x, axis, x.shape[axis] - before, before)
    return ops.concat([left, x, ops.take_range(x, axis, 0, after)], axis)
