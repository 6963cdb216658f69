"""Activations, also by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .array import Array, floating, one_of, operator, raw
from .dtypes import Raw
from .elementwise import (
    Operator1,
    _sigmoid,
    _softrelu,
    _unary,
    relu,
    sigmoid,
    softrelu,
    softsign,
    tanh,
)

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. (2017)


def _gated(value: Raw, gate: Raw) -> Raw:
    """The value times a gate, which is zero before an infinity counts."""
    return np.where(gate == 0, np.where(np.isnan(value), value, 0), value * gate)


@operator
def softplus(data: Array, beta: float = 1.0) -> Array:
    """Element-wise log(1 + e^(beta x)) / beta."""
    value = floating(data)
    return Array((_softrelu(value * beta) / beta).astype(value.dtype))


@operator
def log_sigmoid(data: Array) -> Array:
    """Element-wise log of 1/(1 + e^-x)."""
    return Array(-_softrelu(-floating(data)))


logsigmoid = log_sigmoid


@operator
def elu(data: Array, alpha: float = 1.0) -> Array:
    """Element-wise x where it is positive, else alpha (e^x - 1)."""
    value = floating(data)
    return Array(np.where(value > 0, value, alpha * np.expm1(np.minimum(value, 0))))


@operator
def selu(data: Array) -> Array:
    """Element-wise elu with the constants of self-normalizing networks."""
    value = floating(data)
    below = SELU_ALPHA * np.expm1(np.minimum(value, 0))
    return Array((SELU_SCALE * np.where(value > 0, value, below)).astype(value.dtype))


@operator
def gelu(data: Array, approximate: Any = False) -> Array:
    """Element-wise x Phi(x), Phi the normal distribution function, or a formula near to it."""
    value = floating(data)
    if one_of("approximate", approximate, (False, "none", "erf", True, "tanh")) in (True, "tanh"):
        wide = value.astype(np.float64)
        gate = _sigmoid(2 * math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
        return Array(_gated(wide, gate).astype(value.dtype))
    gate = (
        np.vectorize(math.erfc, otypes=[np.float64])(-value.astype(np.float64) / math.sqrt(2)) / 2
    )
    return Array(_gated(value, gate).astype(value.dtype))


@operator
def swish(data: Array, beta: float = 1.0) -> Array:
    """Element-wise x / (1 + e^(-beta x))."""
    value = floating(data)
    return Array(_gated(value, _sigmoid(value * beta)).astype(value.dtype))


silu = swish
mish = _unary("mish", lambda x: _gated(x, np.tanh(_softrelu(x))), "x tanh(log(1 + e^x))")


ACTIVATIONS: dict[str, Operator1] = {
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softrelu": softrelu,
    "softsign": softsign,
}


def activation(data: Array, act_type: str) -> Array:
    """The activation named by ``act_type``: relu, sigmoid, tanh, softrelu or softsign."""
    return ACTIVATIONS[one_of("act_type", act_type, tuple(ACTIVATIONS))](data)


def leaky_relu(
    data: Array, gamma: Array | None = None, act_type: str = "leaky", slope: float = 0.25
) -> Array:
    """The activation for negative x named by ``act_type``; x itself where it is positive."""
    value = floating(data)
    one_of("act_type", act_type, ("leaky", "elu", "selu", "gelu", "prelu"))
    if act_type in ("gelu", "selu"):
        return gelu(data) if act_type == "gelu" else selu(data)
    if act_type == "elu":
        return elu(data, slope)
    slopes = slope if act_type == "leaky" else _channels(raw(gamma), value)
    return Array(np.where(value > 0, value, slopes * value))


def _channels(gamma: Raw, value: Raw) -> Raw:
    """PReLU's slopes, one a channel (axis 1), in a shape that broadcasts with the data."""
    shape = [1] * value.ndim
    shape[min(1, value.ndim - 1)] = gamma.size
    return gamma.astype(value.dtype).reshape(shape)


activation.__name__, leaky_relu.__name__ = "Activation", "LeakyReLU"
Activation = operator(activation)
LeakyReLU = operator(leaky_relu)
