"""Operators along axes: reductions, norms, order statistics, running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, axis_of, floating, kept, one_of, operator, raw
from .dtypes import Raw, accumulator, as_float, parse
from .elementwise import log_probs
from .index import located

Axis = int | Sequence[int] | None
Reduction = Callable[..., Array]


def _axes(axis: Axis, ndim: int, exclude: bool = False) -> tuple[int, ...]:
    """The axes to reduce: none given means all, ``exclude`` takes the others."""
    if axis is None or axis == () or axis == []:
        return tuple(range(ndim))
    chosen = [axis_of(each, ndim) for each in ((axis,) if isinstance(axis, int) else axis)]
    if len(set(chosen)) < len(chosen):
        raise InputError(f"axis {axis} names an axis twice")
    return tuple(i for i in range(ndim) if (i in chosen) != exclude)


def _reduction(name: str, function: Callable[..., Any], formula: str) -> Reduction:
    """Declare a reduction ``function(value, axes, keepdims)`` with MXNet's options."""

    def apply(data: Array, axis: Axis = None, keepdims: bool = False, exclude: bool = False) -> Any:
        value = raw(data)
        axes = _axes(axis, value.ndim, exclude)
        return kept(function(value, axes, keepdims))

    apply.__name__, apply.__doc__ = name, f"{formula} over the axes (all by default)."
    return operator(apply)


def _accumulated(function: Callable[..., Any]) -> Callable[..., Raw]:
    """The reduction computed in a dtype that is wide enough, given in that of its input."""

    def apply(value: Raw, axes: tuple[int, ...], keepdims: bool) -> Raw:
        wide = function(value, axis=axes, keepdims=keepdims, dtype=accumulator(value.dtype))
        return np.asarray(wide).astype(value.dtype)

    return apply


def extreme(function: Callable[..., Any]) -> Callable[..., Raw]:
    """``np.max`` or ``np.min``, which has no elements where none are left: numpy refuses that."""

    def apply(value: Raw, axis: tuple[int, ...], keepdims: bool) -> Raw:
        kept = [1 if i in axis else length for i, length in enumerate(value.shape)]
        if 0 in kept:
            empty = np.empty(kept, value.dtype)
            return empty if keepdims else np.squeeze(empty, axis=axis)
        return np.asarray(function(value, axis=axis, keepdims=keepdims))

    return apply


def _mean(value: Raw, axes: tuple[int, ...], keepdims: bool) -> Raw:
    """Sum over count, NaN over nothing (numpy's mean would warn)."""
    value = as_float(value)
    wide = value.astype(accumulator(value.dtype))
    count = np.prod([value.shape[i] for i in axes], dtype=np.int64)
    return np.asarray(np.sum(wide, axis=axes, keepdims=keepdims) / count).astype(value.dtype)


def _logsumexp(value: Raw, axes: tuple[int, ...], keepdims: bool) -> Raw:
    """Shifted by the largest, which stays finite inside so that infinities come out."""
    value = as_float(value)
    largest = np.max(value, axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0)
    total = np.log(np.sum(np.exp(value - shift), axis=axes, keepdims=True)) + shift
    return np.asarray(total if keepdims else np.squeeze(total, axis=axes)).astype(value.dtype)


sum = sum_axis = _reduction("sum", _accumulated(np.sum), "Sum")
prod = _reduction("prod", _accumulated(np.prod), "Product")
nansum = _reduction("nansum", _accumulated(np.nansum), "Sum, NaN counted as 0,")
nanprod = _reduction("nanprod", _accumulated(np.nanprod), "Product, NaN counted as 1,")
mean = _reduction("mean", _mean, "Mean")
logsumexp = _reduction("logsumexp", _logsumexp, "Logarithm of the sum of exponentials")
min = min_axis = _reduction("min", extreme(np.min), "Minimum")


