"""Operators that repeat elements, or put them in another order, by blocks."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir import ops
from ...ir.dims import Dim, floordiv
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import translates


@translates("Tile", since=6)
def _tile(node: Node) -> Expr:
    return tiled(node[0], node.lengths(1))


def tiled(x: Expr, repeats: Sequence[Dim]) -> Expr:
    """The array repeated along each axis."""
    split: list[Dim] = []
    wide: list[Dim] = []
    for dim, count in zip(x.shape, repeats, strict=True):
        if count != 1:
            split.append(1)
            wide.append(count)
        split.append(dim)
        wide.append(dim)
    whole = [dim * count for dim, count in zip(x.shape, repeats, strict=True)]
    return ops.reshape(ops.broadcast_to(ops.reshape(x, split), wide), whole)


@translates("DepthToSpace")
def _depth_to_space(node: Node) -> Expr:
    """Channels become blocks of places: the first part of their number, or the last one."""
    x, size = node[0], node.attribute("blocksize")
    n, c, h, w = x.shape
    depth = floordiv(c, size * size)
    if node.attribute("mode", "DCR") == "DCR":
        split, order = (n, size, size, depth, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (n, depth, size, size, h, w), (0, 1, 4, 2, 5, 3)
    return ops.reshape(ops.transpose(ops.reshape(x, split), order), (n, depth, h * size, w * size))


@translates("SpaceToDepth")
def _space_to_depth(node: Node) -> Expr:
    x, size = node[0], node.attribute("blocksize")
    n, c, h, w = x.shape
    rows, columns = floordiv(h, size), floordiv(w, size)
    parts = ops.reshape(x, (n, c, rows, size, columns, size))
    is_first = node.attribute("mode", "DCR") == "DCR"
    order = (0, 3, 5, 1, 2, 4) if is_first else (0, 1, 3, 5, 2, 4)
    return ops.reshape(ops.transpose(parts, order), (n, c * (size * size), rows, columns))


@translates("Trilu", since=14)
def _trilu(node: Node) -> Expr:
    """The elements on one side of a diagonal, zeros on the other."""
    x, k = node[0], node.optional(1)
    shift = const(0, "int64") if k is None else ops.reshape(k, ())
    rows = ops.expand_dims(ops.iota(x.shape[-2]), (1,))
    columns = ops.expand_dims(ops.iota(x.shape[-1]), (0,))
    diagonal = ops.add(rows, shift)
    is_upper = node.attribute("upper", 1)
    kept = ops.greater_equal(columns, diagonal) if is_upper else ops.less_equal(columns, diagonal)
    if x.dtype == "bool":  # for which ONNX Runtime has no Where
        return ops.logical_and(x, kept)
    return ops.where(kept, x, const(0, x.dtype))
