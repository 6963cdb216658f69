"""Batches of arrays, in an order that depends on the epoch's number alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..symbolic.arguments import checked

Array = np.ndarray[Any, Any]


class Batches:
    """Arrays in batches, for ``Trainer.fit``.

    The order of an epoch is drawn of the seed and the epoch's number, so that a run that goes on
    gets the batches that it would have had.

    Args:
        arrays: arrays by input name, whose first axes are the samples.
        size: samples in a batch.
        shuffle: draw another order for each epoch.
        seed: of the orders.
        drop_last: leave out a last batch that is smaller.

    >>> data = Batches({"x": np.zeros((5, 3)), "target": np.arange(5)}, 2, shuffle=False)
    >>> [batch["target"].tolist() for batch in data]
    [[0, 1], [2, 3], [4]]
    """

    @checked
    def __init__(
        self,
        arrays: Mapping[str, Any],
        size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.arrays: dict[str, Array] = {n: np.asarray(array) for n, array in arrays.items()}
        lengths = {name: len(a) if a.ndim else None for name, a in self.arrays.items()}
        if len(set(lengths.values())) != 1 or None in lengths.values():
            raise InputError(f"arrays: all need the same number of samples, got {lengths}")
        if size < 1:
            raise InputError(f"size: expected at least 1 sample in a batch, got {size}")
        self.samples = next(iter(lengths.values())) or 0
        self.size, self.shuffle, self.seed, self.drop_last = size, shuffle, seed, drop_last

    def __len__(self) -> int:
        """The number of batches."""
        count = self.samples / self.size
        return math.floor(count) if self.drop_last else math.ceil(count)

    def __call__(self, epoch: int) -> Iterator[dict[str, Array]]:
        """The batches of an epoch."""
        order = self._order(epoch)
        for i in range(len(self)):
            part = slice(i * self.size, (i + 1) * self.size)
            chosen = part if order is None else order[part]
            yield {name: array[chosen] for name, array in self.arrays.items()}

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return self(0)

    def _order(self, epoch: int) -> Array | None:
        if not self.shuffle:
            return None
        return np.random.default_rng((self.seed, epoch)).permutation(self.samples)
