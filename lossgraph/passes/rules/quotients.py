"""Quotients whose numerator and denominator vanish together: each has a limit, and its digits."""

from __future__ import annotations

from typing import Any

from ...ir.expr import Expr, const, scalar_value
from ..rewrite import Rule

_FUNCTIONS = ("expm1", "log1p", "sin", "sinh", "tanh", "atan", "erf")


def _of(name: str) -> list[Rule]:
    def f(o: Any, x: Any) -> Any:
        return getattr(o, name)(x)

    def quotient(o: Any, x: Any) -> Any:
        return getattr(o, f"{name}_quotient")(x)

    return [
        Rule(
            f"{name}(x)/x = {name}_quotient(x)",
            lambda o, x: f(o, x) / x,
            lambda o, x: quotient(o, x),
        ),
        Rule(
            f"x/{name}(x) = 1/{name}_quotient(x)",
            lambda o, x: x / f(o, x),
            lambda o, x: 1 / quotient(o, x),
        ),
        Rule(
            f"{name}(-x)/x = -{name}_quotient(-x)",
            lambda o, x: f(o, -x) / x,
            lambda o, x: -quotient(o, -x),
        ),
        Rule(
            f"-{name}(-x)/x = {name}_quotient(-x)",
            lambda o, x: -f(o, -x) / x,
            lambda o, x: quotient(o, -x),
        ),
        Rule(
            f"-{name}(x)/x = -{name}_quotient(x)",
            lambda o, x: -f(o, x) / x,
            lambda o, x: -quotient(o, x),
        ),
        Rule(
            f"{name}(x*a)/x = a*{name}_quotient(x*a), a a number",
            lambda o, x, a: f(o, x * a) / x,
            lambda o, x, a: quotient(o, x * a) * a,
            is_a_number,
            {"a": const(0.5)},
        ),
        Rule(
            f"{name}(x/a)/x = {name}_quotient(x/a)/a, a a number",
            lambda o, x, a: f(o, x / a) / x,
            lambda o, x, a: quotient(o, x / a) / a,
            is_a_number,
            {"a": const(2.0)},
        ),
        Rule(
            f"-{name}(x*a)/x = -a*{name}_quotient(x*a), a a number",
            lambda o, x, a: -f(o, x * a) / x,
            lambda o, x, a: -(quotient(o, x * a) * a),
            is_a_number,
            {"a": const(0.5)},
        ),
    ]


def is_a_number(a: Expr, **_: Any) -> bool:
    """Whether a factor is known, and not zero."""
    return scalar_value(a) is not None and scalar_value(a) != 0


QUOTIENTS = [rule for name in _FUNCTIONS for rule in _of(name)] + [
    # the versed sine by the half angle, as it is written before
    Rule(
        "2*sin(x/2)^2/x = sin(x/2)*sin_quotient(x/2)",
        lambda o, x: 2 * (o.sin(x * 0.5) * o.sin(x * 0.5)) / x,
        lambda o, x: o.sin(x * 0.5) * o.sin_quotient(x * 0.5),
    ),
    Rule(
        "sin(x/2)*sin_quotient(x/2)/x = sin_quotient(x/2)^2/2",
        lambda o, x: o.sin(x * 0.5) * o.sin_quotient(x * 0.5) / x,
        lambda o, x: o.sin_quotient(x * 0.5) * o.sin_quotient(x * 0.5) * 0.5,
    ),
    Rule(
        "2*sin(x/2)^2/(x*x) = sin_quotient(x/2)^2/2",
        lambda o, x: 2 * (o.sin(x * 0.5) * o.sin(x * 0.5)) / (x * x),
        lambda o, x: o.sin_quotient(x * 0.5) * o.sin_quotient(x * 0.5) * 0.5,
    ),
]
