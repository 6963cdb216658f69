"""The keys of groups: which group each row belongs to, whatever Arrow types the columns have."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import InputError
from ..arrow import without_view
from .numbering import Numbering

Array = np.ndarray[Any, Any]

_MOST_CODES = 1 << 62
_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}  # Arrow takes no rows of


class Numbered(NamedTuple):
    """Groups of the rows of a batch.

    Attributes:
        groups: of each row, int64.
        distinct: each of them once.
        counts: how many rows are of each of the distinct ones.
    """

    groups: Array
    distinct: Array
    counts: Array


class Keys:
    """Numbers for groups, in the order in which they come.

    Rows are of one group if they are equal in every column. Null is a key of its own; so is NaN,
    and 0 and -0 are one. Dictionaries are their values.

    Args:
        names: of the columns; without any all rows are group 0.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._types: list[pa.DataType] = []
        self._columns = [_Column() for _ in names]
        # Of the numbers of the first columns and of the one after these.
        self._pairs = [Numbering() for _ in names[1:]]
        self._pieces: list[list[pa.Array]] = [[] for _ in names]

    def __len__(self) -> int:
        if not self.names:
            return 1
        return len(self._pairs[-1] if self._pairs else self._columns[0])

    def values(self) -> list[Hashable]:
        """The keys as Python values that are equal where keys are one, a tuple a group."""
        return list(zip(*map(_hashable, self.columns()), strict=True))

    def columns(self) -> list[pa.Array]:
        """The keys, a row a group."""
        if not self._types:
            return [pa.nulls(0) for _ in self.names]
        found = []
        for i, type_ in enumerate(self._types):
            joined = pa.chunked_array(self._pieces[i], type_).combine_chunks()
            joined = joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
            self._pieces[i] = [joined]
            found.append(joined)
        return found

    def order(self) -> pa.Array:
        """The groups sorted by their keys, column by column, nulls at the end."""
        columns = {str(i): _sortable(column) for i, column in enumerate(self.columns())}
        if not columns:
            return pa.array([0])
        return pc.sort_indices(pa.table(columns), [(name, "ascending") for name in columns])

    def number(self, arrays: Sequence[Any]) -> Numbered | None:
        """The group of each row; None if all rows are one.

        Raises:
            InputError: for another number of columns, or a type that changes.
        """
        if len(arrays) != len(self.names):
            raise InputError(f"groups by {self.names}: expected a column each, got {len(arrays)}")
        if not arrays:
            return None
        typed = self._typed([plain(array) for array in arrays])
        if len({len(array) for array in typed}) > 1:
            raise InputError(f"groups by {self.names}: expected columns of one length")
        encoded = [_encoded(array) for array in typed]
        codes, distinct, counts = _joined([(places, count) for places, count, _ in encoded])
        places = _places(distinct, [count for _, count, _ in encoded])
        pairs = zip(encoded, places, strict=True)
        return self._numbered(codes, distinct, counts, [values(at) for (*_, values), at in pairs])

    def _numbered(
        self, codes: Array, distinct: Array, counts: Array, values: list[pa.Array]
    ) -> Numbered:
        numbers = self._known(values)
        if len(counts) == len(distinct):  # codes are places among them
            return Numbered(numbers[codes], numbers, counts)
        by_code = np.zeros(len(counts), np.int64)
        by_code[distinct] = numbers
        return Numbered(by_code[codes], numbers, counts[distinct])

    def _typed(self, arrays: list[pa.Array]) -> list[pa.Array]:
        if not self._types:
            self._types = [_type_of(array) for array in arrays]
        return [
            array if _type_of(array) == wanted else _cast(array, wanted, name)
            for array, wanted, name in zip(arrays, self._types, self.names, strict=True)
        ]

    def _known(self, values: list[pa.Array]) -> Array:
        """The numbers of distinct keys; those that are new get the next ones."""
        before = len(self)
        found = self._columns[0].of(values[0])
        for column, each, pairs in zip(self._columns[1:], values[1:], self._pairs, strict=True):
            found = pairs.of((found << 32) + column.of(each))
        if len(self) > before:
            # Two keys may be one here that were two to Arrow: the first stands for both.
            new, first = np.unique(found, return_index=True)
            rows = pa.array(first[new >= before])
            for pieces, each in zip(self._pieces, values, strict=True):
                pieces.append(_canonical(each.take(rows)))
        return found


class _Column:
    """Numbers for the values of one column."""

    def __init__(self) -> None:
        self._integers = Numbering()
        self._null: int | None = None  # the number of null among integers
        self._others: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._integers) + len(self._others)

    def of(self, values: pa.Array) -> Array:
        """The numbers of values; those that are new get the next ones."""
        integers = as_integers(values)
        if integers is None:
            known = self._others
            found = [known.setdefault(key, len(known)) for key in _hashable(values)]
            return np.array(found, np.int64)
        if not values.null_count:
            return self._integers.of(integers)
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        if self._null is None:
            self._null = self._integers.reserve()
        numbers = np.full(len(values), self._null)
        numbers[valid] = self._integers.of(integers[valid])
        return numbers


