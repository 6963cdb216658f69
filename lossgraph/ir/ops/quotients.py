"""Quotients ``f(x)/x`` of functions that vanish at 0: they are smooth, and 0/0 where they are 1.

The value needs no more than its limit at 0. The derivative is ``(f'(x) - f(x)/x) / x``, which
cancels where ``x`` is small: there it is that of the power series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np

from ..batching import pointwise
from ..expr import Array, Expr, Interval, Op, const, register
from ..kernel_forms import Formula
from ..types import numpy_dtype
from .elementwise import absolute, div, equal, expm1, less, log1p, where
from .hyperbolic import sinh
from .intervals import ANY
from .smooth import atan, erf, sin, tanh
from .type_rules import float_only

Series = Callable[[], Iterator[Any]]  # of fractions or numbers


def _factorials(sign: int, step: int) -> Series:
    """``sign^k / (step k + 1)!``."""
    return lambda: (Fraction(sign**k, math.factorial(step * k + 1)) for k in count())


def _harmonic(step: int) -> Series:
    """``(-1)^k / (step k + 1)``."""
    return lambda: (Fraction((-1) ** k, step * k + 1) for k in count())


def _erf_series() -> Iterator[float]:
    scale = 2 / math.sqrt(math.pi)
    return (scale * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in count())


def _tanh_series() -> Iterator[Fraction]:
    """``t' = 1 - t^2`` for the series ``t`` of odd powers."""
    found: list[Any] = [Fraction(1)]
    for k in count(1):
        yield found[-1]
        square = sum(found[i] * found[k - 1 - i] for i in range(k))
        found.append(-square / (2 * k + 1))


def _horner(coefficients: list[float], t: Expr) -> Expr:
    total = const(coefficients[-1], t.dtype)
    for coefficient in reversed(coefficients[:-1]):
        total = total * t + coefficient
    return total


def _slope_of_series(series: Series, step: int, radius: float, x: Expr) -> Expr:
    """The derivative of ``sum c_k x^(step k)``, with the digits of ``x`` up to a radius."""
    tolerance = float(np.finfo(numpy_dtype(x.dtype)).eps) / 8
    coefficients: list[float] = []
    for k, c in enumerate(series()):
        coefficients.append(float(c) * (step * k))
        if k and abs(coefficients[-1]) * (step * k) * radius ** (step * k) < tolerance:
            break
    if step == 1:
        return _horner(coefficients[1:], x)
    return x * _horner(coefficients[1:], x * x)


def _quotient(
    f: Op, series: Series, step: int, radius: float, domain: tuple[Interval, ...] = ()
) -> Op:
    """The declaration of ``f(x)/x``, whose power series in ``x^step`` begins with the limit."""
    limit = float(next(series()))

    def ref(x: Array) -> Array:
        with np.errstate(all="ignore"):
            value = f.ref(x) / x
        return np.where(x == 0, x.dtype.type(limit), value).astype(x.dtype)

    def vjp(ct: Expr, out: Expr, x: Expr) -> tuple[Expr]:
        assert f.vjp is not None
        (slope,) = f.vjp(const(1.0, x.dtype), f(x), x)
        assert slope is not None
        near = less(absolute(x), radius)
        return (ct * where(near, _slope_of_series(series, step, radius, x), (slope - out) / x),)

    return register(
        Op(
            f"{f.name}Quotient",
            float_only,
            ref,
            vjp,
            lambda b, node, x: b.lower(where(equal(node.args[0], 0.0), limit, _plain(f, node))),
            batching=pointwise,
            finite_on=domain or f.finite_on,
            kernel=Formula(lambda x: where(equal(x, 0.0), limit, div(f(x), x))),
        )
    )


def _plain(f: Op, node: Expr) -> Expr:
    return div(f(node.args[0]), node.args[0])


expm1_quotient = _quotient(expm1, _factorials(1, 1), 1, 0.5)
log1p_quotient = _quotient(log1p, _harmonic(1), 1, 0.125)
sin_quotient = _quotient(sin, _factorials(-1, 2), 2, 1.0, (ANY,))
sinh_quotient = _quotient(sinh, _factorials(1, 2), 2, 1.0)
tanh_quotient = _quotient(tanh, _tanh_series, 2, 0.5, (ANY,))
atan_quotient = _quotient(atan, _harmonic(2), 2, 0.25, (ANY,))
erf_quotient = _quotient(erf, _erf_series, 2, 0.5, (ANY,))
