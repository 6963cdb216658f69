"""From the gradients of a batch to those that parameters move by: unscaled, summed, clipped."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

from ..ir import ops
from ..ir.expr import Expr
from .joining import as_rows

Gradients = Mapping[str, Expr]


def clipped_by_value(gradients: Gradients, bound: float) -> dict[str, Expr]:
    """Elements of at most a size, as ``torch.nn.utils.clip_grad_value_`` makes them."""
    return {name: ops.clip(gradient, -bound, bound) for name, gradient in gradients.items()}


def clipped_by_norm(gradients: Gradients, bound: float) -> dict[str, Expr]:
    """Gradients of at most a norm together, as ``torch.nn.utils.clip_grad_norm_`` makes them.

    Finite ones of an infinite norm become 0, and one NaN makes all of them NaN.
    """
    norm = ops.sqrt(_sum_of_squares(list(gradients.values()), _widest(gradients)))
    return multiplied(gradients, ops.minimum(ops.div(bound, norm + 1e-6), 1.0))


def _sum_of_squares(arrays: Sequence[Expr], dtype: str) -> Expr:
    """By products of rows with themselves: engines have nothing faster that keeps no squares."""
    squares = [ops.gemm(row, row, transpose_b=True) for row in as_rows(arrays)]
    return ops.squeeze(_sum([ops.cast(square, dtype) for square in squares]), (0, 1))


def multiplied(gradients: Gradients, factor: Expr) -> dict[str, Expr]:
    """Gradients times one number."""
    return {name: g * ops.cast(factor, g.dtype) for name, g in gradients.items()}


def all_finite(gradients: Gradients) -> Expr:
    """Whether no element is infinite or NaN."""
    # 0 times an infinity is NaN, and a sum does not lose it.
    rows = as_rows(list(gradients.values()))
    spoilt = [ops.cast(_total(row * 0.0), "float32") for row in rows]
    return ops.equal(_sum(spoilt), 0.0)


def is_finite(number: Expr) -> Expr:
    """Whether a number is neither infinite nor NaN."""
    return ops.less(ops.absolute(number), math.inf)


def _total(array: Expr) -> Expr:
    axes = tuple(range(array.rank))
    return ops.squeeze(ops.reduce_sum(array, axes), axes) if axes else array


def _sum(numbers: Sequence[Expr]) -> Expr:
    return functools.reduce(ops.add, numbers)


def _widest(gradients: Gradients) -> str:
    dtypes = {gradient.dtype for gradient in gradients.values()}
    return "float64" if "float64" in dtypes else "float32"
