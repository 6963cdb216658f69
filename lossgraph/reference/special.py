"""Functions that numpy has not: log Gamma and its derivatives, erf's complement and inverse.

In float64; the gamma functions for arguments above zero, and NaN below it.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from .dtypes import Raw


def bernoulli(count: int) -> list[Fraction]:
    """B_2, B_4, .. by their recurrence."""
    numbers = [Fraction(1)]
    for n in range(1, 2 * count + 1):
        total = sum((math.comb(n + 1, k) * b for k, b in enumerate(numbers)), Fraction(0))
        numbers.append(-total / (n + 1))
    return numbers[2::2]


def log_gamma(x: Raw) -> Raw:
    """log Gamma(x)."""
    return np.asarray(np.vectorize(_log_gamma, otypes=[np.float64])(x))


def _log_gamma(x: float) -> float:
    if x > 0 and math.isfinite(x):
        try:
            return math.lgamma(x)
        except OverflowError:
            return math.inf
    return math.inf if x in (0, math.inf) else math.nan


def polygamma(x: Raw, order: int) -> Raw:
    """The derivative of digamma of that order: sums over x, x+1, .., and a series for the rest."""
    with np.errstate(all="ignore"):
        x = np.where(x < 0, np.nan, x).astype(np.float64)
        near = inverse_power(x, order + 1)  # of -0 too, which -0 + 0 is not
        near = near + sum(inverse_power(x + k, order + 1) for k in range(1, 16))
        far = _series(x + 16, order)
    sign = 1.0 if order % 2 else -1.0
    return np.asarray(sign * (math.factorial(order) * near + far))


def inverse_power(x: Raw, exponent: int) -> Raw:
    """x^-exponent, and the right infinity at a zero of either sign."""
    return np.asarray((1 / x) ** exponent)


def _series(y: Raw, order: int) -> Raw:
    """The asymptotic series of polygamma, without its sign; y large."""
    first = -np.log(y) if order == 0 else math.factorial(order - 1) * inverse_power(y, order)
    total = first + math.factorial(order) * inverse_power(y, order + 1) / 2
    for k, b in enumerate(bernoulli(9), start=1):
        factor = float(b * math.factorial(2 * k + order - 1) / math.factorial(2 * k))
        total = total + factor * inverse_power(y, 2 * k + order)
    return np.asarray(total)


def erfinv(x: Raw) -> Raw:
    """The inverse of the error function; infinite at -1 and 1, NaN beyond."""
    return np.asarray(np.vectorize(_erfinv, otypes=[np.float64])(x))


def _erfinv(x: float) -> float:
    """Halley's steps from Winitzki's approximation, by erf or, near 1, by what is left of it."""
    if not abs(x) < 1:
        return math.copysign(math.inf, x) if abs(x) == 1 else math.nan
    left, near = 1 - abs(x), abs(x) < 0.5
    log = math.log1p(-abs(x)) + math.log1p(abs(x))
    half = 2 / (math.pi * 0.147) + log / 2
    y = math.sqrt(max(math.sqrt(half * half - log / 0.147) - half, 0.0))
    for _ in range(4):
        error = math.erf(y) - abs(x) if near else left - math.erfc(y)
        step = error * math.sqrt(math.pi) / 2 * math.exp(y * y)
        y -= step / (1 + y * step)
    return math.copysign(y, x)


_FRACTIONS = 120  # of the continued fraction of erfc, from 2 on


def erfc(x: Raw) -> Raw:
    """1 - erf(x)."""
    return np.asarray(np.vectorize(math.erfc, otypes=[np.float64])(x))


def log_erfc(x: Raw) -> Raw:
    """log(erfc(x)), which does not underflow."""
    x = np.asarray(x, np.float64)
    near = np.log1p(-np.vectorize(math.erf, otypes=[np.float64])(np.minimum(x, 2)))
    far = np.log(_scaled_erfc(np.maximum(x, 2))) - np.square(x)
    return np.where(x > 2, far, near)


def erfcx(x: Raw) -> Raw:
    """exp(x^2) erfc(x)."""
    x = np.asarray(x, np.float64)
    near = np.exp(np.square(np.minimum(x, 2))) * erfc(x)
    return np.where(x > 2, _scaled_erfc(np.maximum(x, 2)), near)


def _scaled_erfc(x: Raw) -> Raw:
    """exp(x^2) erfc(x) of x from 2 on, by Laplace's continued fraction."""
    total = x
    for k in range(_FRACTIONS, 0, -1):
        total = x + k / 2 / total
    return np.asarray(1 / (math.sqrt(math.pi) * total))
