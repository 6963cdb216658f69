"""Element-wise functions of ``F``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import ops
from ..ir.dims import Dim, Size
from ..ir.expr import Expr
from ..ir.types import broadcast_shapes, numpy_dtype
from .register import function
from .symbol import Axes, DtypeLike, Operand, Symbol, as_expr, binary, compare, promote, truth, wrap


def _floating(x: Operand) -> Expr:
    """The operand, in float32 if it is of integers."""
    (expr,), weak = promote(x, floating=True)
    return ops.cast(expr, "float32") if weak else expr


def _unary(name: str, body: Callable[[Expr], Expr], *aliases: str, numbers: bool = False) -> Any:
    def call(data: Operand) -> Symbol:
        return wrap(body(as_expr(data) if numbers else _floating(data)))

    call.__name__ = name
    call.__doc__ = f"``{name}`` of every element."
    return function(True, *aliases)(call)


def _rounding(name: str, body: Callable[[Expr], Expr], *aliases: str) -> Any:
    """A rounding, which leaves integers as they are."""
    return _unary(name, lambda x: body(x) if x.type.is_float else x, *aliases, numbers=True)


abs_ = _unary("abs", ops.absolute, numbers=True)
sign = _unary("sign", ops.sign, numbers=True)
negative = _unary("negative", ops.neg, numbers=True)
square = _unary("square", lambda x: x * x, numbers=True)
sqrt = _unary("sqrt", ops.sqrt)
rsqrt = _unary("rsqrt", lambda x: 1 / ops.sqrt(x))
cbrt = _unary("cbrt", lambda x: ops.sign(x) * ops.power(ops.absolute(x), 1 / 3))
rcbrt = _unary("rcbrt", lambda x: ops.sign(x) * ops.power(ops.absolute(x), -1 / 3))
reciprocal = _unary("reciprocal", lambda x: 1 / x)
exp = _unary("exp", ops.exp)
expm1 = _unary("expm1", ops.expm1)
log = _unary("log", ops.log)
log1p = _unary("log1p", ops.log1p)
log2 = _unary("log2", lambda x: ops.log(x) * (1 / math.log(2)))
log10 = _unary("log10", lambda x: ops.log(x) * (1 / math.log(10)))
relu = _unary("relu", lambda x: ops.relu(x) if x.type.is_float else ops.maximum(x, 0), numbers=True)
sigmoid = _unary("sigmoid", ops.sigmoid)
softrelu = _unary("softrelu", ops.softplus)
softsign = _unary("softsign", lambda x: _softsign(x))
tanh = _unary("tanh", ops.tanh)
erf = _unary("erf", ops.erf)
erfinv = _unary("erfinv", ops.erfinv)
gammaln = _unary("gammaln", ops.gammaln)
digamma = _unary("digamma", lambda x: ops.polygamma(x, 0))
sin = _unary("sin", ops.sin)
cos = _unary("cos", ops.cos)
tan = _unary("tan", lambda x: ops.sin(x) / ops.cos(x))
arctan = _unary("arctan", ops.atan)
arcsin = _unary("arcsin", lambda x: ops.atan(x / ops.sqrt((1 - x) * (1 + x))))
arccos = _unary("arccos", lambda x: 2 * ops.atan(ops.sqrt((1 - x) / (1 + x))))
sinh = _unary("sinh", ops.sinh)
cosh = _unary("cosh", ops.cosh)
arcsinh = _unary("arcsinh", ops.asinh)
arccosh = _unary("arccosh", lambda x: _arccosh(x - 1))
arctanh = _unary("arctanh", lambda x: ops.log1p(2 * x / (1 - x)) * 0.5)
degrees = _unary("degrees", lambda x: x * (180 / math.pi))
radians = _unary("radians", lambda x: x * (math.pi / 180))
floor = _rounding("floor", ops.floor)
ceil = _rounding("ceil", ops.ceil)
fix = _rounding("fix", lambda x: ops.sign(x) * ops.floor(ops.absolute(x)), "trunc")
round_ = _rounding("round", lambda x: ops.sign(x) * _rounded(ops.absolute(x), ops.greater_equal))
# The sign twice, as what is rounded to zero keeps it.
rint = _rounding("rint", lambda x: ops.sign(x) * ops.absolute(_rounded(x, ops.greater)))
isnan = _unary("isnan", lambda x: ops.cast(ops.isnan(x), x.dtype))
isinf = _unary("isinf", lambda x: ops.cast(ops.equal(ops.absolute(x), math.inf), x.dtype))
isfinite = _unary("isfinite", lambda x: ops.cast(ops.less(ops.absolute(x), math.inf), x.dtype))
stop_gradient = _unary("stop_gradient", ops.stop_gradient, "BlockGrad", "detach", numbers=True)
identity = _unary("identity", lambda x: x, "make_loss", "MakeLoss", "copy", "_copy", numbers=True)


@function()
def with_gradient(
    data: Operand, wrt: Sequence[Operand], gradients: Sequence[Operand], beside: Any = None
) -> Symbol:
    """``data``, whose derivatives by the arrays ``wrt`` are ``gradients``. Lossgraph's own.

    Args:
        data: a value that broadcasts to each of ``wrt``.
        wrt: what it depends on; its derivative by all else is zero.
        gradients: one array for each of ``wrt``, of its shape. They have derivatives themselves.
        beside: the value again as it comes with the gradients, which is computed where they are.
    """
    again = None if beside is None else as_expr(beside)
    inputs, derivatives = ([as_expr(x) for x in part] for part in (wrt, gradients))
    return wrap(ops.custom_vjp(as_expr(data), inputs, derivatives, again))


def _softsign(x: Expr) -> Expr:
    """x/(1+|x|), of which infinities are kept, whose quotient is none."""
    big = float(np.finfo(numpy_dtype(x.dtype)).max)
    x = ops.clip(x, -big, big)
    return x / (1 + ops.absolute(x))


def _rounded(x: Expr, up: Callable[[Expr, float], Expr]) -> Expr:
    """The floor, plus one where what is left is beyond a half: ``up`` says whether at it."""
    below = ops.floor(x)
    return below + ops.cast(up(x - below, 0.5), x.dtype)


def _arccosh(above: Expr) -> Expr:
    """arccosh of 1 + t, by log1p of t + sqrt(t) sqrt(t + 2), whose square may overflow."""
    return ops.log1p(above + ops.sqrt(above) * ops.sqrt(above + 2))


@function(True)
def hard_sigmoid(data: Operand, alpha: float = 0.2, beta: float = 0.5) -> Symbol:
    """``clip(alpha*x + beta, 0, 1)``."""
    return wrap(ops.clip(_floating(data) * float(alpha) + float(beta), 0.0, 1.0))


@function(True)
def clip(data: Operand, a_min: float | None = None, a_max: float | None = None) -> Symbol:
    """``data`` limited to [a_min, a_max], one of which may be None; the gradient passes there."""
    bounds = [bound for bound in (a_min, a_max) if bound is not None]
    if not bounds:
        raise InputError("clip: give a_min, a_max or both")
    (x, *_), _ = promote(wrap(as_expr(data)), *bounds)  # integers by fractions are floats
    if x.type.is_float:
        low, high = (-math.inf if a_min is None else a_min), (math.inf if a_max is None else a_max)
        return wrap(ops.clip(x, low, high))
    for bound, limit in ((a_min, ops.maximum), (a_max, ops.minimum)):
        x = x if bound is None else limit(x, bound)
    return wrap(x)


@function(True)
def smooth_l1(data: Operand, scalar: float = 1.0) -> Symbol:
    """``(s*x)^2/2`` where ``|x| < 1/s^2``, else ``|x| - 1/(2 s^2)``."""
    x = _floating(data)
    size, edge = ops.absolute(x), 1.0 / (scalar * scalar)
    near = ops.clip(size, 0.0, edge)  # no branch is there to overflow
    return wrap(near * (near * (0.5 / edge)) + ops.relu(size - edge))


@function(True)
def where(condition: Operand, x: Operand, y: Operand) -> Symbol:
    """``x`` where the condition is not zero, else ``y``, all three broadcast together.

    A condition of rank 1 as long as the first axis of what it chooses from chooses rows. Where
    that is the last axis too, and an array of lower rank lies along it, it could mean either and
    is refused.
    """
    (a, b), weak = promote(x, y)
    chosen = truth(condition)
    shape = broadcast_shapes(a.shape, b.shape)
    if chosen.rank == 1 and len(shape) > 1 and _chooses_rows(chosen.shape[0], shape, (a, b)):
        chosen = ops.expand_dims(chosen, range(1, len(shape)))
    return Symbol(ops.where(chosen, a, b), weak)


def _differ(left: Dim, right: Dim) -> bool:
    """Whether two lengths that are not the same are known to be different."""
    numbers = isinstance(left, int) and isinstance(right, int)
    names = isinstance(left, Size) and isinstance(right, Size) and left.name and right.name
    return numbers or bool(names)


def _chooses_rows(length: Dim, shape: Sequence[Dim], branches: Sequence[Expr]) -> bool:
    """Whether a condition of rank 1 lies along the first axis of ``shape``, not along the last."""
    if length != shape[0]:
        return length != shape[-1] and shape[0] != 1 and not _differ(length, shape[0])
    if length == shape[-1] != 1 and any(
        0 < branch.rank < len(shape) and branch.shape[-1] == length for branch in branches
    ):
        raise InputError(
            f"where: a condition of shape ({length},) could choose along the first or the last "
            f"axis of ({', '.join(map(str, shape))}): reshape it to "
            f"{(length, *[1] * (len(shape) - 1))} or {(*[1] * (len(shape) - 1), length)}"
        )
    return True


@function(True, "Cast", "astype")
def cast(data: Operand, dtype: DtypeLike) -> Symbol:
    """``data`` in another dtype."""
    return wrap(ops.cast(as_expr(data), dtype))


@function(False, "ElementWiseSum")
def add_n(*args: Operand) -> Symbol:
    """The sum of arrays."""
    if not args:
        raise InputError("add_n needs at least one array")
    total = wrap(as_expr(args[0]))
    for arg in args[1:]:
        total = total + arg
    return total


def _binary(
    body: Callable[..., Expr], *names: str, floating: bool = False, comparison: bool = False
) -> Any:
    def call(lhs: Operand, rhs: Operand, axis: Axes = None) -> Symbol:
        # MXNet ignores an axis here, and Gluon's own losses pass one
        if comparison:
            return compare(body, lhs, rhs)
        return binary(body, lhs, rhs, floating=floating)

    call.__name__ = names[0]
    call.__doc__ = f"``{names[0]}`` of two arrays, broadcast together."
    return function(True, *names[1:])(call)


def _logical(body: Callable[..., Expr], *names: str) -> Any:
    def call(lhs: Operand, rhs: Operand) -> Symbol:
        return compare(lambda a, b: body(truth(a), truth(b)), lhs, rhs)

    call.__name__ = names[0]
    call.__doc__ = f"``{names[0]}`` of two arrays, whose truth is to be other than zero."
    return function(True, *names[1:])(call)


def hypotenuse(x: Expr, y: Expr) -> Expr:
    """sqrt(x^2 + y^2), whose squares may overflow."""
    shape = ops.add(x, y).shape
    pair = [ops.expand_dims(ops.broadcast_to(part, shape), (-1,)) for part in (x, y)]
    return ops.squeeze(ops.norm(ops.concat(pair, -1), (-1,)), (-1,))


def _modulo(x: Expr, y: Expr) -> Expr:
    """The remainder with the divisor's sign; by zero it is zero."""
    by_zero = ops.equal(y, 0)
    return ops.where(by_zero, 0, ops.mod(x, ops.where(by_zero, 1, y)))


