"""The matrix as a page of HTML, which needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from .matrix import STATES, Column, Row
from .report import MEANING, METHOD, TITLE, Notes, Report, cell_text

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --faint: #59636e;
  --line: #d1d9e0; --head: #f6f8fa; --right: #e6f4ea; --known: #e3eefc; --wrong: #ffd9d6;
  --refused: #fff1c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --faint: #9198a1;
  --line: #3d444d; --head: #151b23; --right: #12331d; --known: #10294d; --wrong: #6b1a17;
  --refused: #4a3a05; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; padding: 0 1rem; max-width: 90rem; }
p { max-width: 60rem; }
table { border-collapse: separate; border-spacing: 0; font-size: 13px; }
th, td { border-right: 1px solid var(--line); border-bottom: 1px solid var(--line);
  padding: 3px 8px; text-align: right; white-space: nowrap; }
tr > :first-child { text-align: left; border-left: 1px solid var(--line); }
thead th { position: sticky; top: 0; background: var(--head); border-top: 1px solid var(--line); }
tbody th { font-weight: normal; }
.right { background: var(--right); } .known { background: var(--known); }
.wrong { background: var(--wrong); font-weight: bold; } .refused { background: var(--refused); }
.none, small { color: var(--faint); }
li { margin: .3em 0; overflow-wrap: anywhere; } li:target { outline: 2px solid; }
code { overflow-wrap: anywhere; } a { color: inherit; }
"""


def html(report: Report) -> str:
    """The page: what is not right first, and a table for each namespace."""
    notes, tables = Notes(), []
    for namespace, group in report.groups():
        lines = [_line(row, report.ran, notes) for row in group]
        tables.append(_table(namespace, report.ran, lines))
    body = [
        "<h1>Conformance</h1>",
        f"<p>{_marked(report.origin)}</p>",
        f"<p>{escape(TITLE)}: of the value's model, then of the model of value and gradients. "
        f"{_marked(MEANING)}</p>",
        f"<p>{_marked(METHOD)}</p>",
        _summary(report.columns),
        _reasons(notes),
        *tables,
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Conformance of lossgraph's models</title>\n<style>{STYLE}</style>\n"
        + "\n".join(body)
        + "\n</html>\n"
    )


def _summary(columns: Sequence[Column]) -> str:
    states = STATES[:-1]
    head = "".join(f"<th>{name}</th>" for name in ("engine", "version", "models", *states))
    lines = []
    for column in columns:
        cells = [f"<td>{escape(column.version or 'not installed')}</td>"]
        cells.append(f"<td>{column.counts.total()}</td>")
        for state in states:
            count = column.counts[state]
            cells.append(f'<td class="{state if count else "none"}">{count}</td>')
        lines.append(f"<tr><th>{escape(column.engine)}</th>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _reasons(notes: Notes) -> str:
    if not notes.all:
        return "<p>Everything is right.</p>"
    items = [
        f'<li id="note-{number}"><b>{escape(note.engine)}</b>: {_marked(note.text)}'
        f"<details><summary><small>{_counted(len(note.models))}</small></summary>"
        f"{escape(', '.join(note.models))}</details></li>"
        for number, note in enumerate(notes.all, 1)
    ]
    return f"<h2>What is not right</h2><ol>{''.join(items)}</ol>"


def _counted(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _table(namespace: str, columns: Sequence[Column], lines: Sequence[str]) -> str:
    head = "".join(
        f"<th>{escape(column.engine)}<br><small>{escape(column.version)}</small></th>"
        for column in columns
    )
    return (
        f"<h2>{escape(namespace)}</h2><table><thead><tr><th>loss</th>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _line(row: Row, columns: Sequence[Column], notes: Notes) -> str:
    cells = []
    for column in columns:
        state = row.state([column])
        kind = state if state in STATES[:-1] else "none"
        text = re.sub(r"\[(\d+)\]", r'<a href="#note-\1">[\1]</a>', cell_text(column, row, notes))
        cells.append(f'<td class="{kind}">{text}</td>')
    return f"<tr><th>{escape(row.name)}</th>{''.join(cells)}</tr>\n"


def _marked(text: str) -> str:
    """The little markup that the texts have."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"(?<!\w)\*(\w+)\*(?!\w)", r"<em>\1</em>", marked)
