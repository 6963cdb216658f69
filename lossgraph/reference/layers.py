"""Linear layers, convolutions and pooling, place by place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, describe, floating, one_of, operator, raw
from .dtypes import Raw, accumulator
from .shape import _pair

LAYOUTS = (None, "None", "NCW", "NCHW", "NCDHW")


def _bias(bias: Any, no_bias: bool, ndim: int, channels: int = 1) -> Any:
    """The bias ready to broadcast with its channels on that axis."""
    if no_bias:
        return 0
    if bias is None:
        raise InputError("bias is missing: give it, or no_bias=True")
    shape = [1] * ndim
    shape[channels] = -1
    return raw(bias).reshape(shape)


def fully_connected(
    data: Array,
    weight: Array,
    bias: Any = None,
    num_hidden: int | None = None,
    no_bias: bool = False,
    flatten: bool = True,
) -> Array:
    """X W^T + b, a sample being one vector if ``flatten``."""
    first, second, dtype = _pair(Array(floating(data)), weight)
    x = _flat(first, 1) if flatten else first
    total = x @ second.T
    return Array((total + _bias(bias, no_bias, total.ndim, total.ndim - 1)).astype(dtype))


def _each(value: Any, count: int, default: int) -> tuple[int, ...]:
    if value is None or value == ():
        return (default,) * count
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    numbers = numbers * count if len(numbers) == 1 else numbers
    if len(numbers) != count:
        raise InputError(f"expected {count} numbers, got {value}")
    return numbers


def _outputs(size: int, pad: int, kernel: int, stride: int, dilate: int) -> int:
    return (size + 2 * pad - (kernel - 1) * dilate - 1) // stride + 1


def _both(data: Array, weight: Array, layout: Any) -> tuple[Raw, Raw, np.dtype[Any]]:
    one_of("layout", layout, LAYOUTS)
    x, w, dtype = _pair(Array(floating(data)), weight)
    if x.ndim < 3 or x.ndim != w.ndim:
        raise InputError(f"data is {describe(data)}, weight {describe(weight)}: not of one rank")
    return x, w, dtype


def _flat(value: Raw, kept: int) -> Raw:
    """All axes but the first ones joined."""
    return value.reshape(*value.shape[:kept], int(np.prod(value.shape[kept:])))


def _at(*index: Any) -> Any:
    """An index, of whatever kind."""
    return index


def _places(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, counts))


def convolution(
    data: Array,
    weight: Array,
    bias: Any = None,
    kernel: Any = None,
    stride: Any = None,
    dilate: Any = None,
    pad: Any = None,
    num_filter: int | None = None,
    num_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    cudnn_tune: Any = None,
    cudnn_off: bool = False,
    layout: Any = None,
) -> Array:
    """At each place the sum of the products of what a kernel sees and its weights."""
    x, w, dtype = _both(data, weight, layout)
    n = x.ndim - 2
    strides, dilates, pads = _each(stride, n, 1), _each(dilate, n, 1), _each(pad, n, 0)
    counts = tuple(map(_outputs, x.shape[2:], pads, w.shape[2:], strides, dilates))
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pads)])
    out = np.zeros((len(x), len(w), *counts), x.dtype)
    ins, outs = x.shape[1] // num_group, len(w) // num_group
    for place in _places(counts):
        seen = tuple(
            slice(at * s, at * s + (k - 1) * d + 1, d)
            for at, s, k, d in zip(place, strides, w.shape[2:], dilates, strict=True)
        )
        for g in range(num_group):
            part = x[_at(slice(None), slice(g * ins, (g + 1) * ins), *seen)]
            filters = w[g * outs : (g + 1) * outs]
            product = _flat(part, 1) @ _flat(filters, 1).T
            out[_at(slice(None), slice(g * outs, (g + 1) * outs), *place)] = product
    return Array((out + _bias(bias, no_bias, out.ndim)).astype(dtype))


def deconvolution(
    data: Array,
    weight: Array,
    bias: Any = None,
    kernel: Any = None,
    stride: Any = None,
    dilate: Any = None,
    pad: Any = None,
    adj: Any = None,
    target_shape: Any = None,
    num_filter: int | None = None,
    num_group: int = 1,
    workspace: int = 512,
    no_bias: bool = True,
    cudnn_tune: Any = None,
    cudnn_off: bool = False,
    layout: Any = None,
) -> Array:
    """Each element adds its multiple of a kernel, ``stride`` places apart."""
    y, w, dtype = _both(data, weight, layout)
    n = y.ndim - 2
    strides, dilates, pads, more = (
        _each(value, n, default)
        for value, default in ((stride, 1), (dilate, 1), (pad, 0), (adj, 0))
    )
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilates, strict=True)]
    whole = [
        (size - 1) * s + span + extra
        for size, s, span, extra in zip(y.shape[2:], strides, spans, more, strict=True)
    ]
    ins, outs = y.shape[1] // num_group, w.shape[1]
    out = np.zeros((len(y), outs * num_group, *whole), y.dtype)
    for place in _places(y.shape[2:]):
        there = tuple(
            slice(at * s, at * s + span, d)
            for at, s, span, d in zip(place, strides, spans, dilates, strict=True)
        )
        for g in range(num_group):
            part = y[_at(slice(None), slice(g * ins, (g + 1) * ins), *place)]
            made = np.tensordot(part, w[g * ins : (g + 1) * ins], 1)
            out[_at(slice(None), slice(g * outs, (g + 1) * outs), *there)] += made
    inside = tuple(slice(p, size - p) for p, size in zip(pads, whole, strict=True))
    return Array((out[_at(..., *inside)] + _bias(bias, no_bias, out.ndim)).astype(dtype))


def pooling(
    data: Array,
    kernel: Any = None,
    pool_type: str = "max",
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: str = "valid",
    stride: Any = None,
    pad: Any = None,
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: Any = None,
) -> Array:
    """The maximum, mean, sum or norm of what each window sees."""
    value = floating(data)
    one_of("layout", layout, LAYOUTS)
    one_of("pool_type", pool_type, ("max", "avg", "sum", "lp"))
    if pool_type == "lp":
        one_of("p_value", p_value, (1, 2))
    n, sizes = value.ndim - 2, value.shape[2:]
    kernels = sizes if global_pool else _each(kernel, n, 1)
    strides = (1,) * n if global_pool else _each(stride, n, 1)
    pads = (0,) * n if global_pool else _each(pad, n, 0)
    full = one_of("pooling_convention", pooling_convention, ("valid", "full")) == "full"
    if any(size + 2 * p < k for size, p, k in zip(sizes, pads, kernels, strict=True)):
        raise InputError("a window does not fit")
    if pool_type == "max" and 0 in sizes:
        raise InputError("nothing has no maximum")
    counts = tuple(
        (size + 2 * p - k + (s - 1 if full else 0)) // s + 1
        for size, p, k, s in zip(sizes, pads, kernels, strides, strict=True)
    )
    wide = value.astype(accumulator(value.dtype))
    out = np.zeros((*value.shape[:2], *counts), wide.dtype)
    for place in _places(counts):
        starts = [at * s - p for at, s, p in zip(place, strides, pads, strict=True)]
        ends = [
            min(start + k, size + p)
            for start, k, size, p in zip(starts, kernels, sizes, pads, strict=True)
        ]
        seen = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(starts, ends, strict=True))
        places = np.prod([b - a for a, b in zip(starts, ends, strict=True)])
        part = _flat(wide[_at(..., *seen)], 2)
        if count_include_pad is False:
            places = part.shape[-1]
        out[_at(..., *place)] = _pooled(part, pool_type, p_value, int(places))
    return Array(out.astype(value.dtype))


def _pooled(part: Raw, kind: str, p_value: int | None, places: int) -> Raw:
    if kind == "max":
        return np.asarray(np.max(part, axis=-1, initial=-np.inf))
    if kind == "lp" and p_value == 2:
        return np.asarray(np.sqrt(np.sum(np.square(part), axis=-1)))
    total = np.sum(part, axis=-1)
    return np.asarray(total / places if kind == "avg" else total)


for _name, _function in (
    ("FullyConnected", fully_connected),
    ("Convolution", convolution),
    ("Deconvolution", deconvolution),
    ("Pooling", pooling),
):
    _function.__name__ = _name
FullyConnected = operator(fully_connected)
Convolution = operator(convolution)
Deconvolution = operator(deconvolution)
Pooling = operator(pooling)
