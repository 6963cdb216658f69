"""What was collected, as rows that an engine can shuffle: a bucket, and bytes.

Buckets are what several processes merge apart. Few groups are in a bucket together, any of some, so
that many states of few groups are merged in parallel too; many are spread over buckets by their
keys. Which bucket a group is in changes no result: in the end all is merged by keys.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from ..arrow import bytes_of, table_of
from ..collected import GROUPS, Collected
from ..plan import Plan

FEW = 64  # groups; they are merged at 1 ms each, mostly for their sketches
BUCKETS_OF_FEW = 16
BUCKETS_OF_MANY = 64

SCHEMA = pa.schema([("bucket", pa.int32()), ("state", pa.binary())])

_AT_ONCE = 64  # states that are merged by one call, so that memory stays bounded

Tables = Mapping[str, pa.Table]


def of(collected: Collected) -> pa.RecordBatch:
    """The rows of what was collected: one, or one a bucket where there are many groups."""
    tables = collected.to_tables()
    if len(tables[GROUPS]) <= FEW:
        state = packed(tables)
        return rows([-1 - zlib.crc32(state) % BUCKETS_OF_FEW], [state])
    found = dict(_spread(tables))
    return rows(list(found), [packed(each) for each in found.values()])


def rows(buckets: Sequence[int], states: Sequence[bytes]) -> pa.RecordBatch:
    """Rows of ``SCHEMA``."""
    columns = [pa.array(buckets, pa.int32()), pa.array(states, pa.binary())]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _spread(tables: Tables) -> Iterator[tuple[int, Tables]]:
    groups = tables[GROUPS]
    buckets = _buckets(groups.select([n for n in groups.column_names if n.startswith("key_")]))
    # What is not of groups goes with those of the first bucket.
    for bucket in np.unique(buckets).tolist():
        yield bucket, {**tables, GROUPS: groups.filter(pa.array(buckets == bucket))}
        tables = {name: table.slice(0, 0) for name, table in tables.items()}


def _buckets(keys: pa.Table) -> np.ndarray[Any, Any]:
    """The bucket of each key, the same in every process."""
    values = zip(*(column.to_pylist() for column in keys.columns), strict=True)
    return np.array([zlib.crc32(repr(value).encode()) % BUCKETS_OF_MANY for value in values])


def compressed(table: pa.Table) -> bytes:
    """A table as bytes: sketches become a seventh."""
    return bytes_of(table, "zstd")


def packed(tables: Tables) -> bytes:
    """Tables as bytes."""
    return pickle.dumps({name: compressed(table) for name, table in tables.items()})


def _unpacked(state: bytes) -> Tables:
    found: dict[str, bytes] = pickle.loads(state)
    return {name: table_of(data) for name, data in found.items()}


def merged(plan: Plan, states: Iterable[bytes]) -> Collected:
    """What states have together."""
    found, waiting = Collected(plan), iter(states)
    while some := [_unpacked(state) for state in islice(waiting, _AT_ONCE)]:
        together = {
            name: pa.concat_tables([each[name] for each in some], promote_options="default")
            for name in some[0]
        }
        found.merge(Collected.from_tables(plan, together))
    return found
