"""Side conditions of rules, named for what they ask; called with a rule's bindings."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dims import Dim
from ..expr import Expr, scalar_value

_POSITIVE = ("Exp", "Sigmoid", "Softmax")
_MOVES = ("BroadcastTo", "Pick", "Reshape", "Slice", "Take", "Transpose")


def log_known(x: Expr, depth: int = 40) -> bool:
    """Whether x is positive by its making, so that the rules know its logarithm.

    What is nested deeper than ``depth`` counts as unknown.
    """
    if not depth:
        return False
    number = scalar_value(x)
    if number is not None:
        return bool(number > 0)
    if x.op.name in _POSITIVE:
        return True
    if x.op.name == "ReduceSum":
        return x.args[0].op.name == "Exp"
    if x.op.name in _MOVES or x.op.name == "Pow":
        return log_known(x.args[0], depth - 1)
    if x.op.name in ("Add", "Mul", "Div"):
        return all(log_known(arg, depth - 1) for arg in x.args)
    return x.op.name == "Where" and all(log_known(arg, depth - 1) for arg in x.args[1:])


def x_known(x: Expr, **_: Any) -> bool:
    """Whether x is no number and its logarithm is known."""
    return scalar_value(x) is None and log_known(x)


def either_known(x: Expr, y: Expr, **_: Any) -> bool:
    """Whether one logarithm is known; the other may be of anything."""
    return x_known(x) or x_known(y)


def both_known(x: Expr, y: Expr, **_: Any) -> bool:
    """Whether both logarithms are known."""
    return x_known(x) and x_known(y)


def root_of_positive(x: Expr, a: Expr, **_: Any) -> bool:
    """x^a as exp(a log x): not for the exponents that have a form of their own, and not 0."""
    exponent = scalar_value(a)
    return exponent is not None and exponent not in (0, 1, 2, 3, -1) and x_known(x)


def nonnegative_weights(y: Expr, **_: Any) -> bool:
    """Weights that cannot be negative: chosen classes, and what only positive functions make."""
    if y.op.name == "Cast":
        return y.args[0].dtype == "bool"
    return y.op.name in ("OneHot", "Softmax", "Sigmoid", "Exp", "Relu", "Abs")


def is_float(x: Expr) -> bool:
    """Whether x is floating: relu is for floats, maximum for integers too."""
    return x.type.is_float


def choice_known(x: Expr, y: Expr, **_: Any) -> bool:
    """A bare logarithm must not come out of a choice that guards it: log(where(x > 0, x, 1))."""
    return either_known(x, y) and log_known(x) and log_known(y)


def both_numbers(a: Expr, b: Expr, **_: Any) -> bool:
    """Two factors whose product is an ordinary number."""
    left, right = scalar_value(a), scalar_value(b)
    if left is None or right is None:
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
