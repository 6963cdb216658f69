"""The matrix for people and for programs."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import lossgraph

from .matrix import Cell, Column
from .subjects import Subject

TITLE = (
    "The largest error of an output, relative to the expected number, or to 1 where that is smaller"
)
LONGEST = 300  # of a reason; all of it is in the JSON
_STYLES = {"known": "cyan", "wrong": "bold red", "refused": "yellow"}


class Notes:
    """Reasons, each once, with a number to refer to it."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def cite(self, engine: str, reason: str) -> str:
        """The number of a reason, in brackets."""
        text = f"{engine}: {textwrap.shorten(reason, LONGEST, placeholder=' ..')}"
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"


def print_table(subjects: Sequence[Subject], columns: Sequence[Column]) -> None:
    """The matrix on standard output, as wide as it needs to be unless a terminal says how wide."""
    notes = Notes()
    table = Table("model")
    for column in columns:
        table.add_column(Text(_head(column, "\n")), justify="right")
    for row, subject in enumerate(subjects):
        cells = [_text(column, row, notes) for column in columns]
        table.add_row(Text(subject.name), *(Text(text, style) for text, style in cells))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=400)
    console.print(f"lossgraph {lossgraph.__version__}. {TITLE}:", soft_wrap=True)
    console.print(table)
    for number, text in enumerate(notes.texts, 1):
        console.print(f"[{number}] {text}", soft_wrap=True)


def markdown(subjects: Sequence[Subject], columns: Sequence[Column]) -> str:
    """The matrix as a table of Markdown."""
    notes = Notes()
    head = ["model", *(_head(column, " ") for column in columns)]
    lines = [head, ["---", *["---:"] * len(columns)]]
    for row, subject in enumerate(subjects):
        lines.append([subject.name, *(_text(column, row, notes)[0] for column in columns)])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    listed = "\n".join(f"- [{n}] {_escaped(text)}" for n, text in enumerate(notes.texts, 1))
    parts = [f"lossgraph {lossgraph.__version__}. {TITLE}.", table, listed]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_json(subjects: Sequence[Subject], columns: Sequence[Column]) -> str:
    """Everything, for programs; an infinite error is the text "inf"."""
    engines = [
        {"name": c.engine, "version": c.version or None, "missing": c.missing or None}
        for c in columns
    ]
    models = [
        {
            "name": subject.name,
            "runs": len(subject.data),
            "results": {c.engine: _as_dict(c.cells[row]) for c in columns if c.cells},
        }
        for row, subject in enumerate(subjects)
    ]
    whole = {
        "ok": all(column.ok for column in columns),
        "lossgraph": lossgraph.__version__,
        "engines": engines,
        "models": models,
    }
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def _as_dict(cell: Cell) -> dict[str, Any]:
    error = str(cell.error) if cell.error == math.inf else cell.error
    return {
        "ok": cell.ok,
        "error": error,
        "wrong": cell.wrong or None,
        "refused": cell.refused or None,
        "known": cell.known or None,
    }


def _head(column: Column, between: str) -> str:
    return f"{column.engine}{between}{column.version or 'not installed'}"


def _text(column: Column, row: int, notes: Notes) -> tuple[str, str]:
    """What a cell says, and its style."""
    if not column.cells:
        return "-", "dim"
    cell = column.cells[row]
    if not cell.said:
        return (f"{cell.error:.0e}" if cell.error else "0"), "green"
    kind = "known" if cell.known else "wrong" if cell.wrong else "refused"
    reason = f"{cell.known}: {cell.said}" if cell.known else cell.said
    return f"{kind} {notes.cite(column.engine, reason)}", _STYLES[kind]


def _escaped(text: str) -> str:
    """Without what Markdown takes for markup."""
    return "".join(f"\\{c}" if c in "\\`*_<>[]|" else " " if c.isspace() else c for c in text)
