"""Activations of ``F``, also those that MXNet has in its blocks, by the names that they have there.

All are right at the extremes: no exponential overflows, and what vanishes keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from ..ir import ops
from ..ir.expr import Expr, const
from .elementwise import _chosen, _floating, relu, sigmoid, softrelu, softsign, tanh
from .register import function
from .symbol import Operand, Symbol, beside, wrap

# the constants of self-normalizing networks (Klambauer et al. 2017)
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def below_zero(x: Expr) -> Expr:
    """The part of ``x`` below zero; at zero it is ``x`` itself, whose gradient passes."""
    return ops.clip(x, -math.inf, 0.0)


@function(True)
def softplus(data: Operand, beta: float = 1.0) -> Symbol:
    """``log(1+exp(beta*x))/beta``."""
    x = _floating(data)
    return wrap(ops.softplus(x) if beta == 1 else ops.softplus(x * float(beta)) / float(beta))


@function(True, "logsigmoid")
def log_sigmoid(data: Operand) -> Symbol:
    """``log(1/(1+exp(-x)))``, which is ``-softplus(-x)``."""
    return wrap(-ops.softplus(-_floating(data)))


@function(True)
def elu(data: Operand, alpha: float = 1.0) -> Symbol:
    """``x`` above zero, else ``alpha*(exp(x)-1)``; at zero the derivative is ``alpha``."""
    x = _floating(data)
    return wrap(ops.relu(x) + ops.expm1(below_zero(x)) * float(alpha))


@function(True)
def selu(data: Operand) -> Symbol:
    """``elu`` with the constants of self-normalizing networks.

    Source: Klambauer et al. (2017), NeurIPS.
    """
    return wrap(elu(data, alpha=SELU_ALPHA).expr * SELU_SCALE)


@function(True)
def gelu(data: Operand, approximate: bool | str = False) -> Symbol:
    """``x Phi(x)``, ``Phi`` the normal distribution function.

    ``approximate=True`` (PyTorch's ``"tanh"``) is ``x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))``.

    Source: Hendrycks and Gimpel (2016).
    """
    x = _floating(data)
    kind = ("tanh" if approximate else "none") if isinstance(approximate, bool) else approximate
    if _chosen("approximate", kind, {"none": False, "erf": False, "tanh": True}):
        slope = 2 * math.sqrt(2 / math.pi)
        return wrap(ops.masked_mul(ops.sigmoid(x * slope + x * x * x * (slope * 0.044715)), x))
    return wrap(ops.masked_mul(ops.erfc(x * -math.sqrt(0.5)) * 0.5, x))


@function(True, "silu")
def swish(data: Operand, beta: float = 1.0) -> Symbol:
    """``x sigmoid(beta*x)``, 0 at ``-inf``.

    Source: Ramachandran et al. (2017).
    """
    x = _floating(data)
    return wrap(ops.masked_mul(ops.sigmoid(x if beta == 1 else x * float(beta)), x))


@function(True)
def mish(data: Operand) -> Symbol:
    """``x tanh(softplus(x))``, 0 at ``-inf``.

    ``tanh(log(1+e^x))`` is ``1 - 2/((1+e^x)^2+1)``, and so ``u/(u+2)`` with ``u = e^x (e^x+2)``;
    above 20 it is 1.

    Source: Misra (2019).
    """
    x = _floating(data)
    e = ops.exp(ops.minimum(x, 20.0))
    u = e * (e + 2.0)
    return wrap(ops.masked_mul(u / (u + 2.0), x))


# --- by name ----------------------------------------------------------------------------------

_ACTIVATIONS: dict[str, Any] = {
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softrelu": softrelu,
    "softsign": softsign,
}


@function()
def Activation(data: Operand, act_type: str) -> Symbol:
    """One of the activation functions by name; ``softrelu`` is ``log(1+exp(x))``."""
    return wrap(_chosen("act_type", act_type, _ACTIVATIONS)(data).expr)


@function()
def LeakyReLU(
    data: Operand, gamma: Operand | None = None, act_type: str = "leaky", slope: float = 0.25
) -> Symbol:
    """Activations with a part below zero: leaky, prelu (slopes ``gamma``), elu, selu, gelu.

    At zero the derivative is that from below.
    """
    x = _floating(data)
    bodies: dict[str, Callable[[], Expr]] = {
        "leaky": lambda: ops.relu(x) + below_zero(x) * float(slope),
        "prelu": lambda: _prelu(x, _channelwise(x, gamma)),
        "elu": lambda: elu(data, alpha=slope).expr,
        "selu": lambda: selu(data).expr,
        "gelu": lambda: gelu(data).expr,
    }
    return wrap(_chosen("act_type", act_type, bodies)())


def _prelu(x: Expr, slopes: Expr) -> Expr:
    """Slopes may be any numbers: above zero they are not looked at."""
    above = ops.greater(x, const(0, x.dtype))
    return x * ops.where(above, const(1, x.dtype), slopes)


def _channelwise(x: Expr, gamma: Operand | None) -> Expr:
    """A parameter of each channel (axis 1), ready to broadcast."""
    if gamma is None:
        raise InputError("act_type 'prelu' needs gamma")
    slopes = beside(gamma, x)
    if slopes.rank == 1 and x.rank > 2:
        slopes = ops.expand_dims(slopes, range(1, x.rank - 1))
    return slopes
