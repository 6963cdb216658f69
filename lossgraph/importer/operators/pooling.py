"""Pooling, of windows and of all there is."""

from __future__ import annotations

from ...ir import ops
from ...ir.expr import Expr, const
from ...ir.ops.item import results_of
from ..node import Node
from ..translations import NotTranslatedError, translates
from .convolution import along_axes, fixed, padding_of


def _pool(node: Node) -> ops.Pool:
    """The window that a node's attributes say."""
    lengths, kernel = node[0].shape[2:], tuple(node.attribute("kernel_shape"))
    count = len(lengths)
    stride, dilation = along_axes(node, "strides", count), along_axes(node, "dilations", count)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    before, after = map(fixed, padding_of(node, lengths, spans, stride))
    if before is None or after is None:
        raise NotTranslatedError("its padding is known at run time")
    if min((*before, *after)) < 0:
        raise NotTranslatedError(f"its pads are {before} and {after}")
    beyond = (
        bool(node.attribute("ceil_mode", 0)) and node.attribute("auto_pad", "NOTSET") == "NOTSET"
    )
    return ops.Pool(kernel, stride, dilation, before, after, beyond)


@translates("MaxPool")
def _max_pool(node: Node) -> list[Expr]:
    """The places of what is chosen are counted through the whole input, row after row."""
    if node.wants(1) and node.attribute("storage_order", 0):
        raise NotTranslatedError("it counts places column after column")
    if not node[0].type.is_float:
        raise NotTranslatedError("it takes integers")
    return results_of(ops.max_pool(node[0], _pool(node)))


@translates("MaxUnpool")
def _max_unpool(node: Node) -> Expr:
    """Numbers at the places that a MaxPool chose; the lengths are given, or as its window says."""
    y, index, pool = node[0], node[1], _pool(node)
    lengths = node.sizes(2)
    if lengths is None:
        ends = zip(y.shape[2:], pool.stride, pool.before, pool.after, strict=True)
        lengths = [
            *y.shape[:2],
            *((n - 1) * s + (pool.span(i) - p - q) for i, (n, s, p, q) in enumerate(ends)),
        ]
    apart = ops.Pool(pool.kernel, pool.kernel, pool.dilation, pool.before, pool.after)
    return ops.max_unpool(y, index, apart, lengths[2:])


@translates("AveragePool")
def _average_pool(node: Node) -> Expr:
    return ops.average_pool(node[0], _pool(node), bool(node.attribute("count_include_pad", 0)))


@translates("LpPool")
def _lp_pool(node: Node) -> Expr:
    p, pool = node.attribute("p", 2), _pool(node)
    if p == 2:
        x = ops.mul(node[0], node[0])
        return ops.sqrt(ops.sum_pool(x, pool))
    x = ops.absolute(node[0])
    if p == 1:
        return ops.sum_pool(x, pool)
    exponent = const(p, x.dtype)
    return ops.power(ops.sum_pool(ops.power(x, exponent), pool), const(1 / p, x.dtype))


def _all_places(x: Expr) -> tuple[int, ...]:
    return tuple(range(2, x.rank))


@translates("GlobalAveragePool")
def _global_average_pool(node: Node) -> Expr:
    return ops.reduce_mean(node[0], _all_places(node[0]))


@translates("GlobalMaxPool")
def _global_max_pool(node: Node) -> Expr:
    return ops.reduce_max(node[0], _all_places(node[0]))


@translates("GlobalLpPool")
def _global_lp_pool(node: Node) -> Expr:
    x, p = node[0], node.attribute("p", 2)
    if p == 2:
        return ops.norm(x, _all_places(x))
    total = ops.absolute(x) if p == 1 else ops.power(ops.absolute(x), const(p, x.dtype))
    total = ops.reduce_sum(total, _all_places(x))
    return total if p == 1 else ops.power(total, const(1 / p, x.dtype))
