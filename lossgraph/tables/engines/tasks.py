"""What a process of an engine does: one piece of the table in, states of what was collected out.

An engine runs a task again when its process dies, and takes what the last run hands over. Nothing
outlives a task but the session, so no row counts twice.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..local import rows_at_a_time
from ..place import Place
from ..plan import Plan
from ..sources.base import Part, sized
from ..worker import Evaluator, Worker
from . import states
from .refusals import carried


@dataclass(frozen=True)
class Job:
    """What every process is told, once.

    Attributes:
        plan: what is computed.
        parts: of the table, where it is files; tasks are told numbers of parts.
    """

    plan: Plan
    parts: tuple[Part, ...] = ()


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
            return states.table_of, (states.bytes_of(item),)
        return NotImplemented


@lru_cache(maxsize=4)
def opened(packed: Packed) -> tuple[Job, Evaluator]:
    """The job and the session of this process, which all its tasks share."""
    job: Job = pickle.loads(packed.data)
    return job, Evaluator(job.plan)


def of_parts(packed: Packed, numbers: Iterable[int]) -> pa.RecordBatch:
    """The states of some parts of a table."""

    def batches() -> Iterator[tuple[Place, pa.RecordBatch]]:
        for number in numbers:
            part = job.parts[number]
            for first, batch in part.batches(job.plan.columns, rows_at_a_time(job.plan)):
                yield Place(number, first, part.name), batch

    with carried():
        job, _ = opened(packed)
        return _collected(packed, batches())


def of_batches(packed: Packed, batches: Iterable[pa.RecordBatch], part: int) -> pa.RecordBatch:
    """The states of a partition that the engine has read."""

    def placed() -> Iterator[tuple[Place, pa.RecordBatch]]:
        first = 0
        for batch in sized(batches, rows_at_a_time(opened(packed)[0].plan)):
            yield Place(part, first, f"partition {part}"), batch
            first += len(batch)

    with carried():
        return _collected(packed, placed())


def _collected(packed: Packed, batches: Iterable[tuple[Place, pa.RecordBatch]]) -> pa.RecordBatch:
    job, evaluator = opened(packed)
    worker = Worker(job.plan, evaluator)
    for place, batch in batches:
        worker.add(batch, place)
    return states.of(worker.collected)


def merged(packed: Packed, some: Iterable[bytes]) -> bytes:
    """One state of several."""
    with carried():
        job, _ = opened(packed)
        return states.packed(states.merged(job.plan, some).to_tables())