def _floor_divide(x: Expr, y: Expr) -> Expr:
    """The largest whole number not above the quotient, from the remainder, as NumPy has it.

    The floor of a rounded quotient may be one too much: 1 // 0.1 is 9.
    """
    if not x.type.is_float:
        by_zero = ops.equal(y, 0)
        divisor = ops.where(by_zero, 1, y)
        return ops.where(by_zero, 0, ops.div(x - ops.mod(x, divisor), divisor))
    whole = _rounded(ops.div(x - _modulo(x, y), y), ops.greater_equal)
    nothing = 0.0 * x  # NaN of an infinity, which by an infinity is no number
    below = ops.where(ops.less(x * ops.sign(y), 0), nothing - 1.0, nothing)
    return ops.where(ops.equal(ops.absolute(y), math.inf), below, whole)


def _not_equal(x: Expr, y: Expr) -> Expr:
    return ops.logical_not(ops.equal(x, y))


add = _binary(ops.add, "broadcast_add", "broadcast_plus", "elemwise_add", "add")
subtract = _binary(ops.sub, "broadcast_sub", "broadcast_minus", "elemwise_sub", "subtract")
multiply = _binary(ops.mul, "broadcast_mul", "elemwise_mul", "multiply")
divide = _binary(ops.div, "broadcast_div", "elemwise_div", "divide", "true_divide", floating=True)
modulo = _binary(_modulo, "broadcast_mod", "modulo", "mod")
floor_divide = _binary(_floor_divide, "floor_divide")
power = _binary(ops.power, "broadcast_power", "power", "pow")
maximum = _binary(ops.maximum, "broadcast_maximum", "maximum")
minimum = _binary(ops.minimum, "broadcast_minimum", "minimum")
hypot = _binary(hypotenuse, "broadcast_hypot", "hypot", floating=True)
masked_mul = _binary(ops.masked_mul, "masked_mul", floating=True)


