"""The engine of this machine: threads that take parts of a table, and help with those of others.

Each thread reads a part by itself, computes and collects; a batch is never waited for by more than
one of them. Where there are no more parts, threads take batches of the parts that are still read,
so that one large part, or a stream, keeps all of them busy too.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import pyarrow as pa

from ..ir.types import numpy_dtype
from .batch import Place, Rows
from .collected import Collected, merged
from .columns import BadRowError
from .plan import ROWS, Plan
from .sources.base import Part
from .worker import Evaluator, Worker

Take = Callable[[Rows, Place, int], None]

# Of the inputs of a batch: enough that a batch costs little beside its rows, few enough that they
# are still in a cache when the loss reads them.
_BATCH_BYTES = 1 << 22
_FEWEST_ROWS, _MOST_ROWS = 1 << 6, 1 << 18
_UNKNOWN_LENGTH = 64  # of lists, until they come


def run(
    plan: Plan,
    parts: Sequence[Part],
    *,
    threads: int | None = None,
    batch_rows: int | None = None,
    on_rows: Take | None = None,
    evaluator: Evaluator | None = None,
) -> Collected:
    """What is collected of all parts.

    Args:
        plan: what is computed.
        parts: of the table, in its order.
        threads: how many parts are read at a time; by default as many as there are processors.
        batch_rows: how many rows are computed at a time, at most; by default by their width.
        on_rows: is given the rows of each batch, its place and how many rows were read, in the
            thread that computed them.
        evaluator: the compiled loss of the plan, if there is one already.
    """
    count = max(1, threads or len(os.sched_getaffinity(0)))
    feed = _Feed(parts, plan.columns, batch_rows or rows_at_a_time(plan))
    if not plan.is_settled:
        first = feed.peek()
        plan = plan if first is None else plan.settled(first)
    shared = evaluator or Evaluator(plan)
    workers = [Worker(plan, shared) for _ in range(count)]

    def work(worker: Worker) -> None:
        for place, batch in feed.batches():
            try:
                rows = worker.add(batch, place)
            except BadRowError as error:
                raise error.located(parts[place.part]) from None
            if on_rows is not None and rows is not None:
                on_rows(rows, place, len(batch))

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(work, worker) for worker in workers]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
        finally:
            feed.stop()
        for task in done:
            task.result()
    return merged(plan, (worker.collected for worker in workers))


def rows_at_a_time(plan: Plan) -> int:
    """How many rows make a batch."""
    each = 0
    for dtype, shape in plan.binding.types(ROWS).values():
        lengths = (n if isinstance(n, int) else _UNKNOWN_LENGTH for n in shape[1:])
        each += math.prod(lengths) * numpy_dtype(dtype).itemsize
    fit = _BATCH_BYTES // max(each, 1) // _FEWEST_ROWS * _FEWEST_ROWS
    return min(max(fit, _FEWEST_ROWS), _MOST_ROWS)


class _Feed:
    """Batches of parts for several threads."""

    def __init__(self, parts: Sequence[Part], columns: Sequence[str], rows: int) -> None:
        self._parts = iter(enumerate(parts))
        self._columns, self._rows = columns, rows
        self._lock = threading.Lock()
        self._open: list[_Reading] = []
        self._stopped = False

    def stop(self) -> None:
        """Let all threads end after their batch."""
        self._stopped = True

    def peek(self) -> pa.RecordBatch | None:
        """The first rows, which stay there; None if there are none."""
        while (reading := self._next_part()) is not None:
            found = reading.peek()
            if found is not None:
                return found
            self._open.remove(reading)
        return None

    def batches(self) -> Iterator[tuple[Place, pa.RecordBatch]]:
        """Batches for one thread: of parts of its own, then of those that others read."""
        while not self._stopped:
            reading = self._next_part() or self._any_open()
            if reading is None:
                return
            yield from self._of(reading)

    def _of(self, reading: _Reading) -> Iterator[tuple[Place, pa.RecordBatch]]:
        while not self._stopped:
            found = reading.next()
            if found is None:
                with self._lock:
                    if reading in self._open:
                        self._open.remove(reading)
                return
            yield found

    def _next_part(self) -> _Reading | None:
        with self._lock:
            found = next(self._parts, None)
            if found is None:
                return None
            reading = _Reading(*found, self._columns, self._rows)
            self._open.append(reading)
            return reading

    def _any_open(self) -> _Reading | None:
        with self._lock:
            return self._open[0] if self._open else None


class _Reading:
    """A part that is being read, by one thread at a time."""

    def __init__(self, place: int, part: Part, columns: Sequence[str], rows: int) -> None:
        self._place, self._name = place, part.name
        self._batches: Iterator[tuple[int, pa.RecordBatch]] = part.batches(columns, rows)
        self._lock = threading.Lock()

    def peek(self) -> pa.RecordBatch | None:
        """The first batch, which is still the next one."""
        found = next(self._batches, None)
        if found is None:
            return None
        self._batches = itertools.chain([found], self._batches)
        return found[1]

    def next(self) -> tuple[Place, pa.RecordBatch] | None:
        with self._lock:
            found = next(self._batches, None)
        if found is None:
            return None
        first, batch = found
        return Place(self._place, first, self._name), batch
