"""What commands print: tables and JSON as data, notes beside them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table: drawn on a terminal, plain aligned columns anywhere else."""
    if on_terminal():
        _draw(head, rows)
        return
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def on_terminal() -> bool:
    """Whether somebody reads what is printed."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """One JSON document; numbers that JSON has not are strings."""
    print(json.dumps(_jsonable(value), indent=2, allow_nan=False))


def byte_size(count: int) -> str:
    """A number of bytes, as one reads it."""
    size, power = float(count), 0
    while size >= 1024 and power < len(_UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.1f} {_UNITS[power]}" if power else f"{count} bytes"


def note(text: str) -> None:
    """Something to know that is not data."""
    print(text, file=sys.stderr)


def progress(items: Sequence[T], label: str) -> Iterator[T]:
    """The items, with a bar on standard error as long as they last, where somebody watches."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    # Drawn between the items: a thread that draws would be noise in what is measured.
    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task(label, total=len(items))
        bar.refresh()
        for item in items:
            yield item
            bar.advance(task)
            bar.refresh()


def _draw(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    several_lines = any("\n" in cell for row in rows for cell in row)
    columns = (Column(name, overflow="fold") for name in head)  # nothing is cut off
    table = Table(*columns, show_lines=several_lines)
    for row in rows:
        table.add_row(*map(Text, row))  # as Text, so that [brackets] are no markup
    Console().print(table)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, np.ndarray):
        wide = value.astype("float64") if value.dtype.kind in "fV" else value
        return _jsonable(wide.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
