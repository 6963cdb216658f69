"""What several formulas share: forms that stay right at their limits."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from ..authoring.options import is_number
from ..errors import InputError

UNDERFLOW = -750.0  # below it exp is 0 in float64 too, or what old engines have instead
_TERMS = 13  # of the series of exp below a quarter: the rest is beyond the digits of float64
_ATANH = 9  # terms of its series below 1/7: the rest is beyond the digits of float64


def broadcast_all(F: Any, *values: Any) -> list[Any]:
    """Arrays and numbers, each in the shape that they broadcast to."""
    nothing: Any = 0.0
    for value in values:
        if not is_number(value):
            nothing = F.zeros_like(value) + nothing
    return [value + nothing for value in values]


def finfo(x: Any) -> Any:
    """What an array's dtype can hold; integers are computed with in float32."""
    of: Any = ml_dtypes.finfo  # which knows bfloat16, and says no types
    return of(x.dtype if np.dtype(x.dtype).kind not in "iub" else np.float32)


def relative_expm1(F: Any, x: Any, rate: Any) -> Any:
    """``(exp(rate x) - 1) / rate``, which is ``x`` where the rate is 0, and its derivatives.

    For a rate that has a gradient there is a series near 0, which does not divide by it.
    """
    if is_number(rate):
        return x if abs(rate) < smallest(x) else F.expm1(rate * x) / rate
    x, rate = broadcast_all(F, x, rate)
    nothing = F.zeros_like(x)
    exponent = rate * x
    near = F.abs(exponent) < 0.25
    small, total = F.where(near, exponent, nothing), nothing + 1
    for k in range(_TERMS, 1, -1):
        total = 1 + total * small / k
    safe = F.where(near, nothing + 1, rate)
    far = F.expm1(safe * F.where(near, nothing, x)) / safe
    return F.where(near, total * F.where(near, x, nothing), far)


def focused(F: Any, nll: Any, gamma: Any) -> Any:
    """``(1 - p)^gamma nll`` of what has probability ``p = exp(-nll)``: focal losses."""
    constant = is_number(gamma)
    nll, gamma = broadcast_all(F, nll, gamma)
    sure = nll == 0  # where the slope of a root is infinite, though times 0
    miss = F.where(sure, F.ones_like(nll), -F.expm1(-nll))
    weight = F.where(sure, gamma == 0, F.power(miss, gamma))
    value, left = F.masked_mul(weight, nll), F.masked_mul(F.exp(-nll), nll)
    by_nll = F.where(sure, weight, weight * (1 + gamma * left / miss))
    if constant:
        return F.with_gradient(value, [nll], [by_nll])
    return F.with_gradient(value, [nll, gamma], [by_nll, F.masked_mul(F.log(miss), value)])


def rounding(x: Any, count: float = 1.0) -> float:
    """So many roundings of a number near 1."""
    return count * float(finfo(x).eps)


def smallest(x: Any) -> float:
    """The smallest normal number: those below it lose digits, and have reciprocals beyond range."""
    return float(finfo(x).smallest_normal)


def safe_div(F: Any, part: Any, whole: Any) -> Any:
    """``part / whole``, which is 0 where the whole is 0, and so are its derivatives."""
    nothing = whole == 0
    safe = F.where(nothing, F.ones_like(whole), whole)
    return F.where(nothing, F.zeros_like(whole), part / safe)


def log1p_ratio(F: Any, x: Any, unit: Any) -> Any:
    """``log(1 + x / unit)`` for x of 0 and more; the quotient may be too large for a number."""
    far = x > unit
    near, large = F.where(far, F.zeros_like(x), x), F.where(far, x, F.ones_like(x))
    if is_number(unit):
        log, divisor = math.log(unit), max(unit, smallest(x))
    else:
        log, divisor = F.log(unit), unit
    return F.where(far, F.log(large) - log + F.log1p(unit / large), F.log1p(near / divisor))


def finite(F: Any, x: Any) -> Any:
    """``x`` with 0 in place of NaN and infinities: a shift that cancels."""
    return F.where(F.isfinite(x), x, F.zeros_like(x))


def hypot(F: Any, x: Any, y: Any) -> Any:
    """``sqrt(x^2 + y^2)`` where the squares overflow too, its slope at 0 being 0."""
    unit = F.stop_gradient(F.maximum(F.abs(x), F.abs(y)))  # any: it cancels
    nothing, one = unit == 0, F.ones_like(unit)
    safe = F.where(nothing, one, unit)
    return unit * F.sqrt(F.where(nothing, one, F.square(x / safe) + F.square(y / safe)))


