"""Operators that are functions of F, where neither speed nor the last digit asks for more."""

from __future__ import annotations

from collections.abc import Callable

from ... import symbolic
from ...ir import ops
from ...ir.expr import Expr, const
from ...ir.types import canonical_axis
from ...symbolic.symbol import Symbol, as_expr
from ..node import Node
from ..translations import NotTranslatedError, translates

_FUNCTIONS = {
    "Acos": "arccos",
    "Acosh": "arccosh",
    "Asin": "arcsin",
    "Asinh": "arcsinh",
    "Atanh": "arctanh",
    "Tan": "tan",
}


def _declare(operator: str, name: str) -> None:
    function: Callable[[Symbol], Symbol] = getattr(symbolic, name)
    translates(operator)(lambda node: _of_one(node, function))


for _operator, _name in _FUNCTIONS.items():
    _declare(_operator, _name)


def _of_one(node: Node, function: Callable[[Symbol], Symbol]) -> Expr:
    return as_expr(function(Symbol(node[0])))


@translates("IsInf", since=10)
def _is_infinite(node: Node) -> Expr:
    x = node[0]
    signs = [float(f"{sign}inf") for sign, name in (("+", "positive"), ("-", "negative"))
             if node.attribute(f"detect_{name}", 1)]  # fmt: skip
    if len(signs) != 1:
        found = ops.cast(as_expr(symbolic.isinf(Symbol(x))), "bool")
        return found if signs else ops.logical_and(found, ops.full(False, "bool", x.shape))
    return ops.equal(x, const(signs[0], x.dtype))


@translates("Det", since=11)
def _determinant(node: Node) -> Expr:
    x = node[0]
    return ops.reshape(as_expr(symbolic.linalg_det(Symbol(x))), x.shape[:-2])


@translates("Einsum", since=12)
def _einsum(node: Node) -> Expr:
    equation = node.attribute("equation").replace(" ", "")
    operands = [Symbol(node[place]) for place in range(len(node.inputs))]
    made = as_expr(symbolic.einsum(equation, *operands))
    is_full_sum = equation.endswith("->") and made.shape == (1,)
    return ops.reshape(made, ()) if is_full_sum else made


@translates("CumSum", since=11)
def _cumsum(node: Node) -> Expr:
    x = node[0]
    axis = canonical_axis(int(node.number(1)), x.rank)
    backwards = (axis,) if node.attribute("reverse", 0) else ()
    x = ops.flip(x, backwards)
    total = ops.cumsum(x, axis)
    return ops.flip(total - x if node.attribute("exclusive", 0) else total, backwards)


@translates("ArgMax", "ArgMin")
def _arg(node: Node) -> Expr:
    if node.attribute("select_last_index", 0):
        raise NotTranslatedError("it takes the last of equal elements")
    x, largest = node[0], node.operator == "ArgMax"
    axis = canonical_axis(node.attribute("axis", 0), x.rank)
    place = ops.arg_extremum(x, axis, largest=largest)
    return place if node.attribute("keepdims", 1) else ops.squeeze(place, (axis,))


@translates("Hardmax", since=13)
def _hardmax(node: Node) -> Expr:
    """1 for the first of the largest elements along an axis, 0 for the others."""
    x = node[0]
    axis = canonical_axis(node.attribute("axis", -1), x.rank)
    places = ops.iota(x.shape[axis])
    places = ops.reshape(places, [x.shape[axis] if i == axis else 1 for i in range(x.rank)])
    return ops.cast(ops.equal(ops.arg_extremum(x, axis, largest=True), places), x.dtype)


@translates("Mean", since=8)
def _mean(node: Node) -> Expr:
    total = node[0]
    for place in range(1, len(node.inputs)):
        total = total + node[place]
    return total / const(len(node.inputs), total.dtype)


@translates("CastLike", since=15)
def _cast_like(node: Node) -> Expr:
    return ops.cast(node[0], node[1].dtype)
