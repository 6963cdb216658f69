"""The progress bar of a run, by rich, where somebody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..models.display import live_display

_INTERVAL = 0.1  # seconds between two pictures


class Bar:
    """What is told of a run; this one tells nobody."""

    def begin(self, epoch: int, done: int) -> None:
        """An epoch begins, or goes on after so many batches."""

    def step(self, loss: float) -> None:
        """A batch is done."""

    def validate(self) -> None:
        """Validation begins."""

    def end(self, row: Mapping[str, float]) -> None:
        """An epoch is complete."""


class RichBar(Bar):
    """A line for the epoch that runs, above it one for each that is complete.

    It is drawn between steps: a thread that draws would take from them what time they have.
    """

    def __init__(self, live: Any, epochs: int, batches: int | None) -> None:
        self._live, self._epochs, self._batches = live, epochs, batches
        self._task = live.add_task("", total=batches, loss="")
        self._drawn, self._done, self._mean = 0.0, 0, 0.0

    def begin(self, epoch: int, done: int) -> None:
        self._done, self._mean = done, 0.0
        text = f"epoch {epoch + 1}/{self._epochs}"
        self._live.reset(self._task, description=text, total=self._batches, completed=done, loss="")
        self._draw(now=True)

    def step(self, loss: float) -> None:
        self._done += 1
        self._mean = loss if not self._mean else 0.9 * self._mean + 0.1 * loss
        self._draw(loss=f"loss {self._mean:.4g}")

    def validate(self) -> None:
        self._batches = self._done  # now it is known
        self._draw(now=True, total=self._done, loss="validation")

    def end(self, row: Mapping[str, float]) -> None:
        self._batches = self._done
        self._live.console.print(line_of(row, self._epochs), highlight=False)

    def _draw(self, now: bool = False, **fields: Any) -> None:
        moment = time.monotonic()
        if now or moment - self._drawn >= _INTERVAL:
            self._drawn = moment
            self._live.update(self._task, completed=self._done, **fields)
            self._live.refresh()


@contextmanager
def bar_for(wanted: Bar | bool | None, epochs: int, batches: int | None) -> Iterator[Bar]:
    """The bar of a run: a given one, or one on standard error.

    Args:
        wanted: whether there is to be one; None for where somebody watches and rich is there.
        epochs: how many epochs there are.
        batches: how many batches an epoch has; None where that is not known.
    """
    if isinstance(wanted, Bar):
        yield wanted
        return
    live = live_display(wanted, _columns)
    if live is None:
        yield Bar()
        return
    with live:
        yield RichBar(live, epochs, batches)


def line_of(row: Mapping[str, float], epochs: int) -> str:
    """An epoch in a line."""
    rest = {n: v for n, v in row.items() if n not in ("epoch", "steps", "seconds")}
    width = len(str(epochs))
    numbers = "  ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in rest.items())
    return f"epoch {row['epoch']:{width}d}/{epochs}  {numbers}  {row['seconds']:.1f} s"


def _columns(progress: Any) -> list[Any]:
    return [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[loss]}"),
        progress.TimeRemainingColumn(),
    ]
