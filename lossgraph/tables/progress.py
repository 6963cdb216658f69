"""The progress of a run over a table: rows, rows a second, time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from ..models.display import live_display
from .batch import Place, Rows
from .local import Listener
from .sources.base import Part

_INTERVAL = 0.1  # seconds between two pictures


class Bar(Listener):
    """A line of rich.

    It is drawn by the threads that compute, between batches. Rows that a condition leaves out, and
    those of row groups that are not read, count where their part ends.
    """

    def __init__(self, live: Any, parts: Sequence[Part], done: int = 0) -> None:
        counts = [part.rows for part in parts]
        total = None if None in counts else sum(count or 0 for count in counts)
        self._counts, self._live = counts, live
        self._lock = threading.Lock()
        self._rows = self._here = sum(count or 0 for count in counts[:done])
        self._began = time.monotonic()
        self._task = live.add_task("rows", total=total, completed=self._rows, speed="")
        self._drawn = 0.0

    def took(self, batch: pa.RecordBatch, rows: Rows | None, place: Place) -> None:
        with self._lock:
            self._rows += len(batch)
            self._draw()

    def ended(self, part: int, rows: int) -> None:
        with self._lock:
            self._rows += (self._counts[part] or rows) - rows
            self._draw()

    def stopped(self) -> None:
        with self._lock:
            self._draw(now=True)

    def _draw(self, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._drawn < _INTERVAL:
            return
        self._drawn = moment
        rate = (self._rows - self._here) / max(moment - self._began, 1e-9)
        self._live.update(self._task, completed=self._rows, speed=f"{rows_text(rate)} rows/s")
        self._live.refresh()


@contextmanager
def bar_for(wanted: bool | None, parts: Sequence[Part], done: int = 0) -> Iterator[list[Listener]]:
    """The listeners that draw a bar on standard error.

    Args:
        wanted: whether there is to be one; None for where somebody watches and rich is there.
        parts: of the table.
        done: how many of them are done already.
    """
    live = live_display(wanted, _columns)
    if live is None:
        yield []
        return
    with live:
        yield [Bar(live, parts, done)]


def rows_text(count: float) -> str:
    """A number of rows, short."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.3g}"


def _columns(progress: Any) -> list[Any]:
    return [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.completed:,.0f}"),
        progress.TextColumn("{task.fields[speed]}"),
        progress.TimeRemainingColumn(),
    ]
