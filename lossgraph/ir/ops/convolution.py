"""Convolution in one or more dimensions, and its two transposes.

``convolve(x, w) = y`` is linear in both, so the derivative of each of the three operations is
made of the other two, to any order:

    x (N, C, L..)    w (O, C/groups, K..)    y (N, O, M..)

The lengths of the kernel are known, those of signals need not be. ONNX Runtime has its Conv and
ConvTranspose in float32 and narrower; in float64 they are sums over the places of the kernel of
products of matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ..batching import BatchDim, NotBatchableError
from ..dims import Dim, floordiv, maximum
from ..expr import Array, Expr, Op, register
from ..types import TensorType, require_equal
from .convolution_by_places import convolve_by_places, unconvolve_by_places
from .convolution_by_rows import are_known, unconvolve_by_rows
from .correlation import way_of
from .reduce import reduce_sum
from .shape import squeeze
from .type_rules import float_only
from .windows import Ints, Window

# --- types --------------------------------------------------------------------------------------


def _convolve_infer(x: TensorType, w: TensorType, *bias: TensorType, window: Window) -> TensorType:
    _check(float_only(x), w, window)
    for b in bias:
        if b.rank != 1 or b.dtype != x.dtype:
            raise InputError(f"expected a bias for each kernel, got {b}")
        require_equal(b.shape[0], w.shape[0])
    if w.shape[2:] != window.kernel:
        raise InputError(f"a kernel {window.kernel} for weights {w}")
    require_equal(x.shape[1], w.shape[1] * window.groups)
    require_equal(w.shape[0], floordiv(w.shape[0], window.groups) * window.groups)
    counts = [window.count(axis, length) for axis, length in enumerate(x.shape[2:])]
    return x.with_shape((x.shape[0], w.shape[0], *counts))


def _check(a: TensorType, b: TensorType, window: Window) -> None:
    rank = len(window.kernel) + 2
    if a.rank != rank or b.rank != rank or a.dtype != b.dtype:
        raise InputError(f"expected arrays of rank {rank} and one dtype, got {a} and {b}")


def _unconvolve_infer(
    w: TensorType, y: TensorType, *, window: Window, lengths: tuple[Dim, ...]
) -> TensorType:
    _check(w, y, window)
    require_equal(y.shape[1], w.shape[0])
    return y.with_shape((y.shape[0], w.shape[1] * window.groups, *lengths))


def _correlate_infer(x: TensorType, y: TensorType, *, window: Window) -> TensorType:
    _check(x, y, window)
    return x.with_shape((y.shape[1], floordiv(x.shape[1], window.groups), *window.kernel))


# --- by ONNX's operators ------------------------------------------------------------------------


def _attributes(window: Window) -> dict[str, Any]:
    return {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "dilations": window.dilation,
        "pads": (*window.before, *window.after),
        "group": window.groups,
    }


def _lower_convolve(b: Any, node: Expr, *names: str) -> str:
    window = node.attrs["window"]
    if node.dtype == "float64":
        return str(b.lower(convolve_by_places(*node.args, window=window)))
    return str(b.add("Conv", *names, **_attributes(window)))


def _lower_unconvolve(b: Any, node: Expr, w: str, y: str) -> str:
    """ONNX's ConvTranspose, to lengths that its stride leaves open."""
    window, lengths = node.attrs["window"], node.attrs["lengths"]
    if node.dtype == "float64":
        return str(b.lower(unconvolve_by_places(node.args[0], node.args[1], window, lengths)))
    if window.is_plain and window.groups == 1:  # a product of matrices, that Conv does faster
        turned = b.add("Transpose", w, perm=(1, 0, *range(2, node.rank)))
        return str(b.add("Conv", y, turned))
    if _are_many_products(node, window):
        return str(b.lower(unconvolve_by_rows(node.args[0], node.args[1], window, lengths)))
    made = [
        (count - 1) * stride + (window.span(axis) - window.before[axis] - window.after[axis])
        for axis, (count, stride) in enumerate(
            zip(node.args[1].shape[2:], window.stride, strict=True)
        )
    ]
    missing = [length - size for length, size in zip(lengths, made, strict=True)]
    if all(size == 0 for size in missing):
        return str(b.add("ConvTranspose", y, w, **_attributes(window)))
    if all(isinstance(n, int) and 0 <= n < s for n, s in zip(missing, window.stride, strict=True)):
        return str(b.add("ConvTranspose", y, w, **_attributes(window), output_padding=missing))
    return _lower_unconvolve_exactly(b, node, w, y, missing)


