"""Operators that compute each element by itself."""

from __future__ import annotations

from collections.abc import Callable

from ...ir import ops
from ...ir.expr import Expr, const
from ...ir.types import FLOATS
from ..node import Node
from ..translations import NotTranslatedError, translates
from ..types import DTYPE_NAMES

_UNARY: dict[str, Callable[[Expr], Expr]] = {
    "Abs": ops.absolute,
    "Atan": ops.atan,
    "Ceil": ops.ceil,
    "Cos": ops.cos,
    "Cosh": ops.cosh,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "Identity": lambda x: x,
    "IsNaN": ops.isnan,
    "Log": ops.log,
    "Neg": ops.neg,
    "Not": ops.logical_not,
    "Relu": ops.relu,
    "Round": ops.rint,
    "Sigmoid": ops.sigmoid,
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Sinh": ops.sinh,
    "Softplus": ops.softplus,
    "Sqrt": ops.sqrt,
    "Tanh": ops.tanh,
}
_BINARY: dict[str, Callable[[Expr, Expr], Expr]] = {
    "Add": ops.add,
    "And": ops.logical_and,
    "Equal": ops.equal,
    "Greater": ops.greater,
    "GreaterOrEqual": ops.greater_equal,
    "Less": ops.less,
    "LessOrEqual": ops.less_equal,
    "Mul": ops.mul,
    "Or": ops.logical_or,
    "Sub": ops.sub,
    "Xor": ops.logical_xor,
}


def _declare_unary(operator: str, function: Callable[[Expr], Expr]) -> None:
    translates(operator)(lambda node: function(node[0]))


def _declare_binary(operator: str, function: Callable[[Expr, Expr], Expr]) -> None:
    translates(operator, since=7)(lambda node: function(node[0], node[1]))


for _operator, _function in _UNARY.items():
    _declare_unary(_operator, _function)
for _operator, _of_two in _BINARY.items():
    _declare_binary(_operator, _of_two)


@translates("Div", since=7)
def _div(node: Node) -> Expr:
    return ops.div(node[0], node[1])


@translates("Mod", since=10)
def _mod(node: Node) -> Expr:
    if node[0].type.is_float or node.attribute("fmod", 0):
        raise NotTranslatedError("it has the sign of the dividend")
    return ops.mod(node[0], node[1])


@translates("Max", since=8)
def _max(node: Node) -> Expr:
    return _folded(node, ops.maximum)


@translates("Min", since=8)
def _min(node: Node) -> Expr:
    return _folded(node, ops.minimum)


@translates("Sum", since=8)
def _sum(node: Node) -> Expr:
    return _folded(node, ops.add)


def _folded(node: Node, function: Callable[[Expr, Expr], Expr]) -> Expr:
    result = node[0]
    for place in range(1, len(node.inputs)):
        result = function(result, node[place])
    return result


@translates("Where", since=9)
def _where(node: Node) -> Expr:
    return ops.where(node[0], node[1], node[2])


@translates("Cast", since=6)
def _cast(node: Node) -> Expr:
    code = node.attribute("to")
    if code not in DTYPE_NAMES:
        raise NotTranslatedError("it makes what is no tensor of numbers")
    return ops.cast(node[0], DTYPE_NAMES[code])


@translates("Reciprocal", since=6)
def _reciprocal(node: Node) -> Expr:
    return ops.div(const(1.0, node[0].dtype), node[0])


@translates("Pow", since=7)
def _pow(node: Node) -> Expr:
    base, exponent = node[0], node[1]
    if base.dtype not in FLOATS:
        raise NotTranslatedError("it is a power of integers")
    return ops.power(base, ops.cast(exponent, base.dtype))
