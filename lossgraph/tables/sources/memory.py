"""Tables in memory: of Arrow, Polars and pandas. Parts are runs of rows, without a copy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..where import Where, where_in
from .base import Part, Source, described
from .files import first_line
from .schemas import Conform, distinct

PART_ROWS = 1 << 18


@dataclass(frozen=True, kw_only=True)
class FramePart(Part):
    """A run of rows of a table or a frame."""

    data: Any = field(compare=False, repr=False)
    schema: pa.Schema
    count: int

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        conform = Conform(self.schema, columns)
        start = self.start or 0
        for at in range(start, start + self.count, rows):
            piece = self.piece(list(columns), at, min(rows, start + self.count - at))
            for batch in piece.to_batches():
                yield conform(batch)

    @abstractmethod
    def piece(self, columns: list[str], start: int, count: int) -> pa.Table:
        """Some rows."""


class TablePart(FramePart):
    """Of a table of Arrow."""

    def piece(self, columns: list[str], start: int, count: int) -> pa.Table:
        return self.data.select(columns).slice(start, count)


class PolarsPart(FramePart):
    """Of a frame of Polars."""

    def piece(self, columns: list[str], start: int, count: int) -> pa.Table:
        if not columns:
            return no_columns(count)
        return self.data.select(columns).slice(start, count).to_arrow()


class PandasPart(FramePart):
    """Of a frame of pandas, whose NaN are null, as in the files that it writes."""

    def piece(self, columns: list[str], start: int, count: int) -> pa.Table:
        if not columns:
            return no_columns(count)
        try:  # column by column: a frame of several would be a copy
            arrays = [
                pa.Array.from_pandas(
                    self.data[name].iloc[start : start + count], type=self.schema.field(name).type
                )
                for name in columns
            ]
            return pa.Table.from_arrays(arrays, columns)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise InputError(f"the frame of pandas: {first_line(error)}") from error


def open_table(table: pa.Table, where: Where, kind: str = "table") -> Source:
    """A table of pyarrow."""
    return _open(TablePart, table, table.schema, table.num_rows, where, kind, table.nbytes)


def open_polars(frame: Any, where: Where) -> Source:
    """A frame of Polars."""
    schema = frame.head(0).to_arrow().schema
    size = frame.estimated_size()
    return _open(PolarsPart, frame, schema, frame.height, where, "polars frame", size)


def open_pandas(frame: Any, where: Where) -> Source:
    """A frame of pandas; levels of its index that have names are columns too."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame = frame.copy(deep=False)
    frame.columns = [str(name) for name in frame.columns]
    try:
        schema = pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"the frame of pandas: {first_line(error)}") from error
    size = int(frame.memory_usage(index=False).sum())
    return _open(PandasPart, frame, schema, len(frame), where, "pandas frame", size)


def no_columns(rows: int) -> pa.Table:
    """As many rows of nothing."""
    return pa.table({"": pa.nulls(rows)}).select([])


def _open(
    kind: type[FramePart], data: Any, schema: pa.Schema, rows: int, where: Where, name: str,
    size: int,
) -> Source:  # fmt: skip
    distinct(f"the {name}", schema)
    condition = where_in(schema, where)
    parts = [
        kind(
            name=f"the {name}",
            identity=f"{name} {start} of {rows}",
            rows=min(PART_ROWS, rows - start),
            start=start,
            condition=condition,
            data=data,
            schema=schema,
            count=min(PART_ROWS, rows - start),
        )
        for start in range(0, rows, PART_ROWS)
    ]
    return Source(schema, [described(name, size=size, rows=rows)], tuple(parts))
