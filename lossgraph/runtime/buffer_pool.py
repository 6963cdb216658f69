"""Large results in memory that earlier ones have left.

A system hands out large pieces of memory page by page, as they are first written to, which costs
more than what a loss does to them. So the last arrays are kept, and given again when nobody else
refers to them any more: no view, no tensor that shares their memory.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Bytes from which on memory is kept. Below, what a caller has let go is reused by the allocator as
# it is: L2's gradient of 1 MiB takes 0.11 ms either way. At 4 MiB it takes 0.9 ms instead of 2.7
# at the median, at 64 MiB 13 ms instead of 19 (Linux 6, glibc 2.36, NumPy 2.4).
_WORTH_KEEPING = 1 << 20
_KEPT = 2  # of one kind: the result that a caller still has, and that of the call it makes


class BufferPool:
    """The last large arrays of some kinds."""

    def __init__(self) -> None:
        self._kept: dict[Any, list[Array]] = {}

    def acquire(self, kind: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """An array that nobody else has, its elements undefined; ``kind`` names what it is for."""
        if np.dtype(dtype).itemsize * np.prod(shape, dtype=float) < _WORTH_KEEPING:
            return np.empty(shape, dtype)
        kept = self._kept.setdefault(kind, [])
        # Another thread may be here: what it has in hand is referred to, and so is not free.
        for place in range(min(len(kept), _KEPT)):
            held = kept[place : place + 1]
            if held and held[0].shape == shape and held[0].dtype == dtype and _is_free(held):
                return held[0]
        array = np.empty(shape, dtype)
        kept.append(array)
        del kept[:-_KEPT]
        return array


def _references(held: list[Array]) -> int:
    return sys.getrefcount(held[0])


def _is_free(held: list[Array]) -> bool:
    """Whether only the list of what is kept and this one refer to an array."""
    return _references(held) <= _WHEN_FREE


_FREE = [np.empty(0)]
_WHEN_FREE = _references(_FREE[:])
del _FREE
