"""What a plan may ask for beside the statistics by group: the worst rows, calibration, and so on.

Each is a collector: it says how it begins, takes rows, and merges with another.
"""

from __future__ import annotations

from typing import Protocol, Self

import pyarrow as pa

from .batch import Place, Rows


class Collector(Protocol):
    """Collects something of rows, such that pieces can be merged in any order."""

    def add(self, rows: Rows, place: Place) -> None:
        """Add the rows of a batch."""

    def merge(self, other: Self) -> None:
        """Add what was collected elsewhere."""

    def to_arrow(self) -> pa.Table:
        """What was collected so far, for an engine or a file."""


class Asked(Protocol):
    """A collector that a plan asks for: plain data, which pickles."""

    def start(self) -> Collector:
        """A collector of nothing yet."""

    def restored(self, table: pa.Table) -> Collector:
        """What ``to_arrow`` wrote, possibly of several collectors: all of their rows."""
