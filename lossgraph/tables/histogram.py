"""Histograms of losses: of edges that were given, or of the buckets of a sketch, exact both ways.

A bin has what lies above ``low`` and not above ``high``; the first closed bin has its lower edge
too. What lies below all edges or above them is in open bins, whose end is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError

Array = np.ndarray[Any, Any]

BINS = 40
SCALE = b"scale"  # in a table's metadata: what its axis should be
_POINTS = 200  # of a curve
_TAIL = 0.005  # of the values on each side: in an open bin where they are as wide as the rest
_ORDERS = 1000.0  # between the 10% and the 99% quantile: then the axis is logarithmic


class Histogram:
    """Counts of values between edges; counts add, whatever the order.

    Args:
        edges: in ascending order, at least two.

    Raises:
        InputError: for edges that are none.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = np.array(edges, "float64")
        if (
            self.edges.ndim != 1
            or len(self.edges) < 2
            or not (np.isfinite(self.edges).all() and (np.diff(self.edges) > 0).all())
        ):
            raise InputError(
                f"histogram: expected edges in ascending order, at least two, got {list(edges)}"
            )
        self.counts = np.zeros(len(self.edges) + 1, "int64")

    def add(self, values: Array) -> None:
        """Count values; NaN is in no bin."""
        known = values[~np.isnan(values)]
        places = np.searchsorted(self.edges, known, side="left")
        places[known == self.edges[0]] = 1
        self.counts += np.bincount(places, minlength=len(self.counts))

    def merge(self, other: Histogram) -> None:
        """Add the counts of others with the same edges."""
        self.counts += other.counts

    def table(self) -> pa.Table:
        """A row for each bin, open ones only where they have values."""
        ends = np.concatenate([[-math.inf], self.edges, [math.inf]])
        first = 0 if self.counts[0] else 1
        last = len(self.counts) - (0 if self.counts[-1] else 1)
        rows = slice(first, last)
        return _table(ends[:-1][rows], ends[1:][rows], self.counts[rows], _is_log(self.edges))


def of_buckets(
    lows: Array, highs: Array, counts: Array, smallest: float, largest: float, bins: int = BINS
) -> pa.Table:
    """A histogram whose edges are bounds of buckets, so that its counts are exact.

    The bins are about equally wide, or in equal ratios where positive values span many orders of
    magnitude. A long tail of few values has an open bin.

    Args:
        lows: the lower bounds of buckets that have values, in ascending order.
        highs: their upper bounds; those of the bucket of zeros are both 0.
        counts: how many values each has.
        smallest: the smallest value.
        largest: the largest value.
        bins: about how many.
    """
    if not len(counts):
        return _table([], [], [], False)
    cuts = _Cuts(lows, highs, counts, smallest, largest)
    log = cuts.span_orders()
    places, edges = cuts.between(bins, log)
    found = np.diff(cuts.before[places])
    return _table(edges[:-1], edges[1:], found, log)


class _Cuts:
    """Where buckets can be cut: the c-th cut lies before the c-th bucket."""

    def __init__(
        self, lows: Array, highs: Array, counts: Array, smallest: float, largest: float
    ) -> None:
        # A cut is any number of the gap between two buckets.
        self.starts = np.concatenate([[smallest], highs[:-1], [largest]])
        self.ends = np.concatenate([[smallest], lows[1:], [largest]])
        self.before = np.concatenate([[0], np.cumsum(counts)])
        self._zeros = bool(lows[0] == 0 == highs[0])

    def span_orders(self) -> bool:
        """Whether what is not 0 is positive, and spans many orders of magnitude."""
        zeros = self.before[1] / self.before[-1] if self._zeros else 0.0
        low, high = (self.starts[self._place(zeros + q * (1 - zeros))] for q in (0.1, 0.99))
        return bool(self.starts[0] >= 0 and high > _ORDERS * low > 0)

    def _place(self, share: float) -> int:
        wanted = math.ceil(share * int(self.before[-1]))
        return int(np.searchsorted(self.before, wanted))

    def between(self, bins: int, log: bool) -> tuple[Array, Array]:
        """Places of cuts and their numbers; infinite ones at the ends of tails."""
        last = len(self.before) - 1
        first = int(log and self._zeros)
        low, high = self._place(_TAIL), self._place(1 - _TAIL)
        width = self.starts[high] - self.ends[low]
        if log or self.starts[last] - self.starts[high] <= width:
            high = last
        if not log and self.ends[low] - self.starts[0] <= width:
            low = first
        low = max(low, first)
        ends = max(self.ends[low], self.starts[low]), self.starts[high]
        space = np.geomspace if log else np.linspace
        wanted = space(*ends, bins + 1)[1:-1] if ends[1] > ends[0] else np.empty(0)
        places = self._nearest(wanted, low, high)
        numbers = np.clip(wanted, self.starts[places], self.ends[places])
        numbers, kept = np.unique(numbers, return_index=True)
        inside = (numbers > ends[0]) & (numbers < ends[1])
        edges = np.concatenate([[ends[0]], numbers[inside], [ends[1]]])
        places = np.concatenate([[low], places[kept][inside], [high]])
        if low > first:
            places, edges = np.append(first, places), np.append(0.0 if log else -math.inf, edges)
        if high < last:
            places, edges = np.append(places, last), np.append(edges, math.inf)
        if first:
            places, edges = np.append([0, 1], places[1:]), np.append([0.0, 0.0], edges[1:])
        return places, edges

    def _nearest(self, wanted: Array, low: int, high: int) -> Array:
        """The cuts that are nearest to numbers."""
        right = np.clip(np.searchsorted(self.ends, wanted), low, high)
        left = np.maximum(right - 1, low)
        nearer = wanted - self.ends[left] < self.starts[right] - wanted
        return np.where(nearer, left, right)


def curve_of_buckets(lows: Array, highs: Array, counts: Array, largest: float) -> pa.Table:
    """Values, and the share of values up to each: some bounds of buckets, the shares exact."""
    total = int(counts.sum())
    if not total:
        return pa.table({"value": np.empty(0), "share": np.empty(0)})
    shares = np.cumsum(counts) / total
    wanted = np.linspace(0, 1, _POINTS + 1)[1:]
    places = np.unique(np.minimum(np.searchsorted(shares, wanted), len(shares) - 1))
    value = np.append(lows[0], np.minimum(highs[places], largest))
    return pa.table({"value": value, "share": np.append(0.0, shares[places])})


def _table(low: Any, high: Any, counts: Any, log: bool) -> pa.Table:
    columns = {
        "low": pa.array(low, pa.float64()),
        "high": pa.array(high, pa.float64()),
        "count": pa.array(counts, pa.int64()),
    }
    return pa.table(columns).replace_schema_metadata({SCALE: b"log" if log else b"linear"})


def _is_log(edges: Array) -> bool:
    """Whether positive edges are rather in equal ratios than equally far apart."""
    if edges[0] <= 0 or len(edges) < 4:
        return False
    steps, ratios = np.diff(edges), np.diff(np.log(edges))
    return bool(np.ptp(ratios) / ratios.mean() < np.ptp(steps) / steps.mean())
