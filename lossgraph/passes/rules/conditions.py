"""Side conditions of rules, named for what they ask; called with a rule's bindings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import Dim, names, product
from ...ir.expr import Expr, scalar_value
from ...ir.types import numpy_dtype

# What makes finite numbers of finite ones here: no factor that the rules ask about overflows.
_KEEPS_FINITE = (
    ops.broadcast_to.op, ops.cast.op, ops.mul, ops.neg, ops.reshape.op,
)  # fmt: skip


def provably_positive(x: Expr, depth: int = 40) -> bool:
    """Whether x is positive by its making, so that the rules know its logarithm.

    What is nested deeper than ``depth`` counts as unknown.
    """
    if not depth:
        return False
    number = scalar_value(x)
    if number is not None:
        return bool(number > 0)
    if x.op is ops.reduce_sum.op:  # a rule has the logarithm of a sum of exponentials alone
        return x.args[0].op is ops.exp
    needed = x.op.positive_if
    return needed is not None and all(provably_positive(x.args[i], depth - 1) for i in needed)


def upper_bound(u: Expr, depth: int = 20) -> float:
    """A number that u is not above by its making, or infinity."""
    number = scalar_value(u)
    if number is not None:
        return float(number)
    if not depth:
        return math.inf
    bounds = [upper_bound(arg, depth - 1) for arg in u.args] if u.op in _BOUNDED else []
    if u.op is ops.minimum:
        return min(bounds)
    if u.op is ops.maximum:
        return max(bounds)
    if u.op is ops.add:
        return sum(bounds)
    if u.op is ops.clip.op:
        return float(u.attrs["high"])
    if u.op is ops.neg:
        return 0.0 if _is_nonnegative(u.args[0]) else math.inf
    if u.op in (ops.mul, ops.div):
        return _bound_of_multiple(u, depth)
    if u.op is ops.sub:
        x, y = u.args
        if _is_at_least(y, x):
            return 0.0
        return upper_bound(x, depth - 1) if _is_nonnegative(y) else math.inf
    return 0.0 if u.op is ops.log_softmax.op else math.inf


_BOUNDED = (ops.minimum, ops.maximum, ops.add)


def _bound_of_multiple(u: Expr, depth: int) -> float:
    for x, k in (u.args, u.args[::-1])[: 2 if u.op is ops.mul else 1]:
        number = scalar_value(k)
        if number is not None and number > 0:
            bound = upper_bound(x, depth - 1)
            return bound * number if u.op is ops.mul else bound / number
        if number is not None and number < 0 and _is_nonnegative(x):
            return 0.0
    return math.inf


def _is_at_least(y: Expr, x: Expr, depth: int = 4) -> bool:
    """Whether y is above every x by its making."""
    if y.op in _LARGEST:
        return y.args[0] is x
    inside = depth and y.op in (ops.maximum, ops.stop_gradient)
    return bool(inside) and any(_is_at_least(arg, x, depth - 1) for arg in y.args)


_LARGEST = (ops.reduce_max.op, ops.reduce_max_finite.op, ops.logsumexp.op)


def _is_nonnegative(x: Expr) -> bool:
    number = scalar_value(x)
    if number is not None:
        return bool(number >= 0)
    square = x.op is ops.mul and x.args[0] is x.args[1]
    if x.op in (ops.mul, ops.div, ops.add) and not square:
        return all(_is_nonnegative(arg) for arg in x.args)
    return square or x.op.nonnegative or x.op is ops.softplus


def largest_exponent(dtype: str) -> float:
    """Of a number whose exponential is finite."""
    return float(np.log(np.finfo(numpy_dtype(dtype)).max))


def x_is_provably_positive(x: Expr, **_: Any) -> bool:
    """Whether x is no number and its logarithm is known."""
    return scalar_value(x) is None and provably_positive(x)


def either_is_provably_positive(x: Expr, y: Expr, **_: Any) -> bool:
    """Whether one logarithm is known; the other may be of anything."""
    return x_is_provably_positive(x) or x_is_provably_positive(y)


def both_are_provably_positive(x: Expr, y: Expr, **_: Any) -> bool:
    """Whether both logarithms are known."""
    return x_is_provably_positive(x) and x_is_provably_positive(y)


def root_of_positive(x: Expr, a: Expr, **_: Any) -> bool:
    """x^a as exp(a log x): not for the exponents that have a form of their own, and not 0."""
    exponent = scalar_value(a)
    return exponent is not None and exponent not in (0, 1, 2, 3, -1) and x_is_provably_positive(x)


def nonnegative_weights(y: Expr, **_: Any) -> bool:
    """Weights that cannot be negative: chosen classes, and what only positive functions make."""
    return y.op.nonnegative or (y.op is ops.cast.op and y.args[0].dtype == "bool")


def is_float(x: Expr) -> bool:
    """Whether x is floating: relu is for floats, maximum for integers too."""
    return x.type.is_float


def choice_is_provably_positive(x: Expr, y: Expr, **_: Any) -> bool:
    """A bare logarithm must not come out of a choice that guards it: log(where(x > 0, x, 1))."""
    return either_is_provably_positive(x, y) and provably_positive(x) and provably_positive(y)


def both_numbers(a: Expr, b: Expr, **_: Any) -> bool:
    """Two floating factors whose product is an ordinary number."""
    left, right = scalar_value(a), scalar_value(b)
    if left is None or right is None or not a.type.is_float:
        return False
    with np.errstate(all="ignore"):
        folded = left * right
    return bool(np.isfinite(folded) and abs(folded) >= np.finfo(folded.dtype).tiny)


def one_index(index: Expr, axis: int, **_: Any) -> bool:
    """Whether one element of each row was picked, so that it is the row's sum."""
    return index.shape[axis] == 1


