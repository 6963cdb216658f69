"""How ``correlate``, the gradient of a convolution by its weights, is computed.

It sums over samples and places of what came out, for each pair of channels and each place of the
kernel. ONNX has no operator for it. As a Conv whose samples are channels it would be a product of
very wide matrices with few columns; these are faster, each somewhere (``tools/bench_training``):

- *rows*: what the kernel meets at each place is gathered, channels last, as a row; one product of
  matrices follows. Best for many channels, where a row is long, on small images.
- *columns*: the same by slices, channels first, a product for each sample. Best for few channels.
- *places*: a product for each place of the kernel, of all samples. Copies least.
- *channels*: without sums over channels, element by element.
- *roles*: that Conv. Best for large kernels on few channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..dims import Dim, floordiv, product
from ..expr import Expr
from ..types import numpy_dtype
from .convolution_by_rows import are_known, rows_met
from .elementwise import cast, mul
from .linalg import gemm, matmul, matrix_transpose
from .reduce import reduce_sum
from .shape import concat, pad, reshape, slice_, transpose
from .windows import Ints, Window

Way = Callable[[Expr, Expr, Window], Expr]

_LONG_ROW = 32  # channels from which on a gathered row is copied as fast as a slice
_SMALL_IMAGE = 256  # places up to which all gathered rows of a batch stay near the processor
_FEW_CHANNELS = 16
_LARGE_KERNEL = 36


def way_of(x: Expr, y: Expr, window: Window) -> Way | None:
    """The fastest way for shapes, in ONNX Runtime on a CPU; None for roles."""
    channels, size = x.shape[1], math.prod(window.kernel)
    places, strided = product(y.shape[2:]), any(stride > 1 for stride in window.stride)
    if x.dtype == "float64" or not isinstance(channels, int):
        return by_places
    if window.groups > 1:
        return by_channels if channels == window.groups == y.shape[1] else by_places
    if size == 1:
        large = isinstance(places, int) and places >= _SMALL_IMAGE
        return by_columns if large or strided else by_places
    if channels < _FEW_CHANNELS:
        return None if size > _LARGE_KERNEL else by_columns
    small = isinstance(places, int) and places <= _SMALL_IMAGE
    if are_known(x) and small and (channels >= _LONG_ROW or strided):
        return by_rows
    return by_places


def by_rows(x: Expr, y: Expr, window: Window) -> Expr:
    """One product of matrices, of rows that are gathered."""
    rows = rows_met(x, window)
    given = reshape(_samples_second(y), (y.shape[1], product((y.shape[0], *y.shape[2:]))))
    return _as_weights(gemm(given, rows), x.shape[1], window)


def by_columns(x: Expr, y: Expr, window: Window) -> Expr:
    """A product for each sample, of columns that are slices."""
    wide, counts = _padded(x, window), y.shape[2:]
    columns = [_cut(wide, window, place, counts) for place in window.places()]
    joined = columns[0] if len(columns) == 1 else concat(columns, 1)
    length = product(counts)
    joined = reshape(joined, (x.shape[0], len(columns) * x.shape[1], length))
    given = reshape(y, (*y.shape[:2], length))
    products = matmul(given, matrix_transpose(joined))
    total = cast(reduce_sum(_wide(products), (0,)), x.dtype)
    return _as_weights(total, x.shape[1], window)


def by_places(x: Expr, y: Expr, window: Window) -> Expr:
    """A product for each place of the kernel, of all samples at once."""
    wide = _samples_second(_padded(x, window))  # (C, N, L..)
    given = _of_groups(_samples_second(y), window.groups)
    found = []
    for place in window.places():
        met = _of_groups(_cut(wide, window, place, y.shape[2:]), window.groups)
        found.append(reshape(_product(given, met), (y.shape[1], met.shape[-2], 1)))
    joined = found[0] if len(found) == 1 else concat(found, 2)
    return reshape(joined, (*joined.shape[:2], *window.kernel))


def _of_groups(x: Expr, groups: int) -> Expr:
    """(C, N, L..) as (C, all of N and L), or as (groups, C/groups, all of N and L)."""
    channels: tuple[Dim, ...] = (x.shape[0],)
    if groups > 1:
        channels = (groups, floordiv(x.shape[0], groups))
    return reshape(x, (*channels, product(x.shape[1:])))


def _product(given: Expr, met: Expr) -> Expr:
    if given.rank > 2:
        return matmul(given, matrix_transpose(met))
    return gemm(given, met, transpose_b=True)


def _wide(x: Expr) -> Expr:
    """Numbers of 16 bits in 32, as products of matrices add them."""
    return cast(x, "float32") if numpy_dtype(x.dtype).itemsize == 2 else x


def by_channels(x: Expr, y: Expr, window: Window) -> Expr:
    """For kernels of one channel each: products of elements, summed."""
    wide, channels = _padded(x, window), x.shape[1]
    last = isinstance(channels, int) and channels >= 2 * _LONG_ROW  # so that sums are of rows
    if last:
        wide, y = (transpose(a, (0, *range(2, a.rank), 1)) for a in (wide, y))
    over = (0, *range(1, y.rank - 1)) if last else (0, *range(2, y.rank))
    counts = y.shape[1:-1] if last else y.shape[2:]
    found = []
    for place in window.places():
        met = _cut(wide, window, place, counts, 1 if last else 2)
        total = cast(reduce_sum(mul(_wide(met), _wide(y)), over), x.dtype)
        found.append(reshape(total, (channels, 1)))
    joined = found[0] if len(found) == 1 else concat(found, 1)
    return reshape(joined, (channels, 1, *window.kernel))


def _as_weights(found: Expr, channels: Dim, window: Window) -> Expr:
    """(O, K*C) as (O, C, K..), of any shape with as many elements."""
    size = product(window.kernel)
    outputs = found.shape[-2]
    split = reshape(found, (outputs, size, channels))
    return reshape(transpose(split, (0, 2, 1)), (outputs, channels, *window.kernel))


def _samples_second(x: Expr) -> Expr:
    return transpose(x, (1, 0, *range(2, x.rank)))


def _padded(x: Expr, window: Window) -> Expr:
    return pad(x, (0, 0, *window.before), (0, 0, *window.after))


def _cut(x: Expr, window: Window, place: Ints, counts: Sequence[Dim], first: int = 2) -> Expr:
    """What one place of the kernel meets, along the axes from ``first`` on."""
    starts, steps, sizes = [0] * x.rank, [1] * x.rank, list(x.shape)
    for i, (k, count) in enumerate(zip(place, counts, strict=True)):
        starts[first + i] = k * window.dilation[i]
        steps[first + i], sizes[first + i] = window.stride[i], count
    return slice_(x, starts, steps, sizes)
