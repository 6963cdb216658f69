"""Every model in every engine: what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .adapters import Engine, MissingError
from .compare import worst
from .exchange import Outcome, Refusal
from .known import cause
from .subjects import Subject


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


@dataclass(frozen=True)
class Column:
    """An engine, with a cell for each model; none if it is not installed."""

    engine: str
    version: str = ""
    missing: str = ""
    cells: tuple[Cell, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all is as expected; of what is not installed nothing is."""
        return all(cell.ok for cell in self.cells)


def fill(
    subjects: Sequence[Subject], engines: Sequence[Engine], say: Callable[[str], None]
) -> list[Column]:
    """A column for each engine; ``say`` is told which one runs."""
    return [_column(engine, subjects, say) for engine in engines]


def _column(engine: Engine, subjects: Sequence[Subject], say: Callable[[str], None]) -> Column:
    try:
        version = engine.version()
    except MissingError as error:
        say(f"{engine.name}: not installed: {error}")
        return Column(engine.name, missing=str(error))
    say(f"{engine.name} {version}: {len(subjects)} models")
    found = engine.run([subject.job for subject in subjects])
    cells = [judge(subject, outcomes) for subject, outcomes in zip(subjects, found, strict=True)]
    explained = [
        replace(cell, known=cause(engine.name, subject.name, cell.said)) if cell.said else cell
        for subject, cell in zip(subjects, cells, strict=True)
    ]
    return Column(engine.name, version, cells=tuple(explained))


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
