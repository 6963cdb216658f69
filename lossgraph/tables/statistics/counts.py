"""How many values of each group lie in each bucket: dense while that is small, else pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_DENSE = 1 << 22  # counts, of 8 bytes each
_PENDING = 1 << 20  # pairs that are kept unsorted
_HALF = 1 << 31  # buckets lie between -_HALF and _HALF


class Counts:
    """Counts by group and bucket.

    A loss has values within a few octaves, so that a table of all groups is small unless there
    are many groups; these have few values each, and only the buckets that they have are kept.
    """

    def __init__(self, groups: int) -> None:
        self._groups = groups
        self.zeros = np.zeros(groups, np.int64)
        self._windows = (Window(), Window())  # of negative and positive values
        self._pairs: _Pairs | None = None

    def resize(self, groups: int) -> None:
        """Make place for more groups, without values."""
        more = np.zeros(groups - self._groups, np.int64)
        self.zeros = np.concatenate([self.zeros, more])
        self._groups = groups
        if self._pairs is None:
            self._fit(*(window.width for window in self._windows))
        if self._pairs is None:
            for window in self._windows:
                window.resize(groups)

    def _fit(self, *widths: int) -> None:
        """Go over to pairs if tables of these widths are too large."""
        if self._groups * sum(widths) > max(_DENSE, 4 * sum(widths)):
            groups, buckets, counts = self.items()
            self._pairs = _Pairs()
            kept = buckets != 0
            self._pairs.add(groups[kept], buckets[kept], counts[kept])
            self._windows = (Window(), Window())

    def add(self, groups: Array | None, buckets: Array, counts: Array | None = None) -> None:
        """Count values, one each or as often as ``counts`` says; without groups in the first."""
        if not len(buckets):
            return
        groups = np.zeros(len(buckets), np.int64) if groups is None else groups
        zeros = buckets == 0
        if zeros.any():
            np.add.at(self.zeros, groups[zeros], 1 if counts is None else counts[zeros])
        signs = (buckets < 0, buckets > 0)
        windows = self.windows(*(_range(buckets[chosen]) for chosen in signs))
        for i, chosen in enumerate(signs):
            if not chosen.any():
                continue
            some = 1 if counts is None else counts[chosen]
            if windows is not None:
                windows[i].add(groups[chosen], buckets[chosen], some)
            elif self._pairs is not None:
                self._pairs.add(groups[chosen], buckets[chosen], some)

    def windows(
        self, negative: tuple[int, int] | None, positive: tuple[int, int] | None
    ) -> tuple[Window, Window] | None:
        """Tables with place for ranges of buckets; None where pairs are kept instead."""
        ranges = (negative, positive)
        if self._pairs is None:
            self._fit(
                *(
                    window.width if some is None else window.reached(*some)
                    for window, some in zip(self._windows, ranges, strict=True)
                )
            )
        if self._pairs is not None:
            return None
        for window, some in zip(self._windows, ranges, strict=True):
            if some is not None:
                window.reach(self._groups, *some)
        return self._windows

    def merge(self, groups: Array, other: Counts) -> None:
        """Add the counts of others, of their i-th group to ``groups[i]``."""
        theirs, buckets, counts = other.items()
        self.add(groups[theirs], buckets, counts)

    def items(self) -> tuple[Array, Array, Array]:
        """Groups, buckets and counts, by group and then by bucket; no count is 0."""
        zeros = np.flatnonzero(self.zeros)
        parts = [(_codes(zeros, np.zeros_like(zeros)), self.zeros[zeros])]
        parts += [window.items() for window in self._windows]
        if self._pairs is not None:
            parts.append(self._pairs.items())
        codes, counts = joined([part for part in parts if len(part[0])])
        return codes >> 32, (codes & (2 * _HALF - 1)) - _HALF, counts


def _codes(groups: Array, buckets: Array) -> Array:
    """Pairs of group and bucket as integers, in order."""
    return (groups << 32) + (buckets + _HALF)


def joined(parts: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Sorted codes with their counts as one, still sorted; counts of equal codes are added."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    codes, counts = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.argsort(codes, kind="stable")  # which finds that there are a few sorted runs
    codes, counts = codes[order], counts[order]
    starts = _starts(codes)
    if len(starts) == len(codes):
        return codes, counts
    return codes[starts], np.add.reduceat(counts, starts)


def _starts(codes: Array) -> Array:
    """Where runs of equal codes begin."""
    return np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))


def _range(buckets: Array) -> tuple[int, int] | None:
    return (int(buckets.min()), int(buckets.max()) + 1) if len(buckets) else None


class Window:
    """A table of counts by group over a range of buckets, from ``low`` on."""

    def __init__(self) -> None:
        self.low = 0
        self.table = np.zeros((0, 0), np.int64)

    @property
    def width(self) -> int:
        return int(self.table.shape[1])

    def resize(self, groups: int) -> None:
        more = groups - len(self.table)
        self.table = np.concatenate([self.table, np.zeros((more, self.width), np.int64)])

    def reached(self, low: int, high: int) -> int:
        """The width of a table with these buckets too."""
        if not self.width:
            return high - low
        return max(high, self.low + self.width) - min(low, self.low)

    def reach(self, groups: int, low: int, high: int) -> None:
        if self.width:
            low, high = min(low, self.low), max(high, self.low + self.width)
        if self.table.shape != (groups, high - low):
            table = np.zeros((groups, high - low), np.int64)
            start = self.low - low
            table[: len(self.table), start : start + self.width] = self.table
            self.table, self.low = table, low

    def add(self, groups: Array, buckets: Array, counts: Array | int) -> None:
        places = groups * self.width + (buckets - self.low)
        np.add.at(self.table.reshape(-1), places, counts)

    def items(self) -> tuple[Array, Array]:
        groups, places = np.nonzero(self.table)
        return _codes(groups, places + self.low), self.table[groups, places]


class _Pairs:
    """Counts of the pairs of group and bucket that are there: sorted, and those that came since."""

    def __init__(self) -> None:
        self._sorted = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._single: list[Array] = []  # codes that count once
        self._several: list[tuple[Array, Array]] = []
        self._pending = 0

    def add(self, groups: Array, buckets: Array, counts: Array | int) -> None:
        codes = _codes(groups, buckets)
        if isinstance(counts, int):  # which is 1
            self._single.append(codes)
        else:
            order = np.argsort(codes, kind="stable")
            self._several.append((codes[order], counts[order]))
        self._pending += len(codes)
        if self._pending > max(_PENDING, len(self._sorted[0])):
            self.items()

    def items(self) -> tuple[Array, Array]:
        parts = [self._sorted, *self._several]
        if self._single:
            codes = np.sort(np.concatenate(self._single))
            starts = _starts(codes)
            parts.append((codes[starts], np.diff(starts, append=len(codes))))
        self._sorted = joined([part for part in parts if len(part[0])])
        self._single, self._several, self._pending = [], [], 0
        return self._sorted
