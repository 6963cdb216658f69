"""Parts of a table for processes of engines: they note who reads them, and may kill a reader."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lossgraph.tables.engines import tasks
from lossgraph.tables.sources import open_source


@dataclass(frozen=True)
class WatchedPart:
    """A part that writes into a folder which process reads it, and how many sessions that made.

    The first process that reads on after a batch of a part that is ``deadly`` is killed.
    """

    part: Any
    folder: str
    deadly: bool = False

    @property
    def name(self) -> str:
        return self.part.name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "part":
            raise AttributeError(name)
        return getattr(self.part, name)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        for found in self.part.batches(columns, min(rows, 1000)):
            yield found
            note(self.folder)
            if self.deadly:
                die_once(self.folder)


class WatchedSource:
    """A table whose parts are watched; of ``deadly`` ones one process dies."""

    def __init__(self, source: Any, folder: Path, deadly: Sequence[int] = ()) -> None:
        self._opened = open_source(source)
        self.schema, self.description = self._opened.schema, self._opened.description
        self._folder, self._deadly = folder, deadly

    def parts(self) -> list[WatchedPart]:
        return [
            WatchedPart(part, str(self._folder), i in self._deadly)
            for i, part in enumerate(self._opened.parts())
        ]


def note(folder: str) -> None:
    """A line of how many sessions this process has made so far, for all tables."""
    with Path(folder, f"process-{os.getpid()}").open("a") as file:
        file.write(f"{tasks.opened.cache_info().misses}\n")


def notes(folder: Path) -> list[list[int]]:
    """The lines of each process."""
    return [list(map(int, path.read_text().split())) for path in folder.glob("process-*")]


def die_once(folder: str) -> None:
    """End this process as a machine would, unless one has died."""
    try:
        os.close(os.open(Path(folder, "died"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