def maximum_along(
    data: Array,
    axis: Axis = None,
    keepdims: bool = False,
    exclude: bool = False,
    finite: bool = False,
) -> Any:
    """Maximum over the axes (all by default); what ``finite`` promises is not needed here."""
    value = raw(data)
    return kept(extreme(np.max)(value, _axes(axis, value.ndim, exclude), keepdims))


maximum_along.__name__ = "max"
max = max_axis = operator(maximum_along)


@operator
def norm(data: Array, ord: int = 2, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum of |x| (``ord=1``) or square root of the sum of squares (``ord=2``)."""
    one_of("ord", ord, (1, 2))
    value = floating(data)
    axes = _axes(axis, value.ndim)
    size = np.abs(value).astype(accumulator(value.dtype))
    if ord == 1:
        return kept(np.sum(size, axis=axes, keepdims=keepdims).astype(value.dtype))
    top = np.max(size, axis=axes, keepdims=True, initial=0)
    scale = np.where((top > 0) & (top < np.inf), top, 1)  # squares must not overflow
    total = np.sqrt(np.sum(np.square(size / scale), axis=axes, keepdims=True)) * scale
    return kept((total if keepdims else np.squeeze(total, axes)).astype(value.dtype))


def _variance(value: Raw, axes: tuple[int, ...], ddof: int) -> Raw:
    wide = value.astype(accumulator(value.dtype))
    count = np.prod([value.shape[i] for i in axes], dtype=np.int64)
    off = np.square(wide - _mean(wide, axes, True))
    return np.asarray(np.sum(off, axis=axes, keepdims=True) / np.maximum(count - ddof, 0))


@operator
def var(
    data: Array, axis: Axis = None, ddof: int = 0, keepdims: bool = False, exclude: bool = False
) -> Array:
    """Squared distances from the mean over the axes, summed, over their count less ``ddof``."""
    value = floating(data)
    axes = _axes(axis, value.ndim, exclude)
    found = _variance(value, axes, ddof).astype(value.dtype)
    return kept(found if keepdims else np.squeeze(found, axes))


@operator
def std(
    data: Array, axis: Axis = None, ddof: int = 0, keepdims: bool = False, exclude: bool = False
) -> Array:
    """Square root of ``var``."""
    value = floating(data)
    axes = _axes(axis, value.ndim, exclude)
    found = np.sqrt(_variance(value, axes, ddof)).astype(value.dtype)
    return kept(found if keepdims else np.squeeze(found, axes))


@operator
def moments(data: Array, axes: Axis = None, keepdims: bool = False) -> list[Array]:
    """Mean and variance (the mean squared distance from the mean) over the axes."""
    if axes is None:
        raise InputError("expected axes: give all of them for global moments")
    value = floating(data)
    chosen = _axes(axes, value.ndim)
    center = _mean(value, chosen, True)
    variance = _mean(np.square(value - center), chosen, keepdims)
    return [kept(center if keepdims else np.squeeze(center, chosen)), kept(variance)]


def _arg(data: Array, axis: int | None, keepdims: bool, function: Callable[..., Any]) -> Array:
    return kept(function(raw(data), axis=axis, keepdims=keepdims).astype(np.float32))


@operator
def argmax(data: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """Index of the first maximum, as float32; in the flattened array without an axis."""
    return _arg(data, axis, keepdims, np.argmax)


@operator
def argmin(data: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    """Index of the first minimum, as float32; in the flattened array without an axis."""
    return _arg(data, axis, keepdims, np.argmin)


def _order(value: Raw, axis: int, is_ascend: bool) -> Raw:
    """Indices that sort along the axis, equal elements in the order they came."""
    if is_ascend:
        return np.argsort(value, axis=axis, kind="stable")
    backwards = np.argsort(np.flip(value, axis), axis=axis, kind="stable")
    return np.asarray(value.shape[axis] - 1 - np.flip(backwards, axis))


def _along(data: Array, axis: int | None) -> tuple[Raw, int]:
    """The array and the axis to sort along: without an axis, the flattened array."""
    value = raw(data)
    if axis is None:
        return value.reshape(-1), 0
    return value, axis_of(axis, value.ndim)


@operator
def sort(data: Array, axis: int | None = -1, is_ascend: bool = True) -> Array:
    """The elements in order along the axis."""
    value, along = _along(data, axis)
    return Array(np.take_along_axis(value, _order(value, along, is_ascend), along))


@operator
def argsort(
    data: Array, axis: int | None = -1, is_ascend: bool = True, dtype: Any = "float32"
) -> Array:
    """Indices that sort along the axis."""
    return Array(_order(*_along(data, axis), is_ascend).astype(parse(dtype)))


@operator
def topk(
    data: Array,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: str = "indices",
    is_ascend: bool = False,
    dtype: Any = "float32",
) -> Array | list[Array]:
    """The k largest (smallest if ``is_ascend``) elements: indices, values, both or a 0/1 mask."""
    one_of("ret_typ", ret_typ, ("value", "indices", "both", "mask"))
    value, along = _along(data, axis)
    size = value.shape[along]
    if k > size:
        raise InputError(f"k is {k}, more than the {size} elements along the axis")
    order = _order(value, along, is_ascend)
    first = np.take(order, np.arange(k if k >= 1 else size), axis=along)
    if ret_typ == "mask":
        mask = np.zeros(value.shape, value.dtype)
        np.put_along_axis(mask, first, 1, along)
        return Array(mask.reshape(raw(data).shape))
    values, indices = Array(np.take_along_axis(value, first, along)), Array(first, dtype)
    if ret_typ == "both":
        return [values, indices]
    return values if ret_typ == "value" else indices


@operator
def cumsum(a: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Running sum along the axis; of the flattened array without one."""
    value, along = _along(a, axis)
    result = value.dtype if dtype is None else parse(dtype)
    return Array(np.cumsum(value, along, dtype=accumulator(result)), result)


@operator
def cumprod(a: Array, axis: int | None = None, dtype: Any = None) -> Array:
    """Running product along the axis; of the flattened array without one."""
    value, along = _along(a, axis)
    result = value.dtype if dtype is None else parse(dtype)
    return Array(np.cumprod(value.astype(result), along, dtype=accumulator(result)), result)


@operator
def logcumsumexp(a: Array, axis: int | None = None) -> Array:
    """log of the running sum of e^x along the axis; of the flattened array without one."""
    value, along = _along(Array(floating(a)), axis)
    wide = value.astype(accumulator(value.dtype))
    return Array(np.logaddexp.accumulate(wide, along), value.dtype)


def l2_normalization(data: Array, eps: float = 1e-10, mode: str = "instance") -> Array:
    """X / sqrt(sum(x^2) + eps), the sum over a sample, its channels or its positions."""
    one_of("mode", mode, ("instance", "channel", "spatial"))
    value = floating(data)
    if mode != "instance" and value.ndim < 3:
        raise InputError(f"mode {mode!r} needs at least 3 axes")
    axes = {"instance": range(1, value.ndim), "channel": (1,), "spatial": range(2, value.ndim)}
    wide = value.astype(np.longdouble)  # whose range holds every square
    total = np.sum(np.square(wide), axis=tuple(axes[mode]), keepdims=True)
    return Array((wide / np.sqrt(total + eps)).astype(value.dtype))


l2_normalization.__name__ = "L2Normalization"
L2Normalization = operator(l2_normalization)


@operator
def softmax_cross_entropy(data: Array, label: Array) -> Array:
    """-sum over the rows of log(softmax(data))[label], shape (1,)."""
    value = floating(data)
    if value.ndim != 2 or raw(label).shape != value.shape[:1]:
        raise InputError("expected data of shape (N, C) and label of shape (N,)")
    index, _ = located(np.trunc(raw(label)), value.shape[1], "raise", "label")
    picked = np.take_along_axis(log_probs(value, 1), index[:, None], 1)
    return kept((-np.sum(picked)).astype(value.dtype))
