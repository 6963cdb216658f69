"""What is kept of rows by group, and how it grows and merges: the data of ``Groups``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .keys import Keys
from .mapping import Buckets
from .measure import Array, Measure
from .sums import ExactSums

ACCURACY = 0.005


class Collected:
    """What is known of the rows of groups.

    Attributes:
        keys: the groups, of which each has a number.
        rows: how many rows each group has.
        count: how many of them have a weight.
        weights: the sums of weights and of their squares, if rows have weights.
        measures: what is kept of each measure, by name.
    """

    def __init__(
        self,
        by: Sequence[str],
        measures: Sequence[str],
        *,
        weighted: bool,
        accuracy: float = ACCURACY,
    ) -> None:
        self.by, self.weighted, self.accuracy = tuple(by), weighted, accuracy
        self.keys = Keys(by)
        self._capacity = 1
        self.rows, self.count = np.zeros((2, 1), np.int64)
        self.weights = [ExactSums(1), ExactSums(1)] if weighted else []  # u and u^2
        buckets = Buckets(accuracy)
        self.measures = {name: Measure(buckets, 1, weighted) for name in measures}

    def __len__(self) -> int:
        return len(self.keys)

    def make_place(self) -> None:
        """Have place for all groups, and for half as many more: each batch may bring some."""
        if len(self) <= self._capacity:
            return
        self._capacity = max(len(self), self._capacity * 3 // 2)
        more = np.zeros(self._capacity - len(self.rows), np.int64)
        self.rows, self.count = (np.concatenate([each, more]) for each in (self.rows, self.count))
        for sums in self.weights:
            sums.resize(self._capacity)
        for measure in self.measures.values():
            measure.resize(self._capacity)

    def merge_rows(self, groups: Array, other: Collected) -> None:
        """Add the i-th group of another to ``groups[i]``."""
        self.make_place()
        np.add.at(self.rows, groups, other.rows[: len(groups)])
        np.add.at(self.count, groups, other.count[: len(groups)])
        for mine, theirs in zip(self.weights, other.weights, strict=True):
            mine.merge(groups, theirs)
        for name, measure in self.measures.items():
            measure.merge(groups, other.measures[name])

    def options(self) -> tuple[object, ...]:
        """What must be equal for two to be merged."""
        return self.by, tuple(self.measures), self.weighted, self.accuracy
