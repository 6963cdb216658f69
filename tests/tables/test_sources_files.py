"""Files of a table: folders, globs, keys in their paths, other file systems, and bad files."""

from __future__ import annotations

import os

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, fs

import lossgraph as lg
from lossgraph.errors import InputError
from lossgraph.tables.sources import files, open_source
from tables import a_table, rows_of

TABLE = a_table(90)


@pytest.fixture
def folder(tmp_path):
    """Files in folders of two keys, as Spark, pyarrow and Polars write them."""
    for i in range(9):
        below = tmp_path / f"year={2020 + i % 3}" / f"place=v%2F{'xy'[i % 2]}"
        below.mkdir(parents=True, exist_ok=True)
        pq.write_table(TABLE.slice(10 * i, 10), below / f"part-{i}.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.parquet").write_bytes(b"not one")
    (tmp_path / "readme.md").write_text("what this is")
    return tmp_path


def refused(data, message, **options):
    with pytest.raises(InputError, match=message) as caught:
        rows_of(open_source(data, **options))
    assert "\n" not in str(caught.value)


def test_folders_have_the_rows_and_keys_that_pyarrow_finds(folder):
    source = open_source(folder)
    assert source.schema.names == [*TABLE.schema.names, "year", "place"]
    expected = ds.dataset(folder, partitioning="hive", exclude_invalid_files=True).to_table()
    found = rows_of(source)
    assert found.sort_by("number").to_pylist() == expected.sort_by("number").to_pylist()
    assert set(found["place"].to_pylist()) == {"v/x", "v/y"}
    assert sorted(about["rows"] for about in source.description) == [10] * 9
    assert rows_of(source, ["year"])["year"].to_pylist() == found["year"].to_pylist()


