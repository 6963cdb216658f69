"""Smooth functions of one number, and the logarithm of a sum of two exponentials.

Where ONNX has no operator of enough accuracy the lowering is a short identity, and the comment
says which.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..expr import Array, Expr, Op, const
from ..kernel_forms import Elementwise, Formula
from ..types import TensorType, numpy_dtype
from . import intervals
from .elementwise import (
    POSITIVE,
    _binary,
    _lower_tail,
    _unary,
    absolute,
    clip,
    exp,
    greater_equal,
    log1p,
    maximum,
    neg,
    relu,
    sign,
    where,
)
from .erf import lower_erf
from .intervals import ABOVE_ZERO, ANY
from .type_rules import arithmetic, float_only


def _sigmoid_ref(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.where(x >= 0, one, small) / (one + small)


# --- formulas, for kernels: what several functions have in common is computed once ---------


def _exp_of_minus_abs(x: Expr) -> Expr:
    return exp(neg(absolute(x)))


def _log_tail(x: Expr) -> Expr:
    """log(1 + exp(-|x|))."""
    return log1p(_exp_of_minus_abs(x))


def _sigmoid_formula(x: Expr) -> Expr:
    tail = _exp_of_minus_abs(x)
    return where(greater_equal(x, 0.0), const(1, x.dtype), tail) / (tail + 1.0)


def _logaddexp_formula(x: Expr, y: Expr) -> Expr:
    """max(x, y) + log1p(exp(-|x-y|)), the difference kept from inf - inf."""
    big = float(np.finfo(numpy_dtype(x.dtype)).max)
    return maximum(x, y) + _log_tail(clip(x, -big, big) - clip(y, -big, big))


sigmoid: Op = _unary(
    "Sigmoid",
    _sigmoid_ref,
    lambda ct, out, x: ct * out * sigmoid(-x),
    # ONNX Runtime's Sigmoid is 0 below -18; 1/(1+exp(-x)) keeps the tail's digits, and an
    # overflow of exp gives the right 0.
    lambda b, node, x: b.add(
        "Reciprocal", b.add("Add", b.add("Exp", b.add("Neg", x)), b.const(1, node.dtype))
    ),
    positive_if=(),
    nonnegative=True,
    range_of=lambda node, x: (0.0, 1.0),
    finite_on=(ANY,),
    kernel=Formula(_sigmoid_formula),
)
softplus = _unary(
    "Softplus",
    lambda x: np.logaddexp(x, x.dtype.type(0)),
    lambda ct, out, x: ct * sigmoid(x),
    lambda b, node, x: b.add("Add", b.add("Relu", x), _lower_tail(b, node, x)),
    range_of=lambda node, x: (0.0, max(x[1], 0.0) + 1),
    finite_on=(ANY,),
    kernel=Formula(lambda x: relu(x) + _log_tail(x)),
)
log1p_exp_neg_abs = _unary(  # log1p(exp(-|x|)) = softplus(x) - relu(x)
    "Log1pExpNegAbs",
    lambda x: np.log1p(np.exp(-np.abs(x))),
    lambda ct, out, x: ct * -sign(x) * sigmoid(-absolute(x)),
    _lower_tail,
    POSITIVE,
    stem="softplus_tail",
    finite_on=(ANY,),
    kernel=Formula(lambda x: _log_tail(x)),
)


def _logaddexp_vjp(ct: Expr, out: Expr, x: Expr, y: Expr) -> tuple[Expr, Expr]:
    return ct * sigmoid(x - y), ct * sigmoid(y - x)


def _float_arithmetic(x: TensorType, y: TensorType) -> TensorType:
    return float_only(arithmetic(x, y))


def _lower_logaddexp(b: Any, node: Expr, x: str, y: str) -> str:
    """max(x, y) + log1p(exp(-|x-y|)), the difference kept from inf - inf."""
    big = float(np.finfo(numpy_dtype(node.dtype)).max)
    bounds = b.const(-big, node.dtype), b.const(big, node.dtype)
    gap = b.add("Sub", b.add("Clip", x, *bounds), b.add("Clip", y, *bounds))
    return str(b.add("Add", b.add("Max", x, y), _lower_tail(b, node, gap)))


logaddexp = _binary(
    "LogAddExp",
    np.logaddexp,
    _logaddexp_vjp,
    infer=_float_arithmetic,
    lower=_lower_logaddexp,
    commutative=True,
    finite_on=(ANY, ANY),
    kernel=Formula(_logaddexp_formula),
)


def _lower_log_add(b: Any, node: Expr, x: str, y: str) -> str:
    """max(x, y) - log(sigmoid(|x-y|)), right to the larger's digits.

    Sigmoid is one kernel, and exact enough above 1/2.
    """
    gap = b.add("Sigmoid", b.add("Abs", b.add("Sub", x, y)))
    return str(b.add("Sub", b.add("Max", x, y), b.add("Log", gap)))


log_add = _binary(  # LogAddExp of finite numbers, in half the operators
    "LogAdd",
    np.logaddexp,
    _logaddexp_vjp,
    domain=((-3.0, 0.0), (0.5, 3.0)),
    infer=_float_arithmetic,
    lower=_lower_log_add,
    commutative=True,
    finite_on=(ANY, ANY),
    kernel=Formula(lambda x, y: maximum(x, y) + _log_tail(x - y)),
)
tanh = _unary(
    "Tanh",
    np.tanh,
    lambda ct, out, x: ct * (1 - out * out),
    range_of=lambda node, x: (-1.0, 1.0),
    finite_on=(ANY,),
    kernel=Elementwise("tanh", 10.0),
)
erf = _unary(
    "Erf",
    lambda x: np.vectorize(math.erf, otypes=[x.dtype])(x),
    lambda ct, out, x: ct * (exp(-(x * x)) * (2 / math.sqrt(math.pi))),
    lower_erf,
    range_of=lambda node, x: (-1.0, 1.0),
    finite_on=(ANY,),
    kernel=Elementwise("erf", 12.0),
)
sqrt = _unary(
    "Sqrt",
    np.sqrt,
    lambda ct, out, x: ct * 0.5 / out,
    domain=POSITIVE,
    finite_on=(ABOVE_ZERO,),
    root=True,
    range_of=lambda node, x: (
        (math.sqrt(x[0]), math.sqrt(x[1])) if x[0] >= 0 else (-math.inf, math.inf)
    ),
    kernel=Elementwise("sqrt", 3.0),
)
sin = _unary(
    "Sin",
    np.sin,
    lambda ct, out, x: ct * cos(x),
    range_of=intervals.wave,
    kernel=Elementwise("sin", 20.0),
)


def _lower_cos(b: Any, node: Expr, x: str) -> str:
    """ONNX's Cos; 1 - 2 sin^2(x/2) in float64, which older engines have no kernel for."""
    if node.dtype != "float64":
        return str(b.add("Cos", x))
    half = b.add("Sin", b.add("Mul", x, b.const(0.5, node.dtype)))
    square = b.add("Mul", half, half)
    return str(b.add("Sub", b.const(1, node.dtype), b.add("Add", square, square)))


