"""Batches that belong together: rows of one query, or so many rows after each other.

A loss that couples rows is a loss of a batch, so that what makes a batch has to be said. Parts of a
table go in; parts whose record batches are these batches come out. Rows of one query that stand
together are read as they come. Others are gathered first: rows go to files by a hash of their key,
so that the rows of a file fit in the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .batch import Place
from .gathering import Gathered
from .runs import Key, changes, hashes, numbered, runs
from .sources.base import Part, joined

Array = np.ndarray[Any, Any]

_REMAINDERS = ("keep", "drop")
_ROWS = 1 << 16  # that are looked at together for where a batch begins


@dataclass(frozen=True)
class Batches:
    """Which rows are a batch: give one of both.

    Attributes:
        by: the columns that rows of one batch have equal.
        size: how many rows, one after the other in the table, are a batch.
        remainder: what becomes of the last rows, if they are fewer: ``keep`` or ``drop``.
    """

    by: tuple[str, ...] = ()
    size: int | None = None
    remainder: str = "keep"

    def __post_init__(self) -> None:
        if bool(self.by) == (self.size is not None):
            raise InputError("batches: give batch_by, or batch_size")
        if self.size is not None and self.size < 1:
            raise InputError(f"batch_size: expected 1 or more, got {self.size}")
        if self.remainder not in _REMAINDERS:
            raise InputError(f"remainder: expected 'keep' or 'drop', got {self.remainder!r}")

    @contextmanager
    def of(self, parts: Sequence[Part], columns: Sequence[str]) -> Iterator[Sequence[Part]]:
        """Parts with a record batch for each batch; files that they need are there meanwhile.

        Args:
            parts: of the table.
            columns: which of its columns are read, those of ``by`` among them.
        """
        whole = tuple(parts)
        if self.size is not None:
            yield [
                ConsecutiveRows(
                    name="the table", identity=f"rows by {self.size}", whole=whole, size=self.size,
                    keep=self.remainder == "keep",
                )
            ]  # fmt: skip
        elif stand_together(whole, self.by):
            name = f"the table by {', '.join(self.by)}"
            yield [EqualRows(name=name, identity=name, whole=whole, by=self.by)]
        else:
            with Gathered(self.by) as gathered:
                yield gathered.parts(_chained(whole, columns, _ROWS))

    def place(self, batch: pa.RecordBatch, place: Place) -> Place:
        """Where the rows of a batch are: those of one key are counted from its first one."""
        if not self.by or not batch.num_rows:
            return place
        values = (f"{name} = {batch.column(name)[0].as_py()!r}" for name in self.by)
        return replace(place, first=0, name=f"the batch of {', '.join(values)}")


def asked_batches(by: Sequence[str], size: int | None, remainder: str = "keep") -> Batches | None:
    """The batches that were asked for, if any."""
    return Batches(tuple(by), size, remainder) if by or size is not None else None


@contextmanager
def batched(
    parts: Sequence[Part], batches: Batches | None, columns: Sequence[str]
) -> Iterator[Sequence[Part]]:
    """The parts of a table as a plan takes them: as they are, or with its batches."""
    if batches is None:
        yield parts
    else:
        with batches.of(parts, columns) as made:
            yield made


def first_row(
    batch: pa.RecordBatch, by: Sequence[str], batches: Batches, place: Place
) -> pa.RecordBatch:
    """The row that stands for a batch, whose columns of groups are the same in all rows.

    Raises:
        InputError: if they are not.
    """
    for column in by:
        values = batch.column(column)
        if column not in batches.by and len(values) > 1 and numbered([values])[1] > 1:
            raise InputError(
                f"{batches.place(batch, place).name} has different values of {column!r}: groups "
                "are of whole batches, so group by what all rows of a batch share"
            )
    return batch.slice(0, 1)


def stand_together(parts: Sequence[Part], by: Sequence[str]) -> bool:
    """Whether rows with equal keys always follow each other: reads the columns of the keys.

    Of each key 8 bytes are kept: that two of 10^7 have the same has a chance of 3 in 10^6,
    and then they are gathered without need.
    """
    if not all(part.repeats for part in parts):
        return False  # what a first reading finds says nothing of a second one
    seen, waiting = np.empty(0, np.uint64), 0
    found: list[Array] = []
    last: Array = np.empty(0, np.uint64)  # the hash of the row before, if there is one
    for batch in _chained(parts, by, _ROWS):
        new = hashes([batch.column(name) for name in by])
        new = new[changes(new)]
        found.append(new[1:] if np.array_equal(new[:1], last) else new)
        last = new[-1:]
        waiting += len(found[-1])
        if waiting >= max(len(seen), _ROWS):
            seen, found, waiting = np.concatenate([seen, *found]), [], 0
            if len(np.unique(seen)) < len(seen):
                return False
    seen = np.concatenate([seen, *found])
    return len(np.unique(seen)) == len(seen)


# --- parts of batches ---


@dataclass(frozen=True, kw_only=True)
class BatchesPart(Part):
    """A part whose record batches are batches of a loss, of whatever size."""

    def batches(
        self, columns: Sequence[str], rows: int = _ROWS
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The batches, each with the number of its first row."""
        first = 0
        for batch in self.read(columns, rows):
            yield first, batch
            first += batch.num_rows


@dataclass(frozen=True, kw_only=True)
class ConsecutiveRows(BatchesPart):
    """So many rows after each other, whatever parts they are in."""

    whole: tuple[Part, ...]
    size: int
    keep: bool

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        waiting: list[pa.RecordBatch] = []
        missing, whole = self.size, 0
        for batch in _chained(self.whole, columns, rows):
            start = 0
            while batch.num_rows - start >= missing:
                yield _one([*waiting, batch.slice(start, missing)])
                start, waiting, missing = start + missing, [], self.size
                whole += 1
            if start < batch.num_rows:
                waiting.append(batch.slice(start))
                missing -= waiting[-1].num_rows
        if waiting and self.keep:
            yield _one(waiting)
        elif waiting and not whole:
            raise InputError(
                f"batch_size: the table has {self.size - missing} rows, which make no batch of "
                f"{self.size}: keep them by remainder='keep'"
            )


@dataclass(frozen=True, kw_only=True)
class EqualRows(BatchesPart):
    """Rows after each other with equal keys."""

    whole: tuple[Part, ...]
    by: tuple[str, ...]

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        waiting: list[pa.RecordBatch] = []
        current: Key | None = None
        for batch in _chained(self.whole, columns, rows):
            starts, keys = runs([batch.column(name) for name in self.by])
            ends = [*starts[1:].tolist(), batch.num_rows]
            for start, end, key in zip(starts.tolist(), ends, keys, strict=True):
                if waiting and key != current:
                    yield _one(waiting)
                    waiting = []
                waiting.append(batch.slice(start, end - start))
                current = key
        if waiting:
            yield _one(waiting)


def _chained(parts: Sequence[Part], columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    for part in parts:
        for _, batch in part.batches(columns, rows):
            yield batch


def _one(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    found = joined(batches)
    if len(found) > 1:
        raise InputError("a batch has more text or lists than one array of Arrow holds")
    return found[0]
