"""The rules that run before differentiation: naive forms become stable ones.

A rule may turn an overflow, NaN or inf into the limit, and does nothing else to values.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from ...ir import ops
from ...ir.expr import Expr, Op, const
from ...ir.types import tensor_type
from ..rewrite import Computed, Rule, RuleSet
from .canonical import CANONICAL, OUTWARD, fold_constants
from .conditions import (
    both_are_provably_positive,
    choice_is_provably_positive,
    either_is_provably_positive,
    is_float,
    nonnegative_weights,
    root_of_positive,
    x_is_provably_positive,
)
from .entropies import product_with_logarithm
from .examples import BOOL, EXP, INDEX, LOG_SOFTMAX
from .exponentials import Exponentials
from .quotients import QUOTIENTS


def _through_movement(function: str, move: str, left: Callable[..., Any], **example: Any) -> Rule:
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


def _movement_rules(function: str, inside: Expr = EXP) -> list[Rule]:
    return [
        _through_movement(
            function,
            "reshape",
            lambda o, x, *, shape: o.reshape(x, shape),
            shape=(20,), x=inside,
        ),
        _through_movement(
            function,
            "transpose",
            lambda o, x, *, perm: o.transpose(x, perm),
            perm=(1, 0), x=inside,
        ),
        _through_movement(
            function,
            "slice",
            lambda o, x, *, starts, steps, sizes: o.slice_(x, starts, steps, sizes),
            starts=(1, 0), steps=(1, 2), sizes=(2, 3), x=inside,
        ),
        _through_movement(
            function,
            "pick",
            lambda o, x, index, *, axis, unique_indices: o.pick(x, index, axis, unique_indices),
            axis=1, index=INDEX, unique_indices=True, x=inside,
        ),
        _through_movement(
            function,
            "take",
            lambda o, x, index, *, axis: o.take(x, index, axis),
            axis=1, index=INDEX, x=inside,
        ),
    ]  # fmt: skip


def _computed() -> Computed:
    """What follows from more than a shape, for one run of rewriting."""
    exponentials = Exponentials()
    return lambda node: exponentials(node) or product_with_logarithm(node)


STABILIZE = RuleSet(
    "stabilize",
    [
        *CANONICAL,
        *OUTWARD,
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
        Rule("a*(1/b) = a/b", lambda o, a, b: a * (1 / b), lambda o, a, b: a / b),
        Rule(
            "1-sigmoid(x) = sigmoid(-x)", lambda o, x: 1 - o.sigmoid(x), lambda o, x: o.sigmoid(-x)
        ),
        Rule(
            "log(sigmoid(x)) = -softplus(-x)",
            lambda o, x: o.log(o.sigmoid(x)),
            lambda o, x: -o.softplus(-x),
        ),
        Rule(
            "log(cosh(x)) = logaddexp(x, -x)-log(2)",
            lambda o, x: o.log(o.cosh(x)),
            lambda o, x: o.logaddexp(x, -x) - math.log(2),
        ),
        Rule(
            "log1p(-sigmoid(x)) = -softplus(x)",
            lambda o, x: o.log1p(-o.sigmoid(x)),
            lambda o, x: -o.softplus(x),
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
            "(relu(x) + b) + softplus(-|x|) = softplus(x) + b",
            lambda o, x, b: (o.relu(x) + b) + o.softplus(-o.absolute(x)),
            lambda o, x, b: o.softplus(x) + b,
        ),
        Rule(
            "(relu(-x) + b) + softplus(-|x|) = softplus(-x) + b",
            lambda o, x, b: (o.relu(-x) + b) + o.softplus(-o.absolute(x)),
            lambda o, x, b: o.softplus(-x) + b,
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
            is_float,
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
            lambda o, x, index, *, axis, unique_indices, axes: (
                o.pick(x, index, axis, unique_indices) - o.logsumexp(x, axes)
            ),
            lambda o, x, index, *, axis, unique_indices, axes: o.pick(
                o.log_softmax(x, axes), index, axis, unique_indices
            ),
            lambda x, index, axis, unique_indices, axes: axes == (axis,),
            {"index": INDEX, "axis": 1, "unique_indices": True, "axes": (1,)},
        ),
        Rule(
            "logsumexp(x) - pick(x) = -pick(log_softmax(x))",
            lambda o, x, index, *, axis, unique_indices, axes: (
                o.logsumexp(x, axes) - o.pick(x, index, axis, unique_indices)
            ),
            lambda o, x, index, *, axis, unique_indices, axes: (
                -o.pick(o.log_softmax(x, axes), index, axis, unique_indices)
            ),
            lambda x, index, axis, unique_indices, axes: axes == (axis,),
            {"index": INDEX, "axis": 1, "unique_indices": True, "axes": (1,)},
        ),
        Rule(
            "logsumexp(x) - x = -log_softmax(x)",
            lambda o, x, *, axes: o.logsumexp(x, axes) - x,
            lambda o, x, *, axes: -o.log_softmax(x, axes),
            example={"axes": (1,)},
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
            "log(x*y) = log(x) + log(y)",
            lambda o, x, y: o.log(x * y),
            lambda o, x, y: o.log(x) + o.log(y),
            either_is_provably_positive,
            {"x": EXP, "y": EXP},
        ),
        Rule(
            "log(x/y) = log(x) - log(y)",
            lambda o, x, y: o.log(x / y),
            lambda o, x, y: o.log(x) - o.log(y),
            either_is_provably_positive,
            {"x": EXP, "y": EXP},
        ),
        Rule(
            "log(x+y) = logaddexp(log(x), log(y))",
            lambda o, x, y: o.log(x + y),
            lambda o, x, y: o.logaddexp(o.log(x), o.log(y)),
            both_are_provably_positive,
            {"x": EXP, "y": EXP},
        ),
        Rule(
            "x - logaddexp(x, y) = -softplus(y - x)",
            lambda o, x, y: x - o.logaddexp(x, y),
            lambda o, x, y: -o.softplus(y - x),
        ),
        Rule(
            "logaddexp(x, y) - x = softplus(y - x)",
            lambda o, x, y: o.logaddexp(x, y) - x,
            lambda o, x, y: o.softplus(y - x),
        ),
        Rule(
            "log(1+x) = softplus(log(x))",
            lambda o, x: o.log(1 + x),
            lambda o, x: o.softplus(o.log(x)),
            x_is_provably_positive,
            {"x": EXP},
        ),
        Rule(
            "log1p(x) = softplus(log(x))",
            lambda o, x: o.log1p(x),
            lambda o, x: o.softplus(o.log(x)),
            x_is_provably_positive,
            {"x": EXP},
        ),
        Rule(
            "log(x^a) = a*log(x)",
            lambda o, x, a: o.log(o.power(x, a)),
            lambda o, x, a: a * o.log(x),
            x_is_provably_positive,
            {"x": EXP, "a": const(0.7)},
        ),
        Rule(
            "x^a = exp(a*log(x)), a a number",
            lambda o, x, a: o.power(x, a),
            lambda o, x, a: o.exp(a * o.log(x)),
            root_of_positive,
            {"x": EXP, "a": const(0.7)},
        ),
        Rule(
            "sqrt(x) = exp(log(x)/2)",
            lambda o, x: o.sqrt(x),
            lambda o, x: o.exp(o.log(x) * 0.5),
            x_is_provably_positive,
            {"x": EXP},
        ),
        Rule(
            "log(sum(y*softmax(x))) = logsumexp(log(y) + log_softmax(x))",
            lambda o, x, y, *, axes, along: o.log(o.reduce_sum(y * o.softmax(x, along), axes)),
            lambda o, x, y, *, axes, along: o.logsumexp(o.log(y) + o.log_softmax(x, along), axes),
            nonnegative_weights,
            {"axes": (1,), "along": (1,), "y": EXP},
        ),
        Rule("log(1+x) = log1p(x)", lambda o, x: o.log(1 + x), lambda o, x: o.log1p(x)),
        Rule("exp(x)-1 = expm1(x)", lambda o, x: o.exp(x) - 1, lambda o, x: o.expm1(x)),
        Rule("1-exp(x) = -expm1(x)", lambda o, x: 1 - o.exp(x), lambda o, x: -o.expm1(x)),
        Rule(
            "log(where(c, x, y)) = where(c, log(x), log(y))",
            lambda o, c, x, y: o.log(o.where(c, x, y)),
            lambda o, c, x, y: o.where(c, o.log(x), o.log(y)),
            choice_is_provably_positive,
            {"c": BOOL, "x": EXP, "y": EXP},
        ),
        # complements, whose formulas cancel
        Rule(
            "log(softplus(x)) = log_softplus(x)",
            lambda o, x: o.log(o.softplus(x)),
            lambda o, x: o.log_softplus(x),
        ),
        Rule("1-erf(x) = erfc(x)", lambda o, x: 1 - o.erf(x), lambda o, x: o.erfc(x)),
        Rule("1+erf(x) = erfc(-x)", lambda o, x: 1 + o.erf(x), lambda o, x: o.erfc(-x)),
        Rule("erf(x)-1 = -erfc(x)", lambda o, x: o.erf(x) - 1, lambda o, x: -o.erfc(x)),
        Rule(
            "log(erfc(x)) = log_erfc(x)", lambda o, x: o.log(o.erfc(x)), lambda o, x: o.log_erfc(x)
        ),
        Rule(
            "log1p(erf(x)) = log_erfc(-x)",
            lambda o, x: o.log1p(o.erf(x)),
            lambda o, x: o.log_erfc(-x),
        ),
        Rule(
            "log1p(-erf(x)) = log_erfc(x)",
            lambda o, x: o.log1p(-o.erf(x)),
            lambda o, x: o.log_erfc(x),
        ),
        Rule(
            "log1m_exp(log_softmax(x)) = -softplus(x - logsumexp_others(x))",
            lambda o, x, *, axes: o.log1m_exp(o.log_softmax(x, axes)),
            lambda o, x, *, axes: -o.softplus(x - o.logsumexp_others(x, axes[0])),
            lambda x, axes: len(axes) == 1,
            {"axes": (1,)},
        ),
        Rule(
            "1-softmax(x) = sigmoid(logsumexp_others(x) - x)",
            lambda o, x, *, axes: 1 - o.softmax(x, axes),
            lambda o, x, *, axes: o.sigmoid(o.logsumexp_others(x, axes[0]) - x),
            lambda x, axes: len(axes) == 1,
            {"axes": (1,)},
        ),
        Rule(
            "log(-expm1(x)) = log1m_exp(x)",
            lambda o, x: o.log(-o.expm1(x)),
            lambda o, x: o.log1m_exp(x),
        ),
        Rule(
            "log1m_exp(-exp(x)) = log_cloglog(x)",
            lambda o, x: o.log1m_exp(-o.exp(x)),
            lambda o, x: o.log_cloglog(x),
        ),
        Rule(
            "cos(x)-1 = -2*sin(x/2)^2",
            lambda o, x: o.cos(x) - 1,
            lambda o, x: -2 * (o.sin(x * 0.5) * o.sin(x * 0.5)),
        ),
        Rule(
            "cosh(x)-1 = 2*sinh(x/2)^2",
            lambda o, x: o.cosh(x) - 1,
            lambda o, x: 2 * (o.sinh(x * 0.5) * o.sinh(x * 0.5)),
        ),
        Rule(
            "sqrt(1+x)-1 = sqrt1p_minus1(x)",
            lambda o, x: o.sqrt(1 + x) - 1,
            lambda o, x: o.sqrt1p_minus1(x),
        ),
        Rule(
            "1-sqrt(1+x) = -sqrt1p_minus1(x)",
            lambda o, x: 1 - o.sqrt(1 + x),
            lambda o, x: -o.sqrt1p_minus1(x),
        ),
        # norms, whose root has a pole at 0 that the norm has not
        Rule(
            "sqrt(sum(x*x)) = norm(x)",
            lambda o, x, *, axes: o.sqrt(o.reduce_sum(x * x, axes)),
            lambda o, x, *, axes: o.norm(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "sqrt(sum(x*x)/a) = norm(x)/sqrt(a)",
            lambda o, x, a, *, axes: o.sqrt(o.reduce_sum(x * x, axes) / a),
            lambda o, x, a, *, axes: o.norm(x, axes) / o.sqrt(a),
            example={"axes": (1,), "a": tensor_type("float64", ())},
        ),
        Rule("sqrt(x*x) = |x|", lambda o, x: o.sqrt(x * x), lambda o, x: o.absolute(x)),
        *_movement_rules("log"),
        *_movement_rules("sqrt"),
        *_movement_rules("log1m_exp", LOG_SOFTMAX),
        *QUOTIENTS,
        # powers
        Rule("x^0.5 = sqrt(x)", lambda o, x: o.power(x, 0.5), lambda o, x: o.sqrt(x)),
        Rule("x^2 = x*x", lambda o, x: o.power(x, 2), lambda o, x: x * x),
        Rule("x^1 = x", lambda o, x: o.power(x, 1), lambda o, x: x),
        Rule("x^3 = x*x*x", lambda o, x: o.power(x, 3), lambda o, x: x * x * x),
        Rule("x^-1 = 1/x", lambda o, x: o.power(x, -1), lambda o, x: 1 / x),
    ],
    fold_constants,
    _computed,
)
