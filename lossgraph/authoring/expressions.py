"""Expressions for users: symbols made by hand, and their derivatives, which nest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..compiler.program import Program, assemble
from ..compiler.trace import make_traced
from ..errors import GradientError, InputError
from ..ir.expr import Expr, const, inputs_of, is_input, substitute, variable
from ..ir.ops import cast, full
from ..ir.types import TensorType, tensor_type
from ..passes import autodiff
from ..passes.rewrite import rewrite
from ..passes.rules import STABILIZE
from ..symbolic.arguments import checked
from ..symbolic.symbol import Symbol

Symbols = Symbol | Sequence[Symbol]
Differentiate = Callable[[list[Expr], list[Expr]], list[Expr]]


@checked
def symbol(name: str, dtype: Any = "float32", shape: Sequence[Any] = ()) -> Symbol:
    """An input to write expressions with; a dim is an int or a name.

    >>> from lossgraph import symbolic as F
    >>> F.log(symbol("x", "float32", ("N", 3)))
    <Symbol float32[N,3]>
    """
    return Symbol(variable(name, tensor_type(dtype, shape)))


def grad(y: Symbols, x: Symbols) -> Any:
    """The gradient of the sum of ``y`` with respect to ``x``: a symbol for each ``x``.

    Raises:
        GradientError: where there is none.
    """
    ones = [full(1.0, out.dtype, out.shape) for out in _exprs(y)]
    return _pulled_back(y, ones, x)


def vjp(y: Symbols, ct: Any, wrt: Symbols) -> Any:
    """The cotangents of ``wrt`` for the cotangent ``ct`` of ``y``.

    The transposed Jacobian times ``ct``: symbols, arrays or numbers, one for each ``y``.
    """
    outputs = _exprs(y)
    cotangents = ct if isinstance(ct, (list, tuple)) else [ct]
    if len(cotangents) != len(outputs):
        raise InputError(f"{len(outputs)} outputs need as many cotangents, got {len(cotangents)}")
    given = [_operand(c, out) for c, out in zip(cotangents, outputs, strict=True)]
    return _pulled_back(y, given, wrt)


@checked
def jvp(y: Symbols, tangents: Mapping[Symbol, Any]) -> Any:
    """The tangents of ``y`` for tangents ``{x: v}``: the Jacobian times ``v``."""
    total: list[Expr] = []
    _exprs(list(tangents))
    for x, v in tangents.items():

        def push(outputs: list[Expr], wrt: list[Expr], v: Any = v) -> list[Expr]:
            return autodiff.jvp(outputs, {wrt[0]: _operand(v, wrt[0])})

        found = _apart(_exprs(y), x.expr, push)
        total = [a + b for a, b in zip(total, found, strict=True)] if total else found
    return _like(y, total or autodiff.jvp(_exprs(y), {}))


def program_of(
    outputs: Symbols, types: Mapping[str, TensorType] | None = None, name: str = "expression"
) -> Program:
    """A program of expressions.

    Its inputs are those of ``types``, or the symbols that the expressions are made of.
    """
    roots = _exprs(outputs)
    if types is None:
        inputs = inputs_of(roots)
    else:
        inputs = [variable(name, type_) for name, type_ in types.items()]
    traced = make_traced(inputs, roots, not isinstance(outputs, Symbol), {})
    return assemble(traced, name=name)


def _pulled_back(y: Symbols, cotangents: Sequence[Expr], wrt: Symbols) -> Any:
    def pull(outputs: list[Expr], nodes: list[Expr]) -> list[Expr]:
        return autodiff.vjp(outputs, cotangents, nodes)

    return _like(wrt, [_apart(_exprs(y), node, pull)[0] for node in _exprs(wrt)])


def _apart(outputs: list[Expr], node: Expr, differentiate: Differentiate) -> list[Expr]:
    """Stabilize and differentiate, with a node in the middle kept from being rewritten away."""
    if is_input(node):
        return differentiate(rewrite(outputs, STABILIZE), [node])
    taken = {i.attrs["name"] for i in inputs_of(outputs)}
    name = "_x"
    while name in taken:
        name += "_"
    probe = variable(name, node.type)
    found = differentiate(rewrite(substitute(outputs, {node: probe}), STABILIZE), [probe])
    return substitute(found, {probe: node})


def _exprs(symbols: Symbols) -> list[Expr]:
    several: list[Any] = list(symbols) if isinstance(symbols, (list, tuple)) else [symbols]
    numbers = [each for each in several if not isinstance(each, Symbol)]
    if numbers:
        raise GradientError(
            f"a derivative is that of symbols, got {type(numbers[0]).__name__}: numbers do not say "
            "how they were computed; call the loss, whose body gets symbols"
        )
    return [each.expr for each in several]


def _operand(value: Any, like: Expr) -> Expr:
    return cast(value.expr if isinstance(value, Symbol) else const(value), like.dtype)


def _like(symbols: Symbols, found: Sequence[Expr]) -> Any:
    wrapped = [Symbol(expr) for expr in found]
    return wrapped[0] if isinstance(symbols, Symbol) else wrapped
