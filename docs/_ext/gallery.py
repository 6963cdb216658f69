"""The gallery: a card for every loss with its curves, drawn when the page is read.

``<!-- gallery of gluon -->`` in a page becomes the cards of a namespace, family by family.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from typing import Any

import numpy as np
from docutils.nodes import make_id
from listings import family_of
from sphinx.application import Sphinx

from lossgraph.catalogue import Entry, namespace_entries
from lossgraph.errors import LossgraphError
from lossgraph.view.curves import Curve, curve
from lossgraph.view.plotting import shown_range
from lossgraph.view.sweeps import sweep_of

PLACE = re.compile(r"^<!-- gallery of (\w+) -->$", re.MULTILINE)
POINTS = 81
WIDTH, HEIGHT = 160, 56  # of a panel, of which a picture has two

Array = np.ndarray[Any, Any]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Write the cards into a page that has a place for them."""
    source[0] = PLACE.sub(lambda match: "\n".join(_sections(match.group(1))), source[0])


def _sections(namespace: str) -> Iterator[str]:
    def family(entry: Entry) -> str:
        return family_of(entry.module.__name__)

    for name, members in groupby(sorted(namespace_entries(namespace), key=family), family):
        cards = "\n".join(_card(entry) for entry in members)
        yield f'### {name}\n\n```{{raw}} html\n<div class="gallery">\n{cards}\n</div>\n```\n'


def _card(entry: Entry) -> str:
    """A link to where the loss's formula is."""
    summary = re.sub(r"``?(.+?)``?", r"<code>\1</code>", escape(entry.summary))
    return (
        f'<a class="loss" href="../losses.html#{make_id(entry.name)}">{_picture(entry)}'
        f"<strong>{entry.own_name}</strong><span>{summary}</span></a>"
    )


def _picture(entry: Entry) -> str:
    """The curves above each other; nothing for a loss that has none."""
    try:
        loss = entry.make()
        sweep = sweep_of(loss)
        found = curve(loss, sweep, POINTS)
    except LossgraphError:
        return ""
    title = escape(f"along {sweep.moving} from {sweep.low:.3g} to {sweep.high:.3g}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {2 * HEIGHT + 6}" aria-hidden="true"><title>{title}</title>'
        f"{_panel('value', 0, found.value_line, found.value)}"
        f"{_panel('gradient', HEIGHT + 6, found.gradient_line, _slopes(found))}</svg>"
    )


def _slopes(found: Curve) -> Array:
    return np.array([*found.gradient, *(y for k in found.kinks for y in (k.left, k.right))])


def _panel(name: str, top: int, line: tuple[Array, Array], shown: Array) -> str:
    """A line and the axis at 0, cut off outside of what is shown."""
    low, high = shown_range([shown]) or (-1.0, 1.0)
    x, y = line
    across = (x - x[0]) / (x[-1] - x[0]) * WIDTH
    down = np.clip((high - y) / (high - low), -1, 2) * HEIGHT
    zero = high / (high - low) * HEIGHT
    axis = f'<path class="axis" d="M0 {zero:.1f}h{WIDTH}"/>' if 0 <= zero <= HEIGHT else ""
    return (
        f'<svg y="{top}" width="{WIDTH}" height="{HEIGHT}">{axis}'
        f'<path class="{name}" d="{_path(zip(across, down, strict=True))}"/></svg>'
    )


def _path(points: Iterable[tuple[float, float]]) -> str:
    """Through the points, with gaps where there is no number."""
    parts, pen = [], "M"
    for x, y in points:
        if np.isfinite(y):
            parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L" if np.isfinite(y) else "M"
    return "".join(parts)
