"""Calls that work element by element."""

from __future__ import annotations

from collections.abc import Sequence

from .chooser import Chooser, Recipe

UNARY = (
    "abs",
    "sign",
    "negative",
    "square",
    "sqrt",
    "rsqrt",
    "cbrt",
    "rcbrt",
    "reciprocal",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "relu",
    "sigmoid",
    "softrelu",
    "softsign",
    "tanh",
    "erf",
    "gammaln",
    "digamma",
    "sin",
    "cos",
    "floor",
    "ceil",
    "tan",
    "arctan",
    "arcsin",
    "arccos",
    "sinh",
    "cosh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "degrees",
    "radians",
    "fix",
    "trunc",
    "round",
    "rint",
    "isnan",
    "isinf",
    "isfinite",
    "gelu",
    "stop_gradient",
    "BlockGrad",
    "identity",
    "make_loss",
    "MakeLoss",
    "hard_sigmoid",
    "smooth_l1",
    "logical_not",
    "zeros_like",
    "ones_like",
)


# Where they are well behaved, so that programs get deep: these are drawn as often as all others.
TAME = (
    "tanh",
    "sigmoid",
    "softrelu",
    "softsign",
    "exp",
    "log1p",
    "square",
    "abs",
    "relu",
    "erf",
    "arctan",
    "negative",
    "sqrt",
    "gelu",
)


_BINARY = (
    "broadcast_add",
    "broadcast_plus",
    "elemwise_add",
    "add",
    "broadcast_sub",
    "broadcast_minus",
    "elemwise_sub",
    "subtract",
    "broadcast_mul",
    "elemwise_mul",
    "multiply",
    "broadcast_div",
    "elemwise_div",
    "divide",
    "true_divide",
    "broadcast_mod",
    "modulo",
    "mod",
    "broadcast_power",
    "power",
    "pow",
    "broadcast_maximum",
    "maximum",
    "broadcast_minimum",
    "minimum",
    "broadcast_hypot",
    "hypot",
    "masked_mul",
    "logaddexp",
    "broadcast_equal",
    "equal",
    "broadcast_not_equal",
    "not_equal",
    "broadcast_greater",
    "greater",
    "broadcast_greater_equal",
    "greater_equal",
    "broadcast_lesser",
    "lesser",
    "broadcast_lesser_equal",
    "lesser_equal",
    "broadcast_logical_and",
    "logical_and",
    "broadcast_logical_or",
    "logical_or",
    "broadcast_logical_xor",
    "logical_xor",
    "add_n",
    "ElementWiseSum",
)


_SIGNS = ("+", "-", "*", "/", "%", "**", ">", "<", ">=", "<=", "==", "!=")


def unary(names: Sequence[str]) -> Recipe:
    return lambda c: f"F.{c.one_of(*names)}({c.array(c.one_of('f', 'f', 'f', 'a'))})"


def binary(c: Chooser) -> str:
    left = c.array(c.one_of("f", "f", "a"))
    return f"F.{c.one_of(*_BINARY)}({left}, {c.like(left)})"


def sign(c: Chooser) -> str:
    left = c.array(c.one_of("f", "f", "a"))
    sides = [left, c.like(left)]
    if c.one_of(False, True):
        sides.reverse()
    return f"{sides[0]} {c.one_of(*_SIGNS)} {sides[1]}"


def activation(c: Chooser) -> str:
    x = c.array()
    kind = c.one_of("relu", "sigmoid", "tanh", "softrelu", "softsign")
    leaky = c.one_of("leaky", "elu", "selu", "gelu")
    calls = [f"F.Activation({x}, act_type={kind!r})", f"F.LeakyReLU({x}, act_type={leaky!r})"]
    if len(c.shape(x)) >= 2:
        slopes = c.shaped((c.shape(x)[1],))
        calls.append(f"F.LeakyReLU({x}, {slopes}, act_type='prelu')")
    return str(c.one_of(*calls))


def clip(c: Chooser) -> str:
    low, high = sorted((c.number(), c.number()))
    return f"F.clip({c.array()}, {low}, {high})"


def where(c: Chooser) -> str:
    x = c.array(c.one_of("f", "f", "a"))
    y = c.like(x)
    tested = c.one_of(x, x, c.array("a"))
    condition = c.one_of(f"{tested} > {c.number()}", f"{tested}", f"{tested} == {c.number()}",
                         f"F.isnan({tested})")  # fmt: skip
    return c.one_of(f"F.where({condition}, {x}, {y})", f"F.where({condition}, {y}, {x})",
                    f"F.where({condition}, {x}, {c.number()})")  # fmt: skip


def guard(c: Chooser) -> str:
    """A pole that a choice keeps away, as losses have them."""
    x = c.array()
    function = c.one_of("log", "sqrt", "reciprocal", "rsqrt", "exp", "log1p", "arcsin", "gammaln")
    safe = c.one_of(f"F.where({x} > 0, {x}, 1.0)", f"F.maximum({x}, 0.125)",
                    f"F.abs({x}) + 1.0", f"F.clip({x}, 0.125, 8.0)", f"1.0 + F.square({x})",
                    f"F.sigmoid({x})")  # fmt: skip
    return f"F.{function}({safe})"


def casts(c: Chooser) -> str:
    x = c.array("a")
    to = c.one_of("float32", "float64", "int32", "int64", "float16")
    return c.one_of(f"F.cast({x}, {to!r})", f"F.Cast({x}, dtype={to!r})", f"{x}.astype({to!r})",
                    f"{x}.copy()", f"{x}.detach()")  # fmt: skip
