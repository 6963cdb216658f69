"""Curves of losses as a picture: values above, gradients below, by matplotlib."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InputError
from .curves import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

# Okabe and Ito's colors, which people with any color vision tell apart, but the yellow.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
_GRADIENT = (0, (4, 2))  # the dashes of a gradient that is drawn with its value
_WIDTHS = (1.8, 3.2, 1.0)
_INK = "#010203"  # a color of its own, to be found again
_SIZE = (7.0, 6.4)  # of a picture, in inches
_INLINE_SIZE = (5.4, 5.0)  # in a page, which may be narrow
_MOST_IN_LEGEND = 6  # inside a panel; more stand beside it
# What lies this many times as far outside as the middle nine tenths are wide goes to a pole.
_POLE = 4.0

Array = np.ndarray[Any, Any]
Limits = tuple[float, float]


class Line(NamedTuple):
    """A curve with its name in the legend."""

    name: str
    curve: Curve


def picture(
    lines: Sequence[Line],
    format: str,
    x_name: str,
    title: str = "",
    ordered: bool = False,
    together: bool = False,
) -> bytes:
    """A picture of curves in one of ``FORMATS``; the same bytes for the same curves.

    Args:
        lines: the curves.
        format: of the file.
        x_name: what moves.
        title: what all curves have in common.
        ordered: whether they are of one family, in the order of an option.
        together: value and gradient in one panel, the gradient dashed.

    Raises:
        InputError: for another format, and if matplotlib is not installed.
    """
    if format not in FORMATS:
        raise InputError(f"a picture is one of {', '.join(FORMATS)}, not {format!r}")
    with _matplotlib("black", _SIZE):
        return _file(_figure(lines, x_name, title, ordered, together), format, "white")


def figure_of(
    lines: Sequence[Line],
    x_name: str,
    title: str = "",
    ordered: bool = False,
    together: bool = False,
) -> Figure:
    """The same as a figure of matplotlib, which a notebook shows.

    Raises:
        InputError: if matplotlib is not installed.
    """
    with _matplotlib("black", _SIZE):
        return _figure(lines, x_name, title, ordered, together)


def draw_on(
    axes: Any, lines: Sequence[Line], x_name: str, title: str = "", ordered: bool = False
) -> Figure:
    """Draw on axes of a user, with the user's settings: a pair, or one for both.

    Raises:
        InputError: for what are no axes.
    """
    pair = list(np.ravel(axes))
    if len(pair) not in (1, 2) or not all(hasattr(each, "plot") for each in pair):
        raise InputError(f"ax: expected axes of matplotlib, or a pair of them, got {axes!r}")
    _draw(pair[0], pair[-1], lines, x_name, title, ordered)
    figure: Figure = pair[0].figure
    return figure


def inline_svg(lines: Sequence[Line], x_name: str) -> str:
    """The same as an ``svg`` element in the color of the text around it, on its ground."""
    with _matplotlib(_INK, _INLINE_SIZE):
        content = _file(_figure(lines, x_name), "svg", "none").decode()
    element = content[content.index("<svg ") :].replace(_INK, "currentColor")
    element = element.replace("*{", ".curves *{", 1)  # its style is for itself
    told = escape(f"value and gradient along {x_name}")
    return element.replace("<svg ", f'<svg class="curves" role="img" aria-label="{told}" ', 1)


@contextmanager
def _matplotlib(ink: str, size: tuple[float, float]) -> Iterator[None]:
    """Our settings, whatever a user's are."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise InputError("plots need matplotlib: pip install 'lossgraph[plot]'") from None
    ours: dict[Any, Any] = {
        "font.family": "sans-serif", "font.size": 10.0, "lines.linewidth": 1.8,
        "figure.figsize": size, "figure.constrained_layout.use": True, "text.color": ink,
        "axes.facecolor": "none", "axes.edgecolor": ink, "axes.labelcolor": ink,
        "axes.spines.right": False, "axes.spines.top": False, "legend.frameon": False,
        "xtick.color": ink, "ytick.color": ink,
        "axes.grid": True, "grid.color": ink, "grid.alpha": 0.12, "grid.linewidth": 0.6,
        "svg.fonttype": "none", "svg.hashsalt": "lossgraph", "pdf.fonttype": 42,
    }  # fmt: skip
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(ours)
        yield


def _file(figure: Figure, format: str, ground: str) -> bytes:
    buffer = io.BytesIO()
    dates = {"svg": ("Date", "Creator", "Format", "Type"), "pdf": ("CreationDate",)}
    metadata = dict.fromkeys(dates.get(format, ()))
    figure.savefig(buffer, format=format, dpi=144, facecolor=ground, metadata=metadata)
    return buffer.getvalue()


