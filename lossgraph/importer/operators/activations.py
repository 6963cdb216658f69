"""Activation functions."""

from __future__ import annotations

import math

from ...ir import ops
from ...ir.expr import Expr, const, scalar_value
from ..node import Node
from ..translations import NotTranslatedError, translates

# Of a self-normalizing network, where the operator's attributes say nothing else.
_SELU_ALPHA, _SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875
_ROOT_HALF = math.sqrt(0.5)
_GELU_SLOPE, _GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def _number(value: float, like: Expr) -> Expr:
    return const(value, like.dtype)


def _where_positive(x: Expr, positive: Expr, other: Expr) -> Expr:
    return ops.where(ops.greater(x, _number(0, x)), positive, other)


@translates("LeakyRelu", since=6)
def _leaky_relu(node: Node) -> Expr:
    x = node[0]
    return _where_positive(x, x, x * _number(node.attribute("alpha", 0.01), x))


@translates("PRelu", since=7)
def _prelu(node: Node) -> Expr:
    x, slope = node[0], node[1]
    return ops.where(ops.less(x, _number(0, x)), x * slope, x)


@translates("Elu", since=6)
def _elu(node: Node) -> Expr:
    x = node[0]
    return _where_positive(x, x, ops.expm1(x) * _number(node.attribute("alpha", 1.0), x))


@translates("Selu", since=6)
def _selu(node: Node) -> Expr:
    x, alpha = node[0], node.attribute("alpha", _SELU_ALPHA)
    below = ops.expm1(x) * _number(alpha, x)
    return _where_positive(x, x, below) * _number(node.attribute("gamma", _SELU_GAMMA), x)


@translates("Celu", since=12)
def _celu(node: Node) -> Expr:
    x = node[0]
    alpha = _number(node.attribute("alpha", 1.0), x)
    return _where_positive(x, x, ops.expm1(x / alpha) * alpha)


@translates("ThresholdedRelu", since=10)
def _thresholded_relu(node: Node) -> Expr:
    x = node[0]
    above = ops.greater(x, _number(node.attribute("alpha", 1.0), x))
    return ops.where(above, x, _number(0, x))


@translates("HardSigmoid", since=6)
def _hard_sigmoid(node: Node) -> Expr:
    return hard_sigmoid(node[0], node.attribute("alpha", 0.2), node.attribute("beta", 0.5))


def hard_sigmoid(x: Expr, alpha: float, beta: float) -> Expr:
    """alpha x + beta, kept in [0, 1]."""
    return ops.clip(x * _number(alpha, x) + _number(beta, x), 0.0, 1.0)


@translates("HardSwish", since=14)
def _hard_swish(node: Node) -> Expr:
    return node[0] * hard_sigmoid(node[0], 1 / 6, 0.5)


@translates("Softsign")
def _softsign(node: Node) -> Expr:
    x = node[0]
    return x / (ops.absolute(x) + _number(1, x))


@translates("Gelu", since=20)
def _gelu(node: Node) -> Expr:
    return gelu(node[0], node.attribute("approximate", "none"))


def gelu(x: Expr, approximate: str = "none") -> Expr:
    """x times the normal distribution function of x, or its approximation by tanh."""
    if approximate == "tanh":
        inner = (x + x * x * x * _number(_GELU_CUBE, x)) * _number(_GELU_SLOPE, x)
        share = ops.tanh(inner)
    elif approximate == "none":
        share = ops.erf(x * _number(_ROOT_HALF, x))
    else:
        raise NotTranslatedError(f"approximate={approximate!r} is unknown")
    return x * _number(0.5, x) * (share + _number(1, x))


@translates("Mish", since=18)
def _mish(node: Node) -> Expr:
    return node[0] * ops.tanh(ops.softplus(node[0]))


@translates("Swish", since=24)
def _swish(node: Node) -> Expr:
    x = node[0]
    return x * ops.sigmoid(x * _number(node.attribute("alpha", 1.0), x))


@translates("Shrink", since=9)
def _shrink(node: Node) -> Expr:
    x = node[0]
    bias, limit = (_number(node.attribute(n, d), x) for n, d in (("bias", 0.0), ("lambd", 0.5)))
    inside = ops.where(ops.greater(x, limit), x - bias, _number(0, x))
    return ops.where(ops.less(x, -limit), x + bias, inside)


@translates("Clip", since=11)
def _clip(node: Node) -> Expr:
    low, high = node.optional(1), node.optional(2)
    return _clipped(node[0], low, high)


@translates("Clip", since=6)
def _clip_by_attributes(node: Node) -> Expr:
    x = node[0]
    bounds = (node.attribute("min"), node.attribute("max"))
    return _clipped(x, *(None if bound is None else _number(bound, x) for bound in bounds))


def _clipped(x: Expr, low: Expr | None, high: Expr | None) -> Expr:
    least, most = (None if bound is None else scalar_value(bound) for bound in (low, high))
    if least is not None and most is not None and least <= most:
        return ops.clip(x, least.item(), most.item())
    if low is not None:
        x = ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)
