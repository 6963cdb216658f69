"""From a table and a plan to what an engine collected of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..collected import Collected
from ..local import rows_at_a_time, settled, settled_by
from ..plan import Plan
from ..sources import open_source
from ..sources.base import Source
from . import ray, spark
from .tasks import Job, schema_of_rows

_ENGINES: dict[str, ModuleType] = {"ray": ray, "spark": spark}


@dataclass(frozen=True)
class Frame(Source):
    """A table that an engine has: the engine reads it, and it has no parts here.

    Attributes:
        frame: the dataset of Ray, or the frame of Spark.
    """

    frame: Any = None


def is_frame(source: object) -> bool:
    """Whether an engine has it."""
    return any(engine.is_frame(source) for engine in _ENGINES.values())


def open_on(engine: str, source: Any, where: Any = None) -> Source:
    """A table for an engine: a dataset of its own, or whatever is opened here too.

    Raises:
        InputError: for a dataset of the other engine, or one that is to be filtered here.
    """
    if not is_frame(source):
        return open_source(source, where)
    if not _ENGINES[engine].is_frame(source):
        raise InputError(f"engine={engine!r}: {type(source).__name__} is of another engine")
    if where is not None:
        raise InputError("where: filter the engine's dataset by its own means, and leave it out")
    schema: pa.Schema = _ENGINES[engine].schema(source)
    return Frame(schema, [{"kind": f"{engine}: {type(source).__name__}"}], (), source)


def run(engine: str, plan: Plan, opened: Source, workers: int | None = None) -> Collected:
    """What an engine collects of a table.

    Args:
        engine: ``ray`` or ``spark``.
        plan: what is computed.
        opened: what ``open_on`` gave.
        workers: how many processes there are at most.

    Raises:
        InputError: if the engine is not here, and what a worker refuses.
    """
    found: Collected = _ENGINES[engine].run(*_work(engine, plan, opened), workers)
    return found


def write_rows(
    engine: str,
    plan: Plan,
    opened: Source,
    folder: str,
    append: str = "loss",
    workers: int | None = None,
) -> None:
    """Have an engine write the rows of a table with their losses, as a folder of Parquet files.

    The table is read for it once more. Rows are in the engine's order; what has no loss because a
    null is skipped is not among them.

    Args:
        engine: ``ray`` or ``spark``.
        plan: what is computed; of the table's columns those of ``keep`` are written, or else all
            that are read.
        opened: what ``open_on`` gave.
        folder: a path or a URL of what is not there yet.
        append: what the column of losses is called.
        workers: how many processes there are at most.

    Raises:
        InputError: if the folder is there or a column is called so, and what a worker refuses.
    """
    schema = schema_of_rows(plan, opened.schema, append)
    job, frame = _work(engine, plan, opened, append)
    _ENGINES[engine].write(job, folder, schema, frame, workers)


def _work(engine: str, plan: Plan, opened: Source, append: str | None = None) -> tuple[Job, Any]:
    """What processes are told, and the engine's table if it has it."""
    frame = opened.frame if isinstance(opened, Frame) else None
    parts = tuple(opened.parts())
    batch_rows = rows_at_a_time(plan)
    # Once, as processes would know lists by their own first rows.
    if frame is None:
        plan = settled(plan, parts)
    elif not plan.is_settled:
        plan = settled_by(plan, _ENGINES[engine].head(frame, plan.columns).to_batches())
    return Job(plan, batch_rows, parts, append), frame
