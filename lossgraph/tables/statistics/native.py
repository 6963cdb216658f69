"""The loops over rows in C: built for this machine once, without a compiler done by numpy.

Both give the same bits: sums are of integers, and buckets come from the same operations.
"""

from __future__ import annotations

import ctypes
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import LossgraphError
from ...kernels import cache, toolchain
from ...runtime.kernel_request import kernels_setting
from .counts import Counts, Window
from .mapping import Buckets
from .sums import BITS, ExactSums

Array = np.ndarray[Any, Any]

FEW = 4096  # rows of a batch for which nothing is built

_BINS = 1 << 20  # bytes of bins by group and exponent, of a size that stays in the cache
_MANTISSA = {4: 24, 8: 53}  # digits by bytes of a float
_LOWEST = {4: -149, 8: -1074}  # exponents of their smallest units
_NORMAL = 2.0**-126  # of float32


class Extent(ctypes.Structure):
    """The extremes of values, and of the sizes of positive and negative ones; 0 without any."""

    _fields_ = (
        ("finite", ctypes.c_int64),
        ("least", ctypes.c_double),
        ("most", ctypes.c_double),
        ("positive_least", ctypes.c_double),
        ("positive_most", ctypes.c_double),
        ("negative_least", ctypes.c_double),
        ("negative_most", ctypes.c_double),
    )

    def sizes(self) -> tuple[float, float] | None:
        """The smallest and the largest size but 0, if there are such values."""
        largest = max(self.positive_most, self.negative_most)
        if not largest:
            return None
        return min(x for x in (self.positive_least, self.negative_least) if x), largest

    def exponents(self, size: int) -> tuple[int, int] | None:
        """The exponents of two of the units of these, for floats of ``size`` bytes."""
        sizes = self.sizes()
        if sizes is None:
            return None
        low, high = (max(math.frexp(x)[1] - _MANTISSA[size], _LOWEST[size]) for x in sizes)
        return low, high


class _Sum(ctypes.Structure):
    _fields_ = (("digits", ctypes.c_void_p), ("low", ctypes.c_int64), ("width", ctypes.c_int64))


class _Table(ctypes.Structure):
    _fields_ = (("counts", ctypes.c_void_p), ("low", ctypes.c_int64), ("width", ctypes.c_int64))


class _Sketch(ctypes.Structure):
    _fields_ = (
        ("factor", ctypes.c_double),
        ("smallest", ctypes.c_double),
        ("shift", ctypes.c_int64),
        ("zeros", ctypes.c_void_p),
        ("negative", _Table),
        ("positive", _Table),
        ("numbers", ctypes.c_void_p),
    )


