"""Ray Data: an actor for each session, and Ray's aggregation of what they hand over."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..collected import Collected
from . import states, tasks
from .refusals import unwrapped
from .tasks import Job, Packed

_TASKS_A_WORKER = 8  # pieces of work: so many that none waits long for the last one
_ROWS_THAT_TELL = 100  # a block from others
_MOST_PARTS = 16  # of a table in one piece of work, which is done again when its process dies


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError("engine='ray' needs Ray Data: pip install 'lossgraph[ray]'") from error
    return ray


def is_frame(source: object) -> bool:
    """Whether it is a dataset of Ray."""
    return type(source).__module__.startswith("ray.data") and hasattr(source, "map_batches")


def schema(dataset: Any) -> pa.Schema:
    """The columns of a dataset.

    Raises:
        InputError: if it has no rows, of which alone Ray could tell.
    """
    found = dataset.schema()
    if found is None:
        raise InputError("the dataset is empty: it has no columns")
    if isinstance(found.base_schema, pa.Schema):
        return pa.schema([field.with_type(_plain_type(field.type)) for field in found.base_schema])
    # Blocks of pandas, of whose columns Ray knows not all types: Arrow's are those that it reads.
    return head(dataset, found.names).schema


def _is_tensor(type_: pa.DataType) -> bool:
    """Whether it is Ray's own type of arrays of one shape, of which Arrow knows the storage."""
    own = isinstance(type_, pa.ExtensionType) and not isinstance(type_, pa.FixedShapeTensorType)
    return own and hasattr(type_, "shape") and hasattr(type_.storage_type, "value_type")


def _plain_type(type_: pa.DataType) -> pa.DataType:
    if not _is_tensor(type_):
        return type_
    made = type_.storage_type.value_type
    for size in reversed(type_.shape):
        made = pa.list_(made, size)
    return made


def _plain(block: pa.Table) -> pa.Table:
    """A block whose arrays of Ray are lists of Arrow."""
    for i, field in enumerate(block.schema):
        if _is_tensor(field.type):
            chunks = [_lists(chunk) for chunk in block.column(i).chunks]
            column = pa.chunked_array(chunks, _plain_type(field.type))
            block = block.set_column(i, field.name, column)
    return block


def _lists(tensors: pa.ExtensionArray) -> pa.Array:
    if tensors.null_count:
        return pa.array(tensors.storage.to_pylist(), _plain_type(tensors.type))
    made = tensors.storage.flatten()
    for size in reversed(tensors.type.shape):
        made = pa.FixedSizeListArray.from_arrays(made, size)
    return made


def head(dataset: Any, columns: Sequence[str], rows: int = 100) -> pa.Table:
    """The first rows of a dataset."""
    some = dataset.select_columns(list(columns)).limit(rows)
    tables = list(some.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    return _plain(pa.concat_tables(tables)) if tables else pa.table({})


def run(job: Job, dataset: Any = None, workers: int | None = None) -> Collected:
    """What is collected of the parts of a job, or of a dataset.

    Args:
        job: what is done.
        dataset: of Ray Data; None for the parts.
        workers: how many processes there are at most; by default as many as the cluster has CPUs.

    Raises:
        InputError: what a worker refuses.
    """
    ray = _ray()
    packed = ray.put(Packed.of(job))
    with unwrapped():
        found = _mapped(ray, job, packed, dataset, workers)
        grouped = found.groupby("bucket", num_partitions=min(_cpus(ray), states.BUCKETS_OF_MANY))
        batches = grouped.aggregate(_merging(ray, packed)).iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        )
        collected = [state for batch in batches for state in batch.column("state").to_pylist()]
    return states.merged(job.plan, collected)


def write(
    job: Job, folder: str, schema: pa.Schema, dataset: Any = None, workers: int | None = None
) -> None:
    """Have Ray write the rows of a job with their losses, a Parquet file a block.

    Args:
        job: with ``append``.
        folder: which is not there yet.
        schema: of the rows.
        dataset: of Ray Data; None for the parts.
        workers: how many processes there are at most.

    Raises:
        InputError: if the folder is there, and what a worker refuses.
    """
    ray = _ray()
    if os.path.exists(folder):
        raise InputError(f"rows: {folder} is there already: remove it, or name another folder")
    with unwrapped():
        _mapped(ray, job, ray.put(Packed.of(job)), dataset, workers).write_parquet(folder)


def _mapped(ray: Any, job: Job, packed: Any, dataset: Any, workers: int | None) -> Any:
    """What processes hand over: a block at a time, so that what is run again is a block."""
    of_parts = dataset is None
    if dataset is None:
        dataset = _numbers(ray, len(job.parts), workers)
    else:
        dataset = dataset.select_columns(list(job.plan.columns))
    return dataset.map_batches(
        _Session,
        fn_constructor_args=(packed, of_parts),
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
    )


def _numbers(ray: Any, parts: int, workers: int | None) -> Any:
    size = min(_MOST_PARTS, max(1, parts // (_TASKS_A_WORKER * (workers or _cpus(ray)))))
    return ray.data.range(parts, override_num_blocks=-(-parts // size))


def _cpus(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


class _Session:
    """An actor: one session, for all blocks that it is given."""

    def __init__(self, packed: Any, of_parts: bool) -> None:
        self._packed: Packed = _ray().get(packed)
        self._of_parts = of_parts

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        if self._of_parts:
            found = tasks.of_parts(self._packed, block.column("id").to_pylist())
        else:
            block = _plain(block)
            number = _number(block)
            found = tasks.of_batches(
                self._packed, block.to_batches(), number, f"block {number:08x} of the dataset"
            )
        for batch in found:
            yield pa.Table.from_batches([batch])


def _number(block: pa.Table) -> int:
    """A number of a block, the same in every run: Ray does not tell which one it is."""
    return zlib.crc32(states.compressed(block.slice(0, _ROWS_THAT_TELL)))


def _merging(ray: Any, packed: Any) -> Any:
    """The aggregation of states: what Ray calls an accumulator is one state, at first none."""

    def merged(some: Iterable[bytes]) -> bytes:
        return tasks.merged(ray.get(packed), some)

    def with_block(state: bytes, block: Any) -> bytes:
        return merged([*filter(None, [state]), *map(bytes, _listed(block["state"]))])

    def with_other(state: bytes, other: bytes) -> bytes:
        return merged([state, other]) if state and other else state or other

    return ray.data.aggregate.AggregateFn(
        init=lambda key: b"", accumulate_block=with_block, merge=with_other, name="state"
    )


def _listed(column: Any) -> list[Any]:
    found: list[Any] = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    return found