def test_conditions_on_keys_leave_files_out(folder):
    source = open_source(folder, "year in (2020, 2022) and place == 'v/x'")
    assert len(source.parts()) == 4
    found = rows_of(source, ["number", "year", "place"])
    assert set(found["number"].to_numpy() // 10) == {0, 2, 6, 8}
    assert set(zip(found["year"].to_pylist(), found["place"].to_pylist(), strict=True)) == {
        (2020, "v/x"),
        (2022, "v/x"),
    }


def test_names_of_many_kinds(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    first = "year=2020/place=v%2Fx/part-0.parquet"
    everything = open_source(str(folder))
    for data in (
        "year=*/**/*.parquet",
        "./",
        [f"year={year}" for year in (2020, 2021, 2022)],
        f"file://{folder}/year=*/*/*.parquet",
        folder.as_uri(),
    ):
        source = open_source(data)
        assert rows_of(source).equals(rows_of(everything)), data
    assert rows_of(open_source(first))["number"].to_pylist() == list(range(10))
    assert rows_of(open_source([first, folder / first])).num_rows == 10  # a file is there once
    assert open_source(f"{folder}/{first}").parts()[0].name == f"{folder}/{first}, row group 0"


def test_a_path_may_have_the_letters_of_a_glob(tmp_path):
    pq.write_table(TABLE, tmp_path / "a[1].parquet")
    pq.write_table(TABLE.slice(5), tmp_path / "a1.parquet")
    assert rows_of(open_source(tmp_path / "a[1].parquet")).equals(TABLE)


def test_missing_keys_are_null_and_columns_of_the_files_are_theirs(tmp_path):
    for name, score in (("k=__HIVE_DEFAULT_PARTITION__", 1.5), ("k=07", 2.5)):
        (tmp_path / name / "score=9").mkdir(parents=True)
        pq.write_table(pa.table({"score": [score]}), tmp_path / name / "score=9" / "a.parquet")
    found = rows_of(open_source(tmp_path)).to_pydict()
    assert found == {"score": [2.5, 1.5], "k": [7, None]}
    assert rows_of(open_source(tmp_path, "k is None")).to_pydict() == {"score": [1.5], "k": [None]}


def test_parts_have_the_same_identity_while_their_file_is_unchanged(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path, row_group_size=30)
    before = [part.identity for part in open_source(path).parts()]
    assert [part.identity for part in open_source(path).parts()] == before
    again = os.stat(path)
    pq.write_table(
        TABLE.set_column(0, "number", TABLE["number"].take(list(range(89, -1, -1)))), path
    )
    os.utime(path, ns=(again.st_atime_ns, again.st_mtime_ns))
    assert not set(before) & {part.identity for part in open_source(path).parts()}


def test_other_file_systems(tmp_path):
    memory = fsspec.filesystem("memory")
    with memory.open("/preds/model=a/one.parquet", "wb") as file:
        pq.write_table(TABLE.slice(0, 50), file)
    with memory.open("/preds/model=b/two.parquet", "wb") as file:
        pq.write_table(TABLE.slice(50), file)
    try:
        for data, options in (
            ("memory://preds/model=*/*.parquet", {}),
            ("memory://preds", {}),
            ("preds", {"filesystem": memory}),
        ):
            source = open_source(data, "model in ('a', 'b')", **options)
            assert rows_of(source, TABLE.schema.names).equals(TABLE)
            assert source.description[1]["path"].endswith("preds/model=b/two.parquet")
        refused("memory://preds/three.parquet", "^memory://preds/three.parquet: no such file")
        refused("memory://preds/*.csv", "no file is called so")
    finally:
        memory.rm("/preds", recursive=True)
    pq.write_table(TABLE, tmp_path / "a.parquet")
    local = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    assert rows_of(open_source("a.parquet", filesystem=local)).equals(TABLE)


def test_urls_have_queries_and_users_that_are_not_told():
    assert files._split("s3://k:s@b/x=1/*/a.parquet?endpoint_override=http://h:1&region=r") == (
        "s3://k:s@b/x=1/?endpoint_override=http://h:1&region=r",
        "*/a.parquet",
    )
    assert files._split("s3://b/a.parquet?region=r") == ("s3://b/a.parquet?region=r", "")
    assert files._split("b/a?.parquet") == ("b/", "a?.parquet")
    with pytest.raises(InputError, match=r"^nosuch://b/a.parquet cannot be read: ") as caught:
        open_source("nosuch://key:secret@b/a.parquet?token=hidden")
    assert "hidden" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_unreachable_file_systems_are_refused_in_one_line():
    refused("nosuch://bucket/a.parquet", "^nosuch://bucket/a.parquet cannot be read: ")
    refused("https://127.0.0.1:9/a.parquet", "^https://127.0.0.1:9/a.parquet cannot be read: ")


def test_files_that_are_not_there_or_whole(tmp_path):
    refused(tmp_path / "a.parquet", "a.parquet: no such file or folder")
    refused(f"{tmp_path}/*.parquet", "no file is called so")
    refused(tmp_path, "there are no tables in this folder")
    pq.write_table(TABLE, tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for length in (0, 3, 7, 100, len(whole) - 1, len(whole) // 2):
        (tmp_path / "a.parquet").write_bytes(whole[:length])
        refused(tmp_path / "a.parquet", r"a\.parquet is no whole file of Parquet: ")
    (tmp_path / "a.parquet").write_bytes(whole[:4] + b"\xff" * 600 + whole[604:])
    refused(tmp_path / "a.parquet", r"a\.parquet cannot be read: ")
    (tmp_path / "b.arrow").write_bytes(b"ARROW1\0\0" + b"\0" * 50)
    refused(tmp_path / "b.arrow", r"b\.arrow is no whole file of Arrow: ")
    (tmp_path / "c.bin").write_bytes(b"something")
    refused(tmp_path / "c.bin", r"c\.bin is no table: expected Parquet, CSV or Arrow")


def test_files_of_several_formats_or_columns_are_refused(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    csv.write_csv(TABLE, tmp_path / "b.csv")
    refused(tmp_path, r"b\.csv is csv, and .*a\.parquet is parquet")
    (tmp_path / "b.csv").unlink()
    wrong = {
        "column 'score' is double, and float in .*a.parquet": TABLE.set_column(
            1, "score", TABLE["score"].cast(pa.float64())
        ),
        "there is no column 'score', float in .*a.parquet": TABLE.drop_columns("score"),
        "there is a column 'more', which .*a.parquet has not": TABLE.append_column(
            "more", TABLE["score"]
        ),
    }
    for message, table in wrong.items():
        pq.write_table(table, tmp_path / "b.parquet")
        refused(tmp_path, rf"b\.parquet: {message}")


def test_columns_that_are_only_written_otherwise_are_one_table(tmp_path):
    other = TABLE.set_column(2, "country", TABLE["country"].cast(pa.large_string()))
    none = TABLE.set_column(2, "country", pa.nulls(90)).select([2, 0, 1])
    for name, table in (("a", none), ("b", TABLE), ("c", other)):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    found = rows_of(open_source(tmp_path), ["country", "number"])
    assert found["country"].type == pa.string()
    assert found["country"].to_pylist() == [None] * 90 + 2 * TABLE["country"].to_pylist()


def test_tables_without_rows_have_no_parts(tmp_path):
    pq.write_table(TABLE.slice(0, 0), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("number,score\n")
    for data in (tmp_path / "a.parquet", tmp_path / "a.csv", TABLE.slice(0, 0)):
        source = open_source(data)
        assert source.schema.names[:2] == ["number", "score"]
        assert rows_of(source).num_rows == 0


def test_csv_is_cut_at_lines(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    lines = [f"{i},{'x' * (i % 50)}" for i in range(500)]
    path.write_text("\n".join(["number,text", *lines]))  # without an end of the last line
    for size in (1, 7, 100, 1000, 1 << 20):
        monkeypatch.setattr("lossgraph.tables.sources.csv.PART_BYTES", size)
        found = rows_of(open_source(path), rows=1000)
        assert found["number"].to_pylist() == list(range(500))
        assert found["text"].to_pylist() == ["x" * (i % 50) for i in range(500)]


def test_csv_is_read_as_a_whole_only_where_rows_have_quotes(tmp_path, monkeypatch):
    monkeypatch.setattr("lossgraph.tables.sources.csv.PART_BYTES", 100)
    for names, cell, parts in (('"a","b"', "x", 3), ("a,b", '"x\ny"', 1)):
        (tmp_path / "a.csv").write_text(f"{names}\n" + f"1,{cell}\n" * 60)
        source = open_source(tmp_path / "a.csv")
        assert len(source.parts()) == parts
        assert rows_of(source)["b"].to_pylist() == [cell.strip('"')] * 60
    (tmp_path / "a.csv").write_text('a,"b\nc"\n1,2\n')
    refused(tmp_path / "a.csv", "a.csv: the name of a column has a line break")


def test_types_of_csv_are_found_all_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("lossgraph.tables.sources.csv._SAMPLE", 1000)
    path = tmp_path / "a.csv"
    path.write_text("\ufeffa;b\n" + "1;\n" * 5000 + "2.5;nan\n" * 100, encoding="utf-8")
    found = rows_of(open_source(path), rows=10_000)
    assert found.schema == pa.schema({"a": pa.float64(), "b": pa.float64()})
    assert found["b"].null_count == 5000
    assert np.isnan(found["b"].to_numpy()[-100:]).all()
    assert found["a"].to_pylist() == [1.0] * 5000 + [2.5] * 100


def test_csv_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    for text, message in (
        ("", "the first line has no names of columns"),
        (
            "a,b\n1,2\n3\n",
            "a.csv cannot be read: CSV parse error: row 1: Expected 2 columns",
        ),
        ("a,a\n1,2\n", "a.csv has two columns called 'a'"),
    ):
        path.write_text(text)
        refused(path, message)
    monkeypatch.setattr("lossgraph.tables.sources.csv._SAMPLE", 1000)
    monkeypatch.setattr("lossgraph.tables.sources.csv.PART_BYTES", 20_000)
    path.write_text("a,b\n" + "1,2\n" * 5000 + "x,2\n" + "1,2\n" * 5000)
    refused(path, "a.csv cannot be read: column 'a': .*invalid value 'x'")
    path.write_text("a,b\n" + "1,2\n" * 7000 + "1\n" + "1,2\n" * 7000)
    refused(path, "a.csv cannot be read: CSV parse error: row 7000: Expected 2 columns, got 1")
    path.write_text("a,b\n" + "1,2\n" * 4999 + '1,"2\n3"\n' + "1,2\n" * 5000)
    refused(path, "a.csv: a line ends between quotes near byte 4")


def test_refused_rows_are_told_by_their_file(tmp_path, monkeypatch):
    monkeypatch.setattr("lossgraph.tables.sources.csv.PART_BYTES", 1000)
    label = np.arange(3000.0)
    table = pa.table({"pred": label, "label": label, "group": np.arange(3000) % 3})
    holes = table.set_column(1, "label", pa.array(label, mask=label == 2001))
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=700)
    pq.write_table(holes, tmp_path / "b.parquet", row_group_size=700)
    csv.write_csv(holes, tmp_path / "b.csv", csv.WriteOptions(quoting_style="none"))
    for data, name in (("*.parquet", "b.parquet"), ("b.csv", "b.csv")):
        for where in (None, "group != 1"):
            with pytest.raises(InputError, match=rf"{name}, row 2001: column 'label' is null"):
                lg.tables.evaluate(
                    "l2", str(tmp_path / data), {"pred": "pred", "label": "label"}, where=where
                )
