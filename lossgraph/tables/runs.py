"""Keys of rows: where they change, and hashes of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from .statistics.keys import Keys, as_integers, plain

Array = np.ndarray[Any, Any]
Key = Hashable

_ODD, _NULL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_FACTORS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)
_SHIFTS = np.array([30, 27, 31], np.uint64)


def coded(columns: Sequence[pa.Array]) -> tuple[Array, list[Key]]:
    """The number of each row's key, and the keys."""
    keys, numbers = _numbered(columns)
    return numbers, keys.values()


def numbered(columns: Sequence[pa.Array]) -> tuple[Array, int]:
    """The number of each row's key, and how many keys there are."""
    keys, numbers = _numbered(columns)
    return numbers, len(keys)


def _numbered(columns: Sequence[pa.Array]) -> tuple[Keys, Array]:
    keys = Keys([str(i) for i in range(len(columns))])
    found = keys.number(columns)
    assert found is not None
    return keys, found.groups


def hashes(columns: Sequence[pa.Array], level: int = 0) -> Array:
    """8 bytes of the key of each row, the same in every process; others for another level."""
    made = np.full(len(columns[0]), level + 1, np.uint64)
    for column in columns:
        made = _mixed(made * _ODD + _hashed(column))
    return made


def _hashed(column: pa.Array) -> Array:
    """A hash of each value, whether it is in a dictionary or not."""
    array = plain(column)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    integers = as_integers(array)
    if integers is None:
        codes, keys = coded([array])
        digests = [blake2b(repr(key).encode(), digest_size=8).digest() for key in keys]
        found: Array = np.frombuffer(b"".join(digests), np.uint64)[codes]
        return found
    mixed = _mixed(integers.view(np.uint64))
    if array.null_count:
        mixed[np.asarray(array.is_null())] = _NULL
    return mixed


def _mixed(numbers: Array) -> Array:
    """Numbers each of whose bits depends on all bits: Steele, Lea, Flood (2014), OOPSLA."""
    numbers = (numbers ^ (numbers >> _SHIFTS[0])) * _FACTORS[0]
    numbers = (numbers ^ (numbers >> _SHIFTS[1])) * _FACTORS[1]
    mixed: Array = numbers ^ (numbers >> _SHIFTS[2])
    return mixed


def changes(numbers: Array) -> Array:
    """Where rows begin that have another number than the row before."""
    return np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]])[: len(numbers)])


def runs(columns: Sequence[pa.Array]) -> tuple[Array, list[Key]]:
    """Where rows begin that have another key than the row before, and their keys."""
    codes, keys = coded(columns)
    starts = changes(codes)
    return starts, [keys[code] for code in codes[starts]]
