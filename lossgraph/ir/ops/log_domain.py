"""Logarithms of what overflows, underflows or cancels, and products with logarithms.

Operations of their own, since their formulas lose the value or the derivative somewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import InputError
from ..batching import pointwise, within_axis
from ..expr import Array, Expr, Interval, Op, builds, register
from ..kernel_forms import Formula
from ..types import TensorType, canonical_axis, numpy_dtype
from .along_axis import arg_extremum
from .arithmetic import Arithmetic
from .by_lowering import formula_of
from .elementwise import (
    clip,
    div,
    equal,
    exp,
    expm1,
    greater,
    log,
    log1p,
    log1p_positive,
    logical_and,
    masked_mul,
    minimum,
    neg,
    stop_gradient,
    where,
)
from .intervals import ABOVE_MINUS_ONE, ABOVE_ZERO, ANY
from .reduce import logsumexp, reduce_max_finite, reduce_sum, softmax
from .shape import iota, reshape
from .smooth import (
    softplus,
    sqrt,
)
from .type_rules import arithmetic, float_only

# --- of one argument ----------------------------------------------------------------------


def _unary(
    name: str,
    ref: Callable[[Array], Array],
    slope: Callable[[Expr, Expr], Expr],
    lower: Any,
    domain: tuple[float, float] = (-3.0, 3.0),
    **traits: Any,
) -> Op:
    """An operation by its derivative, ``slope(x, value)``."""

    def vjp(ct: Expr, out: Expr, x: Expr) -> tuple[Expr]:
        return (ct * slope(x, out),)

    def in_its_dtype(x: Array) -> Array:  # which NumPy 1.26 widens for scalars
        return np.asarray(ref(x)).astype(x.dtype)

    return register(
        Op(name, float_only, in_its_dtype, vjp, lower, (domain,), batching=pointwise, **traits)
    )


def _log1m_exp_ref(x: Array) -> Array:
    near = x > -0.5
    return np.where(near, np.log(-np.expm1(x)), np.log1p(-np.exp(np.where(near, -1, x))))


def _lower_log1m_exp(b: Any, node: Expr, x: str) -> str:
    """log(-expm1(x)) near 0, log1p(-exp(x)) beyond: each keeps its digits there."""
    g = Arithmetic(b, node.dtype)
    halves = g("Mul", x, 0.5)
    near = g("Log", g("Neg", g("Mul", g("Tanh", halves), g("Add", g("Exp", x), 1.0))))
    t = g("Exp", g("Min", x, -0.5))
    u = g("Sub", 1.0, t)
    error = g("Sub", g("Sub", 1.0, u), t)  # of the rounding of u, put back
    far = g("Add", g("Log", u), g("Div", error, u))
    return g("Where", g("Greater", x, -0.5), near, far)


def _log1m_exp_formula(x: Expr) -> Expr:
    return where(greater(x, -0.5), log(neg(expm1(x))), log1p(neg(exp(x))))


log1m_exp: Op = _unary(  # log(1 - exp(x)) of x below 0, NaN above
    "Log1mExp",
    _log1m_exp_ref,
    lambda x, out: exp(x) / expm1(x),
    _lower_log1m_exp,
    (-3.0, -0.2),
    finite_on=((-math.inf, 0.0),),
    kernel=Formula(_log1m_exp_formula),
)


def _log_cloglog_ref(x: Array) -> Array:
    small = np.exp(np.minimum(x, 0))
    tiny = np.finfo(x.dtype).tiny
    below = np.minimum(x, 0) + np.log(-np.expm1(-small) / np.maximum(small, tiny) + (small < tiny))
    return np.where(x > 0, np.log1p(-np.exp(-np.exp(np.maximum(x, 0)))), below)


def _lower_log_cloglog(b: Any, node: Expr, x: str) -> str:
    """x + log((1-exp(-t))/t), t = exp(x), which is 1 for t = 0, below 0; the logarithm above."""
    g, dtype = Arithmetic(b, node.dtype), node.dtype
    low = g("Min", x, 0.0)
    t = g("Max", g("Exp", low), float(np.finfo(numpy_dtype(dtype)).tiny))
    power = g("Exp", g("Neg", t))
    whole = g("Mul", g("Tanh", g("Mul", t, 0.5)), g("Add", power, 1.0))  # 1 - exp(-t)
    below = g("Add", low, g("Log", g("Div", whole, t)))
    rest = g("Neg", g("Exp", g("Neg", g("Exp", g("Max", x, 0.0)))))
    return g("Where", g("Greater", x, 0.0), log1p_positive(b, dtype, rest), below)


log_cloglog: Op = _unary(  # log(1 - exp(-exp(x)))
    "LogCloglog",
    _log_cloglog_ref,
    # exp(x - exp(x)) / (1 - exp(-exp(x))), of which every part underflows
    lambda x, out: exp((x - exp(minimum(x, _half_range(x.dtype)))) - out),
    _lower_log_cloglog,
    kernel=formula_of(_lower_log_cloglog),
)


def _half_range(dtype: str) -> float:
    """An exponent whose exponential is the square root of the largest number."""
    return float(np.log(np.finfo(numpy_dtype(dtype)).max)) / 2


def _log_softplus_ref(x: Array) -> Array:
    small = np.exp(np.minimum(x, 0))
    tiny = np.finfo(x.dtype).tiny
    below = np.minimum(x, 0) + np.log(np.log1p(small) / np.maximum(small, tiny) + (small < tiny))
    return np.where(x > 0, np.log(np.logaddexp(np.maximum(x, 0), x.dtype.type(0))), below)


def _lower_log_softplus(b: Any, node: Expr, x: str) -> str:
    """log(softplus(x)) above 0; x + log(log1p(t)/t), t = exp(x), which is 1 for t = 0, below."""
    g, dtype = Arithmetic(b, node.dtype), node.dtype
    low, high = g("Min", x, 0.0), g("Max", x, 0.0)
    t = g("Max", g("Exp", low), float(np.finfo(numpy_dtype(dtype)).tiny))
    below = g("Add", low, g("Log", g("Div", log1p_positive(b, dtype, t), t)))
    tail = log1p_positive(b, dtype, g("Exp", g("Neg", high)))
    return g("Where", g("Greater", x, 0.0), g("Log", g("Add", high, tail)), below)


log_softplus: Op = _unary(  # log(log(1 + exp(x)))
    "LogSoftplus",
    _log_softplus_ref,
    # sigmoid(x)/softplus(x), both of which underflow
    lambda x, out: exp(neg(softplus(neg(x)) + out)),
    _lower_log_softplus,
    kernel=formula_of(_lower_log_softplus),
)


def _sqrt1p_minus1_ref(x: Array) -> Array:
    big = np.finfo(x.dtype).max
    return np.where(x > big, x, x / (1 + np.sqrt(1 + np.minimum(x, big))))


def _lower_sqrt1p_minus1(b: Any, node: Expr, x: str) -> str:
    """x / (1 + sqrt(1 + x)), and infinity for infinity."""
    g = Arithmetic(b, node.dtype)
    finite = g("Min", x, float(np.finfo(numpy_dtype(node.dtype)).max))
    root = g("Add", g("Sqrt", g("Add", finite, 1.0)), 1.0)
    return g("Add", g("Div", finite, root), g("Sub", x, finite))


sqrt1p_minus1: Op = _unary(  # sqrt(1 + x) - 1
    "Sqrt1pMinus1",
    _sqrt1p_minus1_ref,
    lambda x, out: 0.5 / sqrt(1 + x),
    _lower_sqrt1p_minus1,
    (-0.5, 3.0),
    finite_on=(ABOVE_MINUS_ONE,),
    kernel=formula_of(_lower_sqrt1p_minus1),
)

# --- products with logarithms, 0 where the other factor is --------------------------------


def _float_arithmetic(x: TensorType, y: TensorType) -> TensorType:
    return float_only(arithmetic(x, y))


def _masked(x: Array, logarithm: Array) -> Array:
    big = np.finfo(logarithm.dtype).max
    return x * np.where(x == 0, np.clip(logarithm, -big, big), logarithm)


def _with_logarithm(
    name: str,
    ref: Any,
    vjp: Any,
    formula: Callable[[Expr, Expr], Expr],
    finite_on: tuple[Interval, Interval],
) -> Op:
    """An operation that its formula in expressions is lowered to."""
    return register(
        Op(
            name,
            _float_arithmetic,
            ref,
            vjp,
            lambda b, node, x, y: str(b.lower(formula(*node.args))),
            ((0.2, 3.0), (0.2, 3.0)),
            batching=pointwise,
            finite_on=finite_on,
            kernel=Formula(formula),
        )
    )


xlogy: Op = _with_logarithm(  # x log(y)
    "XLogY",
    lambda x, y: _masked(x, np.log(y)),
    lambda ct, out, x, y: (masked_mul(ct, log(y)), masked_mul(ct * x, 1.0 / y)),
    lambda x, y: masked_mul(x, log(y)),
    (ANY, ABOVE_ZERO),
)
xlog1py: Op = _with_logarithm(  # x log(1 + y)
    "XLog1pY",
    lambda x, y: _masked(x, np.log1p(y)),
    lambda ct, out, x, y: (masked_mul(ct, log1p(y)), masked_mul(ct * x, 1.0 / (1 + y))),
    lambda x, y: masked_mul(x, log1p(y)),
    (ANY, ABOVE_MINUS_ONE),
)


def _log_ratio(x: Expr, y: Expr) -> Expr:
    """log(x/y), and 0 for 0/0."""
    both = logical_and(equal(x, 0.0), equal(y, 0.0))
    return log(where(both, 1.0, div(x, where(both, 1.0, y))))


def _relative_entropy_ref(x: Array, y: Array) -> Array:
    both = (x == 0) & (y == 0)
    return _masked(x, np.log(np.where(both, 1, x / np.where(both, 1, y))))


relative_entropy: Op = _with_logarithm(  # x log(x/y)
    "RelativeEntropy",
    _relative_entropy_ref,
    lambda ct, out, x, y: (masked_mul(ct, _log_ratio(x, y)) + ct, neg(masked_mul(ct * x, 1.0 / y))),
    lambda x, y: masked_mul(x, _log_ratio(x, y)),
    (ABOVE_ZERO, ABOVE_ZERO),
)

# --- rows without one element -------------------------------------------------------------


def _others_ref(x: Array, axis: int) -> Array:
    rows = np.moveaxis(x, axis, -1)
    size = rows.shape[-1]
    alone = np.eye(size, dtype=bool)
    rest = np.where(alone, -np.inf, np.broadcast_to(rows[..., None, :], (*rows.shape, size)))
    found = np.logaddexp.reduce(rest, axis=-1, initial=-np.inf).astype(x.dtype)
    return np.moveaxis(found, -1, axis)


def _of_largest(x: Expr, axis: int) -> tuple[Expr, Expr, Expr]:
    """Where the largest element of each row stands, the row without it, and a finite maximum."""
    size = x.shape[axis]
    places = reshape(iota(size), [size if i == axis else 1 for i in range(x.rank)])
    largest = equal(places, arg_extremum(x, axis))
    big = float(np.finfo(numpy_dtype(x.dtype)).max)
    top = stop_gradient(clip(reduce_max_finite(x, (axis,)), -big, big))
    return largest, where(largest, -math.inf, x), top


def _others(x: Expr, axis: int) -> Expr:
    """m + log(1 + rest - e), e and rest the shares of an element and of all but the largest.

    Nothing cancels: the largest, whose 1 that is, is left. Beside the largest itself, rest is.
    """
    largest, rest, top = _of_largest(x, axis)
    without = logsumexp(rest, (axis,))
    share = where(largest, 0.0, exp(without - top) - exp(x - top))
    return where(largest, without, top + log1p(share))


def _others_vjp(ct: Expr, out: Expr, x: Expr, *, axis: int) -> tuple[Expr]:
    largest, rest, top = _of_largest(x, axis)
    of_others = where(largest, 0.0, ct * exp(top - where(largest, top, out)))
    of_largest = reduce_sum(where(largest, ct, 0.0), (axis,))
    total = reduce_sum(of_others, (axis,)) - of_others
    return (exp(x - top) * total + of_largest * softmax(rest, (axis,)),)


def _others_infer(x: TensorType, *, axis: int) -> TensorType:
    if x.shape[axis] == 0:
        raise InputError("an axis of length zero has no largest element")
    return float_only(x)


_logsumexp_others: Op = register(
    Op(
        "LogSumExpOthers",
        _others_infer,
        _others_ref,
        _others_vjp,
        lambda b, node, x: str(b.lower(_others(*node.args, **node.attrs))),
        batching=within_axis,
        kernel=Formula(_others),
    )
)


@builds(_logsumexp_others)
def logsumexp_others(x: Expr, axis: int) -> Expr:
    """For each element, ``logsumexp`` of all others along an axis."""
    return _logsumexp_others(x, axis=canonical_axis(axis, x.rank))