@function(True)
def logaddexp(lhs: Operand, rhs: Operand, finite: bool = False) -> Symbol:
    """``log(exp(x)+exp(y))``. Lossgraph's own.

    ``finite`` promises finite numbers and asks for the digits of the larger one only, at half
    the cost: for sums of log-probabilities, step after step.
    """
    return binary(ops.log_add if finite else ops.logaddexp, lhs, rhs, floating=True)


equal = _binary(ops.equal, "broadcast_equal", "equal", comparison=True)
not_equal = _binary(_not_equal, "broadcast_not_equal", "not_equal", comparison=True)
greater = _binary(ops.greater, "broadcast_greater", "greater", comparison=True)
greater_equal = _binary(
    ops.greater_equal, "broadcast_greater_equal", "greater_equal", comparison=True
)
lesser = _binary(ops.less, "broadcast_lesser", "lesser", comparison=True)
lesser_equal = _binary(ops.less_equal, "broadcast_lesser_equal", "lesser_equal", comparison=True)
logical_and = _logical(ops.logical_and, "broadcast_logical_and", "logical_and")
logical_or = _logical(ops.logical_or, "broadcast_logical_or", "logical_or")
logical_xor = _logical(ops.logical_xor, "broadcast_logical_xor", "logical_xor")


@function(True)
def logical_not(data: Operand) -> Symbol:
    """1 where ``data`` is zero, else 0."""
    return compare(lambda a, b: ops.equal(a, b), data, 0)


def _chosen(option: str, value: str, choices: dict[str, Any]) -> Any:
    if value not in choices:
        raise InputError(f"{option}: expected one of {tuple(choices)}, got {value!r}")
    return choices[value]
