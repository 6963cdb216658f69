"""Running products and log-sums of ``F``, as scans: step after step along the axis."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..ir import ops
from ..ir.expr import Expr
from ..ir.types import canonical_axis
from ..passes.scan import scan
from .elementwise import _floating
from .reduce import _flattened
from .register import function
from .symbol import DtypeLike, Operand, Symbol, as_expr, wrap


def _running(x: Expr, axis: int, first: float, combine: Callable[[Expr, Expr], Expr]) -> Expr:
    """What ``combine`` makes of ``first`` and the elements up to each one."""
    axis = canonical_axis(axis, x.rank)
    front = (axis, *(i for i in range(x.rank) if i != axis))
    rows = ops.transpose(x, front)

    def step(carry: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        total = combine(carry[0], elements[0])
        return [total], [total]

    _, (totals,) = scan(step, [ops.full(first, x.dtype, rows.shape[1:])], [rows])
    return ops.transpose(totals, [front.index(i) for i in range(x.rank)])


@function(True)
def cumprod(a: Operand, axis: int | None = None, dtype: DtypeLike = None) -> Symbol:
    """Cumulative product along an axis, or of all elements in a row; NumPy's function.

    Its gradient is right where elements are zero.
    """
    x, axis = _flattened(as_expr(a), axis)
    x = x if dtype is None else ops.cast(x, dtype)
    return wrap(_running(x, axis, 1.0 if x.type.is_float else 1, ops.mul))


@function(True)
def logcumsumexp(a: Operand, axis: int | None = None) -> Symbol:
    """``log(cumsum(exp(x)))`` along an axis, or of all elements in a row; PyTorch's function."""
    x, axis = _flattened(_floating(a), axis)
    return wrap(_running(x, axis, -math.inf, _log_sum))


def _log_sum(x: Expr, y: Expr) -> Expr:
    """``logaddexp`` whose gradient is half each of two that are equal, infinities too."""
    same = ops.equal(x, y)
    apart = ops.logaddexp(ops.where(same, 0.0, x), ops.where(same, 0.0, y))
    return apart + ops.where(same, x * 0.5 + y * 0.5, 0.0)
