"""Operators whose choice of elements depends on values: what is chosen has a derivative."""

from __future__ import annotations

from ...ir import ops
from ...ir.dims import Dim, product
from ...ir.expr import Expr
from ...ir.types import canonical_axis
from ..node import Node
from ..translations import NotTranslatedError, translates


@translates("TopK", since=10)
def _top_k(node: Node) -> list[Expr]:
    """The engine finds the places; the values are those of the array there."""
    (k,) = node.lengths(1)
    options = {"largest": node.attribute("largest", 1), "sorted": node.attribute("sorted", 1)}
    if node.version < 11:
        options = {}
    return _largest(node, k, options)


@translates("TopK")
def _top_k_by_attribute(node: Node) -> list[Expr]:
    return _largest(node, node.attribute("k"), {})


def _largest(node: Node, k: Dim, options: dict[str, int]) -> list[Expr]:
    x = node[0]
    _require_float(x)
    axis = canonical_axis(node.attribute("axis", -1), x.rank)
    found = x.type.with_shape([k if i == axis else dim for i, dim in enumerate(x.shape)])
    types = [found, found.with_dtype("int64")]
    count = ops.reshape(ops.size_of(k), (1,))
    _, places = node.native("TopK", x, count, outputs=2, types=types, axis=axis, **options)
    return [ops.pick(x, places, axis), places]


@translates("Compress", since=9)
def _compress(node: Node) -> Expr:
    """The slices whose condition is true; further slices than there are conditions are not."""
    x, condition, axis = node[0], node[1], node.attribute("axis")
    if axis is None:
        x, axis = ops.reshape(x, (product(x.shape),)), 0
    axis = canonical_axis(axis, x.rank)
    (places,) = node.native("NonZero", condition)
    return ops.take(x, ops.reshape(places, (places.shape[1],)), axis)


@translates("NonZero", since=9)
def _nonzero(node: Node) -> Expr:
    """Where elements are not zero: of one mask it is asked once, so that lengths are one."""
    return node.native("NonZero", node[0])[0]


@translates("Unique", since=11)
def _unique(node: Node) -> list[Expr]:
    """The first of those that are equal is taken."""
    x, axis = node[0], node.attribute("axis")
    _require_float(x)
    given = {"sorted": node.attribute("sorted", 1)}
    if axis is not None:
        given["axis"] = axis = canonical_axis(axis, x.rank)
    _, first, back, counts = node.native("Unique", x, outputs=4, **given)
    if axis is None:
        x, axis = ops.reshape(x, (product(x.shape),)), 0
    return [ops.take(x, first, axis), first, back, counts]


def _require_float(x: Expr) -> None:
    if not x.type.is_float:
        raise NotTranslatedError("it takes what is no float")
