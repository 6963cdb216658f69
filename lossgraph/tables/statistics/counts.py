"""How many values of each group lie in each bucket: dense while that is small, else pairs."""

from __future__ import annotations

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
        self._zeros = np.zeros(groups, np.int64)
        self._windows = (_Window(), _Window())  # of negative and positive values
        self._pairs: _Pairs | None = None

    def resize(self, groups: int) -> None:
        """Make place for more groups, without values."""
        more = np.zeros(groups - self._groups, np.int64)
        self._zeros = np.concatenate([self._zeros, more])
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
            self._windows = (_Window(), _Window())

    def add(self, groups: Array | None, buckets: Array, counts: Array | None = None) -> None:
        """Count values, one each or as often as ``counts`` says; without groups in the first."""
        if not len(buckets):
            return
        groups = np.zeros(len(buckets), np.int64) if groups is None else groups
        zeros = buckets == 0
        if zeros.any():
            np.add.at(self._zeros, groups[zeros], 1 if counts is None else counts[zeros])
        for window, chosen in zip(self._windows, (buckets < 0, buckets > 0), strict=True):
            if chosen.any():
                some = None if counts is None else counts[chosen]
                self._add(window, groups[chosen], buckets[chosen], some)

    def _add(self, window: _Window, groups: Array, buckets: Array, counts: Array | None) -> None:
        if self._pairs is None:
            low, high = int(buckets.min()), int(buckets.max()) + 1
            other = next(each for each in self._windows if each is not window)
            self._fit(other.width, window.reached(low, high))
        if self._pairs is None:
            window.add(self._groups, low, high, groups, buckets, counts)
        else:
            ones = np.ones(len(groups), np.int64)
            self._pairs.add(groups, buckets, ones if counts is None else counts)

    def merge(self, groups: Array, other: Counts) -> None:
        """Add the counts of others, of their i-th group to ``groups[i]``."""
        theirs, buckets, counts = other.items()
        self.add(groups[theirs], buckets, counts)

    def items(self) -> tuple[Array, Array, Array]:
        """Groups, buckets and counts, by group and then by bucket; no count is 0."""
        zeros = np.flatnonzero(self._zeros)
        parts = [(zeros, np.zeros(len(zeros), np.int64), self._zeros[zeros])]
        parts += [window.items() for window in self._windows]
        if self._pairs is not None:
            parts.append(self._pairs.items())
        groups, buckets, counts = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.lexsort((buckets, groups))
        return groups[order], buckets[order], counts[order]


class _Window:
    """A table of counts over a range of buckets."""

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

    def add(
        self, groups: int, low: int, high: int, ids: Array, buckets: Array, counts: Array | None
    ) -> None:
        self.reach(groups, low, high)
        places = ids * self.width + (buckets - self.low)
        np.add.at(self.table.reshape(-1), places, 1 if counts is None else counts)

    def items(self) -> tuple[Array, Array, Array]:
        groups, places = np.nonzero(self.table)
        return groups, places + self.low, self.table[groups, places]


class _Pairs:
    """Counts of the pairs of group and bucket that are there: sorted, and those that came since."""

    def __init__(self) -> None:
        self._codes, self._counts = np.zeros((2, 0), np.int64)
        self._new: list[tuple[Array, Array]] = []
        self._pending = 0

    def add(self, groups: Array, buckets: Array, counts: Array) -> None:
        self._new.append(((groups << 32) + (buckets + _HALF), counts))
        self._pending += len(groups)
        if self._pending > max(_PENDING, len(self._codes)):
            self._sort()

    def _sort(self) -> None:
        codes = np.concatenate([self._codes, *(codes for codes, _ in self._new)])
        counts = np.concatenate([self._counts, *(counts for _, counts in self._new)])
        self._new, self._pending = [], 0
        if len(codes):
            order = np.argsort(codes, kind="stable")
            codes = codes[order]
            starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
            self._codes, self._counts = codes[starts], np.add.reduceat(counts[order], starts)

    def items(self) -> tuple[Array, Array, Array]:
        self._sort()
        return self._codes >> 32, (self._codes & (2 * _HALF - 1)) - _HALF, self._counts
