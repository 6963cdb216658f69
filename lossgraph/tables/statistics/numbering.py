"""Numbers for keys that are integers, of which there may be many: vectorized."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_RECENT = 1 << 16  # keys that are kept apart, so that few new ones do not move all


class Numbering:
    """A number for each int64 key that there was.

    Keys are kept sorted, those of late apart: a batch looks its keys up in order, which memory
    likes better than the random places of a hash table.
    """

    def __init__(self) -> None:
        self._old = _Sorted()
        self._recent = _Sorted()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, keys: Array) -> Array:
        """The numbers of keys; those that are new get the next ones."""
        distinct, places = np.unique(keys, return_inverse=True)
        numbers = self._old.of(distinct)
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            numbers[missing] = self._recent.of(distinct[missing])
            self._add(distinct, numbers)
        return numbers[places]

    def reserve(self) -> int:
        """The next number, for what is no integer."""
        self._count += 1
        return self._count - 1

    def _add(self, keys: Array, numbers: Array) -> None:
        """Number the keys whose numbers are missing."""
        new = np.flatnonzero(numbers < 0)
        numbers[new] = self._count + np.arange(len(new))
        self._count += len(new)
        self._recent = self._recent.merged(keys[new], numbers[new])
        if len(self._recent.keys) > max(_RECENT, len(self._old.keys) // 8):
            self._old = self._old.merged(self._recent.keys, self._recent.numbers)
            self._recent = _Sorted()


class _Sorted:
    """Sorted keys and their numbers."""

    def __init__(self) -> None:
        self.keys, self.numbers = np.zeros((2, 0), np.int64)

    def of(self, keys: Array) -> Array:
        """The numbers of sorted keys, -1 for those that are not there."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.numbers[places], -1)

    def merged(self, keys: Array, numbers: Array) -> _Sorted:
        """With other sorted keys too."""
        made = _Sorted()
        joined = np.concatenate([self.keys, keys])
        order = np.argsort(joined, kind="stable")  # which finds that there are two sorted runs
        made.keys, made.numbers = joined[order], np.concatenate([self.numbers, numbers])[order]
        return made
