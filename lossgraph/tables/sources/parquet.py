"""Parquet: parts are row groups, and of small ones several; pages are decoded batch by batch."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ..where import Condition, Where, where_in
from .base import Part, Source, digest
from .files import READ_ERRORS, File, all_of, key_values
from .schemas import Conform, common_schema

PART_ROWS = 262_144  # row groups are joined up to so many rows
# Bytes that are read ahead of each column, so that no whole column of a row group is held: more
# where each request takes long, fewer where there are many columns.
_AHEAD, _AHEAD_FAR, _AHEAD_IN_ALL = 1 << 20, 1 << 23, 1 << 26
_BATCH_BYTES = 1 << 25  # of a batch, about: rows may be long lists


@dataclass(frozen=True)
class Footer:
    """What the end of a file says, and a digest of it."""

    metadata: pq.FileMetaData
    digest: str


@dataclass(frozen=True, kw_only=True)
class ParquetPart(Part):
    """Some row groups of a file, one after the other."""

    source: File
    schema: pa.Schema
    groups: range
    constants: tuple[tuple[str, pa.Scalar], ...] = ()

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        conform = Conform(self.schema, columns, dict(self.constants))
        source, metadata = self.source, footer(self.source).metadata
        names = metadata.schema.to_arrow_schema().names
        own = [name for name in columns if name in names]
        size = _rows_of_a_batch(metadata, self.groups, own, rows)
        try:
            with source.filesystem.open_input_file(source.path) as opened:
                file = pq.ParquetFile(
                    opened, metadata=metadata, buffer_size=_ahead(source, own), pre_buffer=False
                )
                for batch in file.iter_batches(size, list(self.groups), own, use_threads=False):
                    yield conform(batch)
        except READ_ERRORS as error:
            raise source.unreadable(error) from error


def open_parquet(files: Sequence[File], where: Where) -> Source:
    """The table in these files.

    Raises:
        InputError: for files that are not whole, and those that are not of one table.
    """
    footers = all_of(footer, files)
    schemas = [found.metadata.schema.to_arrow_schema() for found in footers]
    schema = common_schema(files, schemas)
    condition = where_in(schema, where)
    own = schemas[0].names
    pairs = list(zip(files, footers, strict=True))
    pieces = [
        part
        for file, found in pairs
        for part in parquet_parts(file, found, schema, key_values(file, schema, own), condition)
    ]
    return Source(schema, [describe_parquet(*pair) for pair in pairs], tuple(pieces))


def _ahead(file: File, columns: Sequence[str]) -> int:
    most = _AHEAD if file.local else _AHEAD_FAR
    return max(1 << 14, min(most, _AHEAD_IN_ALL // max(1, len(columns))))


@lru_cache(maxsize=256)
def footer(file: File) -> Footer:
    """The footer of a file, kept for the parts of it that are read next.

    Raises:
        InputError: if there is none, as in a file that was not written to its end.
    """
    try:
        with file.filesystem.open_input_file(file.path) as opened:
            opened.seek(max(0, file.size - 8))
            length = int.from_bytes(opened.read(4), "little")
            opened.seek(max(0, file.size - 8 - length))
            contents = hashlib.sha256(opened.read(length)).hexdigest()[:16]
            opened.seek(0)
            return Footer(pq.ParquetFile(opened).metadata, contents)
    except READ_ERRORS as error:
        raise file.unreadable(error, "is no whole file of Parquet") from error


def describe_parquet(file: File, found: Footer) -> dict[str, Any]:
    """A file, for reports."""
    return file.described("parquet", found.metadata.num_rows, found.digest)


def parquet_parts(
    file: File,
    found: Footer,
    schema: pa.Schema,
    constants: Mapping[str, pa.Scalar],
    condition: Condition | None,
    groups: Container[int] | None = None,
) -> Iterator[ParquetPart]:
    """The row groups that can have rows that count, small neighbours joined.

    Args:
        file: the file.
        found: its footer.
        schema: the columns of the table.
        constants: those that the file has not, and their values.
        condition: which rows count.
        groups: which row groups are of the table; by default all.
    """
    identity = file.identity(found.digest)
    counts = [found.metadata.row_group(i).num_rows for i in range(found.metadata.num_row_groups)]
    starts = [0, *accumulate(counts)]
    wanted = {i for i in range(len(counts)) if groups is None or i in groups}
    if condition is not None:
        wanted &= _candidates(file, schema, constants, condition, len(counts))
    for run in _neighbours(counts, wanted):
        last = run.stop - 1
        label = f"row group {last}" if len(run) == 1 else f"row groups {run.start} to {last}"
        yield ParquetPart(
            name=f"{file.name}, {label}",
            identity=digest(identity, run.start, run.stop),
            rows=starts[run.stop] - starts[run.start],
            file=file.name,
            start=starts[run.start],
            condition=condition,
            source=file,
            schema=schema,
            groups=run,
            constants=tuple(constants.items()),
        )


def _neighbours(counts: Sequence[int], wanted: Container[int]) -> Iterator[range]:
    """Runs of row groups, each of not many more than ``PART_ROWS`` rows."""
    start, total = 0, 0
    for i, count in enumerate(counts):
        if i not in wanted or (total and total + count > PART_ROWS):
            if total:
                yield range(start, i)
            start, total = i, 0
        if i not in wanted:
            start = i + 1
        else:
            total += count
    if total:
        yield range(start, len(counts))


def _candidates(
    file: File,
    schema: pa.Schema,
    constants: Mapping[str, pa.Scalar],
    condition: Condition,
    count: int,
) -> set[int]:
    """The row groups that a condition may hold in, by their statistics and by folders."""
    given = [_equal(name, value) for name, value in constants.items()]
    fragment = ds.ParquetFileFormat().make_fragment(
        file.path, file.filesystem, reduce(operator.and_, given) if given else None
    )
    try:
        kept = fragment.split_by_row_group(condition.expression, schema)
    except READ_ERRORS:  # statistics that it cannot be compared with
        return set(range(count))
    return {group.id for piece in kept for group in piece.row_groups}


def _equal(column: str, value: pa.Scalar) -> ds.Expression:
    return pc.field(column) == value if value.is_valid else pc.field(column).is_null()


def _rows_of_a_batch(
    metadata: pq.FileMetaData, groups: range, columns: Collection[str], rows: int
) -> int:
    """How many rows to decode at once, fewer where rows are long."""
    size = count = 0
    for i in groups:
        group = metadata.row_group(i)
        count += group.num_rows
        chunks = (group.column(j) for j in range(group.num_columns))
        size += sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.partition(".")[0] in columns
        )
    return max(1, min(rows, _BATCH_BYTES * count // max(size, 1)))
