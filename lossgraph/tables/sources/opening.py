"""What is taken for what: a path, a table, a frame, a query."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..where import Where
from .base import Source
from .files import file_format, find_files
from .memory import open_table
from .parquet import open_parquet


def opened(data: Any, where: Where, filesystem: Any) -> Source:
    """The source that ``data`` is."""
    if isinstance(data, str | os.PathLike) or _are_paths(data):
        return _open_files(data, where, filesystem)
    if isinstance(data, pa.Table):
        return open_table(data, where)
    if isinstance(data, pa.RecordBatch):
        return open_table(pa.Table.from_batches([data]), where, "record batch")
    raise InputError(f"{type(data).__name__} is no table")


def _are_paths(data: Any) -> bool:
    return isinstance(data, list | tuple) and all(isinstance(p, str | os.PathLike) for p in data)


def _open_files(data: Any, where: Where, filesystem: Any) -> Source:
    files = find_files(data, filesystem)
    formats = {file: file_format(file) for file in files}
    for file, kind in formats.items():
        if kind is None:
            raise InputError(f"{file.name} is no table of Parquet, CSV or Arrow")
        if kind != formats[files[0]]:
            raise InputError(f"{file.name} is {kind}, and {files[0].name} is {formats[files[0]]}")
    return open_parquet(files, where)
