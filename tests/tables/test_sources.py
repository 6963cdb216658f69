"""Tables in files and in memory: the same rows whatever holds them, read apart and in order."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossgraph.errors import InputError
from lossgraph.tables.sources import open_source


def a_table(rows=1000, start=0):
    number = np.arange(start, start + rows)
    return pa.table(
        {
            "score": np.sin(number).astype("float32"),
            "label": number % 7,
            "country": pa.array(np.array(["de", "fr", "us"])[number % 3]),
        }
    )


def rows_of(source, columns=None, rows=100):
    """The rows that count, and their numbers by `row_number`."""
    columns = columns or source.schema.names
    batches, numbers = [], []
    for part in source.parts():
        for first, batch in part.batches(columns, rows):
            assert 0 < batch.num_rows <= rows
            assert batch.schema.names == list(columns)
            batches.append(batch)
            numbers.append((part.name, part.row_number(first, batch.num_rows - 1)))
    schema = pa.schema([source.schema.field(name) for name in columns])
    return pa.Table.from_batches(batches, schema), numbers


def test_a_file_of_parquet_is_read_by_row_groups(tmp_path):
    table = a_table(600_000)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=200_000)
    source = open_source(tmp_path / "a.parquet")
    assert rows_of(source, rows=50_000)[0].equals(table)
    assert [part.rows for part in source.parts()] == [200_000] * 3
    assert source.parts()[1].name == f"{tmp_path}/a.parquet, row group 1"
    assert rows_of(source, ["label", "score"], 70_000)[0].equals(table.select(["label", "score"]))
    part = source.parts()[2]
    assert pickle.loads(pickle.dumps(part)) == part
    assert list(pickle.loads(pickle.dumps(part)).batches(["label"])) == list(
        part.batches(["label"])
    )


def test_small_row_groups_are_joined(tmp_path):
    table = a_table(10_000)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    (part,) = open_source(tmp_path / "a.parquet").parts()
    assert (part.rows, part.name) == (10_000, f"{tmp_path}/a.parquet, row groups 0 to 99")


def test_row_groups_that_cannot_count_are_not_read(tmp_path):
    table = a_table(10_000).append_column("day", pa.array(np.arange(10_000) // 1000))
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    source = open_source(tmp_path / "a.parquet", "day == 3 or day in (7, 8) and score > 0.5")
    assert [part.rows for part in source.parts()] == [1000, 2000]
    found, numbers = rows_of(source)
    day, score = (np.asarray(table[name]) for name in ("day", "score"))
    kept = (day == 3) | (np.isin(day, (7, 8)) & (score > 0.5))
    assert found.equals(table.filter(pa.array(kept)))
    where = [f"{tmp_path}/a.parquet, row group 3", f"{tmp_path}/a.parquet, row groups 7 to 8"]
    assert [name for name, _ in numbers] == [where[0]] * 10 + [where[1]] * 20
    last = np.flatnonzero(kept[7000:9000].reshape(20, 100))
    assert numbers[-1][1] == last[-1]


def test_tables_in_memory_are_read_in_parts_without_copies():
    table = a_table(1_000_000)
    source = open_source(table)
    found, _ = rows_of(source, rows=100_000)
    assert found.equals(table)
    assert len(source.parts()) > 2
    first = next(iter(source.parts()[0].batches(["score"])))[1]
    assert first["score"].buffers()[1].address == table["score"].chunk(0).buffers()[1].address


def test_a_file_that_is_not_whole_is_refused(tmp_path):
    pq.write_table(a_table(), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"a\.parquet is no whole file of Parquet: "):
        open_source(tmp_path / "a.parquet")
