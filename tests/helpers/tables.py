"""A table, and the rows that a source gives of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def a_table(rows=1000, start=0):
    """Rows that know their number."""
    number = np.arange(start, start + rows)
    return pa.table(
        {
            "number": number,
            "score": np.sin(number).astype("float32"),
            "country": pa.array(np.array(["de", "fr", "us"])[number % 3]),
        }
    )


def rows_of(source, columns=None, rows=100):
    """The rows that count, all parts after each other; batches are no larger than asked for."""
    columns = list(source.schema.names if columns is None else columns)
    schema = pa.schema([source.schema.field(name) for name in columns])
    batches = []
    for part in source.parts():
        after = 0
        for first, batch in part.batches(columns, rows):
            assert first == after
            assert 0 < batch.num_rows <= rows
            assert batch.schema.equals(schema)
            batches.append(batch)
            after += batch.num_rows
    return pa.Table.from_batches(batches, schema)


def numbers_of(source):
    """For each part the numbers that its rows know, and those that the part says they have."""
    for part in source.parts():
        known = [n for _, b in part.batches(["number"], 1000) for n in b["number"].to_pylist()]
        some = sorted({0, len(known) // 3, len(known) - 1}) if known else []
        yield [known[i] for i in some], [part.row_number(i) for i in some]
