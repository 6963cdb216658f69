"""Spark: sessions in Python's worker processes, states by mapInArrow, merged by bucket."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..collected import Collected
from . import states, tasks
from .refusals import unwrapped
from .tasks import Job, Packed

_SCHEMA = "bucket int, state binary"
_TASKS_A_WORKER = 32  # pieces of work: so many that none waits long for the last one
_CORES_ELSEWHERE = 64  # of a cluster that does not say


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


def head(frame: Any, columns: Sequence[str], rows: int = 100) -> pa.Table:
    """The first rows of a frame."""
    return frame.select(*map(_quoted, columns)).limit(rows).toArrow()


def run(job: Job, frame: Any = None, workers: int | None = None) -> Collected:
    """What is collected of the parts of a job, or of a frame.

    Args:
        job: what is done.
        frame: of Spark; None for the parts.
        workers: for how many processes the parts are made pieces of work; by default for as many as
            the cluster has cores. How a frame is cut is Spark's affair.

    Raises:
        InputError: what a worker refuses.
    """
    session = _session() if frame is None else frame.sparkSession
    with _broadcast(session, job) as packed, unwrapped():
        mapped = _mapped(session, job, packed, frame, workers, _SCHEMA)
        found = mapped.groupBy("bucket").applyInArrow(_merge(packed), _SCHEMA).toArrow()
    return states.merged(job.plan, found.column("state").to_pylist())


def write(
    job: Job, folder: str, schema: pa.Schema, frame: Any = None, workers: int | None = None
) -> None:
    """Have Spark write the rows of a job with their losses, as a folder of Parquet files.

    Args:
        job: with ``append``.
        folder: which is not there yet.
        schema: of the rows.
        frame: of Spark; None for the parts.
        workers: for how many processes the parts are made pieces of work.

    Raises:
        InputError: for columns of types that Spark does not have, if the folder is there, and what
            a worker refuses.
    """
    from pyspark.errors import AnalysisException

    session = _session() if frame is None else frame.sparkSession
    columns = _columns(schema)
    with _broadcast(session, job) as packed, unwrapped():
        try:
            _mapped(session, job, packed, frame, workers, columns).write.parquet(folder)
        except AnalysisException as error:
            if "PATH_ALREADY_EXISTS" not in str(error):
                raise
            raise InputError(
                f"rows: {folder} is there already: remove it, or name another folder"
            ) from None


def _columns(schema: pa.Schema) -> Any:
    """The columns of rows as Spark has them."""
    from pyspark.errors import PySparkTypeError
    from pyspark.sql.pandas.types import from_arrow_schema

    for field in schema:
        try:
            from_arrow_schema(pa.schema([field]))
        except (PySparkTypeError, AssertionError):
            raise InputError(
                f"rows: Spark has no type for column {field.name!r}, which is {field.type}: name "
                "the columns to keep"
            ) from None
    return from_arrow_schema(schema)


@contextmanager
def _broadcast(session: Any, job: Job) -> Iterator[Any]:
    packed, context = Packed.of(job), _context(session)
    if context is None:
        yield _InFunctions(packed)
        return
    sent = context.broadcast(packed)
    try:
        yield sent
    finally:
        sent.destroy()


@dataclass(frozen=True)
class _InFunctions:
    """What goes with every function, where Spark cannot broadcast."""

    value: Packed


def _context(session: Any) -> Any:
    """The context of a session; None for one of Spark Connect, which has none."""
    try:
        return session.sparkContext
    except AttributeError:
        return None


def _mapped(
    session: Any, job: Job, packed: Any, frame: Any, workers: int | None, schema: Any
) -> Any:
    """What processes hand over, of a partition at a time."""
    if frame is not None:
        needed = frame.select(*map(_quoted, job.plan.columns))
        return needed.mapInArrow(_of_frame(packed), schema)
    count = len(job.parts)
    context = _context(session)
    cores = context.defaultParallelism if context else _CORES_ELSEWHERE
    pieces = _TASKS_A_WORKER * (workers or cores)
    numbers = session.range(0, count, 1, max(1, min(count, pieces)))
    return numbers.mapInArrow(_of_parts(packed), schema)


def _quoted(column: str) -> str:
    return "`" + column.replace("`", "``") + "`"


def _of_parts(packed: Any) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def of_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        numbers = (number for batch in batches for number in batch.column("id").to_pylist())
        yield from tasks.of_parts(packed.value, numbers)

    return of_parts


def _of_frame(packed: Any) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def of_frame(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        part = context.partitionId() if context else 0
        yield from tasks.of_batches(packed.value, batches, part, f"partition {part}")

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
