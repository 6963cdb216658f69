"""Spark: sessions in Python's worker processes, states by mapInArrow, merged by bucket."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..collected import Collected
from . import states, tasks
from .refusals import unwrapped
from .tasks import Job, Packed

_SCHEMA = "bucket int, state binary"
_TASKS_A_WORKER = 32  # pieces of work: so many that none waits long for the last one


def _session() -> Any:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise InputError("engine='spark' needs PySpark: pip install 'lossgraph[spark]'") from error
    found = SparkSession.getActiveSession()
    if found is None:
        # Workers need the packages of this Python; a cluster's own setting comes first.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        found = SparkSession.builder.appName("lossgraph").getOrCreate()
    return found


def is_frame(source: object) -> bool:
    """Whether it is a frame of Spark."""
    return type(source).__module__.startswith("pyspark.sql") and hasattr(source, "mapInArrow")


def schema(frame: Any) -> pa.Schema:
    """The columns of a frame."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(frame.schema)


def run(job: Job, frame: Any = None, workers: int | None = None) -> Collected:
    """What is collected of the parts of a job, or of a frame.

    Args:
        job: what is done.
        frame: of Spark; None for the parts.
        workers: how many pieces the parts are worked at in; by default what the cluster has cores
            for. How a frame is cut is Spark's affair.

    Raises:
        InputError: what a worker refuses.
    """
    session = _session() if frame is None else frame.sparkSession
    packed = session.sparkContext.broadcast(Packed.of(job))
    if frame is None:
        count = len(job.parts)
        pieces = _TASKS_A_WORKER * (workers or session.sparkContext.defaultParallelism)
        mapped = session.range(0, count, 1, max(1, min(count, pieces)))
        mapped = mapped.mapInArrow(_of_parts(packed), _SCHEMA)
    else:
        mapped = frame.select(*map(_quoted, job.plan.columns)).mapInArrow(
            _of_frame(packed), _SCHEMA
        )
    try:
        with unwrapped():
            found = mapped.groupBy("bucket").applyInArrow(_merge(packed), _SCHEMA).toArrow()
    finally:
        packed.destroy()
    return states.merged(job.plan, found.column("state").to_pylist())


def _quoted(column: str) -> str:
    return "`" + column.replace("`", "``") + "`"


def _of_parts(packed: Any) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def of_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        numbers = (number for batch in batches for number in batch.column("id").to_pylist())
        yield tasks.of_parts(packed.value, numbers)

    return of_parts


def _of_frame(packed: Any) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def of_frame(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        yield tasks.of_batches(packed.value, batches, context.partitionId() if context else 0)

    return of_frame


def _merge(packed: Any) -> Callable[..., Any]:
    def merge(
        key: tuple[pa.Scalar, ...], batches: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        some = (state for batch in batches for state in batch.column("state").to_pylist())
        bucket: int = key[0].as_py()
        yield states.rows([bucket], [tasks.merged(packed.value, some)])

    # Spark takes batches one by one where the types say so, and types that are text say nothing.
    merge.__annotations__ = {
        "key": tuple[pa.Scalar, ...],
        "batches": Iterator[pa.RecordBatch],
        "return": Iterator[pa.RecordBatch],
    }
    return merge