_SMALL_IMAGE = 200  # places of one sample, with which products of matrices have few columns
_LONG_ROW = 64


def _are_many_products(node: Expr, window: Window) -> bool:
    """Whether ONNX Runtime would compute small products, one for each sample."""
    y, lengths = node.args[1], node.attrs["lengths"]
    if window.groups > 1 or set(window.stride) != {1} or not are_known(y) or not are_known(node):
        return False
    return math.prod(lengths) <= _SMALL_IMAGE and not _below(y.shape[1], _LONG_ROW)


def _below(dim: Dim, limit: int) -> bool:
    return not isinstance(dim, int) or dim < limit


def _lower_unconvolve_exactly(b: Any, node: Expr, w: str, y: str, missing: Sequence[Dim]) -> str:
    """Without padding, filled with zeros and cut to lengths that are found out at run time."""
    window, lengths = node.attrs["window"], node.attrs["lengths"]
    attributes = {**_attributes(window), "pads": (0,) * (2 * len(lengths))}
    full = b.add("ConvTranspose", y, w, **attributes)
    fill = [maximum(m - after, 0) for m, after in zip(missing, window.after, strict=True)]
    if any(size != 0 for size in fill):
        sides = b.sizes((*(0,) * (len(lengths) + 4), *fill))
        full = b.add("Pad", full, sides, b.const(0, node.dtype))
    starts = b.const(list(window.before), "int64")
    ends = b.sizes([p + length for p, length in zip(window.before, lengths, strict=True)])
    axes = b.const(list(range(2, 2 + len(lengths))), "int64")
    return str(b.add("Slice", full, starts, ends, axes))


def _lower_correlate(b: Any, node: Expr, x: str, y: str) -> str:
    """The fastest way for its shapes, else a Conv with other roles: samples are its channels."""
    window, (signal, given) = node.attrs["window"], node.args
    way = way_of(signal, given, window)
    if way is not None:
        return str(b.lower(way(signal, given, window)))
    order = (1, 0, *range(2, node.rank))
    x, y = (b.add("Transpose", name, perm=order) for name in (x, y))
    full = b.add(
        "Conv",
        x,
        y,
        strides=window.dilation,
        dilations=window.stride,
        pads=(*window.before, *window.after),
    )
    zeros, axes = [0] * len(window.kernel), list(range(2, node.rank))
    ends = b.const(list(window.kernel), "int64")
    cut = b.add("Slice", full, b.const(zeros, "int64"), ends, b.const(axes, "int64"))
    return str(b.add("Transpose", cut, perm=order))


# --- by numpy -----------------------------------------------------------------------------------


def _windows(x: Array, window: Window, counts: Sequence[int]) -> Iterator[tuple[Ints, Any]]:
    """The places of the kernel, and an index of what each one meets in a padded signal."""
    for place in window.places():
        yield (
            place,
            tuple(
                slice(k * d, k * d + (count - 1) * s + 1, s)
                for k, d, s, count in zip(
                    place, window.dilation, window.stride, counts, strict=True
                )
            ),
        )


def _index(last: Sequence[Any]) -> Any:
    """An index of the last axes."""
    return (..., *last)


def _wide(x: Array, window: Window) -> Array:
    return np.pad(x, [(0, 0), (0, 0), *zip(window.before, window.after, strict=True)])


def _split(x: Array, groups: int) -> Array:
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:])


def _convolve_ref(x: Array, w: Array, *bias: Array, window: Window) -> Array:
    counts = [int(window.count(axis, n)) for axis, n in enumerate(x.shape[2:])]  # type: ignore[arg-type]
    wide = _split(_wide(x, window), window.groups)
    weights = w.reshape(window.groups, -1, *w.shape[1:])
    out = np.zeros((x.shape[0], window.groups, weights.shape[1], *counts), x.dtype)
    for place, index in _windows(x, window, counts):
        seen = wide[_index(index)]
        out += np.einsum("goc,ngc...->ngo...", weights[_index(place)], seen)
    made = out.reshape(x.shape[0], -1, *counts)
    return made + sum(b.reshape(-1, *(1,) * len(counts)) for b in bias)


