"""Arithmetic of intervals, for what operations declare of their results (``Op.range_of``).

An end at infinity stands for values that may overflow or be NaN: results of those are anything.
Sums and quotients of finite numbers count as finite; a product of more than two does not.
"""

from __future__ import annotations

import math

from ..expr import Expr, Interval, scalar_value

BIG = 3.4e38  # the largest number of float32; of other dtypes it serves as one
TYPICAL = 1e18  # how large inputs and quotients are taken to be: the square is finite
TINY = 1e-38
ANY: Interval = (-math.inf, math.inf)
ABOVE_ZERO: Interval = (0.0, math.inf)
ABOVE_MINUS_ONE: Interval = (-1.0, math.inf)
EXPONENTS: Interval = (-math.inf, 88.0)  # of what float32 holds


def exp(x: float) -> float:
    """The exponential, infinite where float32's is."""
    return math.exp(x) if x < EXPONENTS[1] else math.inf


def _is_finite(*parts: Interval) -> bool:
    return all(math.isfinite(end) for part in parts for end in part)


def wave(node: Expr, x: Interval) -> Interval:
    """Sines and cosines, which infinity has none of."""
    return (-1.0, 1.0) if _is_finite(x) else ANY


def total(x: Interval, y: Interval) -> Interval:
    """Sums, which stay finite."""
    if not _is_finite(x, y):
        return (x[0] + y[0] if x[0] + y[0] >= 0 else -math.inf), math.inf
    return max(x[0] + y[0], -BIG), min(x[1] + y[1], BIG)


def sum_of(node: Expr, x: Interval) -> Interval:
    """Sums over axes, of any number of elements, which stay finite."""
    if not _is_finite(x):
        return (0.0 if x[0] >= 0 else -math.inf), math.inf
    return min(x[0], 0.0), max(x[1], 0.0)


def product(node: Expr, x: Interval, y: Interval) -> Interval:
    """Products; a square is not negative."""
    square = node.args[0] is node.args[1]
    low, high = min(a * b for a in x for b in y), max(a * b for a in x for b in y)
    if not _is_finite(x, y):
        low, high = (0.0 if min(x[0], y[0]) >= 0 else -math.inf), math.inf
    return max(low, 0.0) if square else low, high


def quotient(node: Expr, x: Interval, y: Interval) -> Interval:
    """Quotients by what is bounded away from zero."""
    positive = y[0] > 0 and _is_finite(x, y)
    ends = [a / b for a in x for b in y] if positive else [-math.inf, math.inf]
    low, high = (max(min(ends), -TYPICAL), min(max(ends), TYPICAL)) if positive else ends
    return max(low, 0.0) if min(x[0], y[0]) >= 0 else low, high


def power(node: Expr, x: Interval, y: Interval) -> Interval:
    """Powers of what is not negative, and even powers."""
    exponent = scalar_value(node.args[1])
    even = exponent is not None and exponent % 2 == 0
    return (0.0 if even or x[0] >= 0 else -math.inf), math.inf