def plain(array: Any) -> pa.Array:
    """One array, without chunks, extension or runs; it may have a dictionary."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    wanted = _VIEWS.get(array.type)
    return array if wanted is None else without_view(array, wanted)


def _type_of(array: pa.Array) -> pa.DataType:
    """The type of a column's values."""
    return array.type.value_type if pa.types.is_dictionary(array.type) else array.type


def _cast(array: pa.Array, wanted: pa.DataType, name: str) -> pa.Array:
    """A column in the type that it had before: files may differ in what holds the same values."""
    try:
        return array.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"column {name!r} was {wanted} and is {array.type} now: {error}") from None


def _encoded(array: pa.Array) -> tuple[Array, int, Callable[[Array], pa.Array]]:
    """Places of the rows among values, how many these are, and what gives values by place."""
    if pa.types.is_dictionary(array.type):
        places, values = array.indices, array.dictionary
    elif _is_nested(array.type):
        return _encoded_nested(array)
    elif pa.types.is_float16(array.type):  # which older versions of pyarrow do not encode
        places, count, _ = _encoded(array.cast(pa.float32()))
        first = np.unique(places, return_index=True)[1]
        return places, count, lambda at: array.take(pa.array(first[at]))
    elif (narrow := _narrow(array)) is not None:
        return narrow
    else:
        encoded = pc.dictionary_encode(array, null_encoding="encode")
        places, values = encoded.indices, encoded.dictionary
    if places.null_count:
        places = places.cast(pa.int64()).fill_null(len(values))
        values = pa.concat_arrays([values, pa.nulls(1, values.type)])
    found = places.to_numpy(zero_copy_only=False).astype(np.int64)
    return found, len(values), lambda at: values.take(pa.array(at))


def _narrow(array: pa.Array) -> tuple[Array, int, Callable[[Array], pa.Array]] | None:
    """Of integers close to each other: they are places themselves, which needs no hashing."""
    if not pa.types.is_integer(array.type) or array.null_count or not len(array):
        return None
    values = array.to_numpy()
    low, high = int(values.min()), int(values.max())
    if high - low > len(array) or high >= 1 << 63:
        return None
    return values.astype(np.int64) - low, high - low + 1, lambda at: pa.array(at + low, array.type)


def _encoded_nested(array: pa.Array) -> tuple[Array, int, Callable[[Array], pa.Array]]:
    """Of lists and structs, which Arrow does not encode: one by one."""
    seen: dict[Hashable, int] = {}
    places = np.array([seen.setdefault(key, len(seen)) for key in _hashable(array)], np.int64)
    first = np.unique(places, return_index=True)[1]
    return places, len(seen), lambda at: array.take(pa.array(first[at]))


def _joined(columns: Sequence[tuple[Array, int]]) -> tuple[Array, Array, Array]:
    """One code a row of several columns of places, the distinct codes, and how often each occurs.

    Occurrences are by code, of all that there can be; where these are too many, codes become
    places among the distinct ones, and occurrences are of these.
    """
    codes, most = columns[0]
    for places, count in columns[1:]:
        if most * count > _MOST_CODES:
            raise InputError("groups by these columns: too many different values in one batch")
        codes, most = codes * count + places, most * count
    if most <= 4 * len(codes) + 1024:
        counts = np.bincount(codes, minlength=most)
        return codes, np.flatnonzero(counts), counts
    distinct, codes, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return codes, distinct, counts


def _places(codes: Array, counts: Sequence[int]) -> list[Array]:
    """What codes are made of: a place in each column."""
    found: list[Array] = []
    for count in reversed(counts[1:]):
        codes, places = np.divmod(codes, count)
        found.append(places)
    return [codes, *reversed(found)]


def _canonical(array: pa.Array) -> pa.Array:
    """The same keys with zeros of one sign."""
    return pc.add(array, pa.scalar(0.0, array.type)) if _adds(array.type) else array


def _adds(type_: pa.DataType) -> bool:
    return type_ in (pa.float32(), pa.float64())


def _sortable(array: pa.Array) -> pa.Array:
    """Keys that Arrow sorts: those that it has no order for by their text."""
    if pa.types.is_float16(array.type):
        return array.cast(pa.float32())
    if _is_nested(array.type) or pa.types.is_interval(array.type):
        return pa.array([None if v is None else repr(v) for v in array.to_pylist()], pa.string())
    return array


def _is_nested(type_: pa.DataType) -> bool:
    return pa.types.is_nested(type_) or pa.types.is_union(type_)


def as_integers(array: pa.Array) -> Array | None:
    """Values as int64, where that tells them apart; null is any."""
    type_ = array.type
    if pa.types.is_temporal(type_) and not pa.types.is_interval(type_):
        array = array.view(pa.int64() if type_.bit_width == 64 else pa.int32())
    elif pa.types.is_boolean(type_):
        array = array.cast(pa.int8())
    elif not pa.types.is_integer(type_):
        return None
    return array.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)


def _hashable(array: pa.Array) -> list[Hashable]:
    """Python values that are equal where keys are one."""
    if _is_nested(array.type):
        return [repr(value) for value in array.to_pylist()]
    found = array.to_pylist()
    if pa.types.is_floating(array.type):
        return ["nan" if value != value else value for value in found]
    return found