class Rows:
    """The loops of ``rows.c``. Arrays are contiguous; while a loop runs others may run too."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def _call(self, name: str, *arguments: Any) -> None:
        if self._library[name](*arguments):
            raise MemoryError

    def are_finite(self, values: Array) -> bool:
        """Whether there is neither NaN nor an infinity."""
        return bool(self._extent(values).finite)

    def are_positive(self, values: Array) -> bool:
        """Whether all are finite and more than 0."""
        extent = self._extent(values)
        return bool(extent.finite) and extent.least > 0

    def _extent(self, values: Array) -> Extent:
        """The extremes of values, of which there is one at least."""
        found = Extent()
        self._call(f"lg_scan_{_suffix(values)}", *_data(values), ctypes.byref(found))
        return found

    def add(self, groups: Array | None, values: Array, sums: ExactSums, squares: ExactSums) -> None:
        """Add values, and their squares, to sums of groups."""
        exponents = self._extent(values).exponents(values.itemsize)
        if exponents is None:
            return
        low, high = exponents
        count = 1 if groups is None else len(sums.digits)
        binned = groups is None or _are_few(count, high - low + 1, values.itemsize, len(values))
        widths = _WIDTHS[values.itemsize, binned]
        both = [
            _reached(each, times * low, times * high, width, len(values))
            for each, times, width in zip((sums, squares), (1, 2), widths, strict=True)
        ]
        data, kind = _data(values), _suffix(values)
        if groups is None:
            self._call(f"lg_sums_{kind}", *data, *both)
        elif binned:
            where = (_pointer(groups), *map(ctypes.c_int64, (count, low, high - low + 1)))
            self._call(f"lg_grouped_sums_{kind}", *data, *where, *both)
        else:
            self._call(f"lg_grouped_sums_{kind}_apart", *data, _pointer(groups), *both)

    def add_products(
        self, groups: Array | None, left: Array, right: Array, sums: ExactSums
    ) -> None:
        """Add the exact products of float64 values to sums of groups."""
        both = [self._extent(each).exponents(8) for each in (left, right)]
        if both[0] is None or both[1] is None:
            return
        low, high = (a + b for a, b in zip(*both, strict=True))
        count = 1 if groups is None else len(sums.digits)
        reached = _reached(sums, low, high, _WIDTHS[8, True][1], len(left))
        columns = (_pointer(left), *_data(right), None if groups is None else _pointer(groups))
        if groups is None or _are_few(count, high - low + 1, 8, len(left)):
            where = map(ctypes.c_int64, (count, low, high - low + 1))
            self._call("lg_products", *columns, *where, reached)
        else:
            self._call("lg_products_apart", *columns, reached)

    def count(self, groups: Array | None, values: Array, counts: Counts, buckets: Buckets) -> None:
        """Count values by bucket."""
        extent = self._extent(values)
        sketch = _Sketch(buckets.factor, buckets.smallest, buckets.shift)
        data, kind = _data(values), _suffix(values)
        windows = counts.windows(*_ranges(extent, buckets))
        if windows is None:
            numbers = np.empty(len(values), np.int64)
            sketch.numbers = _pointer(numbers)
            self._call(f"lg_buckets_{kind}", *data, ctypes.byref(sketch))
            counts.add(groups, numbers)
            return
        sketch.zeros = _pointer(counts.zeros)
        sketch.negative, sketch.positive = map(_table, windows)
        if groups is None:
            sizes = extent.sizes()
            if kind == "f32" and (sizes is None or sizes[0] >= _NORMAL):
                kind = "normal"
            self._call(f"lg_counts_{kind}", *data, ctypes.byref(sketch))
        else:
            self._call(f"lg_grouped_counts_{kind}", *data, _pointer(groups), ctypes.byref(sketch))

    def add_extremes(self, groups: Array | None, values: Array, least: Array, most: Array) -> None:
        """Have the extremes of groups be those of values too."""
        if groups is None:
            extent = self._extent(values)
            least[0], most[0] = min(least[0], extent.least), max(most[0], extent.most)
            return
        data = (*_data(values), _pointer(groups))
        self._call(f"lg_grouped_extremes_{_suffix(values)}", *data, _pointer(least), _pointer(most))


# How many digits are touched from the place of a value's unit on: of a sum, of a sum of squares;
# by bytes of a float, and whether they come from bins, whose integers are longer.
_WIDTHS = {(4, True): (3, 3), (8, True): (5, 5), (4, False): (2, 3), (8, False): (3, 5)}


def _are_few(groups: int, exponents: int, size: int, rows: int) -> bool:
    """Whether bins for all exponents of all groups stay in the cache, and are worth emptying."""
    return groups * exponents <= min(_BINS // (4 * size), 2 * rows)


def _reached(sums: ExactSums, low: int, high: int, width: int, addends: int) -> Any:
    """Sums with place for units of these exponents."""
    sums.reach(low // BITS, high // BITS + width)
    sums.prepare(2 * addends)
    return ctypes.byref(_Sum(_pointer(sums.digits), sums.low, sums.digits.shape[1]))


def _ranges(extent: Extent, buckets: Buckets) -> tuple[tuple[int, int] | None, ...]:
    """The buckets of negative and of positive values, from the first to the one after the last."""
    found: list[tuple[int, int] | None] = []
    for least, most in (
        (extent.negative_least, extent.negative_most),
        (extent.positive_least, extent.positive_most),
    ):
        if most <= buckets.smallest:
            found.append(None)
            continue
        low, high = (
            buckets.mapping.key(max(x, buckets.smallest)) + buckets.shift for x in (least, most)
        )
        found.append((low, high + 1) if found else (-high, 1 - low))
    return tuple(found)


def _table(window: Window) -> _Table:
    return _Table(_pointer(window.table), window.low, window.width)


def _pointer(array: Array) -> Any:
    return ctypes.c_void_p(array.ctypes.data)


def _data(array: Array) -> tuple[Any, Any]:
    return _pointer(array), ctypes.c_int64(len(array))


def _suffix(values: Array) -> str:
    return "f32" if values.dtype == np.float32 else "f64"


def add_squares(
    rows: Rows | None, groups: Array | None, values: Array, sums: ExactSums, squares: ExactSums
) -> None:
    """Add finite values, and their squares, to sums of groups; by numpy without ``rows``."""
    if rows is not None:
        rows.add(groups, values, sums, squares)
    else:
        wide = values.astype(np.float64)
        sums.add(groups, wide)
        squares.add_products(groups, wide, wide)


def add_products(
    rows: Rows | None, groups: Array | None, left: Array, right: Array, sums: ExactSums
) -> None:
    """Add the exact products of finite float64 values to sums of groups."""
    if rows is not None:
        rows.add_products(groups, left, right, sums)
    else:
        sums.add_products(groups, left, right)


def rows_in_c(rows: int) -> Rows | None:
    """The loops in C, for a batch of so many rows, or None where numpy does them.

    Raises:
        LossgraphError: if ``LOSSGRAPH_KERNELS`` asks for them, and they cannot be built.
    """
    wanted = kernels_setting(None)
    if wanted is False or (rows < FEW and not _load.cache_info().currsize):
        return None
    found = _load()
    if isinstance(found, Rows):
        return found
    if wanted is True:
        raise type(found)(str(found))
    return None


@functools.cache
def _load() -> Rows | LossgraphError:
    """Built once in a process, or the reason why not."""
    text = Path(__file__).with_name("rows.c").read_text("utf-8")
    try:
        return Rows(cache.library(text, toolchain.find()))
    except LossgraphError as error:
        return error
    except OSError as error:
        return LossgraphError(f"the loops over rows cannot be loaded: {error}")
