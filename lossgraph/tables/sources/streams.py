"""Streams: readers of Arrow, what exports the stream interface, lazy frames, and queries.

They are one part, in the order in which their rows come.
"""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from ...errors import InputError
from ..where import Where, where_in
from .base import Part, Source, described
from .files import READ_ERRORS, find_files, first_line
from .parquet import open_parquet
from .schemas import Conform, distinct


@dataclass(frozen=True)
class Query:
    """A query, and the connection or database of DuckDB that it is for."""

    text: str
    connection: Any


def sql(text: str, connection: Any = None) -> Query:
    """A query as a table, which DuckDB answers: ``sql("select * from 'preds/*.parquet'")``.

    Args:
        text: of the query.
        connection: of DuckDB, or the path of a database; by default a new one, in memory.
    """
    return Query(text, connection)


@dataclass(frozen=True, kw_only=True)
class StreamPart(Part):
    """All of a stream."""

    data: Any = field(compare=False, repr=False)
    schema: pa.Schema
    repeats: ClassVar[bool] = False

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        conform = Conform(self.schema, columns)
        try:
            for batch in self.stream(list(columns) or self.schema.names[:1], rows):
                yield conform(batch)
        except InputError:
            raise
        except _errors_of(self.data) as error:
            raise InputError(f"{self.name} cannot be read: {first_line(error)}") from error

    @abstractmethod
    def stream(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Batches with these columns at least, which are one or more."""


class ReaderPart(StreamPart):
    """Of a reader, which can be read once."""

    def stream(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        if not self.data:
            raise InputError(
                f"{self.name} was read already, which works once: write it to a file, or make "
                "a table of it"
            )
        with self.data.pop() as reader:
            yield from reader


class ExportedPart(StreamPart):
    """Of what exports a stream as often as it is asked."""

    def stream(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        with pa.RecordBatchReader.from_stream(self.data) as reader:
            yield from reader


class LazyPart(StreamPart):
    """Of a lazy frame of Polars."""

    def stream(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        frame = self.data.select(columns)
        if not hasattr(frame, "collect_batches"):
            yield from _through_a_file(frame, rows)
            return
        for piece in frame.collect_batches(
            chunk_size=rows, maintain_order=True, engine="streaming"
        ):
            yield from piece.to_arrow().to_batches()


@dataclass(frozen=True, kw_only=True)
class RelationPart(StreamPart):
    """Of a relation of DuckDB."""

    connection: Any = field(default=None, compare=False, repr=False)  # which is kept open

    def stream(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        asked = self.data.project(", ".join(map(_quoted, columns)))
        read = getattr(asked, "to_arrow_reader", None) or asked.fetch_arrow_reader
        with read(rows) as reader:
            yield from reader


def open_reader(reader: pa.RecordBatchReader, where: Where) -> Source:
    """A reader of Arrow."""
    return _open(ReaderPart, [reader], reader.schema, where, "stream of Arrow")


def open_exported(data: Any, where: Where) -> Source:
    """What has ``__arrow_c_stream__``."""
    kind = f"{type(data).__module__.partition('.')[0]} {type(data).__name__}"
    try:
        if hasattr(data, "__arrow_c_schema__"):
            schema = pa.schema(data)
        else:
            with pa.RecordBatchReader.from_stream(data) as reader:
                schema = reader.schema
    except READ_ERRORS as error:
        raise InputError(f"the {kind} is no table: {first_line(error)}") from error
    return _open(ExportedPart, data, schema, where, kind)


def open_lazy(frame: Any, where: Where) -> Source:
    """A lazy frame of Polars, which is computed whenever it is read."""
    import polars

    try:
        schema = polars.DataFrame(schema=frame.collect_schema()).to_arrow().schema
    except _errors_of(frame) as error:
        raise InputError(f"the lazy frame cannot be read: {first_line(error)}") from error
    return _open(LazyPart, frame, schema, where, "lazy frame of Polars")


def open_relation(
    relation: Any, where: Where, kind: str = "relation of DuckDB", connection: Any = None
) -> Source:
    """A relation of DuckDB, which is computed whenever it is read."""
    try:
        schema = relation.limit(0).to_arrow_table().schema
    except _errors_of(relation) as error:
        raise InputError(f"the {kind} cannot be read: {first_line(error)}") from error
    return _open(RelationPart, relation, schema, where, kind, connection=connection)


def open_query(query: Query, where: Where) -> Source:
    """What DuckDB answers to a question."""
    try:
        import duckdb
    except ImportError:
        raise InputError("SQL needs DuckDB: pip install duckdb") from None
    try:
        connection = query.connection
        if connection is None or isinstance(connection, str | os.PathLike):
            connection = duckdb.connect(os.fspath(connection or ":memory:"))
        kinds = [each.type.name for each in connection.extract_statements(query.text)]
        if not kinds or kinds[-1] not in ("SELECT", "MULTI"):  # MULTI is what PIVOT is made of
            raise InputError(f"SQL: expected a query that gives rows, got {query.text!r}")
        relation = connection.sql(query.text)
    except duckdb.Error as error:
        raise InputError(f"SQL: {first_line(error)}") from error
    source = open_relation(relation, where, "query", connection)
    source.description[0]["sql"] = query.text
    return source


def _open(
    part: type[StreamPart], data: Any, schema: pa.Schema, where: Where, kind: str, **more: Any
) -> Source:
    distinct(f"the {kind}", schema)
    made = part(
        name=f"the {kind}",
        identity=kind,
        condition=where_in(schema, where),
        data=data,
        schema=schema,
        **more,
    )
    return Source(schema, [described(kind)], (made,))


def _errors_of(data: Any) -> tuple[type[Exception], ...]:
    """What goes wrong in Arrow, and in the library that an object is of."""
    library = type(data).__module__.partition(".")[0].lstrip("_")
    if library == "polars":
        import polars

        return (*READ_ERRORS, polars.exceptions.PolarsError)
    if library == "duckdb":
        import duckdb

        return (*READ_ERRORS, duckdb.Error)
    return READ_ERRORS


def _through_a_file(frame: Any, rows: int) -> Iterator[pa.RecordBatch]:
    """A lazy frame of a Polars that cannot give batches: computed into a file, which is read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.parquet"
        frame.sink_parquet(path, compression="lz4", maintain_order=True)
        source = open_parquet(find_files(path), None)
        for part in source.parts():
            yield from part.read(source.schema.names, rows)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
