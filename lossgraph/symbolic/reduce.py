"""Reductions, norms, softmax and order statistics of ``F``.

``axis`` is None or () for all axes, an int, or a tuple; ``exclude=True`` reduces the others.
A full reduction has the shape (1,), as MXNet knows no rank 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError
from ..ir import ops
from ..ir.dims import maximum, product
from ..ir.expr import Expr, const
from ..ir.types import canonical_axes, canonical_axis
from ..passes.scan import scan
from .elementwise import _chosen, _floating, hypotenuse
from .register import function
from .symbol import Axes, DtypeLike, Operand, Symbol, as_expr, wrap

Axis = Axes


def reduced_axes(axis: Axis, rank: int, exclude: bool = False) -> tuple[int, ...]:
    """The axes to reduce over, from MXNet's ``axis`` and ``exclude``."""
    if axis is None or (isinstance(axis, Sequence) and not axis):
        return tuple(range(rank))  # with exclude too
    named = canonical_axes(axis if isinstance(axis, Sequence) else (axis,), rank)
    return tuple(i for i in range(rank) if i not in named) if exclude else named


def drop(x: Expr, axes: Sequence[int], keepdims: bool) -> Expr:
    """A reduced array without the reduced axes, but never without any axis."""
    if keepdims or not axes:
        return x
    return ops.reshape(x, [d for i, d in enumerate(x.shape) if i not in axes] or [1])


def _reduction(
    name: str, body: Callable[[Expr, Sequence[int]], Expr], *aliases: str, integers: bool = True
) -> Any:
    def call(
        data: Operand, axis: Axis = None, keepdims: bool = False, exclude: bool = False
    ) -> Symbol:
        x = as_expr(data) if integers else _floating(data)
        axes = reduced_axes(axis, x.rank, exclude)
        return wrap(drop(body(x, axes), axes, keepdims))

    call.__name__ = name
    call.__doc__ = f"``{name}`` over axes."
    return function(True, *aliases)(call)


def _nan_as(value: float, body: Callable[[Expr, Sequence[int]], Expr]) -> Any:
    def call(x: Expr, axes: Sequence[int]) -> Expr:
        return body(ops.where(ops.isnan(x), value, x) if x.type.is_float else x, axes)

    return call


def _product(x: Expr, axes: Sequence[int]) -> Expr:
    """The product; of integers step by step, as engines multiply in float64 or stop at the end."""
    if x.type.is_float or not axes:
        return ops.reduce_prod(x, axes)
    others = [i for i in range(x.rank) if i not in axes]
    lengths = [x.shape[i] for i in others]
    rows = ops.reshape(
        ops.transpose(x, (*axes, *others)), (product(x.shape[i] for i in axes), *lengths)
    )
    one = ops.full(1, x.dtype, lengths)
    (total,), _ = scan(lambda state, row: ([state[0] * row[0]], []), [one], [rows])
    return ops.reshape(total, [1 if i in axes else dim for i, dim in enumerate(x.shape)])


sum_ = _reduction("sum", ops.reduce_sum, "sum_axis")
mean = _reduction("mean", ops.reduce_mean, integers=False)
prod = _reduction("prod", _product)
min_ = _reduction("min", ops.reduce_min, "min_axis")
logsumexp = _reduction("logsumexp", ops.logsumexp, integers=False)
nansum = _reduction("nansum", _nan_as(0.0, ops.reduce_sum))
nanprod = _reduction("nanprod", _nan_as(1.0, _product))


@function(True, "max_axis")
def max_(
    data: Operand,
    axis: Axis = None,
    keepdims: bool = False,
    exclude: bool = False,
    finite: bool = False,
) -> Symbol:
    """``max`` over axes; ``finite``, lossgraph's own, promises that there is no NaN to keep."""
    x = as_expr(data)
    axes = reduced_axes(axis, x.rank, exclude)
    body = ops.reduce_max_finite if finite else ops.reduce_max
    return wrap(drop(body(x, axes), axes, keepdims))


@function(True)
def norm(data: Operand, ord: int = 2, axis: Axis = None, keepdims: bool = False) -> Symbol:
    """The norm of order 1 or 2 of the vectors along axes."""
    x = _floating(data)
    axes = reduced_axes(axis, x.rank)
    if ord not in (1, 2):
        raise InputError(f"ord: expected 1 or 2, got {ord!r}")
    body = ops.norm(x, axes) if ord == 2 else ops.reduce_sum(ops.absolute(x), axes)
    return wrap(drop(body, axes, keepdims))


