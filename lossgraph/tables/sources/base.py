"""What every source is: columns, and parts that yield record batches."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pyarrow as pa

from ..where import Condition

BATCH_ROWS = 131_072  # two columns of float32 stay in the second level of a cache

_Part = TypeVar("_Part", bound="Part")


@dataclass(frozen=True)
class Source:
    """A table, whatever holds it.

    Attributes:
        schema: the table's columns, those that folders' names give included.
        description: what was opened, for reports: a dict a file or object.
        pieces: its parts.
    """

    schema: pa.Schema
    description: list[dict[str, Any]]
    pieces: tuple[Part, ...]

    def parts(self) -> Sequence[Part]:
        """The pieces that can be read apart, in the order of the table."""
        return self.pieces


@dataclass(frozen=True, kw_only=True)
class Part(ABC):
    """A piece of a table that is read by one thread, beside others.

    Attributes:
        name: what a message says, ``'preds/a.parquet, row group 3'``.
        identity: the same in every run while the data are.
        rows: how many there are, before ``condition``, if that is known without reading.
        file: the path of the file it is in.
        condition: which rows count.
    """

    name: str
    identity: str
    rows: int | None = None
    file: str | None = None
    condition: Condition | None = field(default=None, compare=False)

    @abstractmethod
    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """All rows of these columns, in order, in batches of about ``rows`` rows."""

    def batches(
        self, columns: Sequence[str], rows: int = BATCH_ROWS
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows that count, with what `row_number` takes for the first of each batch.

        Args:
            columns: the columns of the batches, in this order; no others are read, but those of
                the condition.
            rows: at most as many in a batch.

        Raises:
            InputError: if the data cannot be read.
        """
        condition = self.condition
        needed = list(columns)
        if condition is not None:
            needed += [name for name in condition.columns if name not in columns]
        first = 0
        for batch in sized(self.read(needed, rows), rows):
            count = batch.num_rows
            if condition is not None:
                batch = condition.filtered(batch)
            if batch.num_rows:
                yield first, batch.select(columns) if len(needed) > len(columns) else batch
            first += count

    def row_number(self, first: int, row: int) -> int:
        """The number within the part, before the condition, of a row of a batch.

        Where rows are left out by a condition they are counted again, which is for messages.

        Args:
            first: what came with the batch.
            row: the number of the row within the batch.
        """
        if self.condition is None:
            return first + row
        start = 0
        for batch in self.read(self.condition.columns, BATCH_ROWS):
            for inside in self.condition.positions(batch):
                if start + inside >= first:
                    if row == 0:
                        return start + inside
                    row -= 1
            start += batch.num_rows
        raise ValueError(f"{self.name} has no such row")

    def only(self: _Part, condition: Condition | None) -> _Part:
        """The part with the rows that a condition takes."""
        return replace(self, condition=condition)


def sized(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most ``rows``, small ones joined until they have a half."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        if waiting and count + batch.num_rows > rows:
            yield from joined(waiting)
            waiting, count = [], 0
        if 2 * batch.num_rows < rows:
            waiting.append(batch)
            count += batch.num_rows
            continue
        if waiting:
            waiting.append(batch)
            yield from joined(waiting)
            waiting, count = [], 0
        elif batch.num_rows <= rows:
            yield batch
        else:
            yield from (batch.slice(at, rows) for at in range(0, batch.num_rows, rows))
    yield from joined(waiting)


def joined(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """One batch of several, if Arrow can make one."""
    if len(batches) < 2:
        return list(batches)
    return pa.Table.from_batches(batches).combine_chunks().to_batches()


def digest(*parts: object) -> str:
    """A short name for all of these."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
