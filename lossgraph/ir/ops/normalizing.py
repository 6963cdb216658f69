"""Normalization: of channels by given statistics, and of each sample by its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..dims import product
from ..expr import Array, Expr, Op, builds, register
from ..types import TensorType, TupleType, canonical_axis, require_equal
from .elementwise import add, cast, div, mul, neg, sub
from .item import results_of
from .reduce import reduce_mean, reduce_sum
from .shape import expand_dims, reshape, size_of
from .smooth import sqrt
from .type_rules import float_only

_ANY = (-math.inf, math.inf)


def by_channel(x: Expr, numbers: Expr) -> Expr:
    """Numbers of channels, beside an array whose second axis these are."""
    return expand_dims(numbers, range(1, x.rank - 1)) if x.rank > 2 else numbers


# --- of channels ---------------------------------------------------------------------------------


def _batch_norm_infer(
    x: TensorType,
    scale: TensorType,
    bias: TensorType,
    mean: TensorType,
    var: TensorType,
    *,
    epsilon: float,
) -> TensorType:
    for numbers in (scale, bias, mean, var):
        float_only(numbers)
        (length,) = numbers.shape
        require_equal(length, x.shape[1])
    return x


def _batch_norm_ref(
    x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float
) -> Array:
    def beside(numbers: Array) -> Array:
        return numbers.reshape(-1, *[1] * (x.ndim - 2))

    factor = scale / np.sqrt(var + np.asarray(epsilon, var.dtype))
    return (x - beside(mean)) * beside(factor) + beside(bias)


def _batch_norm_vjp(
    ct: Expr,
    out: Expr,
    x: Expr,
    scale: Expr,
    bias: Expr,
    mean: Expr,
    var: Expr,
    *,
    epsilon: float,
) -> tuple[Expr, ...]:
    inverse = div(1.0, sqrt(add(var, epsilon)))
    factor = mul(scale, inverse)
    total = _over_channels(ct)
    moment = _over_channels(mul(ct, sub(x, by_channel(x, mean))))
    to_var = mul(mul(mul(moment, factor), mul(inverse, inverse)), -0.5)
    to_mean = neg(mul(total, factor))
    return mul(ct, by_channel(x, factor)), mul(moment, inverse), total, to_mean, to_var


def _over_channels(x: Expr) -> Expr:
    axes = [axis for axis in range(x.rank) if axis != 1]
    return reshape(reduce_sum(x, axes), (x.shape[1],))


_batch_norm: Op = register(
    Op(
        "BatchNormalization",
        _batch_norm_infer,
        _batch_norm_ref,
        _batch_norm_vjp,
        lambda b, node, *names: b.add("BatchNormalization", *names, **node.attrs),
        domain=((-3.0, 3.0),) * 4 + ((0.1, 3.0),),
        finite_on=(_ANY,) * 4 + ((0.0, math.inf),),
    )
)


@builds(_batch_norm)
def batch_norm(
    x: Expr, scale: Expr, bias: Expr, mean: Expr, var: Expr, epsilon: float = 1e-5
) -> Expr:
    """scale (x - mean) / sqrt(var + epsilon) + bias, by numbers of channels, the second axis."""
    return _batch_norm(x, scale, bias, mean, var, epsilon=epsilon)


# --- of each sample ------------------------------------------------------------------------------


def _layer_norm_infer(*args: TensorType, axis: int, epsilon: float) -> TupleType:
    x = float_only(args[0])
    for numbers in args[1:]:
        for dim, other in zip(numbers.shape, x.shape[axis:], strict=True):
            require_equal(dim, other)
    small = x.with_shape([*x.shape[:axis], *[1] * (x.rank - axis)])
    return TupleType((x, small, small))


def _layer_norm_ref(*args: Array, axis: int, epsilon: float) -> tuple[Array, ...]:
    x, axes = args[0], tuple(range(axis, args[0].ndim))
    mean = x.mean(axes, keepdims=True)
    var = np.square(x - mean).mean(axes, keepdims=True)
    inverse = 1 / np.sqrt(var + np.asarray(epsilon, x.dtype))
    y = (x - mean) * inverse
    for number, function in zip(args[1:], (np.multiply, np.add), strict=False):
        y = function(y, number)
    return y, mean, inverse


def standardized(x: Expr, axes: Sequence[int], epsilon: float) -> tuple[Expr, Expr, Expr]:
    """Numbers less their mean, over their deviation; the mean; one over the deviation."""
    mean = reduce_mean(x, axes)
    apart = sub(x, mean)
    inverse = div(1.0, sqrt(add(reduce_mean(mul(apart, apart), axes), epsilon)))
    return mul(apart, inverse), mean, inverse


def _layer_norm_vjp(
    cts: Mapping[int, Expr],
    out: Expr,
    *args: Expr,
    axis: int,
    epsilon: float,
    needed: frozenset[int],
) -> tuple[Expr | None, ...]:
    x, scale, *_ = args
    _, mean, inverse = results_of(out)
    axes = tuple(range(axis, x.rank))
    standard = mul(sub(x, mean), inverse)
    to_x: Expr | None = None
    if 0 in cts:
        ct = mul(cts[0], scale)
        of_mean, of_scale = reduce_mean(ct, axes), reduce_mean(mul(ct, standard), axes)
        to_x = mul(inverse, sub(sub(ct, of_mean), mul(standard, of_scale)))
    count = cast(size_of(product(x.shape[axis:])), x.dtype)
    if 1 in cts:
        to_x = _sum(to_x, div(cts[1], count))
    if 2 in cts:
        slope = div(mul(cts[2], mul(inverse, inverse)), count)
        to_x = _sum(to_x, neg(mul(slope, standard)))
    others = (mul(cts[0], standard), cts[0]) if 0 in cts else (None, None)
    return (to_x, *others)[: len(args)]


def _sum(total: Expr | None, term: Expr) -> Expr:
    return term if total is None else add(total, term)


def _lower_layer_norm(b: Any, node: Expr, *names: str) -> str:
    """ONNX's operator, which gives statistics in float32 and exists since opset 17."""
    x = node.args[0]
    if b.opset >= 17 and x.dtype == "float32":
        return str(b.results(node, "LayerNormalization", *names, **node.attrs))
    axes = range(node.attrs["axis"], x.rank)
    standard, mean, inverse = standardized(x, axes, node.attrs["epsilon"])
    y = mul(standard, node.args[1])
    y = add(y, node.args[2]) if len(node.args) > 2 else y
    b.give(node, [b.lower(result) for result in (y, mean, inverse)])
    return ""


_layer_norm: Op = register(
    Op(
        "LayerNormalization",
        _layer_norm_infer,
        _layer_norm_ref,
        _layer_norm_vjp,
        _lower_layer_norm,
        domain=(),
    )
)


def layer_norm(
    x: Expr, scale: Expr, bias: Expr | None = None, axis: int = -1, epsilon: float = 1e-5
) -> list[Expr]:
    """Numbers from an axis on, less their mean and over their deviation, scaled and moved.

    The results are these, the mean, and one over the deviation.
    """
    args = (x, scale) if bias is None else (x, scale, bias)
    return results_of(_layer_norm(*args, axis=canonical_axis(axis, x.rank), epsilon=epsilon))
