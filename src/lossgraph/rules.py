"""The tables of rules: what is canonical, what stabilizes, what simplifies.

A rule that is false at a special value (x*0 = 0, x/x = 1) is not admitted. A rule of
``STABILIZE`` may turn an overflow, NaN or inf into the limit, and does nothing else to values.
Order is priority. Every law is tested by evaluating both sides.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from . import ops
from .dims import Dim, product
from .evaluate import evaluate
from .expr import Expr, Op, const, is_const, scalar_value
from .rewrite import Rule, RuleSet
from .types import tensor_type

_BOOL = tensor_type("bool", (4, 5))
_ROW = tensor_type("float64", (1, 5))
_INDEX = tensor_type("int64", (4, 1))
_WIDE: dict[str, Any] = {"shape": (4, 5), "a": _ROW}

_UNARY = (
    "absolute", "ceil", "erf", "exp", "expm1", "floor", "log", "log1p", "neg", "relu", "rint",
    "sigmoid", "sign", "softplus", "softplus_tail", "sqrt", "step", "tanh",
)  # fmt: skip
_BINARY = (
    "add", "div", "equal", "greater", "greater_equal", "less", "less_equal", "masked_mul",
    "maximum", "minimum", "mod", "mul", "power", "sub",
)  # fmt: skip


def _unary_of_broadcast(name: str) -> Rule:
    return Rule(
        f"{name}(broadcast(a)) = broadcast({name}(a))",
        lambda o, a, *, shape: getattr(o, name)(o.broadcast_to(a, shape)),
        lambda o, a, *, shape: o.broadcast_to(getattr(o, name)(a), shape),
        example=_WIDE,
    )


def _implied_broadcast(name: str) -> list[Rule]:
    return [
        Rule(
            f"{name}(broadcast(a), b) = {name}(a, b)",
            lambda o, a, b, *, shape: getattr(o, name)(o.broadcast_to(a, shape), b),
            lambda o, a, b, *, shape: getattr(o, name)(a, b),
            example=_WIDE,
        ),
        Rule(
            f"{name}(b, broadcast(a)) = {name}(b, a)",
            lambda o, a, b, *, shape: getattr(o, name)(b, o.broadcast_to(a, shape)),
            lambda o, a, b, *, shape: getattr(o, name)(b, a),
            example=_WIDE,
        ),
    ]


def fold_constants(node: Expr) -> Expr | None:
    """A small operation on literals, computed now."""
    if not node.args or not all(is_const(arg) for arg in node.args):
        return None
    sizes = [node.shape, *(arg.shape for arg in node.args)]
    if node.op.name == "BroadcastTo" or any(_is_large(shape) for shape in sizes):
        return None
    return const(evaluate([node], {})[0], node.dtype)


def _is_large(shape: tuple[Dim, ...]) -> bool:
    count = product(shape)
    return not isinstance(count, int) or count > 64


CANONICAL = [
    Rule("-(-x) = x", lambda o, x: -(-x), lambda o, x: x),
    Rule(
        "reshape(reshape(x)) = reshape(x)",
        lambda o, x, *, shape, inner: o.reshape(o.reshape(x, inner), shape),
        lambda o, x, *, shape, inner: o.reshape(x, shape),
        example={"shape": (2, 10), "inner": (20,)},
    ),
    Rule(
        "broadcast(broadcast(x)) = broadcast(x)",
        lambda o, a, *, shape, inner: o.broadcast_to(o.broadcast_to(a, inner), shape),
        lambda o, a, *, shape, inner: o.broadcast_to(a, shape),
        example={"shape": (3, 4, 5), "inner": (4, 5), "a": _ROW},
    ),
    Rule(
        "reshape(broadcast(number)) = broadcast(number)",
        lambda o, a, *, shape, inner: o.reshape(o.broadcast_to(a, inner), shape),
        lambda o, a, *, shape, inner: o.broadcast_to(o.reshape(a, ()), shape),
        lambda a, shape, inner: all(dim == 1 for dim in a.shape),
        {"shape": (20,), "inner": (4, 5), "a": tensor_type("float64", (1,))},
    ),
    Rule(
        "cast(broadcast(a)) = broadcast(cast(a))",
        lambda o, a, *, shape, to: o.cast(o.broadcast_to(a, shape), to),
        lambda o, a, *, shape, to: o.broadcast_to(o.cast(a, to), shape),
        example={**_WIDE, "to": "float32"},
    ),
    Rule(
        "transpose(transpose(x)) = transpose(x)",
        lambda o, x, *, perm, inner: o.transpose(o.transpose(x, inner), perm),
        lambda o, x, *, perm, inner: o.transpose(x, [inner[axis] for axis in perm]),
        example={"perm": (1, 0), "inner": (1, 0)},
    ),
    Rule(
        "where(broadcast(a), x, y) = where(a, x, y)",
        lambda o, a, x, y, *, shape: o.where(o.broadcast_to(a, shape), x, y),
        lambda o, a, x, y, *, shape: o.where(a, x, y),
        example={"shape": (4, 5), "a": tensor_type("bool", (1, 5))},
    ),
    Rule(
        "where(c, broadcast(a), y) = where(c, a, y)",
        lambda o, c, a, y, *, shape: o.where(c, o.broadcast_to(a, shape), y),
        lambda o, c, a, y, *, shape: o.where(c, a, y),
        example={**_WIDE, "c": _BOOL},
    ),
    Rule(
        "where(c, x, broadcast(a)) = where(c, x, a)",
        lambda o, c, x, a, *, shape: o.where(c, x, o.broadcast_to(a, shape)),
        lambda o, c, x, a, *, shape: o.where(c, x, a),
        example={**_WIDE, "c": _BOOL},
    ),
    *(rule for name in _BINARY for rule in _implied_broadcast(name)),
    *(_unary_of_broadcast(name) for name in _UNARY),
]


def _moved(function: str, move: str, left: Callable[..., Any], **example: Any) -> Rule:
    """``f(move(x)) = move(f(x))`` where that brings f next to something it has a rule with."""

    def lhs(o: Any, *args: Any, **attrs: Any) -> Any:
        return getattr(o, function)(left(o, *args, **attrs))

    def rhs(o: Any, x: Expr, *args: Any, **attrs: Any) -> Any:
        return left(o, getattr(o, function)(x), *args, **attrs)

    def has_a_rule_inside(x: Expr, **_: Any) -> bool:
        apply_function: Op = getattr(ops, function)
        return STABILIZE.apply(apply_function(x)) is not None

    lhs.__signature__ = rhs.__signature__ = _signature(left)  # type: ignore[attr-defined]
    law = f"{function}({move}(x)) = {move}({function}(x))"
    return Rule(law, lhs, rhs, has_a_rule_inside, example)


def _signature(function: Callable[..., Any]) -> Any:
    return inspect.signature(function)


def _moves(function: str) -> list[Rule]:
    return [
        _moved(
            function,
            "reshape",
            lambda o, x, *, shape: o.reshape(x, shape),
            shape=(20,),
        ),
        _moved(
            function,
            "transpose",
            lambda o, x, *, perm: o.transpose(x, perm),
            perm=(1, 0),
        ),
        _moved(
            function,
            "slice",
            lambda o, x, *, starts, steps, sizes: o.slice_(x, starts, steps, sizes),
            starts=(1, 0), steps=(1, 2), sizes=(2, 3),
        ),
        _moved(
            function,
            "pick",
            lambda o, x, index, *, axis: o.pick(x, index, axis),
            axis=1, index=_INDEX,
        ),
        _moved(
            function,
            "take",
            lambda o, x, index, *, axis: o.take(x, index, axis),
            axis=1, index=_INDEX,
        ),
    ]  # fmt: skip


def _is_float(x: Expr) -> bool:
    return x.type.is_float


def _each_has_a_rule(x: Expr, y: Expr, **_: Any) -> bool:
    """A bare logarithm must not come out of a choice that guards it: log(where(x > 0, x, 1))."""
    free = [branch for branch in (x, y) if scalar_value(branch) is None]
    return bool(free) and all(STABILIZE.apply(ops.log(branch)) is not None for branch in free)


STABILIZE = RuleSet(
    "stabilize",
    [
        *CANONICAL,
        # the logistic function, however it is written
        Rule(
            "1/(1+exp(x)) = sigmoid(-x)",
            lambda o, x: 1 / (1 + o.exp(x)),
            lambda o, x: o.sigmoid(-x),
        ),
        Rule(
            "exp(x)/(1+exp(x)) = sigmoid(x)",
            lambda o, x: o.exp(x) / (1 + o.exp(x)),
            lambda o, x: o.sigmoid(x),
        ),
        Rule(
            "1-sigmoid(x) = sigmoid(-x)", lambda o, x: 1 - o.sigmoid(x), lambda o, x: o.sigmoid(-x)
        ),
        Rule(
            "log(sigmoid(x)) = -softplus(-x)",
            lambda o, x: o.log(o.sigmoid(x)),
            lambda o, x: -o.softplus(-x),
        ),
        Rule(
            "log(1+exp(x)) = softplus(x)",
            lambda o, x: o.log(1 + o.exp(x)),
            lambda o, x: o.softplus(x),
        ),
        Rule(
            "log1p(exp(x)) = softplus(x)",
            lambda o, x: o.log1p(o.exp(x)),
            lambda o, x: o.softplus(x),
        ),
        # relu and |x| have kinks at 0 that their sum has not: joined, the gradient is right there
        Rule(
            "relu(x) + softplus(-|x|) = softplus(x)",
            lambda o, x: o.relu(x) + o.softplus(-o.absolute(x)),
            lambda o, x: o.softplus(x),
        ),
        Rule(
            "(relu(x) - b) + softplus(-|x|) = softplus(x) - b",
            lambda o, x, b: (o.relu(x) - b) + o.softplus(-o.absolute(x)),
            lambda o, x, b: o.softplus(x) - b,
        ),
        Rule(
            "relu(-x) + softplus(-|x|) = softplus(-x)",
            lambda o, x: o.relu(-x) + o.softplus(-o.absolute(x)),
            lambda o, x: o.softplus(-x),
        ),
        Rule(
            "maximum(x, 0) = relu(x)",
            lambda o, x: o.maximum(x, 0),
            lambda o, x: o.relu(x),
            _is_float,
        ),
        # softmax and its logarithm
        Rule(
            "exp(x)/sum(exp(x)) = softmax(x)",
            lambda o, x, *, axes: o.exp(x) / o.reduce_sum(o.exp(x), axes),
            lambda o, x, *, axes: o.softmax(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "softmax(x - max(x)) = softmax(x)",
            lambda o, x, *, axes: o.softmax(x - o.reduce_max(x, axes), axes),
            lambda o, x, *, axes: o.softmax(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "log(softmax(x)) = log_softmax(x)",
            lambda o, x, *, axes: o.log(o.softmax(x, axes)),
            lambda o, x, *, axes: o.log_softmax(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "log(sum(exp(x))) = logsumexp(x)",
            lambda o, x, *, axes: o.log(o.reduce_sum(o.exp(x), axes)),
            lambda o, x, *, axes: o.logsumexp(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "log(sum(exp(x))/a) = logsumexp(x) - log(a)",
            lambda o, x, a, *, axes: o.log(o.reduce_sum(o.exp(x), axes) / a),
            lambda o, x, a, *, axes: o.logsumexp(x, axes) - o.log(a),
            example={"axes": (1,), "a": tensor_type("float64", ())},
        ),
        Rule(
            "logsumexp(x - max(x)) + max(x) = logsumexp(x)",
            lambda o, x, *, axes: (
                o.logsumexp(x - o.reduce_max(x, axes), axes) + o.reduce_max(x, axes)
            ),
            lambda o, x, *, axes: o.logsumexp(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "x - logsumexp(x) = log_softmax(x)",
            lambda o, x, *, axes: x - o.logsumexp(x, axes),
            lambda o, x, *, axes: o.log_softmax(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "pick(x) - logsumexp(x) = pick(log_softmax(x))",
            lambda o, x, index, *, axis, axes: o.pick(x, index, axis) - o.logsumexp(x, axes),
            lambda o, x, index, *, axis, axes: o.pick(o.log_softmax(x, axes), index, axis),
            lambda x, index, axis, axes: axes == (axis,),
            {"index": _INDEX, "axis": 1, "axes": (1,)},
        ),
        Rule(
            "reshape(x) - reshape(y) = reshape(x - y)",
            lambda o, x, y, *, shape: o.reshape(x, shape) - o.reshape(y, shape),
            lambda o, x, y, *, shape: o.reshape(x - y, shape),
            lambda x, y, shape: x.shape == y.shape,
            {"shape": (20,)},
        ),
        # logarithms of exponentials, and of what is near one
        Rule("log(exp(x)) = x", lambda o, x: o.log(o.exp(x)), lambda o, x: x),
        Rule(
            "log(exp(x)/y) = x - log(y)",
            lambda o, x, y: o.log(o.exp(x) / y),
            lambda o, x, y: x - o.log(y),
        ),
        Rule("log(1+x) = log1p(x)", lambda o, x: o.log(1 + x), lambda o, x: o.log1p(x)),
        Rule("exp(x)-1 = expm1(x)", lambda o, x: o.exp(x) - 1, lambda o, x: o.expm1(x)),
        Rule("1-exp(x) = -expm1(x)", lambda o, x: 1 - o.exp(x), lambda o, x: -o.expm1(x)),
        Rule(
            "log(where(c, x, y)) = where(c, log(x), log(y))",
            lambda o, c, x, y: o.log(o.where(c, x, y)),
            lambda o, c, x, y: o.where(c, o.log(x), o.log(y)),
            _each_has_a_rule,
            {"c": _BOOL},
        ),
        # norms, whose root has a pole at 0 that the norm has not
        Rule(
            "sqrt(sum(x*x)) = norm(x)",
            lambda o, x, *, axes: o.sqrt(o.reduce_sum(x * x, axes)),
            lambda o, x, *, axes: o.norm(x, axes),
            example={"axes": (1,)},
        ),
        Rule("sqrt(x*x) = |x|", lambda o, x: o.sqrt(x * x), lambda o, x: o.absolute(x)),
        *_moves("log"),
        *_moves("sqrt"),
        # powers
        Rule("x^2 = x*x", lambda o, x: o.power(x, 2), lambda o, x: x * x),
        Rule("x^1 = x", lambda o, x: o.power(x, 1), lambda o, x: x),
        Rule("x^3 = x*x*x", lambda o, x: o.power(x, 3), lambda o, x: x * x * x),
        Rule("x^-1 = 1/x", lambda o, x: o.power(x, -1), lambda o, x: 1 / x),
    ],
    fold_constants,
)


def _both_numbers(a: Expr, b: Expr, **_: Any) -> bool:
    """Two factors whose product is an ordinary number."""
    left, right = scalar_value(a), scalar_value(b)
    if left is None or right is None:
        return False
    with np.errstate(all="ignore"):
        folded = left * right
    return bool(np.isfinite(folded) and abs(folded) >= np.finfo(folded.dtype).tiny)


def _one_index(index: Expr, axis: int, **_: Any) -> bool:
    return index.shape[axis] == 1


def _spread_along(a: Expr, shape: Any, axes: tuple[int, ...]) -> bool:
    """Whether the axes summed over are all made by the broadcast."""
    return a.rank == len(shape) and all(a.shape[axis] == 1 for axis in axes)


SIMPLIFY = RuleSet(
    "simplify",
    [
        *CANONICAL,
        Rule("x*1 = x", lambda o, x: x * 1, lambda o, x: x),
        Rule("x/1 = x", lambda o, x: x / 1, lambda o, x: x),
        Rule("x+0 = x", lambda o, x: x + 0, lambda o, x: x),
        Rule("x-0 = x", lambda o, x: x - 0, lambda o, x: x),
        Rule("0-x = -x", lambda o, x: 0 - x, lambda o, x: -x),
        Rule("x*(-1) = -x", lambda o, x: x * -1, lambda o, x: -x),
        Rule("(-x)*y = -(x*y)", lambda o, x, y: -x * y, lambda o, x, y: -(x * y)),
        Rule("(-x)/y = -(x/y)", lambda o, x, y: -x / y, lambda o, x, y: -(x / y)),
        Rule(
            "sum(-x) = -sum(x)",
            lambda o, x, *, axes: o.reduce_sum(-x, axes),
            lambda o, x, *, axes: -o.reduce_sum(x, axes),
            example={"axes": (1,)},
        ),
        Rule("x+(-y) = x-y", lambda o, x, y: x + -y, lambda o, x, y: x - y),
        Rule("x-(-y) = x+y", lambda o, x, y: x - -y, lambda o, x, y: x + y),
        Rule("x+x = 2x", lambda o, x: x + x, lambda o, x: x * 2),
        Rule("-(x-y) = y-x", lambda o, x, y: -(x - y), lambda o, x, y: y - x),
        Rule("|-x| = |x|", lambda o, x: o.absolute(-x), lambda o, x: o.absolute(x)),
        Rule(
            "where(c, x, x) = x",
            lambda o, c, x: o.where(c, x, x),
            lambda o, c, x: x,
            example={"c": _BOOL},
        ),
        Rule(
            "where(not c, x, y) = where(c, y, x)",
            lambda o, c, x, y: o.where(o.logical_not(c), x, y),
            lambda o, c, x, y: o.where(c, y, x),
            example={"c": _BOOL},
        ),
        Rule(
            "(x*a)*b = x*(a*b), a and b numbers",
            lambda o, x, a, b: (x * a) * b,
            lambda o, x, a, b: x * const(scalar_value(a) * scalar_value(b), a.dtype),
            _both_numbers,
            {"a": const(2.0), "b": const(-0.25)},
        ),
        Rule(
            "-(x*a) = x*(-a), a a number",
            lambda o, x, a: -(x * a),
            lambda o, x, a: x * const(-scalar_value(a), a.dtype),
            lambda x, a: scalar_value(a) is not None,
            {"a": const(2.0)},
        ),
        Rule(
            "sum(broadcast(a)) = a*n",
            lambda o, a, *, shape, axes: o.reduce_sum(o.broadcast_to(a, shape), axes),
            lambda o, a, *, shape, axes: o.broadcast_to(
                a * o.cast(o.size_of(product(shape[axis] for axis in axes)), a.dtype),
                [1 if axis in axes else dim for axis, dim in enumerate(shape)],
            ),
            lambda a, shape, axes: _spread_along(a, shape, axes) and a.type.is_float,
            {"shape": (4, 5), "axes": (0,), "a": _ROW},
        ),
        Rule(
            "sum(x) = x over axes of length one",
            lambda o, x, *, axes: o.reduce_sum(x, axes),
            lambda o, x, *, axes: x,
            lambda x, axes: all(x.shape[axis] == 1 for axis in axes),
            {"x": _ROW, "axes": (0,)},
        ),
        # the cotangent of a pick has one element a row, and that is its sum
        Rule(
            "sum(unpick(x)) = x",
            lambda o, x, index, *, axis, size, axes: o.reduce_sum(
                o.unpick(x, index, axis, size), axes
            ),
            lambda o, x, index, *, axis, size, axes: x,
            lambda x, index, axis, size, axes: axes == (axis,) and _one_index(index, axis),
            {
                "x": tensor_type("float64", (4, 1)),
                "index": _INDEX,
                "axis": 1,
                "size": 5,
                "axes": (1,),
            },
        ),
        # softplus as relu and a tail, which softplus(-x) shares, and which is added last
        Rule(
            "softplus(-x) = relu(-x) + tail(x)",
            lambda o, x: o.softplus(-x),
            lambda o, x: o.relu(-x) + o.softplus_tail(x),
        ),
        Rule(
            "softplus(x) = relu(x) + tail(x)",
            lambda o, x: o.softplus(x),
            lambda o, x: o.relu(x) + o.softplus_tail(x),
        ),
        Rule(
            "tail(-x) = tail(x)",
            lambda o, x: o.softplus_tail(-x),
            lambda o, x: o.softplus_tail(x),
        ),
        Rule(
            "tail(|x|) = tail(x)",
            lambda o, x: o.softplus_tail(o.absolute(x)),
            lambda o, x: o.softplus_tail(x),
        ),
        Rule(
            "(relu(x) + tail(x)) - b = (relu(x) - b) + tail(x)",
            lambda o, x, b: (o.relu(x) + o.softplus_tail(x)) - b,
            lambda o, x, b: (o.relu(x) - b) + o.softplus_tail(x),
        ),
    ],
    fold_constants,
)
