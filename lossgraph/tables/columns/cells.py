"""Cells of a column as Arrow stores them: lists and their elements, nulls, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .rows import Elements

Array = np.ndarray[Any, Any]


_VIEWS = (pa.ListViewArray, pa.LargeListViewArray)
_LISTS = (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray, *_VIEWS)


def stored(cells: pa.Array) -> pa.Array:
    """Cells without what encodes them: extensions, runs, lists by number."""
    while True:
        type_ = cells.type
        if isinstance(cells, pa.FixedShapeTensorArray):
            cells = _nested(cells.storage, type_.shape)
        elif isinstance(cells, pa.ExtensionArray):
            cells = cells.storage
        elif pa.types.is_run_end_encoded(type_):
            cells = pc.run_end_decode(cells)
        elif pa.types.is_dictionary(type_) and pa.types.is_nested(type_.value_type):
            cells = cells.dictionary_decode()
        else:
            return cells


def _nested(cells: pa.Array, shape: Sequence[int]) -> pa.Array:
    """Flat lists as lists in lists, without a copy of their elements."""
    nulls = cells.is_null() if cells.null_count else None
    elements = opened(cells)[1]
    for length in reversed(shape[1:]):
        elements = pa.FixedSizeListArray.from_arrays(elements, length)
    return pa.FixedSizeListArray.from_arrays(elements, shape[0], mask=nulls)


def is_list(cells: pa.Array) -> bool:
    """Whether stored cells are lists."""
    return isinstance(cells, _LISTS)


def opened(cells: pa.Array) -> tuple[int | Array, pa.Array]:
    """The elements of stored lists, and the length of all lists or where each one begins."""
    if isinstance(cells, pa.FixedSizeListArray):
        size: int = cells.type.list_size
        return size, cells.values.slice(cells.offset * size, len(cells) * size)
    if isinstance(cells, _VIEWS):  # whose lists stand in any order
        sizes = pc.if_else(cells.is_valid(), cells.sizes, 0)
        return np.concatenate([[0], np.cumsum(sizes)]), cells.flatten()
    offsets = np.asarray(cells.offsets) if len(cells) else np.zeros(1, np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    return offsets, cells.values.slice(first, last - first)


def null_rows(cells: pa.Array) -> Array | None:
    """The numbers of the cells in which anything is null, in order; None if there are none."""
    cells = stored(cells)
    own = _nulls(cells)
    if not is_list(cells):
        return own
    level, elements = opened(cells)
    inside = null_rows(elements)
    if inside is None:
        return own
    if isinstance(level, int):
        holders = inside // level
    else:
        holders = np.searchsorted(level, inside + level[0], side="right") - 1
    return np.unique(holders if own is None else np.concatenate([own, holders]))


def _nulls(cells: pa.Array) -> Array | None:
    found = np.asarray(cells.is_null()) if cells.null_count else None
    if isinstance(cells, pa.DictionaryArray) and cells.dictionary.null_count:
        codes = np.asarray(cells.indices.fill_null(0))
        null_values = np.asarray(cells.dictionary.is_null())[codes]
        found = null_values if found is None else found | null_values
    return np.flatnonzero(found) if found is not None and found.any() else None


def numbers(cells: pa.Array) -> Array:
    """Elements that are numbers, none of them null; Arrow's memory where that has an array."""
    if isinstance(cells, pa.DictionaryArray):
        cells = cells.dictionary_decode()
    if pa.types.is_decimal(cells.type) or pa.types.is_null(cells.type):
        cells = cells.cast(pa.float64())
    return cells.to_numpy(zero_copy_only=False)


def equal_lengths(lists: Elements, offsets: Array, wanted: int | None, advice: str) -> int:
    """The length that all lists have.

    Args:
        lists: the lists.
        offsets: where each begins, and the last one ends.
        wanted: the length that they must have; None for that of the first.
        advice: the end of the refusal.

    Raises:
        BadRowError: for the first that has another.
    """
    lengths = np.diff(offsets)
    if wanted is None:
        wanted = int(lengths[0]) if len(lengths) else 0
    other = lengths != wanted
    if other.any():
        place = int(np.argmax(other))
        reason = f"has a list of length {lengths[place]}, and others of {wanted}{advice}"
        raise lists.bad(place, reason)
    return wanted
