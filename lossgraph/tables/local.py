"""The engine of this machine: threads that take parts of a table, and help with those of others.

Each thread reads a part by itself, computes and collects; a batch is never waited for by more than
one of them. Where there are no more parts, threads take batches of the parts that are still read,
so that one large part, or a stream, keeps all of them busy too.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import pyarrow as pa

from ..ir.types import numpy_dtype
from ..runtime.shards import processors
from .batch import Place, Rows
from .collected import Collected, merged
from .columns import BadRowError
from .plan import ROWS, Plan
from .sources.base import Part
from .worker import Evaluator, Worker

# Of the inputs of a batch: enough that a batch costs little beside its rows, few enough that they
# are still in a cache when the loss reads them.
_BATCH_BYTES = 1 << 22
_FEWEST_ROWS, _MOST_ROWS = 1 << 6, 1 << 18
_UNKNOWN_LENGTH = 64  # of lists, until they come


class Listener:
    """Is told by the threads of a run how it goes on; this one listens to nothing."""

    def took(self, batch: pa.RecordBatch, rows: Rows | None, place: Place) -> None:
        """A batch is computed; ``rows`` is None if all of it was skipped. This may wait."""

    def ended(self, part: int, rows: int) -> None:
        """All batches of a part are read, though perhaps not computed; they had so many rows."""

    def stopped(self) -> None:
        """The run is over, or failed: nothing may wait any longer."""


def run(
    plan: Plan,
    parts: Sequence[Part],
    *,
    threads: int | None = None,
    batch_rows: int | None = None,
    listeners: Sequence[Listener] = (),
    first_part: int = 0,
    evaluator: Evaluator | None = None,
) -> Collected:
    """What is collected of all parts.

    Args:
        plan: what is computed.
        parts: of the table, in its order.
        threads: how many parts are read at a time; by default as many as there are processors.
        batch_rows: how many rows are computed at a time, at most; by default by their width.
        listeners: are told of each batch and part. Parts begin in their order, and a batch that a
            listener lets wait is never one that comes before all others.
        first_part: the place of the first of the parts in the whole table.
        evaluator: the compiled loss of the plan, if there is one already.
    """
    count = workers(threads)
    told = _Several(listeners)
    feed = _Feed(parts, plan.columns, batch_rows or rows_at_a_time(plan), first_part, told)
    if not plan.is_settled:
        first = feed.peek()
        plan = plan if first is None else plan.settled(first)
    shared = evaluator or Evaluator(plan)
    own = [Worker(plan, shared) for _ in range(count)]

    def work(worker: Worker) -> None:
        for place, batch in feed.batches():
            try:
                rows = worker.add(batch, place)
            except BadRowError as error:
                raise error.located(parts[place.part - first_part]) from None
            told.took(batch, rows, place)

    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(work, worker) for worker in own]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
        finally:
            feed.stop()
            told.stopped()
        for task in done:
            task.result()
    return merged(plan, (worker.collected for worker in own))


def workers(threads: int | None) -> int:
    """How many threads compute."""
    return max(1, threads or processors())


def settled(plan: Plan, parts: Sequence[Part]) -> Plan:
    """The plan for lists of the lengths of the first row of all, for runs of some parts each."""
    batches = (batch for part in parts for _, batch in part.batches(plan.columns, _FEWEST_ROWS))
    return settled_by(plan, batches)


def settled_by(plan: Plan, batches: Iterable[pa.RecordBatch]) -> Plan:
    """The same of the first row of batches, which are read if the plan needs it."""
    if plan.is_settled:
        return plan
    first = next((batch for batch in batches if len(batch)), None)
    return plan if first is None else plan.settled(first)


def rows_at_a_time(plan: Plan) -> int:
    """How many rows make a batch."""
    each = 0
    for dtype, shape in plan.binding.types(ROWS).values():
        lengths = (n if isinstance(n, int) else _UNKNOWN_LENGTH for n in shape[1:])
        each += math.prod(lengths) * numpy_dtype(dtype).itemsize
    fit = _BATCH_BYTES // max(each, 1) // _FEWEST_ROWS * _FEWEST_ROWS
    return min(max(fit, _FEWEST_ROWS), _MOST_ROWS)


class _Several(Listener):
    """Tells several."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def took(self, batch: pa.RecordBatch, rows: Rows | None, place: Place) -> None:
        for each in self._listeners:
            each.took(batch, rows, place)

    def ended(self, part: int, rows: int) -> None:
        for each in self._listeners:
            each.ended(part, rows)

    def stopped(self) -> None:
        for each in self._listeners:
            each.stopped()


class _Feed:
    """Batches of parts for several threads."""

    def __init__(
        self,
        parts: Sequence[Part],
        columns: Sequence[str],
        rows: int,
        first_part: int,
        listener: Listener,
    ) -> None:
        self._parts = iter(enumerate(parts, first_part))
        self._columns, self._rows = columns, rows
        self._listener = listener
        self._peeked: _Reading | None = None
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
                self._peeked = reading
                return found
            self._close(reading)
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
                self._close(reading)
                return
            yield found

    def _close(self, reading: _Reading) -> None:
        """A part is at its end, which several threads may find."""
        with self._lock:
            if reading not in self._open:
                return
            self._open.remove(reading)
        self._listener.ended(reading.place, reading.count)

    def _next_part(self) -> _Reading | None:
        with self._lock:
            if self._peeked is not None:  # it comes before all others, so somebody reads it first
                reading, self._peeked = self._peeked, None
                return reading
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
        self.place, self._name = place, part.name
        self.count = 0
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
            self.count = first + len(batch)
        return Place(self.place, first, self._name), batch
