"""Rows gathered by their keys, wherever they stand in a table: through files, in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .runs import hashes, numbered
from .sources.base import Part

Array = np.ndarray[Any, Any]

_FILES = 64  # that the rows of one are spread over
_MOST_BYTES = 1 << 26  # of a file that is read at once; larger ones are spread again
_WRITE_BYTES = 1 << 20  # that wait for a file
_DEEPEST = 4  # how often: then a key's own rows are more than a file should have


class Gathered:
    """Files of the rows of a table, those of equal keys in one, which are there for a while.

    Args:
        by: the columns of the keys.
        most_bytes: of a file that is read at once.
    """

    def __init__(self, by: Sequence[str], most_bytes: int = _MOST_BYTES) -> None:
        self._by, self._most = tuple(by), most_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="lossgraph-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def parts(self, batches: Iterable[pa.RecordBatch]) -> list[Part]:
        """Parts whose record batches have the rows of one key each, in the order of the table."""
        root = Path(self._folder.name)
        try:
            return list(self._parts(_spread(batches, self._by, root, 0), 0))
        except OSError as error:
            raise InputError(
                f"rows are gathered by {', '.join(self._by)} in {root}, which cannot be written: "
                f"{error}. Sort the table by these columns, or let TMPDIR name a larger place"
            ) from None

    def _parts(self, files: Iterable[Path], level: int) -> Iterator[Part]:
        for file in files:
            size = file.stat().st_size
            if size > self._most and level < _DEEPEST:
                folder = file.with_suffix("")
                folder.mkdir()
                more = list(_spread(_batches_of(file), self._by, folder, level + 1))
                file.unlink()
                yield from self._parts(more, level + 1 if len(more) > 1 else _DEEPEST)
            else:
                yield GatheredPart(
                    name=f"rows by {', '.join(self._by)}", identity=str(file), path=file,
                    by=self._by,
                )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GatheredPart(Part):
    """A file that has all rows of its keys."""

    path: Path
    by: tuple[str, ...]

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self.path)) as opened:
            table = pa.ipc.open_stream(opened).read_all().select(columns).combine_chunks()
        (batch,) = table.to_batches()
        codes, keys = numbered([batch.column(name) for name in self.by])
        ordered = batch.take(pa.array(np.argsort(codes, kind="stable")))
        start = 0
        for count in np.bincount(codes, minlength=keys).tolist():
            yield ordered.slice(start, count)
            start += count

    def batches(
        self, columns: Sequence[str], rows: int = 0
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of each key; they are counted from its first one."""
        return ((0, batch) for batch in self.read(columns, rows))


def _spread(
    batches: Iterable[pa.RecordBatch], by: Sequence[str], folder: Path, level: int
) -> Iterator[Path]:
    """The files that the rows were spread over, by the hashes of their keys."""
    files = [_File(folder / f"{i}.arrows") for i in range(_FILES)]
    try:
        for batch in batches:
            keys = hashes([batch.column(name) for name in by], level)
            places = (keys % np.uint64(_FILES)).astype(np.int64)
            order = np.argsort(places, kind="stable")
            ends = np.cumsum(np.bincount(places, minlength=_FILES))
            for file, start, end in zip(files, [0, *ends[:-1]], ends, strict=True):
                if end > start:  # a copy, lest a row that waits holds its whole batch
                    file.add(batch.take(pa.array(order[start:end])))
    finally:
        for file in files:
            file.close()
    return (file.path for file in files if file.path.exists())


class _File:
    """A file of record batches, written in pieces that are worth it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0
        self._writer: Any = None

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _WRITE_BYTES:
            self._write()

    def _write(self) -> None:
        table = pa.Table.from_batches(self._waiting).combine_chunks()
        if self._writer is None:
            self._writer = pa.ipc.new_stream(str(self.path), table.schema)
        self._writer.write_table(table)
        self._waiting, self._bytes = [], 0

    def close(self) -> None:
        if self._waiting:
            self._write()
        if self._writer is not None:
            self._writer.close()


def _batches_of(file: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(file)) as opened:
        yield from pa.ipc.open_stream(opened)
