"""Keys of rows: where they change, and hashes of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from .statistics.keys import Keys

Array = np.ndarray[Any, Any]
Key = Hashable


def coded(columns: Sequence[pa.Array]) -> tuple[Array, list[Key]]:
    """The number of each row's key, and the keys."""
    keys = Keys([str(i) for i in range(len(columns))])
    numbered = keys.number(columns)
    assert numbered is not None
    return numbered.groups, keys.values()


def hashes(keys: Sequence[Key], level: int = 0) -> Array:
    """8 bytes of each key, which are the same in every process; others for another level."""
    digests = (blake2b(repr(key).encode(), digest_size=8, salt=b"%d" % level) for key in keys)
    return np.frombuffer(b"".join(each.digest() for each in digests), np.uint64)


def runs(columns: Sequence[pa.Array]) -> tuple[Array, list[Key]]:
    """Where rows begin that have another key than the row before, and their keys."""
    codes, keys = coded(columns)
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]])[: len(codes)])
    return starts, [keys[code] for code in codes[starts]]
