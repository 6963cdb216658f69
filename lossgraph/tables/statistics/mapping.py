"""From values to the buckets of a sketch and back: DDSketch's mapping, of the library ``ddsketch``.

Buckets of values of both signs stand in one order: bucket 0 has zeros, k and -k have values of one
size and opposite signs. ``key + shift`` of the library is the number of a positive bucket.

Source: C. Masson, J. E. Rim, H. K. Lee, DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees (2019), arXiv:1908.10693.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ...errors import InputError

Array = np.ndarray[Any, Any]

_FINEST = 1e-5  # so that all buckets of float64 have an int32
_SMALLEST = 1022  # the normal numbers of float64 begin at 2 ** -1022
_ONE = 0x3FF0000000000000  # the bits of 1.0
_INFINITY = 0x7FF0000000000000  # the bits of infinity
_LARGEST = float(np.finfo(np.float64).max)


class Buckets:
    """The buckets of a relative accuracy.

    Args:
        accuracy: how far a quantile may be off, relative to itself; from 1e-5 to 1.

    Attributes:
        factor: of a key; a key is the ceiling of log2, linear between powers of two, times it.
        shift: the difference of a bucket and the library's key.

    Raises:
        InputError: for another accuracy, or without the library.
    """

    def __init__(self, accuracy: float) -> None:
        if not _FINEST <= accuracy < 1:
            raise InputError(f"accuracy: expected a number from {_FINEST} to 1, got {accuracy!r}")
        try:
            from ddsketch.mapping import LinearlyInterpolatedMapping
        except ImportError:
            raise InputError("tables need ddsketch: pip install 'lossgraph[tables]'") from None
        self.accuracy = accuracy
        self.mapping = LinearlyInterpolatedMapping(accuracy)
        self.factor = float(self.mapping._multiplier)
        self.smallest = float(self.mapping.min_possible)
        self.shift = math.ceil(_SMALLEST * self.factor) + 1
        self.value = functools.cache(self._value)

    def of(self, values: Array) -> Array:
        """The buckets of finite values, int64."""
        wide = values.astype(np.float64)
        sizes = np.abs(wide)
        # e + s for a size of (1 + s) 2^e: the bits are that number in units of 2^-52.
        logarithms = (sizes.view(np.int64) - _ONE).astype(np.float64) * 2.0**-52
        numbers = np.ceil(logarithms * self.factor).astype(np.int64) + self.shift
        numbers[sizes <= self.smallest] = 0
        return np.where(wide < 0, -numbers, numbers)

    def bounds(self, buckets: Array) -> tuple[Array, Array]:
        """Numbers that the values of buckets lie above, and up to, exactly; zeros are from 0 to 0.

        The smallest number above the first and the second are in the bucket.
        """
        sizes = np.abs(buckets)
        near, far = self._last(np.maximum(sizes - 1, 0)), self._last(sizes)
        zero, below = buckets == 0, buckets < 0
        with np.errstate(over="ignore"):  # what lies below the least number
            low = np.where(below, np.nextafter(-far, -np.inf), near)
            high = np.where(below, np.nextafter(-near, -np.inf), far)
        return np.where(zero, 0.0, low), np.where(zero, 0.0, high)

    def _last(self, buckets: Array) -> Array:
        """The largest number in each bucket that is not negative, by bisection of its bits."""
        inside = np.zeros(len(buckets), np.int64)  # the bits of 0, which is in bucket 0
        beyond = np.full(len(buckets), _INFINITY)
        while (beyond - inside > 1).any():
            middle = inside + (beyond - inside) // 2
            fits = self.of(middle.view(np.float64)) <= buckets
            inside, beyond = np.where(fits, middle, inside), np.where(fits, beyond, middle)
        found: Array = inside.view(np.float64)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return Buckets, (self.accuracy,)

    def _value(self, bucket: int) -> float:
        """What stands for the values of a bucket, at most ``accuracy`` from each of them."""
        if bucket == 0:
            return 0.0
        try:
            size = float(self.mapping.value(abs(bucket) - self.shift))
        except OverflowError:  # of the topmost bucket, whose middle is no float64
            size = _LARGEST
        return math.copysign(min(size, _LARGEST), bucket)

    def sketch(self, buckets: Array, counts: Array) -> Any:
        """The library's sketch with these counts; it knows neither a sum nor extremes."""
        from ddsketch.ddsketch import BaseDDSketch

        positive, negative = buckets > 0, buckets < 0
        return BaseDDSketch(
            mapping=self.mapping,
            store=_store(buckets[positive] - self.shift, counts[positive]),
            negative_store=_store(-buckets[negative] - self.shift, counts[negative]),
            zero_count=float(counts[buckets == 0].sum()),
        )


def _store(keys: Array, counts: Array) -> Any:
    from ddsketch.store import DenseStore

    store = DenseStore()
    if len(keys):  # the range at once, and not bucket by bucket
        store._extend_range(int(keys.min()), int(keys.max()))
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        store.add(key, float(count))
    return store
