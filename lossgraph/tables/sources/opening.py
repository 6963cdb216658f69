"""What is taken for what: a path, a table, a frame, a query."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from ...errors import InputError
from ..where import Where
from .base import Source
from .csv import open_csv
from .datasets import open_dataset
from .files import File, file_format, find_files
from .ipc import open_ipc
from .memory import open_pandas, open_polars, open_table
from .parquet import open_parquet
from .streams import Query, open_exported, open_lazy, open_query, open_reader, open_relation

Open = Callable[[Any, Where], Source]

_OF_FILES: dict[str, Open] = {"parquet": open_parquet, "csv": open_csv, "ipc": open_ipc}
_OF_LIBRARIES: dict[tuple[str, str], Open] = {
    ("polars", "DataFrame"): open_polars,
    ("polars", "LazyFrame"): open_lazy,
    ("pandas", "DataFrame"): open_pandas,
    ("duckdb", "DuckDBPyRelation"): open_relation,
    ("_duckdb", "DuckDBPyRelation"): open_relation,
}


def open_source(data: Any, where: Where = None, *, filesystem: Any = None) -> Source:
    """The table in ``data``.

    Args:
        data: a path or a URL of a file, a folder or a glob, or a list of them (Parquet, CSV, Arrow
            IPC; URLs by pyarrow and fsspec); a table, record batch, reader or data set of pyarrow;
            a frame of Polars, lazy or not, or of pandas; a relation of DuckDB or a query, `sql`;
            or what exports the Arrow stream interface.
        where: the rows that count, an expression of pyarrow or text such as
            ``"country == 'de' and year >= 2020"``.
        filesystem: of pyarrow or fsspec, in which paths are looked up.

    Raises:
        InputError: for what is no table, files that cannot be read or do not have the same
            columns, and conditions on columns that are not there.
    """
    if isinstance(data, str | os.PathLike) or _all(data, str | os.PathLike):
        return _open_files(find_files(data, filesystem), where)
    match data:
        case Query():
            return open_query(data, where)
        case pa.Table():
            return open_table(data, where)
        case pa.RecordBatch():
            return open_table(pa.Table.from_batches([data]), where, "record batch")
        case pa.RecordBatchReader():
            return open_reader(data, where)
        case ds.Dataset():
            return open_dataset(data, where)
        case ds.Scanner():
            return open_reader(data.to_reader(), where)
    return _open_object(data, where)


def _open_object(data: Any, where: Where) -> Source:
    """What is of another library, known by the names of its type so that none is imported."""
    kind = type(data)
    known = _OF_LIBRARIES.get((kind.__module__.partition(".")[0], kind.__name__))
    if known is not None:
        return known(data, where)
    if _all(data, pa.RecordBatch) and data:
        return open_table(pa.Table.from_batches(data), where, "record batches")
    if hasattr(data, "__arrow_c_stream__"):
        return open_exported(data, where)
    if hasattr(data, "__arrow_c_array__"):
        try:
            return open_table(pa.Table.from_batches([pa.record_batch(data)]), where, kind.__name__)
        except (pa.ArrowException, TypeError, ValueError):
            raise InputError(f"the {kind.__name__} is an array of Arrow, not of columns") from None
    raise InputError(
        f"{kind.__module__}.{kind.__name__} is no table: expected paths, a table, data set or "
        "reader of pyarrow, a frame of Polars or pandas, a relation of DuckDB, a query (sql), or "
        "what has __arrow_c_stream__"
    )


def _all(data: Any, kinds: Any) -> bool:
    return isinstance(data, list | tuple) and all(isinstance(each, kinds) for each in data)


def _open_files(files: Sequence[File], where: Where) -> Source:
    """The table in files of one format."""
    formats = [file_format(file) for file in files]
    for file, kind in zip(files, formats, strict=True):
        if kind is None:
            raise InputError(f"{file.name} is no table: expected Parquet, CSV or Arrow IPC")
        if kind != formats[0]:
            raise InputError(
                f"{file.name} is {kind}, and {files[0].name} is {formats[0]}: the files of a "
                "table have one format"
            )
    return _OF_FILES[str(formats[0])](files, where)
