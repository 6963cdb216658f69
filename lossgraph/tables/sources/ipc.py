"""Arrow IPC: files by their record batches, several at a time; streams from their beginning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import ipc

from ..where import Condition, Where, where_in
from .base import Source
from .files import READ_ERRORS, File, all_of
from .ranges import RangePart, ranges_of
from .schemas import Conform, common_schema

PART_BYTES = 1 << 24
_MAPPED_BYTES = 1 << 26  # record batches that are larger are not read as a whole where that works
_MAGIC = b"ARROW1"
_SAMPLE = 1 << 16


@dataclass(frozen=True)
class Layout:
    """What a file holds: its columns, and how many record batches; None for a stream."""

    schema: pa.Schema
    batches: int | None
    digest: str


@dataclass(frozen=True, kw_only=True)
class IpcPart(RangePart):
    """Some record batches of a file, or all of a stream."""

    layout: Layout

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        conform = Conform(self.schema, columns, dict(self.constants))
        for batch in self._record_batches(columns, self.begin, self.end):
            for at in range(0, batch.num_rows, rows):
                piece = batch.slice(at, rows)
                yield conform(piece)

    def first_row(self) -> int:
        """The rows of the record batches before, which are counted."""
        if self.begin == 0:
            return 0
        few = self.layout.schema.names[:1]
        return sum(batch.num_rows for batch in self._record_batches(few, 0, self.begin))

    def _record_batches(
        self, columns: Sequence[str], begin: int, end: int
    ) -> Iterator[pa.RecordBatch]:
        own = self.layout.schema.names
        wanted = [i for i, name in enumerate(own) if name in columns] or [0]
        options = ipc.IpcReadOptions(use_threads=False, included_fields=wanted)
        try:
            with _opened(self.source, self.layout.batches) as opened:
                if self.layout.batches is None:
                    yield from ipc.open_stream(opened, options=options)
                    return
                reader = ipc.open_file(opened, options=options)
                for i in range(begin, end):
                    yield reader.get_batch(i)
        except READ_ERRORS as error:
            raise self.source.unreadable(error) from error


def open_ipc(files: Sequence[File], where: Where) -> Source:
    """The table in these files.

    Raises:
        InputError: for files that cannot be read, and those that are not of one table.
    """
    layouts = all_of(layout_of, files)
    schema = common_schema(files, [layout.schema for layout in layouts])
    condition = where_in(schema, where)
    pairs = list(zip(files, layouts, strict=True))
    pieces = [part for pair in pairs for part in _parts(*pair, schema, condition)]
    described = [file.described("arrow", None, layout.digest) for file, layout in pairs]
    return Source(schema, described, tuple(pieces))


def layout_of(file: File) -> Layout:
    """What a file holds.

    Raises:
        InputError: if it is not whole, or cannot be read.
    """
    try:
        with file.filesystem.open_input_file(file.path) as opened:
            head = opened.read(_SAMPLE)
            contents = head + opened.read_at(_SAMPLE, max(0, file.size - _SAMPLE))
            opened.seek(0)
            found = hashlib.sha256(contents).hexdigest()[:16]
            if not head.startswith(_MAGIC):
                return Layout(ipc.open_stream(opened).schema, None, found)
            reader = ipc.open_file(opened)
            return Layout(reader.schema, reader.num_record_batches, found)
    except READ_ERRORS as error:
        raise file.unreadable(error, "is no whole file of Arrow") from error


def _parts(
    file: File, layout: Layout, schema: pa.Schema, condition: Condition | None
) -> Iterator[IpcPart]:
    count = 1 if layout.batches is None else layout.batches
    whole = range(0, count, max(1, count * PART_BYTES // max(file.size, 1)))
    return ranges_of(
        IpcPart, file, layout, schema, condition, whole,
        lambda a, b: f"record batches {a} to {b - 1}",
    )  # fmt: skip


@contextmanager
def _opened(file: File, batches: int | None) -> Iterator[pa.NativeFile]:
    """A file; one with large record batches is mapped, and then needs no memory of its own."""
    large = batches is not None and file.size > _MAPPED_BYTES * batches
    if large and file.local:
        with pa.memory_map(file.path) as opened:
            yield opened
    else:
        with file.filesystem.open_input_file(file.path) as opened:
            yield opened