def in_base(F: Any, nats: Any, base: Any) -> Any:
    """Convert nats to the units of the logarithm to ``base``.

    Raises:
        InputError: for a number that is no base.
    """
    if not is_number(base):
        return nats / F.log(base)
    if not (base > 0 and base != 1 and math.isfinite(base)):
        raise InputError(f"base: expected a positive number other than 1, got {base!r}")
    return nats / math.log(base)


def xlogy(F: Any, weight: Any, x: Any) -> Any:
    """``weight log(x)``, 0 with derivative 0 by ``x`` where the weight is 0."""
    weight, x = broadcast_all(F, weight, x)
    nothing = F.zeros_like(x)
    slope = F.where(weight == 0, nothing, 1 / x)
    return F.masked_mul(weight, F.with_gradient(F.log(x), [x], [slope]))


def log_near(F: Any, quotient: Any, excess: Any) -> Any:
    """The logarithm of a quotient, computed from its excess over 1 where that is small."""
    around = F.abs(excess) < 0.5
    near = F.log1p(F.where(around, excess, F.zeros_like(excess)))
    return F.where(around, near, F.log(F.where(around, F.ones_like(quotient), quotient)))


def less_log(F: Any, quotient: Any, excess: Any) -> Any:
    """``x - log(1 + x)`` for a quotient ``1 + x``: about ``x^2 / 2`` for a small x."""
    near = F.abs(excess) < 0.25
    # log(1 + x) = 2 artanh(s), of which 2s is written out
    small = F.where(near, excess, F.zeros_like(excess))
    s = small / (2 + small)
    square, total = s * s, 0.0
    for k in range(_ATANH, 0, -1):
        total = total * square + 1 / (2 * k + 1)
    return F.where(near, s * (small - 2 * square * total), excess - log_near(F, quotient, excess))


def above_tangent(F: Any, x: Any, scale: Any = 1) -> Any:
    """``exp(x) - 1 - x``, not negative, times ``scale^2``: about half of ``(scale x)^2`` near 0."""
    near = F.abs(x) < 0.25
    small = F.where(near, x, F.zeros_like(x))
    total = 1.0
    for k in range(_TERMS, 2, -1):
        total = 1 + total * small / k
    return F.where(near, F.square(scale * small) / 2 * total, (F.expm1(x) - x) * scale * scale)


def share_divergence(F: Any, p: Any, q: Any, ratio: Any, scale: Any = 1) -> Any:
    """``p log(p/q) - p + q`` by ``ratio = log(q/p)``, times ``scale^2``.

    It is not negative, and sums of it are the divergence of distributions, without the large
    terms that cancel there.
    """
    near = F.abs(ratio) < 0.25
    small = F.where(near, ratio, F.zeros_like(ratio))
    far = q - p - F.masked_mul(p, ratio - small)
    return F.where(near, p * above_tangent(F, small, scale), far * scale * scale)


def softmax_divergence(F: Any, x: Any, y: Any, axis: int, scale: Any = 1) -> Any:
    """The divergence of ``softmax(x)`` from ``softmax(y)``, of one shape, times ``scale^2``.

    The axis keeps the length 1. By the logarithm of the quotient of their shares. Where that is
    small everywhere it is made of the differences of the logits, so that it keeps its digits.
    """
    log_p, log_q = (F.log_softmax(z, axis=axis) for z in (x, y))
    never = F.maximum(F.exp(log_p) == 0, log_p < UNDERFLOW)
    nothing = F.zeros_like(x)
    p, q = F.where(never, nothing, F.exp(log_p)), F.exp(log_q)
    ratio = F.where(never, nothing, log_q - log_p)
    moved = F.where(never, nothing, y - x)
    moved = moved - F.sum(p * moved, axis=axis, keepdims=True)
    size = F.where(never, nothing + math.inf, F.abs(moved))
    close = F.broadcast_like(F.max(size, axis=axis, keepdims=True) < 0.25, x)
    moved = F.where(close, moved, nothing)
    mean = F.sum(p * F.expm1(moved), axis=axis, keepdims=True)
    ratio = F.where(close, moved - F.log1p(mean), ratio)
    terms = F.where(never, q * scale * scale, share_divergence(F, p, q, ratio, scale))
    value = F.sum(terms, axis=axis, keepdims=True)
    by_x = F.masked_mul(p, -(ratio * scale) * scale - value)
    by_y = F.where(close, p * F.expm1(F.where(close, ratio, nothing)), q - p) * scale * scale
    if is_number(scale):
        return F.with_gradient(value, [x, y], [by_x, by_y])
    spread = F.zeros_like(value) + scale
    return F.with_gradient(value, [x, y, spread], [by_x, by_y, 2 * value / spread])
