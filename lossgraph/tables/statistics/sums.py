"""Exact sums of floats, of their squares and of products: integers in words of 32 bits.

A sum is the integer that it is in units of a power of two, the idea of Kulisch's accumulator, in
digits to the base 2^32. A digit has 64 bits, so that 2^31 addends need no carry. Only the digits
that some addend has reached are kept: a window that grows, the same for all groups.

Source: U. Kulisch, Computer Arithmetic and Validity (2013), section 8; R. Neal, Fast exact
summation using small and large superaccumulators (2015), arXiv:1505.05571.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BITS = 32  # of a digit
_MASK = (1 << BITS) - 1
_CARRY_AFTER = 1 << 30  # addends, half of what a digit can hold
_MANTISSA = 53


class ExactSums:
    """A sum for each group: ``digits[g, i]`` counts units of ``2 ** (BITS * (low + i))``.

    Attributes:
        digits: int64 of shape (groups, width), in two's complement over all of a row.
        low: the position of the first digit.
    """

    def __init__(self, groups: int) -> None:
        self.digits = np.zeros((groups, 0), np.int64)
        self.low = 0
        self._addends = 0  # since the last carry

    @property
    def high(self) -> int:
        """The position after the last digit."""
        return self.low + self.digits.shape[1]

    def resize(self, groups: int) -> None:
        """Make place for more groups, whose sums are 0."""
        more = groups - len(self.digits)
        self.digits = np.concatenate([self.digits, np.zeros((more, self._width), np.int64)])

    @property
    def _width(self) -> int:
        return int(self.digits.shape[1])

    def reach(self, low: int, high: int) -> None:
        """Have digits from ``low`` to before ``high``, and those that are there."""
        if self._width:
            low, high = min(low, self.low), max(high, self.high)
        if (low, high) != (self.low, self.high):
            digits = np.zeros((len(self.digits), high - low), np.int64)
            digits[:, self.low - low : self.high - low] = self.digits
            self.digits, self.low = digits, low

    def prepare(self, addends: int) -> None:
        """Make sure that so many addends more, each less than 2^32 a digit, do not overflow."""
        if self._addends + addends > _CARRY_AFTER:
            self.carry()
        self._addends += addends

    def carry(self) -> None:
        """Have each digit but the last in [0, 2^32), so that equal sums have equal digits."""
        self._addends = 0
        for i in range(self._width - 1):
            self.digits[:, i + 1] += self.digits[:, i] >> BITS
            self.digits[:, i] &= _MASK
        while self._width and np.any(self._last != self._last.astype(np.int32)):
            self.reach(self.low, self.high + 1)
            self.digits[:, -1] = self.digits[:, -2] >> BITS
            self.digits[:, -2] &= _MASK

    @property
    def _last(self) -> Array:
        return self.digits[:, -1]

    def add(self, groups: Array | None, values: Array) -> None:
        """Add finite float64 values, each to its group; without groups to the first."""
        mantissas, exponents = _integers(values)
        self._deposit(groups, mantissas, exponents)

    def add_products(self, groups: Array | None, left: Array, right: Array) -> None:
        """Add the exact products of finite float64 values."""
        a, e = _integers(left)
        b, f = _integers(right)
        exponents = e + f
        high_a, low_a = a >> 27, a & ((1 << 27) - 1)
        high_b, low_b = b >> 27, b & ((1 << 27) - 1)
        self._deposit(groups, high_a * high_b, exponents + 54)
        self._deposit(groups, high_a * low_b + low_a * high_b, exponents + 27)
        self._deposit(groups, low_a * low_b, exponents)

    def _deposit(self, groups: Array | None, integers: Array, exponents: Array) -> None:
        """Add ``integers * 2 ** exponents``; the integers are less than 2^62 in size."""
        kept = np.flatnonzero(integers)
        if not len(kept):
            return
        integers, exponents = integers[kept], exponents[kept]
        places = exponents >> 5  # also of negative ones
        shifts = exponents & (BITS - 1)
        self.reach(int(places.min()), int(places.max()) + 3)
        self.prepare(4 * len(kept))
        places -= self.low
        if groups is not None:
            places += groups[kept] * self._width
        flat = self.digits.reshape(-1)
        lower = (integers & _MASK) << shifts
        upper = (integers >> BITS) << shifts
        np.add.at(flat, places, lower & _MASK)
        np.add.at(flat, places + 1, (lower >> BITS) + (upper & _MASK))
        np.add.at(flat, places + 2, upper >> BITS)

    def merge(self, groups: Array, other: ExactSums) -> None:
        """Add the sums of others, the i-th to ``groups[i]``."""
        if not other._width:
            return
        other.carry()
        self.reach(other.low, other.high)
        self.prepare(len(groups))
        start = other.low - self.low
        place = self.digits[:, start : start + other._width]
        if np.all(np.diff(groups) > 0):
            place[groups] += other.digits[: len(groups)]
        else:
            np.add.at(place, groups, other.digits[: len(groups)])

    def trim(self) -> None:
        """Carry, and drop the digits that no sum needs."""
        self.carry()
        used = np.flatnonzero(self.digits.any(0))
        first = int(used[0]) if len(used) else self._width
        last = self._width
        while last > first + 1 and _is_sign_of(self.digits[:, last - 1], self.digits[:, last - 2]):
            last -= 1
            self.digits[:, last - 1] = self.digits[:, last - 1].astype(np.uint32).view(np.int32)
        self.digits = np.ascontiguousarray(self.digits[:, first:last])
        self.low = self.low + first if last > first else 0

    def integers(self, groups: int) -> tuple[list[int], int]:
        """The first sums as integers, and the exponent of two that they are multiplied by."""
        self.carry()
        size = 4 * self._width
        content = self.digits[:groups].astype("<u4").tobytes()
        read = int.from_bytes
        found = [
            read(content[start : start + size], "little", signed=True)
            for start in range(0, size * groups, size or 1)
        ]
        return found or [0] * groups, BITS * self.low


def _is_sign_of(last: Array, before: Array) -> bool:
    """Whether the last digits only repeat the sign of those before."""
    return bool(np.all(last == -(before >> (BITS - 1))))


def _integers(values: Array) -> tuple[Array, Array]:
    """Integers and exponents of two of floats: ``values = integers * 2 ** exponents``."""
    mantissas, exponents = np.frexp(values)
    return np.ldexp(mantissas, _MANTISSA).astype(np.int64), exponents.astype(np.int64) - _MANTISSA
