"""The matrix for people and for programs."""

from __future__ import annotations

import json
import math
import os
import platform
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import lossgraph
from lossgraph.catalogue import NAMESPACES

from .matrix import STATES, Cell, Column, Row, rows
from .subjects import Subject

TITLE = (
    "The largest error of an output, relative to the expected number, or to 1 where that is smaller"
)
LONGEST = 300  # of a reason; all of it is in the JSON
STYLES = {"known": "cyan", "wrong": "bold red", "refused": "yellow", "right": "green"}


@dataclass
class Note:
    """A reason, and the models that it is the reason for."""

    engine: str
    text: str
    models: list[str] = field(default_factory=list)


class Notes:
    """Reasons, each once, with a number to refer to it."""

    def __init__(self) -> None:
        self.all: list[Note] = []

    def cite(self, engine: str, model: str, cell: Cell) -> int:
        """The number of the reason of a cell; a known defect is the same whatever it says."""
        reason = _reason(cell)
        for note in self.all:
            if note.engine == engine and note.text.startswith(reason):
                break
        else:
            note = Note(engine, f"{reason} ({_short(cell.said)})" if cell.known else reason)
            self.all.append(note)
        note.models.append(model)
        return self.all.index(note) + 1


@dataclass(frozen=True)
class Report:
    """A matrix with where it comes from.

    Attributes:
        subjects: the models.
        columns: what the engines made of them.
        command: what was asked for.
    """

    subjects: Sequence[Subject]
    columns: Sequence[Column]
    command: str = "tools/conformance"

    @property
    def ran(self) -> list[Column]:
        """The engines that are installed."""
        return [column for column in self.columns if column.cells]

    @property
    def origin(self) -> str:
        """What was run, when, and where."""
        losses, models = len(rows(self.subjects)), len(self.subjects)
        runs = sum(len(subject.data) for subject in self.subjects)
        return (
            f"{models} models of {losses} cases, run {runs} times, by `{self.command}` on "
            f"{datetime.now(UTC):%Y-%m-%d}: lossgraph {lossgraph.__version__}, "
            f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, "
            f"Python {platform.python_version()}."
        )

    def groups(self) -> list[tuple[str, list[Row]]]:
        """The rows by namespace, and in each those first in which something is wrong."""
        every = rows(self.subjects)
        ordered = sorted(every, key=lambda row: (_namespace(row), _severity(row, self.columns)))
        return [(name, list(group)) for name, group in groupby(ordered, _namespace)]


def print_table(report: Report) -> None:
    """The matrix on standard output, as wide as it needs to be unless a terminal says how wide."""
    notes = Notes()
    table = Table("model")
    for column in report.columns:
        table.add_column(Text(_head(column, "\n")), justify="right")
    for subject in report.subjects:
        cells = [_styled(column, subject, notes) for column in report.columns]
        table.add_row(Text(subject.name), *cells)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=400)
    console.print(f"lossgraph {lossgraph.__version__}. {TITLE}:", soft_wrap=True)
    console.print(table)
    for number, note in enumerate(notes.all, 1):
        console.print(f"[{number}] {note.engine}: {note.text}", soft_wrap=True)
    for column in report.ran:
        console.print(f"{column.engine}: {counted(column)}", soft_wrap=True)


