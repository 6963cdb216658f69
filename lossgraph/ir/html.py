"""Small pieces of HTML for notebooks, in which everything that is no ``Markup`` is escaped.

What is made of them stands by itself: no links, no scripts, no styles but those in its elements.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

_LEFT = "text-align: left; vertical-align: top"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """A value as text, escaped; what stands between double backquotes is code."""
    if isinstance(value, Markup):
        return value
    escaped = html.escape(str(value))
    return Markup(re.sub(r"``(.+?)``", r"<code>\1</code>", escaped))


def code(value: Any) -> Markup:
    """A value as code."""
    return Markup(f"<code>{html.escape(str(value))}</code>")


def formula(tex: str) -> Markup:
    """A formula in TeX, which notebooks set; elsewhere it is read as it is."""
    return Markup(f"<div>$${html.escape(tex)}$$</div>")


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Markup:
    """A table with a line of titles; nothing if it has no rows."""
    lines = [_row("td", row) for row in rows]
    return Markup(f"<table>{_row('th', head)}{''.join(lines)}</table>" if lines else "")


def folded(title: Any, lines: Sequence[str]) -> Markup:
    """Lines of a fixed pitch, which a click on the title shows."""
    inside = html.escape("\n".join(lines))
    return Markup(f"<details><summary>{text(title)}</summary><pre>{inside}</pre></details>")


def card(title: Any, *parts: Any) -> Markup:
    """A title, and what stands below it."""
    return Markup(f"<div><b>{text(title)}</b>{''.join(map(text, parts))}</div>")


def _row(tag: str, cells: Sequence[Any]) -> str:
    filled = "".join(f'<{tag} style="{_LEFT}">{text(cell)}</{tag}>' for cell in cells)
    return f"<tr>{filled}</tr>"