def spread_along(a: Expr, shape: Any, axes: tuple[int, ...]) -> bool:
    """Whether the axes summed over are all made by the broadcast."""
    return a.rank == len(shape) and all(a.shape[axis] == 1 for axis in axes)


def broadcasts_to(shape: tuple[Dim, ...], target: tuple[Dim, ...]) -> bool:
    """Whether broadcasting stretches ``shape`` to ``target``."""
    aligned = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(
        dim in (1, other) for dim, other in zip(shape, aligned, strict=True)
    )


def narrow(a: Expr, x: Expr) -> bool:
    """Whether a is stretched to x, so that what is done to a costs less."""
    return broadcasts_to(a.shape, x.shape) and product(a.shape) != product(x.shape)


def narrow_factor(a: Expr, x: Expr, **_: Any) -> bool:
    """Whether a is a factor that may go wherever x goes."""
    return narrow(a, x)


def narrow_factors(a: Expr, b: Expr, x: Expr) -> bool:
    """Whether the product of two factors is narrow too: not that of a row and a column."""
    return narrow(a, x) and narrow(b, x) and narrow(a * b, x)


def narrow_of_both(a: Expr, x: Expr, y: Expr, **_: Any) -> bool:
    """Whether a is a narrow factor of two terms of one shape."""
    return x.shape == y.shape and narrow(a, x)


def opposite_numbers(a: Expr, b: Expr, c: Expr, x: Expr, y: Expr) -> bool:
    """Whether a*b and a*c are opposite narrow factors."""
    first, second = scalar_value(b), scalar_value(c)
    return first is not None and first == -(second or 0) and narrow_of_both(a * b, x, y)


def power_of_two(b: Expr, **_: Any) -> bool:
    """Whether the reciprocal of b is exact."""
    number = scalar_value(b)
    if number is None or not b.type.is_float or not np.isfinite(number):
        return False
    return bool(abs(np.frexp(number)[0]) == 0.5 and 2.0**-100 < abs(number) < 2.0**100)


def constant_along(a: Expr, x: Expr, axes: tuple[int, ...]) -> bool:
    """Whether a narrow factor is the same for all terms of a sum over ``axes``."""
    ones = (1,) * (x.rank - a.rank) + a.shape
    return narrow(a, x) and all(ones[axis] == 1 for axis in axes)


def finite_weight(a: Expr, w: Expr) -> bool:
    """Whether a is finite wherever it meets an element of w: made of numbers and of w's sizes."""
    return _is_finite(a, names_of(w.shape))


def names_of(shape: tuple[Dim, ...]) -> frozenset[str]:
    """The names of dims of a shape: none of them is 0 where there are elements."""
    return frozenset().union(*(names(dim) for dim in shape))


def _is_finite(a: Expr, sizes: frozenset[str]) -> bool:
    number = scalar_value(a)
    if number is not None:
        return bool(np.isfinite(number))
    if a.op is ops.size_of.op:
        return names(a.attrs["size"]) <= sizes
    if a.op is ops.div:
        return all(_is_finite(arg, sizes) for arg in a.args) and scalar_value(a.args[1]) != 0
    return a.op in _KEEPS_FINITE and all(_is_finite(arg, sizes) for arg in a.args)
