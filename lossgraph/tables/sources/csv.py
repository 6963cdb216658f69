"""CSV: parts are ranges of bytes that begin at a line; the types come from samples of the files.

Empty cells of columns that are not text are null, and so are ``NA``, ``N/A``, ``null`` and
``NULL``; ``nan`` and ``inf`` are numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from ...errors import InputError
from ..where import Condition, Where, where_in
from .base import Source
from .files import PACKED, READ_ERRORS, File, all_of, first_line
from .ranges import RangePart, ranges_of
from .schemas import Conform, common_schema, distinct

PART_BYTES = 1 << 24
_SAMPLE = 1 << 20
_SAMPLES = 4  # of a file, from its beginning to its end
_LINE = 1 << 16  # bytes that are looked through at once for the end of a line
_BLOCK = 1 << 20
_NULLS = ["", "NA", "N/A", "null", "NULL"]


@dataclass(frozen=True)
class Layout:
    """How a file is written, from samples of it.

    Attributes:
        schema: its columns.
        delimiter: what stands between cells.
        begin: where its first row begins, in bytes.
        whole: whether it can only be read from its beginning: it is compressed, or has quotes in
            its rows, between which lines may end.
        digest: of the samples.
    """

    schema: pa.Schema
    delimiter: str
    begin: int
    whole: bool
    digest: str

    def parsing(self) -> csv.ParseOptions:
        return csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=self.whole)


@dataclass(frozen=True, kw_only=True)
class CsvPart(RangePart):
    """The lines that begin in a range of bytes of a file."""

    layout: Layout

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        conform = Conform(self.schema, columns, dict(self.constants))
        layout, names = self.layout, self.layout.schema.names
        own = [name for name in columns if name in names] or names[:1]
        convert = csv.ConvertOptions(
            column_types={name: self.schema.field(name).type for name in own},
            include_columns=own,
            null_values=_NULLS,
        )
        reading = csv.ReadOptions(column_names=names, use_threads=False, block_size=_BLOCK)
        try:
            lines = self._whole() if layout.whole else self._range()
            if lines is None:
                return
            with lines, csv.open_csv(lines, reading, layout.parsing(), convert) as reader:
                for batch in reader:
                    yield conform(batch)
        except InputError:
            raise
        except READ_ERRORS as error:
            raise _unreadable(self.source, error, layout.schema.names, self.first_row) from error

    def _whole(self) -> pa.NativeFile:
        """The file from its first row on."""
        opened = self.source.filesystem.open_input_stream(self.source.path, compression="detect")
        opened.read(self.begin)
        return opened

    def _range(self) -> pa.NativeFile | None:
        """The lines of the part, if any begin in it."""
        first = self.layout.begin
        with self.source.filesystem.open_input_file(self.source.path) as opened:
            begin, end = (_line_start(opened, at, first) for at in (self.begin, self.end))
            lines = opened.read_at(end - begin, begin)
        if lines.count(b'"') % 2:
            raise InputError(
                f"{self.source.name}: a line ends between quotes near byte {begin}: such a file "
                "is read if there are quotes in its first rows too; or write it to Parquet"
            )
        return pa.BufferReader(lines) if lines else None

    def first_row(self) -> int:
        """The lines before the part, which are counted."""
        if self.begin == self.layout.begin:
            return 0
        lines, at = 0, self.layout.begin
        with self.source.filesystem.open_input_file(self.source.path) as opened:
            end = _line_start(opened, self.begin, at)
            while at < end:
                block = opened.read_at(min(_BLOCK, end - at), at)
                lines += block.count(b"\n")
                at += len(block)
        return lines


def open_csv(files: Sequence[File], where: Where) -> Source:
    """The table in these files.

    Raises:
        InputError: for files that cannot be read, and those that are not of one table.
    """
    layouts = all_of(layout_of, files)
    widest = _widest([layout.schema for layout in layouts])
    schema = common_schema(files, [_retyped(layout.schema, widest) for layout in layouts])
    condition = where_in(schema, where)
    pairs = list(zip(files, layouts, strict=True))
    pieces = [part for pair in pairs for part in _parts(*pair, schema, condition)]
    described = [file.described("csv", None, layout.digest) for file, layout in pairs]
    return Source(schema, described, tuple(pieces))


def layout_of(file: File) -> Layout:
    """How a file is written.

    Raises:
        InputError: if it cannot be read, or has no line of names.
    """
    packed = Path(file.path).suffix in PACKED
    try:
        samples = [_head(file)] if packed else _samples(file)
        head, _, rest = samples[0].partition(b"\n")
        if not head.strip():
            raise InputError(f"{file.name}: the first line has no names of columns")
        if head.count(b'"') % 2:
            raise InputError(f"{file.name}: the name of a column has a line break")
        delimiter = _delimiter(head)
        quoted = any(b'"' in sample for sample in [rest, *samples[1:]])
        parsing = csv.ParseOptions(delimiter=delimiter, newlines_in_values=quoted)
        names = _columns(head + b"\n", parsing).names
        distinct(file.name, pa.schema([(name, pa.null()) for name in names]))
        try:
            schemas = [_columns(rest, parsing, names)]
        except pa.ArrowException as error:
            raise _unreadable(file, error, names, lambda: 0) from error
        schemas += [_columns(sample, parsing, names) for sample in samples[1:]]
    except InputError:
        raise
    except READ_ERRORS as error:
        raise file.unreadable(error) from error
    contents = hashlib.sha256(b"".join(samples)).hexdigest()[:16]
    return Layout(_widest(schemas), delimiter, len(head) + 1, packed or quoted, contents)


def _parts(
    file: File, layout: Layout, schema: pa.Schema, condition: Condition | None
) -> Iterator[CsvPart]:
    step = file.size if layout.whole else PART_BYTES
    whole = range(layout.begin, file.size, max(step, 1))
    return ranges_of(
        CsvPart, file, layout, schema, condition, whole, lambda a, b: f"bytes {a} to {b}"
    )


def _unreadable(
    file: File, error: Exception, names: Sequence[str], before: Callable[[], int]
) -> InputError:
    """What pyarrow says, with the names of columns and the numbers of rows in the file."""
    text = re.sub(
        r"In CSV column #(\d+)",
        lambda found: f"column {names[int(found[1])]!r}",
        first_line(error),
    )
    text = re.sub(r"Row #(\d+)", lambda found: f"row {before() + int(found[1]) - 1}", text)
    return InputError(f"{file.name} cannot be read: {text}")


def _line_start(opened: pa.NativeFile, at: int, first: int) -> int:
    """Where the next line begins, from a byte on; rows begin at ``first``."""
    if at <= first:
        return first
    at -= 1  # a line that begins just here is the next one
    while block := opened.read_at(_LINE, at):
        found = block.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(block)
    return at


def _head(file: File) -> bytes:
    """The first lines of a compressed file."""
    with file.filesystem.open_input_stream(file.path, compression="detect") as opened:
        block = opened.read(4 * _SAMPLE)
    return block[: block.rfind(b"\n") + 1] or block


def _samples(file: File) -> list[bytes]:
    """Lines from the beginning of a file to its end; the first of them has the names."""
    last = max(0, file.size - _SAMPLE)
    samples = []
    with file.filesystem.open_input_file(file.path) as opened:
        for at in sorted({last * i // (_SAMPLES - 1) for i in range(_SAMPLES)}):
            begin = _line_start(opened, at, 0)
            block = opened.read_at(_SAMPLE, begin)
            ends = len(block) if begin + len(block) >= file.size else block.rfind(b"\n") + 1
            samples.append(block[:ends])
    return [samples[0], *filter(None, samples[1:])]


def _columns(
    lines: bytes, parsing: csv.ParseOptions, names: Sequence[str] | None = None
) -> pa.Schema:
    """The columns of some lines; their names are in the first one, if none are given."""
    if names is not None and not lines.strip():
        return pa.schema([(name, pa.null()) for name in names])
    reading = csv.ReadOptions(column_names=names, use_threads=False)
    convert = csv.ConvertOptions(null_values=_NULLS)
    return csv.read_csv(pa.BufferReader(lines), reading, parsing, convert).schema


def _delimiter(head: bytes) -> str:
    """A comma, if there is one in the first line; else a tab or a semicolon."""
    return next((text for text in (",", "\t", ";") if text.encode() in head), ",")


def _widest(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns in types that hold what each of these holds."""
    kinds: dict[str, pa.DataType] = {}
    for schema in schemas:
        for column in schema:
            kinds[column.name] = _wider(kinds.get(column.name, pa.null()), column.type)
    return pa.schema(list(kinds.items()))


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = (pa.int64(), pa.float64())
    return pa.float64() if one in numbers and other in numbers else pa.string()


def _retyped(schema: pa.Schema, kinds: pa.Schema) -> pa.Schema:
    return pa.schema([kinds.field(name) for name in schema.names])