def markdown(report: Report) -> str:
    """The matrix as a page of Markdown."""
    notes, tables = Notes(), []
    for namespace, group in report.groups():
        head = ["loss", *(column.engine for column in report.ran)]
        lines = [head, ["---"] * len(head)]
        for row in group:
            cells = [cell_text(column, row, notes) for column in report.ran]
            lines.append([row.name, *(_escaped(text) for text in cells)])
        tables.append(f"## {namespace}\n\n{_piped(lines)}")
    lines = [["engine", "version", "models", *STATES[:-1]], ["---"] * 7]
    for column in report.columns:
        numbers = (
            [str(column.counts[state]) for state in STATES[:-1]] if column.cells else ["-"] * 4
        )
        count = str(column.counts.total()) if column.cells else "-"
        lines.append([column.engine, column.version or "not installed", count, *numbers])
    listed = "\n".join(
        f"{number}. {note.engine}: {_escaped(note.text)}: {', '.join(note.models)}"
        for number, note in enumerate(notes.all, 1)
    )
    parts = [
        "# Conformance",
        report.origin,
        f"{TITLE}: of the value's model, then of the model of value and gradients. {MEANING}",
        METHOD,
        _piped(lines),
        f"## What is not right\n\n{listed}" if listed else "Everything is right.",
        *tables,
    ]
    return "\n\n".join(parts) + "\n"


MEANING = (
    "*wrong* is a number that is further off than its dtype excuses, or NaN or infinite where "
    "it should not be; *refused* is none at all; *known* is either of them by a defect of the "
    "engine that is understood."
)


METHOD = (
    "Expected is what numpy computes in float64 from the body of the loss, and slopes of that. "
    "Each model is run at several sizes, N=0 among them, and at edge cases: logits of 1e4, "
    "distributions with zeros. There, and where a loss stops a gradient, the gradients are those "
    "of its rules in float64, and float32 may be off by the rounding of a logarithm of 1e4."
)


def as_json(report: Report) -> str:
    """Everything, for programs; an infinite error is the text "inf"."""
    engines = [
        {
            "name": column.engine,
            "version": column.version or None,
            "missing": column.missing or None,
            "counts": dict(column.counts) or None,
        }
        for column in report.columns
    ]
    models = [
        {
            "name": subject.name,
            "runs": len(subject.data),
            "results": {
                column.engine: _as_dict(cell)
                for column in report.columns
                if (cell := column.cell(subject))
            },
        }
        for subject in report.subjects
    ]
    whole = {
        "ok": all(column.ok for column in report.columns),
        "lossgraph": lossgraph.__version__,
        "origin": report.origin,
        "engines": engines,
        "models": models,
    }
    return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def counted(column: Column) -> str:
    """How many models have each state."""
    counts = column.counts
    listed = [f"{counts[state]} {state}" for state in reversed(STATES) if counts[state]]
    return f"{counts.total()} models: {', '.join(listed)}"


def cell_text(column: Column, row: Row, notes: Notes) -> str:
    """What a cell says of the models of a loss."""
    texts = [_said(column, subject, notes)[0] for subject in row.subjects.values()]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


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


def _styled(column: Column, subject: Subject, notes: Notes) -> Text:
    text, state = _said(column, subject, notes)
    return Text(text, STYLES.get(state, "dim"))


def _said(column: Column, subject: Subject, notes: Notes) -> tuple[str, str]:
    """What a cell says, and its state."""
    cell = column.cell(subject)
    if cell is None:
        return "-", "not run"
    if cell.state == "right":
        return error_text(cell), "right"
    return f"{cell.state} [{notes.cite(column.engine, subject.name, cell)}]", cell.state


def error_text(cell: Cell) -> str:
    """The largest error, in one digit."""
    if not cell.error:
        return "0"
    digit, _, exponent = f"{cell.error:.0e}".partition("e")
    return f"{digit}e{int(exponent)}"


def _reason(cell: Cell) -> str:
    return cell.known or _short(cell.said)


def _short(text: str) -> str:
    return textwrap.shorten(text, LONGEST, placeholder=" ..")


def _namespace(row: Row) -> str:
    name = row.name.partition(".")[0]
    return name if name in NAMESPACES else "others"


def _severity(row: Row, columns: Sequence[Column]) -> tuple[int, str]:
    return min(STATES.index(row.state(columns)), STATES.index("right")), row.name


def _piped(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(text: str) -> str:
    """Without what Markdown takes for markup."""
    return "".join(f"\\{c}" if c in "\\`*_<>[]|" else " " if c.isspace() else c for c in text)
