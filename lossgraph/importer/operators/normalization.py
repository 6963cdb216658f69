"""Operators that normalize."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir import ops
from ...ir.dims import product
from ...ir.expr import Expr, const
from ...ir.types import canonical_axis
from ..node import Node
from ..translations import NotTranslatedError, translates

_EPSILON = 1e-5


@translates("BatchNormalization", since=7)
def _batch_normalization(node: Node) -> Expr:
    """By statistics that are given: scale (x - mean) / sqrt(var + epsilon) + bias."""
    if node.attribute("training_mode", 0):
        raise NotTranslatedError("it computes its statistics itself")
    x = node[0]
    scale, bias, mean, var = (_by_channel(x, node[place]) for place in (1, 2, 3, 4))
    return (x - mean) * (scale / _deviation(node, var)) + bias


@translates("InstanceNormalization", since=6)
def _instance_normalization(node: Node) -> Expr:
    x = node[0]
    standard, *_ = _standardized(node, x, range(2, x.rank))
    return standard * _by_channel(x, node[1]) + _by_channel(x, node[2])


@translates("GroupNormalization", since=18)
def _group_normalization(node: Node) -> Expr:
    """Channels are normalized group by group; before opset 21 scales are those of groups."""
    x, groups = node[0], node.attribute("num_groups")
    channels = x.shape[1]
    split = (x.shape[0], groups, channels // groups * product(x.shape[2:]))
    standard, *_ = _standardized(node, ops.reshape(x, split), (2,))
    if node.version < 21:
        scale, bias = (ops.expand_dims(node[place], (1,)) for place in (1, 2))
        return ops.reshape(standard * scale + bias, x.shape)
    standard = ops.reshape(standard, x.shape)
    return standard * _by_channel(x, node[1]) + _by_channel(x, node[2])


@translates("LayerNormalization", since=17)
def _layer_normalization(node: Node) -> list[Expr]:
    x = node[0]
    axis = canonical_axis(node.attribute("axis", -1), x.rank)
    standard, mean, inverse = _standardized(node, x, range(axis, x.rank))
    y = standard * node[1]
    bias = node.optional(2)
    return [y if bias is None else y + bias, mean, inverse]


@translates("RMSNormalization", since=23)
def _rms_normalization(node: Node) -> Expr:
    x = node[0]
    axis = canonical_axis(node.attribute("axis", -1), x.rank)
    square = ops.reduce_mean(x * x, range(axis, x.rank))
    return x / _deviation(node, square) * node[1]


@translates("LpNormalization")
def _lp_normalization(node: Node) -> Expr:
    x, order = node[0], node.attribute("p", 2)
    axes = (canonical_axis(node.attribute("axis", -1), x.rank),)
    if order == 2:
        length = ops.norm(x, axes)
    elif order == 1:
        length = ops.reduce_sum(ops.absolute(x), axes)
    else:
        raise NotTranslatedError(f"p={order} is unknown")
    zero = const(0, x.dtype)
    return ops.where(ops.equal(length, zero), zero, x / length)


@translates("MeanVarianceNormalization", since=9)
def _mean_variance_normalization(node: Node) -> Expr:
    x = node[0]
    axes = [canonical_axis(axis, x.rank) for axis in node.attribute("axes", [0, 2, 3])]
    apart = x - ops.reduce_mean(x, axes)
    return apart / (ops.sqrt(ops.reduce_mean(apart * apart, axes)) + const(1e-9, x.dtype))


def _standardized(node: Node, x: Expr, axes: Sequence[int]) -> tuple[Expr, Expr, Expr]:
    """Numbers less their mean, over their deviation; the mean; one over the deviation."""
    mean = ops.reduce_mean(x, axes)
    apart = x - mean
    inverse = const(1, x.dtype) / _deviation(node, ops.reduce_mean(apart * apart, axes))
    return apart * inverse, mean, inverse


def _deviation(node: Node, variance: Expr) -> Expr:
    return ops.sqrt(variance + const(node.attribute("epsilon", _EPSILON), variance.dtype))


def _by_channel(x: Expr, numbers: Expr) -> Expr:
    """Numbers of channels, beside an array whose second axis these are."""
    return ops.expand_dims(numbers, range(1, x.rank - 1)) if x.rank > 2 else numbers
