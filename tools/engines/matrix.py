"""Every model in every engine: what came of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lossgraph.compare.differences import worst

from .adapters import Engine, MissingError, Step
from .exchange import Outcome, Refusal
from .known import TRIED, cause
from .subjects import Subject

STATES = ("wrong", "refused", "known", "right", "not run")  # the worst first


@dataclass(frozen=True)
class Cell:
    """What an engine made of a model.

    Attributes:
        error: the largest error of all runs, None if one of them gave nothing.
        refused: why it gave nothing.
        wrong: what is wrong with what it gave.
        known: the defect of the engine that this is, if it is a known one.
    """

    error: float | None
    refused: str = ""
    wrong: str = ""
    known: str = ""

    @property
    def said(self) -> str:
        """What there is to say about it: empty if the engine gave what was expected."""
        return self.wrong or self.refused

    @property
    def ok(self) -> bool:
        """Whether the engine gave what was expected, but for what it is known not to."""
        return not self.said or bool(self.known)

    @property
    def state(self) -> str:
        """A word of ``STATES``."""
        if not self.said:
            return "right"
        return "known" if self.known else "wrong" if self.wrong else "refused"


@dataclass(frozen=True)
class Column:
    """An engine, with a cell for each model by its name; none if it is not installed."""

    engine: str
    version: str = ""
    missing: str = ""
    cells: dict[str, Cell] | None = None

    @property
    def ok(self) -> bool:
        """Whether it gives no cause for alarm: what is only tried, or not installed, never does."""
        return self.engine in TRIED or all(cell.ok for cell in (self.cells or {}).values())

    @property
    def counts(self) -> Counter[str]:
        """How many models have each state."""
        return Counter(cell.state for cell in (self.cells or {}).values())

    def cell(self, subject: Subject | None) -> Cell | None:
        """What the engine made of a model, None if it did not run it."""
        return (self.cells or {}).get(subject.name) if subject else None


@dataclass(frozen=True)
class Row:
    """The models of a loss: of its value, and of value and gradients, as far as there are."""

    name: str
    subjects: dict[str, Subject]

    def state(self, columns: Sequence[Column]) -> str:
        """The worst of its cells."""
        cells = [column.cell(each) for column in columns for each in self.subjects.values()]
        return min((cell.state for cell in cells if cell), key=STATES.index, default="not run")


def rows(subjects: Sequence[Subject]) -> list[Row]:
    """The models by loss, in their order."""
    found: dict[str, Row] = {}
    for subject in subjects:
        found.setdefault(subject.case, Row(subject.case, {})).subjects[subject.kind] = subject
    return list(found.values())


class Watch:
    """Told how far the engines are; this one tells nobody."""

    def start(self, engine: str, version: str, count: int) -> Step:
        """An engine has so many models to run; what is given back is called after each."""
        return lambda: None

    def end(self, column: Column) -> None:
        """An engine is done."""


def fill(
    subjects: Sequence[Subject],
    engines: Sequence[Engine],
    watch: Watch,
    parts: Callable[[Engine], Sequence[Subject]] | None = None,
) -> list[Column]:
    """A column for each engine, as many at a time as there are processors.

    Args:
        subjects: the models.
        engines: the engines.
        watch: is told how far they are.
        parts: which of the models an engine is to run; all if not given.
    """
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        asked = [
            pool.submit(_column, engine, parts(engine) if parts else subjects, watch)
            for engine in engines
        ]
        return [column.result() for column in asked]


def _column(engine: Engine, subjects: Sequence[Subject], watch: Watch) -> Column:
    try:
        version = engine.version()
    except MissingError as error:
        column = Column(engine.name, missing=str(error))
    else:
        step = watch.start(engine.name, version, len(subjects))
        found = engine.run([subject.job for subject in subjects], step)
        cells = {
            subject.name: _explained(engine.name, subject, judge(subject, outcomes))
            for subject, outcomes in zip(subjects, found, strict=True)
        }
        column = Column(engine.name, version, cells=cells)
    watch.end(column)
    return column


def _explained(engine: str, subject: Subject, cell: Cell) -> Cell:
    known = cause(engine, subject.name, cell.said) if cell.said else ""
    return replace(cell, known=known)


def judge(subject: Subject, outcomes: Sequence[Outcome]) -> Cell:
    """A cell for the runs of a model, with the first refusal and what is furthest off."""
    reasons, found = [], []
    for data, outcome in zip(subject.data, outcomes, strict=True):
        if isinstance(outcome, Refusal):
            reasons.append((data.label, outcome.reason))
        else:
            tolerance = subject.tolerances.get(data.label, subject.tolerance)
            run = worst(outcome, data.outputs, tolerance)
            found.append(replace(run, wrong=run.wrong and f"{data.label}: {run.wrong}"))
    furthest = max(found, key=lambda run: run.share, default=None)
    return Cell(
        None if reasons else max(run.error for run in found),
        _refusal(reasons, len(outcomes)),
        furthest.wrong if furthest else "",
    )


def _refusal(reasons: Sequence[tuple[str, str]], count: int) -> str:
    """Why some runs gave nothing; if it is the same for all, the model itself was refused."""
    if not reasons:
        return ""
    label, reason = reasons[0]
    return (
        reason
        if {said for _, said in reasons} == {reason} and len(reasons) == count
        else f"{label}: {reason}"
    )
