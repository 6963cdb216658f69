"""Layers of ``F`` in MXNet's arguments: linear, convolutions, pooling.

Weights are arguments, or constants of the loss: ``F.array`` of what was trained elsewhere. The
lengths of kernels are known, those of images may be names. Layouts have the channels second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import dims, ops
from ..ir.dims import Dim
from ..ir.expr import Expr
from ..ir.ops.convolution import unconvolve
from .elementwise import _chosen, _floating
from .register import function
from .shape import pad as padded
from .symbol import (
    Operand,
    Symbol,
    _dim_of,
    as_expr,
    as_shape,
    beside,
    promote,
    static,
    with_axes,
    wrap,
)


@function()
def FullyConnected(
    data: Operand,
    weight: Operand,
    bias: Operand | None = None,
    num_hidden: int | None = None,
    no_bias: bool = False,
    flatten: bool = True,
) -> Symbol:
    """``x W^T + b``.

    Args:
        data: (N, ..); its axes but the first are joined if ``flatten``, else (.., D).
        weight: (num_hidden, D).
        bias: (num_hidden,).
        num_hidden: the number of outputs, which ``weight`` tells.
        no_bias: whether there is no bias.
        flatten: whether a sample is one vector.
    """
    (x, w), _ = promote(data, weight, floating=True)
    if w.rank != 2:
        raise InputError(f"FullyConnected: expected weights (num_hidden, D), got {w.type}")
    _check_outputs("FullyConnected", "num_hidden", num_hidden, w.shape[0])
    x = with_axes(x, 1, "FullyConnected")
    if flatten:
        x = ops.reshape(x, (x.shape[0], dims.product(x.shape[1:])))
    b = _bias("FullyConnected", bias, no_bias, x)
    if x.rank == 2:
        return wrap(ops.gemm(x, w, b, transpose_b=True))
    product = ops.matmul(x, ops.matrix_transpose(w))
    return wrap(product if b is None else product + b)


def _check_outputs(layer: str, name: str, given: Any, found: Dim) -> None:
    if given is not None and _dim_of(given) not in (0, found) and isinstance(found, int):
        raise InputError(f"{layer}: {name} is {given}, but the weights are for {found}")


def _bias(layer: str, bias: Operand | None, no_bias: bool, x: Expr) -> Expr | None:
    if no_bias:
        return None
    if bias is None:
        raise InputError(f"{layer}: bias is missing: give it, or no_bias=True")
    return beside(bias, x)


# --- convolutions -------------------------------------------------------------------------------


def _is_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, (tuple, list)) and not value)


def _each(name: str, value: Any, count: int, default: int) -> tuple[int, ...]:
    """One number an axis, not below the default: given for each, or for all."""
    if not _is_given(value):
        return (default,) * count
    numbers = as_shape(value.tolist() if isinstance(value, np.ndarray) else value)
    numbers = numbers * count if len(numbers) == 1 else numbers
    if len(numbers) != count:
        raise InputError(f"{name}: expected {count} numbers, got {value!r}")
    found = tuple(static(number, name) for number in numbers)
    if min(found) < default:
        raise InputError(f"{name}: expected numbers from {default} on, got {value!r}")
    return found


_LAYOUTS = (None, "None", "NCW", "NCHW", "NCDHW")


def _layer(layer: str, data: Operand, weight: Operand, layout: str | None) -> tuple[Expr, Expr]:
    (x, w), _ = promote(data, weight, floating=True)
    if layout not in _LAYOUTS:
        raise InputError(f"{layer}: layout {layout!r}: channels are second here: F.transpose first")
    if x.rank < 3 or w.rank != x.rank:
        raise InputError(
            f"{layer}: expected signals (N, C, W), images (N, C, H, W) and weights of their "
            f"rank, got {x.type} and {w.type}"
        )
    return x, w


def _window(
    layer: str, w: Expr, kernel: Any, stride: Any, dilate: Any, pad: Any, groups: int
) -> ops.Window:
    count = w.rank - 2
    shape = tuple(static(dim, f"{layer}: the kernel") for dim in w.shape[2:])
    if _is_given(kernel) and _each("kernel", kernel, count, 1) != shape:
        raise InputError(f"{layer}: kernel {kernel}, but the weights are {w.type}")
    around = _each("pad", pad, count, 0)
    return ops.Window(
        shape,
        _each("stride", stride, count, 1),
        _each("dilate", dilate, count, 1),
        around,
        around,
        _each("num_group", groups, 1, 1)[0],
    )


def _with_bias(layer: str, x: Expr, bias: Operand | None, no_bias: bool) -> Symbol:
    b = _bias(layer, bias, no_bias, x)
    return wrap(x if b is None else x + ops.expand_dims(b, range(1, x.rank - 1)))


@function()
def Convolution(
    data: Operand,
    weight: Operand,
    bias: Operand | None = None,
    kernel: Any = None,
    stride: Any = None,
    dilate: Any = None,
    pad: Any = None,
    num_filter: int | None = None,
    num_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
) -> Symbol:
    """Cross-correlation with kernels, in one, two or three dimensions.

    Args:
        data: (N, C, W), (N, C, H, W) or (N, C, D, H, W).
        weight: (num_filter, C/num_group, ..), with the lengths of the kernel.
        bias: (num_filter,).
        kernel: the lengths of the kernel, which ``weight`` tells.
        stride: how far the kernel moves, 1 by default.
        dilate: how far its places are apart, 1 by default.
        pad: the zeros on either side of the signal, 0 by default.
        num_filter: the number of kernels, which ``weight`` tells.
        num_group: into how many parts the channels are split, each with filters of its own; C
            of them are a depthwise convolution.
        workspace: without meaning here, as ``cudnn_tune`` and ``cudnn_off``.
        no_bias: whether there is no bias.
        cudnn_tune: without meaning here.
        cudnn_off: without meaning here.
        layout: channels second.
    """
    x, w = _layer("Convolution", data, weight, layout)
    _check_outputs("Convolution", "num_filter", num_filter, w.shape[0])
    window = _window("Convolution", w, kernel, stride, dilate, pad, num_group)
    return _with_bias("Convolution", ops.convolve(x, w, window), bias, no_bias)


@function()
def Deconvolution(
    data: Operand,
    weight: Operand,
    bias: Operand | None = None,
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
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
) -> Symbol:
    """The transpose of ``Convolution``: each element adds a kernel, ``stride`` places apart.

    Args:
        data: (N, C, W), (N, C, H, W) or (N, C, D, H, W).
        weight: (C, num_filter/num_group, ..).
        bias: (num_filter,), with ``no_bias=False``.
        kernel: the lengths of the kernel, which ``weight`` tells.
        stride: as of the convolution, likewise ``dilate``, ``pad`` and ``num_group``.
        dilate: 1 by default.
        pad: 0 by default; what is cut off here.
        adj: how much longer the result is.
        target_shape: not supported: give ``pad`` and ``adj``.
        num_filter: the number of filters, which ``weight`` tells.
        num_group: into how many parts the channels are split.
        workspace: without meaning here, as ``cudnn_tune`` and ``cudnn_off``.
        no_bias: whether there is no bias.
        cudnn_tune: without meaning here.
        cudnn_off: without meaning here.
        layout: channels second.
    """
    y, w = _layer("Deconvolution", data, weight, layout)
    if _is_given(target_shape):
        raise InputError("Deconvolution: target_shape is not supported: give pad and adj")
    window = _window("Deconvolution", w, kernel, stride, dilate, pad, num_group)
    _check_outputs("Deconvolution", "num_filter", num_filter, w.shape[1] * window.groups)
    more = _each("adj", adj, w.rank - 2, 0)
    lengths = [
        (count - 1) * window.stride[i] + (window.span(i) - 2 * window.before[i] + more[i])
        for i, count in enumerate(y.shape[2:])
    ]
    return _with_bias("Deconvolution", unconvolve(w, y, window, lengths), bias, no_bias)


# --- pooling ------------------------------------------------------------------------------------


@function()
def Pooling(
    data: Operand,
    kernel: Any = None,
    pool_type: str = "max",
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: str = "valid",
    stride: Any = None,
    pad: Any = None,
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: str | None = None,
) -> Symbol:
    """The maximum, mean, sum or norm of what a window sees, in one to three dimensions.

    Elements that attain a maximum share its gradient equally.

    Args:
        data: (N, C, W), (N, C, H, W) or (N, C, D, H, W).
        kernel: the lengths of the window.
        pool_type: ``max``, ``avg``, ``sum``, or ``lp``.
        global_pool: whether the window is all there is.
        cudnn_off: without meaning here.
        pooling_convention: whether windows that reach beyond the end are left out, ``valid``, or
            not, ``full``.
        stride: how far the window moves, 1 by default.
        pad: the places on either side that count as nothing, 0 by default.
        p_value: of ``lp``: 2, or 1 for the sum, which is signed.
        count_include_pad: whether a mean counts the places of the padding, as it does by default.
        layout: channels second.
    """
    x = _floating(data)
    if layout not in _LAYOUTS or x.rank < 3:
        raise InputError(f"Pooling: expected (N, C, ..), got {x.type} and layout {layout!r}")
    if pool_type == "lp" and p_value not in (1, 2):
        raise InputError(f"Pooling: pool_type 'lp' needs p_value 1 or 2, got {p_value!r}")
    if global_pool:
        return wrap(_global(x, pool_type, p_value))
    count = x.rank - 2
    if not _is_given(kernel):
        raise InputError("Pooling: kernel is missing: give it, or global_pool=True")
    pool = _Pool(
        x,
        _each("kernel", kernel, count, 1),
        _each("stride", stride, count, 1),
        _each("pad", pad, count, 0),
        _chosen("pooling_convention", pooling_convention, {"valid": False, "full": True}),
    )
    bodies: dict[str, Callable[[], Expr]] = {
        "max": pool.maximum,
        "sum": lambda: pool.sum(x),
        "avg": lambda: pool.sum(x) / pool.divisor(count_include_pad is not False),
        "lp": lambda: pool.sum(x) if p_value == 1 else pool.norm(),  # signed, as MXNet's
    }
    return wrap(_chosen("pool_type", pool_type, bodies)())


def _global(x: Expr, kind: str, p_value: int | None) -> Expr:
    axes = range(2, x.rank)
    bodies: dict[str, Callable[[], Expr]] = {
        "max": lambda: ops.reduce_max(x, axes),
        "sum": lambda: ops.reduce_sum(x, axes),
        "avg": lambda: ops.reduce_mean(x, axes),
        "lp": lambda: ops.norm(x, axes) if p_value == 2 else ops.reduce_sum(ops.absolute(x), axes),
    }
    result: Expr = _chosen("pool_type", kind, bodies)()
    return result


class _Pool:
    """Windows over the axes after the channels."""

    def __init__(
        self,
        x: Expr,
        kernel: Sequence[int],
        stride: Sequence[int],
        pad: Sequence[int],
        full: bool,
    ) -> None:
        self.x, self.kernel, self.stride, self.pad = x, kernel, stride, pad
        self.counts: list[Dim] = []
        self.after: list[Dim] = []
        for k, s, p, length in zip(kernel, stride, pad, x.shape[2:], strict=True):
            if p >= k or k < 1 or s < 1:
                raise InputError(f"Pooling: kernel {k} with stride {s} and pad {p}")
            room = length + (2 * p - k)
            if isinstance(room, int) and room < 0:
                raise InputError(f"Pooling: a window of {k} places does not fit {length}")
            count = dims.floordiv(room + (s - 1 if full else 0), s) + 1
            self.counts.append(count)
            self.after.append(dims.maximum((count - 1) * s + (k - p) - length, 0))

    def _padded(self, x: Expr, value: float) -> Expr:
        before = (0, 0, *self.pad)
        after = (0, 0, *self.after)
        width = [side for sides in zip(before, after, strict=True) for side in sides]
        if value == 0:
            return ops.pad(x, before, after)
        return as_expr(padded(wrap(x), pad_width=width, constant_value=value))

    def _seen(self, x: Expr, axis: int, k: int) -> Expr:
        """What one place of the window sees along an axis."""
        return ops.take_range(x, axis + 2, k, self.counts[axis], self.stride[axis])

    def sum(self, x: Expr) -> Expr:
        """Along one axis after the other."""
        x = self._padded(x, 0.0)
        for axis, k in enumerate(self.kernel):
            parts = [self._seen(x, axis, i) for i in range(k)]
            while len(parts) > 1:
                pairs = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)]
                parts = [*pairs, *parts[2 * len(pairs) :]]
            x = parts[0]
        return x

    def _stacked(self, value: float) -> Expr:
        """All that each window sees, along a new last axis."""
        parts = [self._padded(self.x, value)]
        for axis, k in enumerate(self.kernel):
            parts = [self._seen(part, axis, i) for part in parts for i in range(k)]
        return ops.concat([ops.expand_dims(part, (-1,)) for part in parts], -1)

    def maximum(self) -> Expr:
        """The largest of what each window sees."""
        return ops.squeeze(ops.reduce_max(self._stacked(-float("inf")), (-1,)), (-1,))

    def norm(self) -> Expr:
        """The square root of the sum of squares."""
        return ops.squeeze(ops.norm(self._stacked(0.0), (-1,)), (-1,))

    def divisor(self, include_pad: bool) -> Expr:
        """How many places each window has; those that reach beyond the padding have fewer."""
        total: Expr | None = None
        for axis, length in enumerate(self.x.shape[2:]):
            p = self.pad[axis]
            first = ops.iota(self.counts[axis]) * self.stride[axis] - p
            size = ops.size_of(length)
            past = ops.minimum(first + self.kernel[axis], size + p)
            if not include_pad:
                past, first = ops.minimum(past, size), ops.maximum(first, 0)
            number = ops.expand_dims(past - first, range(1, len(self.counts) - axis))
            total = number if total is None else total * number
        assert total is not None  # there is an axis
        return ops.cast(total, self.x.dtype)
