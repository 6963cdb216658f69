"""Cells of a column as an array, without a copy where Arrow stores them as an array does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .rows import BadRowError

Array = np.ndarray[Any, Any]
Lengths = Sequence[int | None]


def stored(cells: pa.Array) -> pa.Array:
    """Cells without what encodes them: extensions, dictionaries, runs, views of lists."""
    while True:
        type_ = cells.type
        if isinstance(cells, pa.ExtensionArray):
            cells = cells.storage
        elif pa.types.is_dictionary(type_):
            cells = cells.dictionary_decode()
        elif pa.types.is_run_end_encoded(type_):
            cells = pc.run_end_decode(cells)
        elif pa.types.is_list_view(type_) or pa.types.is_large_list_view(type_):
            cells = cells.cast(pa.large_list(type_.value_field))
        else:
            return cells


def is_list(cells: pa.Array) -> bool:
    """Whether stored cells are lists."""
    return isinstance(cells, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray))


def offsets_of(cells: pa.Array) -> Array:
    """Where the list of each cell begins among the elements, and where the last one ends."""
    if isinstance(cells, pa.FixedSizeListArray):
        size = cells.type.list_size
        return np.arange(cells.offset, cells.offset + len(cells) + 1) * size
    return np.asarray(cells.offsets)


def elements_of(cells: pa.Array, offsets: Array) -> pa.Array:
    """The elements of all cells' lists, one after the other."""
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    return cells.values.slice(first, last - first)


def null_cells(cells: pa.Array) -> Array | None:
    """The numbers of the cells in which anything is null, in order; None if there are none."""
    cells = stored(cells)
    own = np.flatnonzero(cells.is_null()) if cells.null_count else None
    if not is_list(cells):
        return own
    offsets = offsets_of(cells)
    inside = null_cells(elements_of(cells, offsets))
    if inside is None:
        return own
    holders = np.searchsorted(offsets, inside + offsets[0], side="right") - 1
    return np.unique(holders if own is None else np.concatenate([own, holders]))


def numbers(leaf: pa.Array) -> Array:
    """Elements that are numbers, none of them null, as an array."""
    leaf = stored(leaf)
    if pa.types.is_decimal(leaf.type) or pa.types.is_null(leaf.type):
        leaf = leaf.cast(pa.float64())
    return leaf.to_numpy(zero_copy_only=False)


def equal_lengths(column: str, offsets: Array, wanted: int | None, each: int) -> int:
    """The length that the lists of all cells have.

    Args:
        column: the column's name.
        offsets: where the lists begin and end.
        wanted: the length that they must have; None for any.
        each: how many lists a row has.

    Raises:
        BadRowError: for the first that has another.
    """
    lengths = np.diff(offsets)
    if wanted is None:
        wanted = int(lengths[0]) if len(lengths) else 0
    if (lengths != wanted).any():
        place = int(np.argmax(lengths != wanted))
        raise BadRowError(
            place // each, column, f"has a list of length {lengths[place]}, others of {wanted}"
        )
    return wanted
