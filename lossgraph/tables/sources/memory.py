"""Tables of Arrow in memory: parts are runs of rows, without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..where import Where, where_in
from .base import Part, Source
from .schemas import distinct

PART_ROWS = 1 << 18


@dataclass(frozen=True, kw_only=True)
class TablePart(Part):
    """A run of rows of a table."""

    table: pa.Table

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from self.table.select(columns).to_batches(max_chunksize=rows)


def open_table(table: pa.Table, where: Where, kind: str = "table") -> Source:
    """A table of pyarrow."""
    distinct(f"the {kind}", table.schema)
    condition = where_in(table.schema, where)
    parts = [
        TablePart(
            name=f"rows from {start} on",
            identity=f"{kind} {start} {table.num_rows}",
            rows=min(PART_ROWS, table.num_rows - start),
            condition=condition,
            table=table.slice(start, PART_ROWS),
        )
        for start in range(0, table.num_rows, PART_ROWS)
    ]
    described = {"kind": kind, "bytes": table.nbytes, "rows": table.num_rows}
    return Source(table.schema, [described], tuple(parts))
