"""What is kept of one measure: for each group its exact sums, extremes and counts by bucket."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError
from .counts import Counts
from .mapping import Buckets
from .native import add_products, add_squares, rows_in_c
from .sums import ExactSums

Array = np.ndarray[Any, Any]


class Measure:
    """The values of one quantity by group.

    Attributes:
        nans, below, above: how many values are NaN, -inf and +inf.
        least, most: the extremes of all but NaN; inf and -inf where there are none.
        sums: of finite values, times their weights if there are weights.
        squares: of the addends of ``sums``.
        crossed: of the addends times the weights, if there are weights.
        counts: of finite values by bucket, one each whatever its weight.
    """

    def __init__(self, buckets: Buckets, groups: int, weighted: bool) -> None:
        self.buckets = buckets
        self.nans, self.below, self.above = np.zeros((3, groups), np.int64)
        self.least, self.most = np.full(groups, np.inf), np.full(groups, -np.inf)
        self.sums, self.squares = ExactSums(groups), ExactSums(groups)
        self.crossed = ExactSums(groups) if weighted else None
        self.counts = Counts(groups)

    def all_sums(self) -> list[ExactSums]:
        """The sums that there are."""
        return [self.sums, self.squares, *([] if self.crossed is None else [self.crossed])]

    def resize(self, groups: int) -> None:
        """Make place for more groups, without values."""
        more = groups - len(self.nans)
        none = np.zeros(more, np.int64)
        self.nans, self.below, self.above = (
            np.concatenate([each, none]) for each in (self.nans, self.below, self.above)
        )
        self.least = np.concatenate([self.least, np.full(more, np.inf)])
        self.most = np.concatenate([self.most, np.full(more, -np.inf)])
        for each in self.all_sums():
            each.resize(groups)
        self.counts.resize(groups)

    def add(self, groups: Array | None, values: Array, weights: Array | None) -> None:
        """Add values, each to its group; without groups to the first.

        Raises:
            InputError: for a product of a value and its weight that is no float64.
        """
        rows = rows_in_c(len(values))
        finite = None if rows is not None and rows.are_finite(values) else np.isfinite(values)
        if finite is not None and not finite.all():
            self._add_special(groups, values)
            values = values[finite]
            groups = None if groups is None else groups[finite]
            weights = None if weights is None else weights[finite]
        if not len(values):
            return
        if rows is None:
            self._add_extremes(groups, values.astype(np.float64) + 0.0)  # of zeros there is one
            self.counts.add(groups, self.buckets.of(values))
        else:
            rows.add_extremes(groups, values, self.least, self.most)
            rows.count(groups, values, self.counts, self.buckets)
        addends = values if weights is None else _products(values, weights)
        add_squares(rows, groups, addends, self.sums, self.squares)
        if self.crossed is not None and weights is not None:
            add_products(rows, groups, addends, weights, self.crossed)

    def _add_special(self, groups: Array | None, values: Array) -> None:
        where = np.zeros(len(values), np.int64) if groups is None else groups
        for counts, chosen in (
            (self.nans, np.isnan(values)),
            (self.below, values == -np.inf),
            (self.above, values == np.inf),
        ):
            np.add.at(counts, where[chosen], 1)
        infinite = np.isinf(values)
        self._add_extremes(where[infinite], values[infinite])

    def _add_extremes(self, groups: Array | None, values: Array) -> None:
        if not len(values):
            return
        if groups is None:
            self.least[0] = min(self.least[0], values.min())
            self.most[0] = max(self.most[0], values.max())
        else:
            np.minimum.at(self.least, groups, values)
            np.maximum.at(self.most, groups, values)

    def merge(self, groups: Array, other: Measure) -> None:
        """Add what others have, of their i-th group to ``groups[i]``."""
        mine, theirs = ((each.nans, each.below, each.above) for each in (self, other))
        for own, added in zip(mine, theirs, strict=True):
            np.add.at(own, groups, added[: len(groups)])
        np.minimum.at(self.least, groups, other.least[: len(groups)])
        np.maximum.at(self.most, groups, other.most[: len(groups)])
        for sums, more in zip(self.all_sums(), other.all_sums(), strict=True):
            sums.merge(groups, more)
        self.counts.merge(groups, other.counts)

    def quantiles(self, levels: Array, groups: int) -> Array:
        """Quantiles of all but NaN: of shape (groups, levels), NaN where there are no values.

        The value at rank ``q (n - 1)``, as the library's sketch has it, and within the extremes.
        """
        owners, buckets, counts = self._ranked(groups)
        totals = np.bincount(owners, counts, groups)
        ends = np.cumsum(counts)
        starts = np.cumsum(totals) - totals
        distinct, inverse = np.unique(buckets, return_inverse=True)
        decoded = np.array([self._value(int(b)) for b in distinct], np.float64)[inverse]
        found = np.full((groups, len(levels)), np.nan)
        some = np.flatnonzero(totals)
        for i, level in enumerate(levels):
            ranks = level * (totals[some] - 1)
            # Among integers the first end after a rank is the first after its floor.
            at = np.searchsorted(ends, starts[some] + np.floor(ranks), side="right")
            found[some, i] = np.clip(decoded[at], self.least[some], self.most[some])
        return found

    def _ranked(self, groups: int) -> tuple[Array, Array, Array]:
        """Groups, buckets and counts in order, with buckets of their own for infinities."""
        owners, buckets, counts = self.counts.items()
        if not (self.below.any() or self.above.any()):
            return owners, buckets, counts
        parts = [(owners, buckets, counts)]
        for each, bucket in ((self.below, -_INFINITE), (self.above, _INFINITE)):
            some = np.flatnonzero(each[:groups])
            parts.append((some, np.full(len(some), bucket), each[some]))
        owners, buckets, counts = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.lexsort((buckets, owners))
        return owners[order], buckets[order], counts[order]

    def _value(self, bucket: int) -> float:
        if abs(bucket) == _INFINITE:
            return np.inf if bucket > 0 else -np.inf
        return self.buckets.value(bucket)


def _products(values: Array, weights: Array) -> Array:
    with np.errstate(over="ignore"):
        found = values * weights
    if not np.isfinite(found).all():
        raise InputError("a value times its weight is beyond float64: scale the weights")
    return found


_INFINITE = 1 << 40  # beyond every bucket of a number
