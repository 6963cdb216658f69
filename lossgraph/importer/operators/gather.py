"""Operators that take and put elements by index."""

from __future__ import annotations

from ...ir import ops
from ...ir.expr import Expr, const
from ...ir.types import canonical_axis
from ..node import Node
from ..translations import translates


@translates("Gather")
def _gather(node: Node) -> Expr:
    x = node[0]
    axis = canonical_axis(node.attribute("axis", 0), x.rank)
    index = _from_the_front(node, node[1], x, axis)
    return ops.take(x, index, axis)


def _from_the_front(node: Node, index: Expr, x: Expr, axis: int) -> Expr:
    """Indices in int64; negative ones count from the end."""
    known = node.known.elements(index)
    index = ops.cast(index, "int64")
    if known is not None and all(isinstance(i, int) and i >= 0 for i in known.flat):
        return index
    size = ops.size_of(x.shape[axis])
    negative = ops.less(index, const(0, "int64"))
    return ops.where(negative, ops.add(index, size), index)