def _figure(
    lines: Sequence[Line],
    x_name: str,
    title: str = "",
    ordered: bool = False,
    together: bool = False,
) -> Figure:
    figure = _notebook_figure()
    axes: Any = figure.subplots(1 if together else 2, 1, sharex=True, squeeze=False)
    _draw(axes[0, 0], axes[-1, 0], lines, x_name, title, ordered)
    return figure


def _notebook_figure() -> Figure:
    """A figure that a notebook shows though ``pyplot``, which wants a display, does not know it."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure with its own picture for notebooks."""

        def _repr_png_(self) -> bytes:
            return _file(self, "png", "white")

    return Picture()


def _draw(
    above: Any, below: Any, lines: Sequence[Line], x_name: str, title: str, ordered: bool
) -> None:
    """Draw values on the axes above and gradients on those below, which may be the same."""
    from matplotlib import rcParams

    together = above is below
    styles = _ordered_styles(len(lines)) if ordered else _styles(len(lines), together)
    for line, style in zip(lines, styles, strict=True):
        slope = {**style, "linestyle": _GRADIENT} if together else style
        above.plot(*line.curve.value_line, label=line.name, **style)
        below.plot(*line.curve.gradient_line, **slope)
        for kink in line.curve.kinks:  # the jump, faintly
            jump = {**style, "linestyle": (0, (1, 2)), "linewidth": 0.9}
            below.plot([kink.x, kink.x], [kink.left, kink.right], **jump)
    values, slopes = [_values(line) for line in lines], [_slopes(line) for line in lines]
    if together:
        above.set(xlabel=x_name, title=title, ylim=shown_range([*values, *slopes]))
    else:
        above.set(ylabel="value", title=title, ylim=shown_range(values))
        below.set(ylabel="gradient", xlabel=x_name, ylim=shown_range(slopes))
    for axes in dict.fromkeys((above, below)):
        axes.axhline(0, color=rcParams["text.color"], alpha=0.5, linewidth=0.7, zorder=1)
    _add_legend(above, len(lines), together)


def _add_legend(axes: Any, count: int, together: bool) -> None:
    """What the lines are, and where both are together, which are values and which gradients."""
    handles, names = axes.get_legend_handles_labels()
    if together:
        from matplotlib.lines import Line2D

        kinds: dict[str, Any] = {"value": "solid", "gradient": _GRADIENT}
        color = "0.4" if count > 1 else axes.get_lines()[0].get_color()
        handles = handles if count > 1 else []
        names = names if count > 1 else []
        handles += [Line2D([], [], color=color, linestyle=style) for style in kinds.values()]
        names += list(kinds)
    if count > _MOST_IN_LEGEND:
        axes.figure.legend(handles, names, loc="outside right upper")
    elif count > 1 or together:
        axes.legend(handles, names)


def _styles(count: int, together: bool = False) -> Iterator[dict[str, Any]]:
    """Color and dashes, so that a picture without color can be read too.

    Where dashes say what is a gradient, the width takes their place.
    """
    for i in range(count):
        color = {"color": _COLORS[i % len(_COLORS)]}
        if together:
            yield {**color, "linewidth": _WIDTHS[(i + i // len(_COLORS)) % len(_WIDTHS)]}
        else:
            yield {**color, "linestyle": _DASHES[(i + i // len(_COLORS)) % len(_DASHES)]}


def _ordered_styles(count: int) -> Iterator[dict[str, Any]]:
    """From dark to light, which everybody can put in order."""
    import matplotlib as mpl

    colors = mpl.colormaps["viridis"](np.linspace(0, 0.85, count))
    yield from ({"color": color} for color in colors)


def _values(line: Line) -> Array:
    return np.array([*line.curve.value, *(kink.value for kink in line.curve.kinks)])


def _slopes(line: Line) -> Array:
    sides = itertools.chain.from_iterable((kink.left, kink.right) for kink in line.curve.kinks)
    return np.array([*line.curve.gradient, *sides])


def shown_range(lines: Sequence[Array]) -> Limits | None:
    """The range to show: all of what there is, but poles only as far as they tell something."""
    finite = [line[np.isfinite(line)] for line in lines]
    ranges = [_range(line) for line in finite if line.size]
    if not ranges:
        return None
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _range(line: Array) -> Limits:
    low, high = float(line.min()), float(line.max())
    first, last = np.percentile(line, [5, 95])
    wide = _POLE * (last - first)
    # A line that is flat but for a few points has no middle to compare with.
    if wide and low < first - wide:
        low = float(first - (last - first))
    if wide and high > last + wide:
        high = float(last + (last - first))
    return low, high
