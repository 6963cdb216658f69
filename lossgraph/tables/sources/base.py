"""What every source is: columns, and parts that yield record batches."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from ..where import Condition

BATCH_ROWS = 131_072  # two columns of float32 stay in the second level of a cache
_JOINED_BYTES = 1 << 23  # small batches are joined up to so many bytes


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

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows that count, in memory; of all columns where none are named."""
        names = self.schema.names if columns is None else columns
        batches = (batch for part in self.pieces for _, batch in part.batches(names))
        return pa.Table.from_batches(batches, pa.schema([self.schema.field(n) for n in names]))


@dataclass(frozen=True, kw_only=True)
class Part(ABC):
    """A piece of a table that is read by one thread, beside others.

    Attributes:
        name: what it is called, ``'preds/a.parquet, row group 3'``.
        identity: the same in every run while the data are.
        rows: how many there are, before ``condition``, if that is known without reading.
        file: the path of the file it is in.
        start: the number of its first row within its file or table, if that is known.
        condition: which rows count.
    """

    name: str
    identity: str
    rows: int | None = None
    file: str | None = None
    start: int | None = 0
    condition: Condition | None = field(default=None, compare=False)
    repeats: ClassVar[bool] = True  # whether it can be read again, in the same order

    @abstractmethod
    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """All rows of these columns, in order, in batches of about ``rows`` rows."""

    def batches(
        self, columns: Sequence[str], rows: int = BATCH_ROWS
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows that count, with the number of each batch's first one among them.

        Args:
            columns: the columns of the batches, in this order; no others are read, but those of
                the condition.
            rows: at most as many in a batch.

        Raises:
            InputError: if the data cannot be read.
        """
        first = 0
        for batch in self._counting(columns, rows):
            yield first, batch
            first += batch.num_rows

    def _counting(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Batches of the rows that count."""
        condition = self.condition
        if condition is None:
            yield from sized(self.read(columns, rows), rows)
            return
        needed = [*columns, *(name for name in condition.columns if name not in columns)]
        kept = (
            condition.filtered(batch).select(columns)
            for batch in sized(self.read(needed, rows), rows)
        )
        yield from sized(kept, rows)

    def row_number(self, number: int) -> int:
        """The number within the file or table of a row that counts, for messages.

        Rows that a condition leaves out are counted again, for which those before are read.

        Args:
            number: of the row among those of the part that count, as `batches` numbers them.
        """
        return self.first_row() + (number if self.condition is None else self._position(number))

    def located(self, number: int) -> tuple[str, int]:
        """The file or table that a row that counts is in, and its number there."""
        return self.file or self.name, self.row_number(number)

    def first_row(self) -> int:
        """The number of the part's first row within its file or table."""
        return self.start or 0

    def _position(self, number: int) -> int:
        """The number of a row that counts among all of the part."""
        assert self.condition is not None
        before = 0
        for batch in self.read(self.condition.columns, BATCH_ROWS):
            found = self.condition.positions(batch) if batch.num_rows else []
            if number < len(found):
                return before + found[number]
            number -= len(found)
            before += batch.num_rows
        raise ValueError(f"{self.name}: there is no such row")


def described(
    kind: str,
    *,
    path: str | None = None,
    size: int | None = None,
    rows: int | None = None,
    digest: str | None = None,
) -> dict[str, Any]:
    """What was opened, for reports; what is not known without reading it is None."""
    return {"kind": kind, "path": path, "bytes": size, "rows": rows, "digest": digest}


def sized(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most ``rows``, small ones joined until they are half of it."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        if waiting and count + batch.num_rows > rows:
            yield from joined(waiting)
            waiting, count = [], 0
        if batch.num_rows > rows:
            yield from (batch.slice(at, rows) for at in range(0, batch.num_rows, rows))
        elif batch.num_rows:
            waiting.append(batch)
            count += batch.num_rows
        if 2 * count >= rows or sum(each.nbytes for each in waiting) >= _JOINED_BYTES:
            yield from joined(waiting)
            waiting, count = [], 0
    yield from joined(waiting)


def joined(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """One batch of several, if Arrow can make one."""
    if len(batches) < 2 or not batches[0].num_columns:
        return list(batches)
    return pa.Table.from_batches(batches).combine_chunks().to_batches()


def digest(*parts: object) -> str:
    """A short name for all of these."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]
