"""What a process of an engine does: one piece of the table in, states of what was collected out.

Or rows out, with their losses.

An engine runs a task again when its process dies, and takes what the last run hands over. Nothing
outlives a task but the session, so no row counts twice.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..arrow import table_of
from ..batch import Place, Rows
from ..columns import BadRowError
from ..plan import Plan
from ..rows import fields_beside
from ..sources.base import Part, sized
from ..worker import Evaluator, Worker
from . import states
from .refusals import carried


@dataclass(frozen=True)
class Job:
    """What every process is told, once.

    Attributes:
        plan: what is computed.
        batch_rows: how many rows are computed at a time, at most.
        parts: of the table, where it is files; tasks are told numbers of parts.
        append: what the column of losses is called, if rows are handed over and not states.
    """

    plan: Plan
    batch_rows: int
    parts: tuple[Part, ...] = ()
    append: str | None = None


@dataclass(frozen=True)
class Packed:
    """A job as bytes, known by its digest."""

    digest: str
    data: bytes = field(compare=False, repr=False)

    @classmethod
    def of(cls, job: Job) -> Packed:
        """The job, packed.

        Raises:
            InputError: for a table that is read where it was opened, such as a stream.
        """
        try:
            data = _dumped(job)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise InputError(
                "this table cannot be sent to the processes of an engine: give files, or a dataset "
                f"of the engine ({error})"
            ) from None
        return cls(hashlib.sha256(data).hexdigest(), data)


def _dumped(job: Job) -> bytes:
    target = io.BytesIO()
    _Packer(target, pickle.HIGHEST_PROTOCOL).dump(job)
    return target.getvalue()


class _Packer(pickle.Pickler):
    """Writes of tables in memory what a part has of them; Arrow would write all of each."""

    def reducer_override(self, item: object) -> Any:
        if isinstance(item, pa.Table):
            return table_of, (states.compressed(item),)
        return NotImplemented


@lru_cache(maxsize=4)
def opened(packed: Packed) -> tuple[Job, Evaluator]:
    """The job and the session of this process, which all its tasks share."""
    job: Job = pickle.loads(packed.data)
    return job, Evaluator(job.plan)


def of_parts(packed: Packed, numbers: Iterable[int]) -> Iterator[pa.RecordBatch]:
    """What is handed over of some parts of a table."""

    def batches() -> Iterator[tuple[Place, pa.RecordBatch]]:
        for number in numbers:
            part = job.parts[number]
            for first, batch in part.batches(job.plan.columns, job.batch_rows):
                yield Place(number, first, part.name), batch

    with carried():
        job, evaluator = opened(packed)
        yield from _handed_over(job, evaluator, batches())


def of_batches(
    packed: Packed, batches: Iterable[pa.RecordBatch], part: int, name: str
) -> Iterator[pa.RecordBatch]:
    """What is handed over of a piece that the engine has read, by its number and name."""

    def placed() -> Iterator[tuple[Place, pa.RecordBatch]]:
        first = 0
        for batch in sized(batches, job.batch_rows):
            yield Place(part, first, name), batch
            first += len(batch)

    with carried():
        job, evaluator = opened(packed)
        yield from _handed_over(job, evaluator, placed())


def _handed_over(
    job: Job, evaluator: Evaluator, batches: Iterable[tuple[Place, pa.RecordBatch]]
) -> Iterator[pa.RecordBatch]:
    worker = Worker(job.plan, evaluator)
    for place, batch in batches:
        try:
            rows = evaluator.rows(batch, place) if job.append else worker.add(batch, place)
        except BadRowError as error:
            raise error.located(job.parts[place.part]) if job.parts else error from None
        if job.append and rows is not None:
            yield _with_losses(rows, kept(job.plan), job.append)
    if not job.append:
        yield states.of(worker.collected)


def _with_losses(rows: Rows, names: Sequence[str], append: str) -> pa.RecordBatch:
    arrays = [*(rows.batch.column(name) for name in names), pa.array(rows.measures["loss"])]
    return pa.RecordBatch.from_arrays(arrays, [*names, append])


def kept(plan: Plan) -> tuple[str, ...]:
    """The columns beside losses: those that are kept, or else all that are read."""
    return plan.keep or plan.columns


def schema_of_rows(plan: Plan, schema: pa.Schema, append: str) -> pa.Schema:
    """The columns of rows with their losses.

    Raises:
        InputError: if a column is called as the losses are to be.
    """
    names = kept(plan)
    return pa.schema([*map(schema.field, names), *fields_beside(plan, append, names)])


def merged(packed: Packed, some: Iterable[bytes]) -> bytes:
    """One state of several."""
    with carried():
        job, _ = opened(packed)
        return states.packed(states.merged(job.plan, some).to_tables())