@function()
def moments(data: Operand, axes: Axis = None, keepdims: bool = False) -> list[Symbol]:
    """Mean and (population) variance."""
    x = _floating(data)
    over = reduced_axes(axes, x.rank)
    average = ops.reduce_mean(x, over)
    off = x - average
    return [
        wrap(drop(part, over, keepdims)) for part in (average, ops.reduce_mean(off * off, over))
    ]


def _about_mean(x: Expr, axes: Sequence[int], ddof: int) -> tuple[Expr, Expr]:
    """Distances from the mean over axes, and how many of them count."""
    count = product(x.shape[axis] for axis in axes)
    left = ops.cast(ops.size_of(maximum(count - int(ddof), 0)), x.dtype)
    return x - ops.reduce_mean(x, axes), left


@function(True)
def var(
    data: Operand,
    axis: Axis = None,
    ddof: int = 0,
    keepdims: bool = False,
    exclude: bool = False,
) -> Symbol:
    """The variance over axes: squared distances from the mean over their count less ``ddof``.

    NumPy's function; ``ddof=1`` is the unbiased one, PyTorch's default.
    """
    x = _floating(data)
    axes = reduced_axes(axis, x.rank, exclude)
    off, count = _about_mean(x, axes, ddof)
    return wrap(drop(ops.reduce_sum(off * off, axes) / count, axes, keepdims))


@function(True)
def std(
    data: Operand,
    axis: Axis = None,
    ddof: int = 0,
    keepdims: bool = False,
    exclude: bool = False,
) -> Symbol:
    """The square root of ``var``; where all elements are equal its derivative is 0."""
    x = _floating(data)
    axes = reduced_axes(axis, x.rank, exclude)
    off, count = _about_mean(x, axes, ddof)
    return wrap(drop(ops.norm(off, axes) / ops.sqrt(count), axes, keepdims))


@function()
def L2Normalization(data: Operand, eps: float = 1e-10, mode: str = "instance") -> Symbol:
    """``x / sqrt(sum(x^2) + eps)``: over all but axis 0, over axis 1, or over axes 2 on."""
    if not eps >= 0:
        raise InputError(f"L2Normalization: eps: expected 0 or more, got {eps}")
    x = _floating(data)
    axes = {"instance": range(1, x.rank), "channel": (1,), "spatial": range(2, x.rank)}
    over = tuple(_chosen("mode", mode, axes))
    norm = ops.norm(x, over)  # whose squares do not overflow
    return wrap(x / hypotenuse(norm, const(float(eps) ** 0.5, x.dtype)))


@function(True)
def softmax(
    data: Operand,
    length: Operand | None = None,
    axis: int = -1,
    temperature: float | None = None,
    use_length: bool = False,
    dtype: DtypeLike = None,
) -> Symbol:
    """``exp(x/t)`` normalized along an axis, the first ``length`` elements only if asked."""
    result = _softmax(ops.softmax, data, length, axis, temperature, use_length, 0.0)
    return result if dtype is None else wrap(ops.cast(result.expr, dtype))


@function(True)
def log_softmax(
    data: Operand,
    axis: int = -1,
    temperature: float | None = None,
    length: Operand | None = None,
    use_length: bool = False,
    dtype: DtypeLike = None,
) -> Symbol:
    """The logarithm of ``softmax``, without its rounding."""
    outside = -float("inf")
    result = _softmax(ops.log_softmax, data, length, axis, temperature, use_length, outside)
    return result if dtype is None else wrap(ops.cast(result.expr, dtype))


@function(True)
def softmin(data: Operand, axis: int = -1, temperature: float | None = None) -> Symbol:
    """``softmax`` of the negative."""
    return softmax(-wrap(_floating(data)), axis=axis, temperature=temperature)


