"""What several formulas share: forms that stay right at their limits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..authoring.options import is_number
from ..errors import InputError

_TERMS = 13  # of the series of exp below a quarter: the rest is beyond the digits of float64


def broadcast_all(F: Any, *values: Any) -> list[Any]:
    """Arrays and numbers, each in the shape that they broadcast to."""
    nothing: Any = 0.0
    for value in values:
        if not is_number(value):
            nothing = F.zeros_like(value) + nothing
    return [value + nothing for value in values]


def finfo(x: Any) -> Any:
    """What an array's dtype can hold; integers are computed with in float32."""
    return np.finfo(x.dtype if np.dtype(x.dtype).kind not in "iub" else np.float32)


def relative_expm1(F: Any, x: Any, rate: Any) -> Any:
    """``(exp(rate x) - 1) / rate``, which is ``x`` where the rate is 0, and its derivatives.

    For a rate that has a gradient there is a series near 0, which does not divide by it.
    """
    if is_number(rate):
        return F.expm1(rate * x) / rate if rate else x
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
    nll, gamma = broadcast_all(F, nll, gamma)
    sure = nll == 0  # where the slope of a root is infinite, though times 0
    miss = F.where(sure, F.ones_like(nll), -F.expm1(-nll))
    return F.where(sure, gamma == 0, F.power(miss, gamma)) * nll


def safe_div(F: Any, part: Any, whole: Any) -> Any:
    """``part / whole``, which is 0 where the whole is 0, and so are its derivatives."""
    nothing = whole == 0
    safe = F.where(nothing, F.ones_like(whole), whole)
    return F.where(nothing, F.zeros_like(whole), part / safe)


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
