"""GridSample: by the engine's operator, and by a formula, whose derivatives it has."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...ir import ops
from ...ir.dims import Dim
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import NotTranslatedError, translates

_MODES = {"bilinear": "linear", "bicubic": "cubic"}  # as they were called before opset 20
_CUBIC = -0.75  # the coefficient that ONNX prescribes


@translates("GridSample", since=16)
def _grid_sample(node: Node) -> Expr:
    x, grid = node[0], node[1]
    given = node.attribute("mode", "linear")
    mode = _MODES.get(given, given)
    padding, aligned = node.attribute("padding_mode", "zeros"), node.attribute("align_corners", 0)
    if x.dtype != grid.dtype or not x.type.is_float:
        raise NotTranslatedError("its image and its places have other dtypes")
    if mode not in _TAPS or padding not in ("zeros", "border", "reflection"):
        raise NotTranslatedError(f"nothing is known of {mode!r} with {padding!r}")
    shape = (*x.shape[:2], *grid.shape[1:-1])
    (native,) = node.native(
        "GridSample", x, grid, types=[x.type.with_shape(shape)], mode=given,
        padding_mode=padding, align_corners=aligned,
    )  # fmt: skip
    axes = [
        _Axis(_coordinate(grid, x.rank - 3 - axis), x.shape[2 + axis], padding, bool(aligned))
        for axis in range(x.rank - 2)
    ]
    return ops.derived_as(native, _sampled(x, axes, mode))


def _coordinate(grid: Expr, place: int) -> Expr:
    """One coordinate of all places; the last axis of an image comes first."""
    part = ops.take_range(grid, grid.rank - 1, place, 1)
    return ops.reshape(part, grid.shape[:-1])


@dataclass(frozen=True)
class _Tap:
    """An element along an axis, for all places: its index, and its weight."""

    index: Expr
    weight: Expr


@dataclass(frozen=True)
class _Axis:
    """An axis of the image: places along it from -1 to 1, its length, what lies outside."""

    places: Expr
    length: Dim
    padding: str
    aligned: bool

    def number(self, value: float) -> Expr:
        return const(value, self.places.dtype)

    @property
    def size(self) -> Expr:
        return ops.cast(ops.size_of(self.length), self.places.dtype)

    @property
    def last(self) -> Expr:
        return ops.sub(self.size, self.number(1.0))

    def positions(self) -> Expr:
        """The places counted in elements."""
        half, one = self.number(0.5), self.number(1.0)
        part = ops.mul(ops.add(self.places, one), half)
        if self.aligned:
            return ops.mul(part, self.last)
        return ops.sub(ops.mul(part, self.size), half)

    def inside(self, x: Expr) -> Expr:
        """What lies outside brought inside, if it is not zero."""
        if self.padding == "zeros":
            return x
        if self.padding == "reflection":
            x = self._reflected(x)
        return ops.minimum(ops.maximum(x, self.number(0.0)), self.last)

    def _reflected(self, x: Expr) -> Expr:
        """Mirrored at the first and the last element, or half an element beyond them."""
        low = self.number(0.0 if self.aligned else -0.5)
        span = self.last if self.aligned else self.size
        span = ops.maximum(span, self.number(1.0))  # of a single element all is that
        twice = ops.mul(span, self.number(2.0))
        offset = ops.sub(x, low)
        turns = ops.floor(ops.div(offset, twice))
        there = ops.sub(offset, ops.mul(turns, twice))
        mirrored = ops.where(ops.greater(there, span), ops.sub(twice, there), there)
        return ops.add(low, mirrored)

    def tap(self, index: Expr, weight: Expr) -> _Tap:
        """An element, which counts for nothing if it lies outside."""
        clamped = ops.minimum(ops.maximum(index, self.number(0.0)), self.last)
        if self.padding == "zeros":
            weight = ops.where(ops.equal(clamped, index), weight, self.number(0.0))
        return _Tap(ops.cast(clamped, "int64"), weight)


def _nearest(axis: _Axis) -> list[_Tap]:
    index = axis.inside(ops.rint(axis.inside(axis.positions())))
    return [axis.tap(index, ops.broadcast_to(axis.number(1.0), index.shape))]


def _linear(axis: _Axis) -> list[_Tap]:
    position, one = axis.inside(axis.positions()), axis.number(1.0)
    first = ops.floor(position)
    part = ops.sub(position, first)
    return [axis.tap(first, ops.sub(one, part)), axis.tap(ops.add(first, one), part)]


def _cubic(axis: _Axis) -> list[_Tap]:
    """Four elements; it is they that are brought inside, not the place."""
    position = axis.positions()
    first = ops.floor(position)
    part = ops.sub(position, first)
    found = []
    for shift in (-1.0, 0.0, 1.0, 2.0):
        distance = ops.sub(part, axis.number(shift))
        index = axis.inside(ops.add(first, axis.number(shift)))
        found.append(axis.tap(index, _keys(axis, distance, abs(shift - 0.5) < 1)))
    return found


def _keys(axis: _Axis, x: Expr, is_near: bool) -> Expr:
    """Keys' kernel, from 0 to 1 or from 1 to 2."""
    a = _CUBIC
    coefficients = (a + 2, -(a + 3), 0.0, 1.0) if is_near else (a, -5 * a, 8 * a, -4 * a)
    size = ops.absolute(x)
    total = axis.number(coefficients[0])
    for coefficient in coefficients[1:]:
        total = ops.add(ops.mul(total, size), axis.number(coefficient))
    return total


_TAPS: dict[str, Callable[[_Axis], list[_Tap]]] = {
    "nearest": _nearest,
    "linear": _linear,
    "cubic": _cubic,
}


def _sampled(x: Expr, axes: Sequence[_Axis], mode: str) -> Expr:
    """The sum of elements around each place, by their weights."""
    rank = x.rank
    pixels = ops.transpose(x, (0, *range(2, rank), 1))
    taps = [_TAPS[mode](axis) for axis in axes]
    total: Expr | None = None
    for chosen in itertools.product(*taps):
        index = ops.concat([ops.expand_dims(tap.index, (-1,)) for tap in chosen], rank - 1)
        weight = chosen[0].weight
        for tap in chosen[1:]:
            weight = ops.mul(weight, tap.weight)
        part = ops.mul(ops.gather_nd(pixels, index, 1), ops.expand_dims(weight, (-1,)))
        total = part if total is None else ops.add(total, part)
    assert total is not None
    return ops.transpose(total, (0, rank - 1, *range(1, rank - 1)))
