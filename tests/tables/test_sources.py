"""Sources of all kinds: the same rows whatever holds them, read apart and in order."""

from __future__ import annotations

import gzip
import pickle
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, ipc

from lossgraph.errors import InputError
from lossgraph.tables.sources import open_source, sql
from tables import a_table, numbers_of, rows_of

ROWS = 3000
TABLE = a_table(ROWS)


def parquet(folder):
    pq.write_table(TABLE, folder / "a.parquet", row_group_size=700)
    return folder / "a.parquet"


def comma(folder):
    csv.write_csv(TABLE, folder / "a.csv", csv.WriteOptions(quoting_style="none"))
    return folder / "a.csv"


def quoted(folder):
    csv.write_csv(TABLE, folder / "a.csv")
    return folder / "a.csv"


def packed(folder):
    comma(folder)
    (folder / "a.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes()))
    return folder / "a.csv.gz"


def tab(folder):
    csv.write_csv(TABLE, folder / "a.tsv", csv.WriteOptions(delimiter="\t"))
    return folder / "a.tsv"


def arrow(folder):
    with ipc.new_file(folder / "a.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=400)
    return folder / "a.arrow"


def arrow_stream(folder):
    with ipc.new_stream(folder / "a.arrows", TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=400)
    return folder / "a.arrows"


def small_batches(folder):
    return TABLE.to_batches(max_chunksize=7)


def pandas_frame(folder):
    return TABLE.to_pandas()


def relation(folder):
    return duckdb.from_arrow(TABLE)


def query(folder):
    return sql(f"select * from '{parquet(folder)}'")


def database(folder):
    with duckdb.connect(folder / "a.duckdb") as connection:
        connection.execute(f"create table a as select * from '{parquet(folder)}'")
    return sql("select * from a order by number", folder / "a.duckdb")


def fragments(folder):
    return ds.dataset(arrow(folder), format="ipc")


class Exported:
    """What has the stream interface and nothing else."""

    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


SOURCES = {
    "parquet": parquet,
    "csv": comma,
    "csv with quotes": quoted,
    "csv, compressed": packed,
    "tsv": tab,
    "arrow": arrow,
    "arrow stream": arrow_stream,
    "table": lambda folder: TABLE,
    "batches": small_batches,
    "batch": lambda folder: TABLE.combine_chunks().to_batches()[0],
    "data set": lambda folder: ds.dataset(parquet(folder)),
    "data set of arrow": fragments,
    "data set in memory": lambda folder: ds.dataset(TABLE),
    "polars": lambda folder: pl.from_arrow(TABLE),
    "lazy": lambda folder: pl.scan_parquet(parquet(folder)),
    "pandas": pandas_frame,
    "relation": relation,
    "query": query,
    "database": database,
    "stream interface": lambda folder: Exported(),
}


@pytest.fixture(params=SOURCES)
def data(request, tmp_path, monkeypatch):
    for module in ("csv", "ipc", "memory"):  # so that a small table has several parts
        name = "PART_ROWS" if module == "memory" else "PART_BYTES"
        monkeypatch.setattr(f"lossgraph.tables.sources.{module}.{name}", 900)
    monkeypatch.setattr("lossgraph.tables.sources.parquet.PART_ROWS", 900)
    return SOURCES[request.param](tmp_path)


def same(found, expected):
    """Whether the values are the same; libraries have strings of several types."""
    score = pa.compute.cast(found["score"], pa.float32())  # text has no types
    at = found.schema.get_field_index("score")
    return found.set_column(at, "score", score).to_pylist() == expected.to_pylist()


def test_rows_are_the_same_however_they_are_read(data):
    source = open_source(data)
    assert source.schema.names == TABLE.schema.names
    assert same(rows_of(source), TABLE)
    assert same(rows_of(source, ["score", "number"], 10_000), TABLE.select(["score", "number"]))
    known = [part.rows for part in source.parts()]
    assert None in known or sum(known) == ROWS
    assert len({part.identity for part in source.parts()}) == len(known)


def test_batches_without_columns_have_rows(data):
    counts = [b.num_rows for p in open_source(data).parts() for _, b in p.batches([], 500)]
    assert sum(counts) == ROWS


def test_conditions_hold_whatever_holds_the_rows(data):
    source = open_source(data, "country in ('de', 'us') and score > 0.25")
    country, score = np.asarray(TABLE["country"]), np.asarray(TABLE["score"])
    kept = pa.array((country != "fr") & (score > 0.25))
    assert same(rows_of(source, ["number", "score"]), TABLE.filter(kept).select([0, 1]))
    for known, said in numbers_of(source):
        assert said == known


def test_rows_have_their_numbers(data):
    for known, said in numbers_of(open_source(data)):
        assert said == known


def test_parts_are_read_beside_each_other(data):
    parts = open_source(data).parts()
    with ThreadPoolExecutor(4) as threads:
        read = threads.map(lambda part: [batch for _, batch in part.batches(["number"], 70)], parts)
    numbers = [n for batches in read for batch in batches for n in batch["number"].to_pylist()]
    assert numbers == list(range(ROWS))


def test_what_was_opened_is_described(data):
    for about in open_source(data).description:
        assert list(about)[:5] == ["kind", "path", "bytes", "rows", "digest"]
        assert about["rows"] in (None, ROWS)


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv with quotes", "arrow", "arrow stream"])
def test_parts_of_files_can_be_sent(kind, tmp_path):
    for part in open_source(SOURCES[kind](tmp_path), "number > 100").parts():
        sent = pickle.loads(pickle.dumps(part))
        assert sent == part
        assert list(sent.batches(["score"], 100)) == list(part.batches(["score"], 100))


@pytest.mark.parametrize("kind", [parquet, arrow, arrow_stream, lambda folder: TABLE])
def test_types_stay(kind, tmp_path, monkeypatch):
    count = range(ROWS)
    tensors = pa.FixedSizeListArray.from_arrays(np.arange(ROWS * 4.0), 4)
    table = pa.table(
        {
            "number": list(count),
            "list": [[i, None, i / 2] if i % 5 else None for i in count],
            "fixed": pa.FixedSizeListArray.from_arrays(np.arange(ROWS * 2), 2),
            "tensor": pa.ExtensionArray.from_storage(
                pa.fixed_shape_tensor(pa.float64(), (2, 2)), tensors
            ),
            "dictionary": pa.array([("a", "b", None)[i % 3] for i in count]).dictionary_encode(),
            "decimal": [Decimal(i) / 4 for i in count],
            "when": pa.array(count, pa.timestamp("ms", "Europe/Berlin")),
            "half": np.arange(ROWS, dtype="float16"),
            "struct": [{"a": i, "b": "x"} for i in count],
            "a.b": [i % 2 == 0 for i in count],
        }
    )
    monkeypatch.setitem(globals(), "TABLE", table)
    data = kind(tmp_path)
    assert rows_of(open_source(data), rows=1000).equals(table)
    found = rows_of(open_source(data, "a.b and dictionary == 'a'"), ["tensor", "half", "number"])
    kept = pa.array([i % 6 == 0 for i in count])
    assert found.to_pylist() == table.filter(kept).select(["tensor", "half", "number"]).to_pylist()


def test_small_row_groups_are_joined(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=100)
    (part,) = open_source(tmp_path / "a.parquet").parts()
    assert (part.rows, part.name) == (ROWS, f"{tmp_path}/a.parquet, row groups 0 to 29")


def test_row_groups_that_cannot_count_are_not_read(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=1000)
    source = open_source(tmp_path / "a.parquet", "number >= 2500 or number < 10")
    assert [part.name for part in source.parts()] == [
        f"{tmp_path}/a.parquet, row group 0",
        f"{tmp_path}/a.parquet, row group 2",
    ]
    assert rows_of(source)["number"].to_pylist() == [*range(10), *range(2500, 3000)]


def test_tables_in_memory_are_not_copied():
    for data in (TABLE, pl.from_arrow(TABLE), TABLE.to_pandas()):
        batch = next(iter(open_source(data).parts()[0].batches(["score"])))[1]
        again = next(iter(open_source(data).parts()[0].batches(["score"])))[1]
        assert batch["score"].buffers()[1].address == again["score"].buffers()[1].address


def test_row_groups_need_not_be_held_as_a_whole(tmp_path):
    rows = 3_000_000
    table = pa.table({"a": np.random.default_rng(0).random(rows), "b": np.arange(rows)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=rows)
    size = table.nbytes
    del table
    (part,) = open_source(tmp_path / "a.parquet").parts()
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in part.batches(["a", "b"], 65_536)]
    assert max(held) < size / 4


def test_long_lists_make_smaller_batches(tmp_path):
    lists = pa.FixedSizeListArray.from_arrays(np.zeros(1500 * 8192), 8192)
    pq.write_table(pa.table({"x": lists}), tmp_path / "a.parquet", use_dictionary=False)
    batches = [b for p in open_source(tmp_path / "a.parquet").parts() for _, b in p.batches(["x"])]
    assert sum(batch.num_rows for batch in batches) == 1500
    assert max(batch.nbytes for batch in batches) < 1 << 26


def test_streams_can_be_read_once():
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(max_chunksize=300))
    source = open_source(reader)
    assert rows_of(source).equals(TABLE)
    with pytest.raises(InputError, match="the stream of Arrow was read already"):
        rows_of(source)


def test_what_is_computed_when_it_is_read_can_be_read_again(tmp_path):
    for kind in ("lazy", "relation", "query", "stream interface"):
        source = open_source(SOURCES[kind](tmp_path))
        assert same(rows_of(source), TABLE)
        assert same(rows_of(source), TABLE)


def test_filtered_data_sets_stay_filtered(tmp_path):
    chosen = ds.dataset(parquet(tmp_path)).filter(ds.field("number") >= 2000)
    found = rows_of(open_source(chosen, "number < 2100"))
    assert found["number"].to_pylist() == list(range(2000, 2100))


def test_frames_of_pandas_have_their_index_and_missing_values():
    frame = pd.DataFrame({"x": [1.0, np.nan], 3: ["a", "b"]}, index=pd.Index(["u", "v"], name="i"))
    source = open_source(frame)
    assert rows_of(source).to_pydict() == {"i": ["u", "v"], "x": [1.0, None], "3": ["a", "b"]}


def test_categories_are_dictionaries():
    frame = TABLE.to_pandas().astype({"country": "category"})
    for data in (frame, pl.from_arrow(TABLE).with_columns(pl.col("country").cast(pl.Categorical))):
        source = open_source(data, "country == 'fr'")
        assert pa.types.is_dictionary(source.schema.field("country").type)
        assert set(rows_of(source)["country"].to_pylist()) == {"fr"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "builtins.int is no table: expected paths, a table"),
        (pa.array([1, 2]), "the Int64Array is an array of Arrow, not of columns"),
        ([], "the list of paths is empty"),
        (pa.table([[1], [2]], names=["a", "a"]), "the table has two columns called 'a'"),
        (pd.DataFrame({"a": [1, "x"]}), "the frame of pandas: "),
        (sql("select 1 frm x"), "SQL: Parser Error"),
        (sql("create table a (b int)"), "SQL: expected a query that gives rows"),
        (pl.LazyFrame({"a": [1]}).select("b"), "the lazy frame cannot be read: "),
    ],
)
def test_what_is_no_table_is_refused(data, message):
    with pytest.raises(InputError, match=f"^{message}") as caught:
        open_source(data)
    assert "\n" not in str(caught.value)


def test_queries_that_fail_while_they_are_read_are_refused():
    failing = "select cast(case when i = 150000 then 'a' else '1' end as int) as x"
    source = open_source(sql(f"{failing} from range(200000) t(i)"))
    with pytest.raises(InputError, match="the query cannot be read: ") as caught:
        rows_of(source, rows=1000)
    assert "\n" not in str(caught.value)
