"""Curves in a terminal, in letters that have eight dots each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

Points = Sequence[tuple[float, float]]

_BLANK = 0x2800  # Braille's letter without dots
# The bits of the dots of a letter, in columns from above.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_MARK = "×"


def text_curve(line: Points, marks: Points = (), width: int = 60, height: int = 12) -> str:
    """A line of points and marks in so many letters, with the ends of both axes.

    What is not finite is left out; the text is empty where nothing is left.
    """
    line, marks = _finite(line), _finite(marks)
    everything = [*line, *marks]
    if not everything:
        return ""
    left, right = min(x for x, _ in everything), max(x for x, _ in everything)
    low, high = min(y for _, y in everything), max(y for _, y in everything)

    def place(x: float, y: float, columns: int, rows: int) -> tuple[int, int]:
        across = (x - left) / (right - left) if right > left else 0.5
        up = (y - low) / (high - low) if high > low else 0.5
        return round(across * (columns - 1)), round((1 - up) * (rows - 1))

    bits = [[0] * width for _ in range(height)]
    dots = [place(x, y, 2 * width, 4 * height) for x, y in sorted(line)]
    for column, row in _joined(dots):
        bits[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
    letters = [[chr(_BLANK + b) if b else " " for b in row] for row in bits]
    for x, y in marks:
        column, row = place(x, y, width, height)
        letters[row][column] = _MARK
    return _framed(letters, (low, high), (left, right))


def _framed(letters: list[list[str]], y: tuple[float, float], x: tuple[float, float]) -> str:
    """The letters with what they stand between."""
    names = [f"{value:.4g}" for value in reversed(y)]
    margin = max(map(len, names))
    sides = [names[0], *[""] * (len(letters) - 2), names[1]]
    rows = [
        f"{side:>{margin}} │{''.join(row).rstrip()}"
        for side, row in zip(sides, letters, strict=True)
    ]
    start, end = f"{x[0]:.6g}", f"{x[1]:.6g}"
    gap = " " * max(1, len(letters[0]) - len(start) - len(end))
    return "\n".join(
        [*rows, f"{'':>{margin}} └{'─' * len(letters[0])}", f"{'':>{margin}}  {start}{gap}{end}"]
    )


def _joined(dots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The dots of the lines from each to the next."""
    made = list(dots[:1])
    for (x0, y0), (x1, y1) in itertools.pairwise(dots):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        made += [
            (round(x0 + (x1 - x0) * i / steps), round(y0 + (y1 - y0) * i / steps))
            for i in range(1, steps + 1)
        ]
    return made


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