def _unconvolve_ref(w: Array, y: Array, window: Window, lengths: Sequence[int]) -> Array:
    around = [sum(n) for n in zip(lengths, window.before, window.after, strict=True)]
    weights, given = w.reshape(window.groups, -1, *w.shape[1:]), _split(y, window.groups)
    out = np.zeros((y.shape[0], window.groups, w.shape[1], *around), y.dtype)
    for place, index in _windows(y, window, y.shape[2:]):
        out[_index(index)] += np.einsum("goc,ngo...->ngc...", weights[_index(place)], given)
    inside = [slice(p, p + n) for p, n in zip(window.before, lengths, strict=True)]
    return out.reshape(y.shape[0], -1, *around)[_index(inside)]


def _correlate_ref(x: Array, y: Array, window: Window) -> Array:
    wide, given = _split(_wide(x, window), window.groups), _split(y, window.groups)
    out = np.zeros((window.groups, given.shape[2], wide.shape[2], *window.kernel), x.dtype)
    for place, index in _windows(x, window, y.shape[2:]):
        seen = wide[_index(index)].reshape(*wide.shape[:3], -1)
        rows = given.reshape(*given.shape[:3], -1)
        out[_index(place)] = np.einsum("ngol,ngcl->goc", rows, seen)
    return out.reshape(y.shape[1], wide.shape[2], *window.kernel)


# --- the operations -----------------------------------------------------------------------------


def _samples_of(position: int) -> Any:
    """The samples are those of one argument, along its first axis; all share the others."""

    def batching(node: Expr, batch_dims: Sequence[BatchDim | None], batch: str) -> BatchDim | None:
        if any(dim is not None for i, dim in enumerate(batch_dims) if i != position):
            raise NotBatchableError
        found = batch_dims[position]
        if found is not None and found.axis != 0:
            raise NotBatchableError
        return found

    return batching


def _convolve_vjp(
    ct: Expr, out: Expr, x: Expr, w: Expr, *bias: Expr, window: Window
) -> tuple[Expr, ...]:
    over = (0, *range(2, ct.rank))
    by_bias = (squeeze(reduce_sum(ct, over), over) for _ in bias)
    return (unconvolve(w, ct, window, x.shape[2:]), correlate(x, ct, window), *by_bias)


BOTH = ((-3.0, 3.0), (-3.0, 3.0), (-3.0, 3.0))
_convolve: Op = register(
    Op(
        "Convolution",
        _convolve_infer,
        _convolve_ref,
        _convolve_vjp,
        _lower_convolve,
        BOTH,
        heavy=True,
        batching=_samples_of(0),
        linear_in=(0, 1),
    )
)
_unconvolve: Op = register(
    Op(
        "ConvolutionTransposed",
        _unconvolve_infer,
        _unconvolve_ref,
        lambda ct, out, w, y, window, lengths: (correlate(ct, y, window), convolve(ct, w, window)),
        _lower_unconvolve,
        BOTH[:2],
        heavy=True,
        batching=_samples_of(1),
        linear_in=(0, 1),
    )
)
_correlate: Op = register(
    Op(
        "ConvolutionByWeights",
        _correlate_infer,
        _correlate_ref,
        lambda ct, out, x, y, window: (
            unconvolve(ct, y, window, x.shape[2:]),
            convolve(x, ct, window),
        ),
        _lower_correlate,
        BOTH[:2],
        heavy=True,
        linear_in=(0, 1),
    )
)


def convolve(x: Expr, w: Expr, window: Window, bias: Expr | None = None) -> Expr:
    """Cross-correlation, as networks have it: at each place the sum of products with a kernel.

    ``bias``, (O,), is added to each kernel's results.
    """
    return _convolve(x, w, *(() if bias is None else (bias,)), window=window)


def unconvolve(w: Expr, y: Expr, window: Window, lengths: Sequence[Dim]) -> Expr:
    """What ``convolve`` by weights is the transpose of, for signals of those lengths."""
    return _unconvolve(w, y, window=window, lengths=tuple(lengths))


def correlate(x: Expr, y: Expr, window: Window) -> Expr:
    """What ``convolve`` of a signal is the transpose of, for its weights."""
    return _correlate(x, y, window=window)