def _softmax(
    body: Callable[[Expr, Sequence[int]], Expr],
    data: Operand,
    length: Operand | None,
    axis: int,
    temperature: float | None,
    use_length: bool,
    outside: float,
) -> Symbol:
    if isinstance(length, int):  # softmax(x, axis) is a habit, though the second place is length
        return _softmax(body, data, None, length, temperature, use_length, outside)
    x = _floating(data)
    axis = canonical_axis(axis, x.rank)
    if temperature is not None:
        x = x / float(temperature)
    if not use_length:
        return wrap(body(x, (axis,)))
    if length is None:
        raise InputError("use_length=True needs length")
    lengths = ops.expand_dims(ops.cast(as_expr(length), "int64"), (axis,))
    inside = ops.less(_places(x, axis), lengths)
    # The softmax of a row of -inf is NaN, which second derivatives would meet.
    fill = ops.where(ops.less(lengths, 1), const(0.0, x.dtype), const(-math.inf, x.dtype))
    return wrap(ops.where(inside, body(ops.where(inside, x, fill), (axis,)), outside))


def _places(x: Expr, axis: int) -> Expr:
    """The positions along an axis, which broadcast to ``x``."""
    shape = [dim if i == axis else 1 for i, dim in enumerate(x.shape)]
    return ops.reshape(ops.iota(x.shape[axis]), shape)


@function(True)
def cumsum(a: Operand, axis: int | None = None, dtype: DtypeLike = None) -> Symbol:
    """Cumulative sum along an axis, or of all elements in a row."""
    x = as_expr(a)
    x, axis = _flattened(x, axis)
    return wrap(ops.cumsum(x if dtype is None else ops.cast(x, dtype), axis))


def _flattened(x: Expr, axis: int | None) -> tuple[Expr, int]:
    return (ops.reshape(x, (product(x.shape),)), 0) if axis is None else (x, axis)


def _arg(name: str, largest: bool) -> Any:
    def call(data: Operand, axis: int | None = None, keepdims: bool = False) -> Symbol:
        given = as_expr(data)
        x, along = _flattened(given, axis)
        along = canonical_axis(along, x.rank)
        found = ops.cast(ops.arg_extremum(x, along, largest=largest), "float32")
        if axis is None:
            return wrap(ops.reshape(found, (1,) * given.rank) if keepdims else found)
        return wrap(drop(found, (along,), keepdims))

    call.__name__ = name
    call.__doc__ = "The index of the first such element along an axis, as float32."
    return function(True)(call)


argmax = _arg("argmax", largest=True)
argmin = _arg("argmin", largest=False)


@function(True)
def topk(
    data: Operand,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: str = "indices",
    is_ascend: bool = False,
    dtype: DtypeLike = "float32",
) -> Any:
    """The ``k`` largest elements along an axis (smallest if ``is_ascend``), in order.

    ``ret_typ``: ``value``, ``indices``, ``both`` or ``mask``; k < 1 takes all.
    """
    x, along = _flattened(as_expr(data), axis)
    along = canonical_axis(along, x.rank)
    count = k if k >= 1 else x.shape[along]
    order = ops.arg_sort(_nan_last(x), along, count, largest=not is_ascend)
    parts: dict[str, Callable[[], Any]] = {
        "value": lambda: wrap(ops.pick(x, order, along)),
        "indices": lambda: wrap(ops.cast(order, dtype)),
        "both": lambda: [parts["value"](), parts["indices"]()],
        "mask": lambda: wrap(ops.reshape(_mask(x, order, along), as_expr(data).shape)),
    }
    return _chosen("ret_typ", ret_typ, parts)()


def _nan_last(x: Expr) -> Expr:
    """Keys to sort by: engines agree on no place of NaN, NumPy and PyTorch have it the largest."""
    return ops.where(ops.isnan(x), math.inf, x) if x.type.is_float else x


def _mask(x: Expr, order: Expr, axis: int) -> Expr:
    """1 at the indices, else 0: piecewise constant, so without a derivative."""
    return ops.scatter_add(ops.full(1, x.dtype, order.shape), order, axis, x.shape[axis])


@function(True)
def sort(data: Operand, axis: int | None = -1, is_ascend: bool = True) -> Symbol:
    """The elements in order along an axis."""
    sorted_: Symbol = topk(data, axis=axis, k=0, ret_typ="value", is_ascend=is_ascend)
    return sorted_


@function(True)
def argsort(
    data: Operand, axis: int | None = -1, is_ascend: bool = True, dtype: DtypeLike = "float32"
) -> Symbol:
    """The indices that sort along an axis."""
    order: Symbol = topk(data, axis=axis, k=0, is_ascend=is_ascend, dtype=dtype)
    return order