cos: Op = _unary(
    "Cos",
    np.cos,
    lambda ct, out, x: -ct * sin(x),
    _lower_cos,
    range_of=intervals.wave,
    kernel=Elementwise("cos", 20.0),
)


def _lower_atan(b: Any, node: Expr, x: str) -> str:
    """ONNX's Atan; for float64, which it has no kernel for, one step from float32.

    atan(x) = y + atan((x-t)/(1+xt)), t = tan(y): the rest is 1e-7 and its own arc tangent.
    """
    if node.dtype != "float64":
        return str(b.add("Atan", x))
    bound = b.const(1e30, node.dtype)  # inside float32, and pi/2 to the last digit
    x = b.add("Clip", x, b.const(-1e30, node.dtype), bound)
    single = b.add("Atan", b.add("Cast", x, to=b.dtype_code("float32")))
    y = b.add("Cast", single, to=b.dtype_code(node.dtype))
    t = b.add("Div", b.add("Sin", y), _lower_cos(b, node, y))
    divisor = b.add("Add", b.const(1, node.dtype), b.add("Mul", x, t))
    return str(b.add("Add", y, b.add("Div", b.add("Sub", x, t), divisor)))


atan = _unary(
    "Atan",
    np.arctan,
    lambda ct, out, x: ct / (1 + x * x),
    _lower_atan,
    finite_on=(ANY,),
    kernel=Elementwise("atan", 20.0),
)
