"""Reductions, and softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ir import ops
from ...ir.dims import product
from ...ir.expr import Expr
from ...ir.types import canonical_axes, canonical_axis
from ..node import Node
from ..translations import translates

_REDUCTIONS: dict[str, Callable[[Expr, Sequence[int]], Expr]] = {
    "ReduceL1": lambda x, axes: ops.reduce_sum(ops.absolute(x), tuple(axes)),
    "ReduceL2": lambda x, axes: ops.norm(x, tuple(axes)),
    "ReduceLogSum": lambda x, axes: ops.log(ops.reduce_sum(x, tuple(axes))),
    "ReduceLogSumExp": lambda x, axes: ops.logsumexp(x, tuple(axes)),
    "ReduceMax": lambda x, axes: ops.reduce_max(x, tuple(axes)),
    "ReduceMean": lambda x, axes: ops.reduce_mean(x, axes),
    "ReduceMin": lambda x, axes: ops.reduce_min(x, tuple(axes)),
    "ReduceProd": lambda x, axes: ops.reduce_prod(x, tuple(axes)),
    "ReduceSum": lambda x, axes: ops.reduce_sum(x, tuple(axes)),
    "ReduceSumSquare": lambda x, axes: ops.reduce_sum(ops.mul(x, x), tuple(axes)),
}


def _declare(operator: str, function: Callable[[Expr, Sequence[int]], Expr]) -> None:
    translates(operator)(lambda node: _reduced(node, function))


for _operator, _function in _REDUCTIONS.items():
    _declare(_operator, _function)


def _reduced(node: Node, function: Callable[[Expr, Sequence[int]], Expr]) -> Expr:
    x = node[0]
    given = node.ints(1, "axes")
    if given is None or len(given) == 0:
        if node.attribute("noop_with_empty_axes", 0):
            return x
        given = range(x.rank)
    axes = canonical_axes(given, x.rank)
    result = function(x, axes) if axes else x
    return result if node.attribute("keepdims", 1) else ops.squeeze(result, axes)


@translates("Softmax", "LogSoftmax", since=13)
def _softmax(node: Node) -> Expr:
    axis = canonical_axis(node.attribute("axis", -1), node[0].rank)
    return _softmax_or_its_log(node)(node[0], (axis,))


@translates("Softmax", "LogSoftmax")
def _softmax_of_matrix(node: Node) -> Expr:
    """Before opset 13 all axes from one on are taken for one."""
    x = node[0]
    axis = node.attribute("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    rows = ops.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))
    return ops.reshape(_softmax_or_its_log(node)(rows, (1,)), x.shape)


def _softmax_or_its_log(node: Node) -> Callable[..., Expr]:
    return ops.softmax if node.operator == "Softmax" else ops.log_softmax
