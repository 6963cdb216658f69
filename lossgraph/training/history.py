"""The history of a run: what was lost in each epoch, and along the steps."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..models.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, float]

_MOST_POINTS = 1024
_COLORS = ("#0072b2", "#d55e00")


class Curve:
    """Losses along the steps, in at most so many points as a picture shows.

    Each point is the mean of as many steps; when there are too many points, each two become one.

    Attributes:
        points: the means of complete groups of steps.
        each: the number of steps in a group.
    """

    def __init__(self) -> None:
        self.points: list[float] = []
        self.each = 1
        self._sum, self._count = 0.0, 0

    def add(self, loss: float) -> None:
        """The loss of the next step."""
        self._sum, self._count = self._sum + loss, self._count + 1
        if self._count == self.each:
            self.points.append(self._sum / self._count)
            self._sum, self._count = 0.0, 0
        if len(self.points) == _MOST_POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [(left + right) / 2 for left, right in pairs]
            self.each *= 2

    @property
    def steps(self) -> list[float]:
        """The number of the step in the middle of each group."""
        return [i * self.each + (self.each + 1) / 2 for i in range(len(self.points))]

    def smooth(self, most: int) -> list[tuple[float, float]]:
        """At most so many points, of the steps and their means, each of equally many steps."""
        pairs = list(zip(self.steps, self.points, strict=True))
        size = max(1, math.ceil(len(pairs) / most))
        groups = (pairs[i : i + size] for i in range(0, len(pairs), size))
        return [
            (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
            for group in groups
        ]

    def to_json(self) -> dict[str, Any]:
        """All that it is, for ``of_json``."""
        return {"points": self.points, "each": self.each, "sum": self._sum, "count": self._count}

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Curve:
        """The curve that ``to_json`` described."""
        made = cls()
        made.points, made.each = list(said["points"]), said["each"]
        made._sum, made._count = said["sum"], said["count"]
        return made


class History(Sequence[Row]):
    """A row for each epoch, with what was measured by name, and the losses along the steps.

    Attributes:
        rows: for each epoch ``epoch``, ``steps`` (all that were made until its end), ``loss`` (the
            mean over its samples), ``validation_loss`` where there is validation,
            ``learning_rate`` and ``seconds``.
        curve: the losses of the steps.

    ``history["loss"]`` is a column.
    """

    def __init__(self, rows: Sequence[Row] = (), curve: Curve | None = None) -> None:
        self.rows = list(rows)
        self.curve = curve or Curve()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return [row[key] for row in self.rows if key in row]
        return self.rows[key]

    def __repr__(self) -> str:
        lines = (", ".join(f"{k} {_short(v)}" for k, v in row.items()) for row in self.rows)
        return "\n".join([f"<History of {len(self)} epochs>", *lines])

    def to_json(self) -> dict[str, Any]:
        """All that it is, for ``of_json``."""
        return {"rows": self.rows, "curve": self.curve.to_json()}

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> History:
        """The history that ``to_json`` described."""
        return cls(said["rows"], Curve.of_json(said["curve"]))

    def plot(self, path: str | Path | None = None, log: bool | None = None) -> Figure:
        """The losses of steps and epochs as a figure of matplotlib.

        Args:
            path: a file to write it to as well, as ``.png``, ``.svg`` or ``.pdf``.
            log: a logarithmic axis of losses; by default where they fall to less than a tenth.

        Raises:
            InputError: if matplotlib is not installed, and for another kind of file.
        """
        figure = _figure(self, log)
        if path is not None:
            write_file(Path(path), _content(figure, Path(path).suffix.removeprefix(".")))
        return figure

    def _repr_png_(self) -> bytes:
        """The picture, for notebooks."""
        return _content(self.plot(), "png")


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _figure(history: History, log: bool | None) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("plots need matplotlib: pip install 'lossgraph[plot]'") from None
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes, ends = figure.subplots(), history["steps"]
    curve, (blue, orange) = history.curve, _COLORS
    axes.plot(curve.steps, curve.points, color=blue, alpha=0.3, linewidth=1, label="steps")
    style: dict[str, Any] = {"linewidth": 1.8, "marker": "o", "markersize": 3.5}
    axes.plot(ends, history["loss"], color=blue, label="training", **style)
    checked = [row for row in history if "validation_loss" in row]
    if checked:
        at = [row["steps"] for row in checked]
        axes.plot(at, history["validation_loss"], color=orange, label="validation", **style)
    _set_axes(axes, history, log)
    return figure


def _set_axes(axes: Any, history: History, log: bool | None) -> None:
    values = [*history["loss"], *history["validation_loss"]]
    positive = [value for value in (*values, *history.curve.points) if value > 0]
    falls = bool(values) and len(positive) >= len(values) and min(values) < max(values) / 10
    if log if log is not None else falls and min(values) > 0:
        axes.set_yscale("log")
    axes.set(xlabel="steps", ylabel="loss", xlim=(0, None))
    axes.spines[["right", "top"]].set_visible(False)
    axes.grid(alpha=0.15)
    axes.legend(frameon=False)


def _content(figure: Figure, format: str) -> bytes:
    if format not in ("png", "svg", "pdf"):
        raise InputError(f"a picture is one of png, svg, pdf, not {format!r}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, dpi=144)
    return buffer.getvalue()
