"""A run on this machine, with what it does beside computing: rows written, a bar, states kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import InputError
from . import local
from .collected import Collected
from .plan import Plan
from .progress import bar_for
from .resume import State, run_in_lots, state_at
from .rows import rows_into
from .sources.base import Part, Source
from .worker import Evaluator

Paths = str | os.PathLike[str]


@dataclass(frozen=True)
class Beside:
    """What a run does beside computing.

    Attributes:
        rows: the file or folder that rows are written into, if any.
        append: what the column of losses is called there.
        resume: the file of the run's state, if it is to be kept.
        progress: whether there is a bar; None for where somebody watches.
        further: what the result depends on and the plan does not say, for the state.
    """

    rows: Paths | None = None
    append: str = "loss"
    resume: Paths | None = None
    progress: bool | None = False
    further: Mapping[str, Any] = field(default_factory=dict)

    def columns(self, keep: Sequence[str], schema: pa.Schema) -> tuple[str, ...]:
        """The columns that are read for what is kept: all of the table if rows are written."""
        return tuple(keep) or (() if self.rows is None else tuple(schema.names))

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            InputError: naming it.
        """
        if self.rows is not None and self.resume is not None:
            raise InputError(
                "resume and rows: a file of rows is written in one go; leave one of them out"
            )


@contextmanager
def local_run(
    plan: Plan, source: Source, parts: Sequence[Part], beside: Beside, threads: int | None
) -> Iterator[Collected]:
    """What is collected on this machine; what is written beside it is there if all went well.

    Args:
        plan: what is computed.
        source: the table.
        parts: of the table, in its order.
        beside: what else is done.
        threads: how many compute; by default as many as there are processors.

    Raises:
        InputError: for rows that cannot be computed or written, and a state of another run.
    """
    rows = (beside.rows, beside.append, plan, source.schema, plan.keep, parts)
    if beside.resume is None:
        with rows_into(*rows) as writers:
            with bar_for(beside.progress, parts) as bars:
                found = local.run(plan, parts, threads=threads, listeners=[*writers, *bars])
            yield found
        return
    state = state_at(beside.resume, plan, parts, beside.further)
    found = _resumed(state, beside.progress, threads)
    yield found
    state.remove()


def _resumed(state: State, progress: bool | None, threads: int | None) -> Collected:
    """A run by lots of parts, which share a session."""
    plan, parts = local.settled(state.plan, state.parts), state.parts
    evaluator = Evaluator(plan)
    done, _ = state.load()
    with bar_for(progress, parts, done) as bars:

        def run(first: int, end: int) -> Collected:
            return local.run(
                plan, parts[first:end], threads=threads, listeners=bars, first_part=first,
                evaluator=evaluator,
            )  # fmt: skip

        return run_in_lots(state, run, local.workers(threads))


def engine_rows(
    write: Callable[..., None], engine: str, plan: Plan, source: Source, beside: Beside,
    threads: int | None,
) -> None:  # fmt: skip
    """Have an engine write the rows.

    Raises:
        InputError: for what engines do not: one file, gradients of rows.
    """
    if beside.rows is None:
        return
    folder = Path(beside.rows)
    if folder.suffix:
        raise InputError(f"{folder}: an engine writes rows into a folder, not into one file")
    if plan.gradients_of_rows or len(plan.measures) > 1:
        raise InputError(
            "rows: an engine writes the loss of each row alone; leave out grad, against and parts"
        )
    write(engine, plan, source, str(folder), beside.append, threads)
