"""Charts as ``svg`` elements in the colors of the page: their text is that of a browser.

What a chart says is in its label too, and the numbers are in tables beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from .axes import Axis
from .numbers import percent, real, whole

WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 34  # around what is drawn
_CELL, _CELL_HEIGHT = 200, 16  # of an interval in a table
_SQUARE, _BELOW = 400, 70  # of a reliability diagram, and of the counts below it
_LINE = 12  # pixels, of text


class Interval(NamedTuple):
    """A mean, and the ends of its interval."""

    low: float
    mean: float
    high: float


class Bin(NamedTuple):
    """How many values lie above ``low`` and not above ``high``."""

    low: float
    high: float
    size: float


class Reliability(NamedTuple):
    """A bin of probabilities: their mean, how often it came true, its standard error, how many."""

    low: float
    high: float
    confidence: float
    frequency: float
    error: float
    size: float


# --- intervals ---


def interval_axis(intervals: Sequence[Interval], whole: Interval, line: float) -> Axis:
    """An axis for most means and intervals: what lies farther outside is at its ends.

    Args:
        intervals: of the groups.
        whole: that of all rows.
        line: a number that is marked in all of them.
    """
    middle = [value for value in (*whole, line) if math.isfinite(value)]
    ends = [
        _most([getattr(each, name) for each in intervals], share)
        for name, share in (("mean", 0.05), ("mean", 0.95), ("low", 0.1), ("high", 0.9))
    ]
    found = [*middle, *(end for end in ends if end is not None)] or [0.0]
    low, high = min(found), max(found)
    margin = 0.05 * (high - low) or abs(low) * 0.1 or 0.5
    return Axis(low - margin, high + margin, 2, _CELL - 2)


def _most(values: Sequence[float], share: float) -> float | None:
    """The value that this share of the finite ones does not exceed, the extreme of few."""
    found = sorted(value for value in values if math.isfinite(value))
    place = math.floor(share * len(found)) if share < 0.5 else math.ceil(share * len(found)) - 1
    return found[place] if found else None


def interval_cell(interval: Interval, axis: Axis, line: float) -> str:
    """A bar from end to end with a dot at the mean, and a line at a number."""
    middle = _CELL_HEIGHT / 2
    parts = []
    if math.isfinite(line):
        parts.append(f'<path class="whole" d="M{axis(line)} 0V{_CELL_HEIGHT}"/>')
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        ends = f"M{axis(interval.low)} {middle}H{axis(interval.high)}"
        parts.append(f'<path class="bar" d="{ends}"/>')
    if math.isfinite(interval.mean):
        parts.append(f'<circle cx="{axis(interval.mean)}" cy="{middle}" r="3.5"/>')
    label = f"{real(interval.mean)}, from {real(interval.low)} to {real(interval.high)}"
    return _svg("interval", _CELL, _CELL_HEIGHT, label, parts)


def interval_scale(axis: Axis) -> str:
    """The numbers above the bars."""
    parts = [
        f'<text x="{axis(value)}" y="11" text-anchor="{_anchor(axis(value), _CELL)}">{text}</text>'
        for value, text in axis.ticks
        if 0 <= axis(value) <= _CELL
    ][:6]
    return _svg("interval", _CELL, _CELL_HEIGHT, "scale of the means", parts)


def _anchor(x: float, width: float) -> str:
    return "start" if x < 0.08 * width else "end" if x > 0.92 * width else "middle"


# --- distributions ---


def histogram(bins: Sequence[Bin], log: bool, marks: Sequence[tuple[str, float]] = ()) -> str:
    """Counts by bins, of which the first and the last one may be open.

    Args:
        bins: in order, without gaps.
        log: whether the axis is logarithmic; then closed bins are above 0.
        marks: numbers that are marked, with their names.
    """
    closed = [each for each in bins if _is_closed(each, log)]
    total = sum(each.size for each in bins)
    if not closed or not total:
        return ""
    x = _value_axis(closed, log)
    inside = [(x(value), name) for name, value in marks if x.low <= value <= x.high]
    tallest = max(_height(each, x) for each in closed)
    y = Axis(0, tallest or 1.0, HEIGHT - _BOTTOM, _TOP + _LINE * len(inside))
    parts = list(_frame(x, None, "loss", ""))
    for each in closed:
        left, right = x(each.low), x(each.high)
        top = y(_height(each, x))
        parts.append(_box(left, right, top, y.start, _count_of(each, total)))
    parts += _beyond([each for each in bins if each not in closed], x, total)
    parts += _marks(sorted(inside), y.start)
    return _svg("chart", WIDTH, HEIGHT, "how many rows have which loss", parts)


def _is_closed(each: Bin, log: bool) -> bool:
    return math.isfinite(each.low) and math.isfinite(each.high) and (each.low > 0 or not log)


def _marks(marks: Sequence[tuple[float, str]], bottom: float) -> Iterator[str]:
    """Lines with their names above the bars, each name lower than the one before it."""
    for i, (at, name) in enumerate(marks):
        line = _TOP + _LINE * i
        late = at > WIDTH - 60
        yield (
            f'<path class="mark" d="M{at} {line}V{bottom}"/>'
            f'<text x="{at - 4 if late else at + 4}" y="{line + 9}" '
            f'text-anchor="{"end" if late else "start"}">{escape(name)}</text>'
        )


def _value_axis(closed: Sequence[Bin], log: bool) -> Axis:
    wide = [each for each in closed if each.high > each.low] or closed
    ends = _shown_range(wide[0].low, wide[-1].high, log)
    return Axis(*ends, _LEFT, WIDTH - _RIGHT, log)


def _shown_range(low: float, high: float, log: bool) -> tuple[float, float]:
    """The ends of an axis of losses, which begins at 0 if it begins near there."""
    return (0.0 if not log and 0 < low < 0.1 * high else low), high


def _height(each: Bin, x: Axis) -> float:
    """Counts by width on the paper: areas are what one compares."""
    width = x(each.high) - x(each.low)
    return each.size / width if width else 0.0


def _box(left: float, right: float, top: float, bottom: float, label: str) -> str:
    width, height = max(right - left - 0.5, 0.5), round(bottom - top, 2)
    return (
        f'<rect x="{left}" y="{top}" width="{round(width, 2)}" height="{height}">'
        f"<title>{escape(label)}</title></rect>"
    )


def _beyond(others: Sequence[Bin], x: Axis, total: float) -> Iterator[str]:
    """What lies outside the axis, in words at its ends."""
    for is_low, place, anchor in ((True, _LEFT, "start"), (False, WIDTH - _RIGHT, "end")):
        count = sum(each.size for each in others if (each.high <= x.low) == is_low)
        if count:
            words = f"← {_part(count, total)}" if is_low else f"{_part(count, total)} →"
            yield f'<text x="{place}" y="{HEIGHT - 3}" text-anchor="{anchor}">{words}</text>'


def _part(count: float, total: float) -> str:
    return f"{whole(round(count))} rows ({percent(count / total)})"


def _count_of(each: Bin, total: float) -> str:
    return f"{_part(each.size, total)} from {real(each.low)} to {real(each.high)}"


def cumulative(points: Sequence[tuple[float, float]], log: bool, low: float, high: float) -> str:
    """The share of rows up to a loss, on the axis of the histogram.

    Args:
        points: losses, and the share of rows up to each.
        log: whether the axis is logarithmic.
        low: the start of the axis.
        high: its end.
    """
    x = Axis(*_shown_range(low, high, log), _LEFT, WIDTH - _RIGHT, log)
    y = Axis(0, 1, HEIGHT - _BOTTOM, _TOP)
    parts = list(_frame(x, y, "loss", "share of rows"))
    inside = [(value, share) for value, share in points if low <= value <= high]
    if len(inside) < 2:
        return ""
    path = "L".join(f"{x(value)} {y(share)}" for value, share in inside)
    parts.append(f'<path class="line" d="M{path}"/>')
    return _svg("chart", WIDTH, HEIGHT, "share of rows up to a loss", parts)


# --- groups ---


def funnel(
    points: Sequence[tuple[float, float, str]], mean: float, error: float, rows: float
) -> str:
    """Means of groups by their numbers of rows, and where 95% would lie if all were alike.

    Args:
        points: rows, mean and name of each group; most have none.
        mean: the mean of all rows.
        error: its standard error.
        rows: how many these are.
    """
    found = [each for each in points if each[0] > 0 and math.isfinite(each[1])]
    if len(found) < 2 or not math.isfinite(mean):
        return ""
    counts = [each[0] for each in found]
    x = Axis(min(counts) / 1.1, max(counts) * 1.1, _LEFT, WIDTH - _RIGHT, log=True)
    low, high = min(each[1] for each in found), max(each[1] for each in found)
    margin = 0.05 * (high - low) or 0.5
    y = Axis(low - margin, high + margin, HEIGHT - _BOTTOM, _TOP)
    parts = list(_frame(x, y, "rows of the group", "mean"))
    # Thousands of dots as one path, one for each place where there are any.
    places = dict.fromkeys(f"M{x(n):.0f} {y(value):.0f}h0" for n, value, name in found if not name)
    parts.append(f'<path class="dots" d="{"".join(places)}"/>')
    parts += [
        f'<circle cx="{x(n)}" cy="{y(value)}" r="3"><title>{escape(name)}</title></circle>'
        for n, value, name in found
        if name
    ]
    parts.append(f'<path class="mark" d="M{x.start} {y(mean)}H{x.end}"/>')
    spread = error * math.sqrt(rows)
    if math.isfinite(spread):
        steps = [x.low * (x.high / x.low) ** (i / 60) for i in range(61)]
        for sign in (-1.96, 1.96):
            ends = ((n, mean + sign * spread / math.sqrt(n)) for n in steps)
            inside = [f"{x(n)} {y(end)}" for n, end in ends if y.low <= end <= y.high]
            parts.append(f'<path class="mark" d="M{"L".join(inside)}"/>' if inside else "")
    return _svg("chart", WIDTH, HEIGHT, "means of groups by their numbers of rows", parts)


# --- calibration ---


def reliability(bins: Sequence[Reliability]) -> str:
    """How often it came true by how probable it was said to be, and how many of each there are."""
    side, bottom = _SQUARE, _SQUARE - _BOTTOM
    x, y = Axis(0, 1, _LEFT, side - _RIGHT), Axis(0, 1, bottom, _TOP)
    parts = list(_frame(x, y, "", "came true", side, side))
    parts.append(f'<path class="mark" d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>')
    total = sum(each.size for each in bins) or 1.0
    for each in (each for each in bins if each.size):
        parts += _point(each, x, y, total)
    most = max((each.size for each in bins), default=0) or 1.0
    floor = side + _BELOW
    z = Axis(0, most, floor, side + 4)
    for each in bins:
        label = f"{whole(round(each.size))} from {real(each.low)} to {real(each.high)}"
        parts.append(_box(x(each.low), x(each.high), z(each.size), floor, label))
    parts.append(f'<text x="{(x.start + x.end) / 2}" y="{floor + 16}" text-anchor="middle">'
                 "probability (below: how many)</text>")  # fmt: skip
    return _svg("square", side, floor + 24, "reliability diagram", parts)


def _point(each: Reliability, x: Axis, y: Axis, total: float) -> Iterator[str]:
    if not (math.isfinite(each.confidence) and math.isfinite(each.frequency)):
        return
    at, value = x(each.confidence), y(each.frequency)
    if math.isfinite(each.error):
        reach = 1.96 * each.error
        yield (
            f'<path class="bar" d="M{at} {y(each.frequency - reach)}V{y(each.frequency + reach)}"/>'
        )
    radius = round(3 + 6 * math.sqrt(each.size / total), 2)
    label = (
        f"{real(each.confidence)} said, {real(each.frequency)} came true, "
        f"{whole(round(each.size))} times"
    )
    yield f'<circle cx="{at}" cy="{value}" r="{radius}"><title>{escape(label)}</title></circle>'


# --- what all have ---


def _frame(
    x: Axis, y: Axis | None, below: str, beside: str, width: int = WIDTH, height: int = HEIGHT
) -> Iterator[str]:
    """Axes with round numbers and faint lines."""
    bottom = height - _BOTTOM
    yield f'<path class="axis" d="M{_LEFT} {bottom}H{width - _RIGHT}"/>'
    for value, text in x.ticks:
        at = x(value)
        yield f'<path class="grid" d="M{at} {_TOP}V{bottom}"/>'
        yield f'<text x="{at}" y="{bottom + 15}" text-anchor="middle">{text}</text>'
    for value, text in y.ticks if y else ():
        at = y(value) if y else 0
        yield f'<path class="grid" d="M{_LEFT} {at}H{width - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end">{text}</text>'
    if below:
        middle = (_LEFT + width - _RIGHT) / 2
        yield f'<text x="{middle}" y="{bottom + 31}" text-anchor="middle">{escape(below)}</text>'
    if beside:
        yield (
            f'<text transform="translate(12 {bottom / 2}) rotate(-90)" text-anchor="middle">'
            f"{escape(beside)}</text>"
        )


def _svg(kind: str, width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )
