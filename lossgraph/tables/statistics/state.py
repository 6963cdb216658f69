"""The state of groups as a table, for engines, files and other processes.

A row a group: ``key_0``, ``key_1``, .. its keys; ``rows``, ``count``; ``weight`` and
``weight_square`` of weighted rows; and of the i-th measure ``m{i}_nan``, ``m{i}_below``,
``m{i}_above`` (how many are NaN, -inf, inf), ``m{i}_min``, ``m{i}_max`` (inf and -inf where there
are none), the exact sums ``m{i}_sum``, ``m{i}_square`` and ``m{i}_cross``, and the sketch as lists
``m{i}_buckets`` and ``m{i}_counts``. A sum is binary: the position of its first digit as int32,
then its digits to the base 2^32, in two's complement; all little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InputError
from .collected import Collected
from .counts import Counts
from .measure import Measure
from .sums import ExactSums

Array = np.ndarray[Any, Any]


def written(groups: Collected) -> pa.Table:
    """The state of groups."""
    count = len(groups)
    columns: dict[str, Any] = {f"key_{i}": key for i, key in enumerate(groups.keys.columns())}
    columns |= {"rows": groups.rows[:count], "count": groups.count[:count]}
    for name, sums in zip(("weight", "weight_square"), groups.weights, strict=False):
        columns[name] = _packed(sums, count)
    for i, measure in enumerate(groups.measures.values()):
        columns |= {f"m{i}_{name}": column for name, column in _columns(measure, count)}
    return pa.table(columns).take(groups.keys.order())


def _columns(measure: Measure, count: int) -> Iterator[tuple[str, Any]]:
    for name, array in _arrays(measure):
        yield name, array[:count]
    for name, sums in _sums(measure):
        yield name, _packed(sums, count)
    owners, buckets, counts = measure.counts.items()
    ends = np.cumsum(np.bincount(owners, minlength=count)[:count])
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    yield "buckets", pa.ListArray.from_arrays(offsets, pa.array(buckets, pa.int32()))
    yield "counts", pa.ListArray.from_arrays(offsets, pa.array(counts, pa.int64()))


def _arrays(measure: Measure) -> list[tuple[str, Array]]:
    return [
        ("nan", measure.nans), ("below", measure.below), ("above", measure.above),
        ("min", measure.least), ("max", measure.most),
    ]  # fmt: skip


def _sums(measure: Measure) -> list[tuple[str, ExactSums]]:
    return list(zip(("sum", "square", "cross"), measure.all_sums(), strict=False))


def _packed(sums: ExactSums, count: int) -> pa.Array:
    """Sums as binary values, all of one length."""
    sums.trim()
    width = sums.digits.shape[1]
    content = np.empty((count, 1 + width), "<u4")
    content[:, 0] = np.uint32(sums.low & 0xFFFFFFFF)
    content[:, 1:] = sums.digits[:count].astype("<u4")
    size = 4 * (1 + width)
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(size), count, [None, pa.py_buffer(content.tobytes())]
    )
    return fixed.cast(pa.binary())


def keys(table: pa.Table, count: int) -> list[pa.Array]:
    """The columns of keys of a state.

    Raises:
        InputError: if they are not there.
    """
    return [_column(table, f"key_{i}") for i in range(count)]


def _column(table: pa.Table, name: str) -> pa.Array:
    if name not in table.column_names:
        raise InputError(f"a state of groups: column {name!r} is missing")
    column = table.column(name)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def read(table: pa.Table, groups: Collected) -> None:
    """Have groups of one key be those of a state, a row a group, whatever their keys.

    Raises:
        InputError: if a column is missing.
    """
    count = len(table)
    groups.rows, groups.count = _ints(table, "rows"), _ints(table, "count")
    for i, name in enumerate(("weight", "weight_square")[: len(groups.weights)]):
        groups.weights[i] = _unpacked(_column(table, name))
    for i, measure in enumerate(groups.measures.values()):
        measure.nans, measure.below, measure.above = (
            _ints(table, f"m{i}_{name}") for name in ("nan", "below", "above")
        )
        measure.least = _column(table, f"m{i}_min").to_numpy(zero_copy_only=False)
        measure.most = _column(table, f"m{i}_max").to_numpy(zero_copy_only=False)
        measure.sums = _unpacked(_column(table, f"m{i}_sum"))
        measure.squares = _unpacked(_column(table, f"m{i}_square"))
        if measure.crossed is not None:
            measure.crossed = _unpacked(_column(table, f"m{i}_cross"))
        measure.counts = _counts(table, i, count)


def _ints(table: pa.Table, name: str) -> Array:
    return _column(table, name).to_numpy(zero_copy_only=False).astype(np.int64)


def _counts(table: pa.Table, i: int, groups: int) -> Counts:
    lists = _column(table, f"m{i}_buckets")
    lengths = np.diff(lists.offsets.to_numpy()) if groups else np.zeros(0, np.int64)
    made = Counts(groups)
    made.add(
        np.repeat(np.arange(groups), lengths),
        lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64),
        _column(table, f"m{i}_counts").flatten().to_numpy(zero_copy_only=False).astype(np.int64),
    )
    return made


def _unpacked(column: pa.Array) -> ExactSums:
    """Sums of binary values, which may differ in length and in where they begin."""
    column = column.cast(pa.large_binary())
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset :][: len(column) + 1]
    content = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    made = ExactSums(len(column))
    lengths = np.diff(offsets)
    for length in np.unique(lengths).tolist():
        some = np.flatnonzero(lengths == length)
        places = offsets[some][:, None] + np.arange(length)
        words = content[places].view("<u4").astype(np.int64)
        lows = words[:, 0].astype(np.uint32).view(np.int32)
        for low in np.unique(lows).tolist() if length > 4 else ():
            chosen = lows == low
            part = ExactSums(int(chosen.sum()))
            part.digits, part.low = words[chosen, 1:], low
            part.digits[:, -1] = part.digits[:, -1].astype(np.uint32).view(np.int32)
            made.merge(some[chosen], part)
    return made
