"""Histograms of losses: of edges that were given, or of the buckets of a sketch, exact both ways.

A bin has what lies above ``low`` and not above ``high``; the first closed bin has its lower edge
too. What lies below all edges or above them is in open bins, whose end is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import InputError

if TYPE_CHECKING:
    from .batch import Place, Rows
    from .statistics import Groups

Array = np.ndarray[Any, Any]

BINS = 40
SCALE = b"scale"  # in a table's metadata: what its axis should be
HISTOGRAM = "histogram"  # what a plan calls the counts between edges
_POINTS = 200  # of a curve
_TAIL = 0.005  # of the values on each side: in an open bin where they are as wide as the rest
_ORDERS = 1000.0  # between the 10% and the 99% quantile: then the axis is logarithmic


@dataclass(frozen=True)
class Edges:
    """Edges of bins, for a plan to ask for the counts between them.

    Attributes:
        edges: in ascending order, at least two.

    Raises:
        InputError: for edges that are none.
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        edges = np.array(self.edges, "float64")
        steps = np.diff(edges)
        if len(edges) < 2 or not np.isfinite(edges).all() or not (steps > 0).all():
            raise InputError(
                f"histogram: expected finite edges in ascending order, at least two, got "
                f"{list(self.edges)}"
            )

    def start(self) -> Histogram:
        """Counts of no rows yet."""
        return Histogram(self.edges)

    def restored(self, table: pa.Table) -> Histogram:
        """The counts that were written, of several one below the other."""
        made = Histogram(self.edges)
        made.counts = table["count"].to_numpy().reshape(-1, len(made.counts)).sum(0)
        return made


class Histogram:
    """Counts of losses between edges; counts add, whatever the order."""

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = np.array(edges, "float64")
        self.counts = np.zeros(len(self.edges) + 1, "int64")

    def add(self, rows: Rows, place: Place) -> None:
        """Add the losses of the rows of a batch that count."""
        loss = rows.measures["loss"]
        self.count(loss if rows.weights is None else loss[rows.weights > 0])

    def count(self, values: Array) -> None:
        """Count values; NaN is in no bin."""
        known = values[~np.isnan(values)].astype("float64")
        places = np.searchsorted(self.edges, known, side="left")
        places[known == self.edges[0]] = 1
        self.counts += np.bincount(places, minlength=len(self.counts))

    def merge(self, other: Histogram) -> None:
        """Add the counts of others with the same edges."""
        self.counts += other.counts

    def to_arrow(self) -> pa.Table:
        """The counts so far."""
        return pa.table({"count": self.counts})

    def table(self) -> pa.Table:
        """A row for each bin, open ones only where they have values."""
        ends = np.concatenate([[-math.inf], self.edges, [math.inf]])
        first = 0 if self.counts[0] else 1
        last = len(self.counts) - (0 if self.counts[-1] else 1)
        rows = slice(first, last)
        return _table(ends[:-1][rows], ends[1:][rows], self.counts[rows], _is_log(self.edges))


def edges_of(histogram: int | Sequence[float] | None) -> Edges | None:
    """The edges that were asked for; None where bins are made of a sketch.

    Raises:
        InputError: for edges that are none, and a number of bins that is none.
    """
    if histogram is None:
        return None
    if isinstance(histogram, int):
        if isinstance(histogram, bool) or histogram < 1:
            raise InputError(f"histogram: expected a number of bins, 1 or more, got {histogram!r}")
        return None
    return Edges(tuple(float(edge) for edge in histogram))


def of_groups(groups: Groups, bins: int = BINS) -> tuple[pa.Table, pa.Table]:
    """The histogram and the curve of the loss of all rows of groups, from its sketch."""
    loss = next(iter(groups.total().measures.values()))
    _, buckets, counts = loss.counts.items()
    order = np.argsort(buckets)
    lows, highs = loss.buckets.bounds(buckets[order])
    counts = counts[order]
    ends = float(loss.least[0]), float(loss.most[0])
    smallest, largest = (
        finite if not math.isfinite(end) and len(counts) else end
        for end, finite in zip(ends, _extremes(lows, highs), strict=True)
    )
    made = of_buckets(lows, highs, counts, smallest, largest, bins)
    below, above = int(loss.below[0]), int(loss.above[0])
    return _with_infinite(made, below, above), curve_of_buckets(lows, highs, counts, largest)


def _extremes(lows: Array, highs: Array) -> tuple[float, float]:
    return (float(lows[0]), float(highs[-1])) if len(lows) else (math.nan, math.nan)


def _with_infinite(table: pa.Table, below: int, above: int) -> pa.Table:
    """Infinite values in open bins at the ends."""
    rows = [list(row.values()) for row in table.to_pylist()]
    if below:
        if not rows or rows[0][0] > -math.inf:
            rows.insert(0, [-math.inf, rows[0][0] if rows else 0.0, 0])
        rows[0][2] += below
    if above:
        if not rows or rows[-1][1] < math.inf:
            rows.append([rows[-1][1] if rows else 0.0, math.inf, 0])
        rows[-1][2] += above
    log = (table.schema.metadata or {}).get(SCALE) == b"log"
    low, high, count = ([row[i] for row in rows] for i in range(3))
    return _table(low, high, count, log)


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
        few = _TAIL * self.before[-1]
        low = int(np.searchsorted(self.before, few, side="right")) - 1
        high = int(np.searchsorted(self.before, self.before[-1] - few))
        begin, end = self.ends[low] / 2, self.starts[high] / 2  # halves, as lengths may overflow
        if log or self.starts[last] / 2 - end <= end - begin:
            high = last
        if not log and begin - self.starts[0] / 2 <= end - begin:
            low = first
        low = max(low, first)
        ends = max(self.ends[low], self.starts[low]), self.starts[high]
        wanted = _between(*ends, bins, log) if ends[1] > ends[0] else np.empty(0)
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
        nearer = wanted / 2 - self.ends[left] / 2 < self.starts[right] / 2 - wanted / 2
        return np.where(nearer, left, right)


def _between(low: float, high: float, bins: int, log: bool) -> Array:
    """The inner edges of bins."""
    if log:
        return np.geomspace(low, high, bins + 1)[1:-1]
    return 2 * np.linspace(low / 2, high / 2, bins + 1)[1:-1]


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
