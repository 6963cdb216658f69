"""Formulas for kernels of operations whose lowering is a formula: the same, in expressions."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ..expr import Expr, const
from ..kernel_forms import Formula
from .elementwise import (
    absolute,
    add,
    div,
    equal,
    exp,
    expm1,
    greater,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    maximum,
    minimum,
    mul,
    neg,
    sign,
    sub,
    where,
)
from .smooth import erf, sqrt, tanh

_OPERATORS: dict[str, Callable[..., Expr]] = {
    "Abs": absolute,
    "Add": add,
    "And": logical_and,
    "Clip": lambda x, low, high: minimum(maximum(x, low), high),
    "Div": div,
    "Equal": equal,
    "Erf": erf,
    "Exp": exp,
    "Expm1": expm1,
    "Greater": greater,
    "Less": less,
    "LessOrEqual": less_equal,
    "Log": log,
    "Log1p": log1p,
    "Max": maximum,
    "Min": minimum,
    "Mul": mul,
    "Neg": neg,
    "Reciprocal": lambda x: div(const(1, x.dtype), x),
    "Sign": sign,
    "Sqrt": sqrt,
    "Sub": sub,
    "Tanh": tanh,
    "Where": where,
}


class _Expressions:
    """What a lowering adds nodes to: it keeps an expression for each name."""

    def __init__(self) -> None:
        self.made: dict[str, Expr] = {}

    def name(self, made: Expr) -> str:
        name = f"e{len(self.made)}"
        self.made[name] = made
        return name

    def add(self, operator: str, *names: str) -> str:
        return self.name(_OPERATORS[operator](*(self.made[name] for name in names)))

    def const(self, value: Any, dtype: str) -> str:
        return self.name(const(value, dtype))

    def lower(self, expression: Expr) -> str:
        return self.name(expression)

    def is_faithful(self, operator: str, dtype: str) -> bool:
        return True


def formula_of(lower: Callable[..., str]) -> Formula:
    """The formula that a lowering ``(builder, node, *names)`` of elementwise operators is."""

    def of(*args: Expr, **attrs: Any) -> Expr:
        b = _Expressions()
        node = SimpleNamespace(args=args, attrs=attrs, dtype=args[0].dtype, type=args[0].type)
        return b.made[lower(b, node, *map(b.name, args))]

    return Formula(of)
