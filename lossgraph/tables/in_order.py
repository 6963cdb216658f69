"""Batches that several threads compute, handed on in the order of the table."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa

from .batch import Place

WAITING_BYTES = 1 << 26


class InOrder:
    """Hands batches on in the order of parts, and of rows within them.

    Batches that come early are kept until it is their turn. Above a number of bytes the thread that
    brings one waits instead; the one that brings the next batch of all never does.

    Args:
        write: is given the number of the part and the batch, by one thread at a time.
        limit: how many bytes are kept.
    """

    def __init__(
        self, write: Callable[[int, pa.RecordBatch], None], limit: int = WAITING_BYTES
    ) -> None:
        self._write, self._limit = write, limit
        self._changed = threading.Condition()
        self._waiting: dict[tuple[int, int], pa.RecordBatch] = {}
        self._ends: dict[int, int] = {}
        self._next = (0, 0)
        self._bytes = 0
        self._writing = self._stopped = False

    def put(self, place: Place, batch: pa.RecordBatch) -> None:
        """Bring a batch; it, and those that follow it, may be written before this returns."""
        key, size = (place.part, place.first), batch.nbytes
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(key, size))
            if self._stopped:
                return
            self._waiting[key] = batch
            self._bytes += size
        self._hand_on()

    def end(self, part: int, rows: int) -> None:
        """Say how many rows a part has in all."""
        with self._changed:
            self._ends[part] = rows
            self._go_on()
            self._changed.notify_all()
        self._hand_on()

    def stop(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _has_room(self, key: tuple[int, int], size: int) -> bool:
        return self._stopped or key == self._next or self._bytes + size <= self._limit

    def _go_on(self) -> None:
        """To the next part, where one is at its end."""
        while self._ends.get(self._next[0]) == self._next[1]:
            del self._ends[self._next[0]]
            self._next = (self._next[0] + 1, 0)

    def _hand_on(self) -> None:
        while (found := self._take()) is not None:
            try:
                self._write(*found)
            except BaseException:
                self.stop()
                raise
            finally:
                with self._changed:
                    self._writing = False

    def _take(self) -> tuple[int, pa.RecordBatch] | None:
        """The next batch, if it is there and nobody else is writing."""
        with self._changed:
            if self._writing or self._stopped or self._next not in self._waiting:
                return None
            part, first = self._next
            batch = self._waiting.pop(self._next)
            self._writing = True
            self._bytes -= batch.nbytes
            self._next = (part, first + len(batch))
            self._go_on()
            self._changed.notify_all()
            return part, batch
