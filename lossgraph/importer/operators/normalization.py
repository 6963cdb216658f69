"""Operators that normalize."""

from __future__ import annotations

from ...ir import ops
from ...ir.dims import product
from ...ir.expr import Expr, const
from ...ir.types import canonical_axis
from ..node import Node
from ..translations import NotTranslatedError, translates
from ..types import DTYPE_NAMES

_EPSILON = 1e-5


@translates("BatchNormalization", since=14)
def _batch_normalization(node: Node) -> list[Expr]:
    """By given statistics; in training by those of the batch, and the running ones move."""
    return _batch_normalized(node, bool(node.attribute("training_mode", 0)))


@translates("BatchNormalization", since=7)
def _batch_normalization_by_outputs(node: Node) -> list[Expr]:
    """Before opset 14 it is in training where its statistics are wanted."""
    if not node.attribute("spatial", 1):
        raise NotTranslatedError("it has statistics of each place (spatial=0)")
    in_training = any(node.wants(place) for place in range(1, 5))
    made = _batch_normalized(node, in_training)
    return [*made, *made[3:]] if in_training else made


def _batch_normalized(node: Node, in_training: bool) -> list[Expr]:
    """The result; in training the running statistics, and those of the batch."""
    x = node[0]
    scale, bias, mean, var = (ops.cast(node[place], x.dtype) for place in (1, 2, 3, 4))
    epsilon = node.attribute("epsilon", _EPSILON)
    if not in_training:
        return [ops.batch_norm(x, scale, bias, mean, var, epsilon)]
    axes = [axis for axis in range(x.rank) if axis != 1]
    center = ops.reduce_mean(x, axes)
    apart = x - center
    spread = ops.reduce_mean(apart * apart, axes)
    own = [ops.reshape(numbers, (x.shape[1],)) for numbers in (center, spread)]
    keep = node.attribute("momentum", 0.9)
    moved = [
        ops.cast(before, node[place].dtype) * const(keep, node[place].dtype)
        + ops.cast(of_batch, node[place].dtype) * const(1 - keep, node[place].dtype)
        for place, before, of_batch in zip((3, 4), (mean, var), own, strict=True)
    ]
    return [ops.batch_norm(x, scale, bias, own[0], own[1], epsilon), *moved, *own]


@translates("InstanceNormalization", since=6)
def _instance_normalization(node: Node) -> Expr:
    x = node[0]
    standard, *_ = ops.standardized(x, range(2, x.rank), _epsilon(node))
    return standard * ops.by_channel(x, node[1]) + ops.by_channel(x, node[2])


@translates("GroupNormalization", since=18)
def _group_normalization(node: Node) -> Expr:
    """Channels are normalized group by group; before opset 21 scales are those of groups."""
    x, groups = node[0], node.attribute("num_groups")
    channels = x.shape[1]
    split = (x.shape[0], groups, channels // groups * product(x.shape[2:]))
    standard, *_ = ops.standardized(ops.reshape(x, split), (2,), _epsilon(node))
    if node.version < 21:
        scale, bias = (ops.expand_dims(node[place], (1,)) for place in (1, 2))
        return ops.reshape(standard * scale + bias, x.shape)
    standard = ops.reshape(standard, x.shape)
    return standard * ops.by_channel(x, node[1]) + ops.by_channel(x, node[2])


@translates("LayerNormalization", since=17)
def _layer_normalization(node: Node) -> list[Expr]:
    """The statistics are in float32 unless the attribute ``stash_type`` says another dtype."""
    x, scale, bias = node[0], node[1], node.optional(2)
    axis, epsilon = canonical_axis(node.attribute("axis", -1), x.rank), _epsilon(node)
    stash = DTYPE_NAMES[node.attribute("stash_type", 1)]
    if all(numbers is None or numbers.shape == x.shape[axis:] for numbers in (scale, bias)):
        y, mean, inverse = ops.layer_norm(x, scale, bias, axis, epsilon)
    else:
        y, mean, inverse = ops.standardized(x, range(axis, x.rank), epsilon)
        y = y * scale
        y = y if bias is None else y + bias
    return [y, ops.cast(mean, stash), ops.cast(inverse, stash)]


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


@translates("LRN")
def _local_response_normalization(node: Node) -> Expr:
    """Over the squares of a window of channels, of which one more lies behind than before."""
    x, size = node[0], node.attribute("size")
    channels, before = x.shape[1], (size - 1) // 2
    sides = [[side if axis == 1 else 0 for axis in range(x.rank)]
             for side in (before, size - 1 - before)]  # fmt: skip
    wide = ops.pad(x * x, *sides)
    total = ops.take_range(wide, 1, 0, channels)
    for place in range(1, size):
        total = total + ops.take_range(wide, 1, place, channels)
    factor = const(node.attribute("alpha", 1e-4) / size, x.dtype)
    base = total * factor + const(node.attribute("bias", 1.0), x.dtype)
    return x * ops.power(base, const(-node.attribute("beta", 0.75), x.dtype))


@translates("MeanVarianceNormalization", since=9)
def _mean_variance_normalization(node: Node) -> Expr:
    x = node[0]
    axes = [canonical_axis(axis, x.rank) for axis in node.attribute("axes", [0, 2, 3])]
    apart = x - ops.reduce_mean(x, axes)
    return apart / (ops.sqrt(ops.reduce_mean(apart * apart, axes)) + const(1e-9, x.dtype))


def _deviation(node: Node, variance: Expr) -> Expr:
    return ops.sqrt(variance + const(_epsilon(node), variance.dtype))


def _epsilon(node: Node) -> float:
    return float(node.attribute("epsilon", _EPSILON))
