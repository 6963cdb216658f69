"""What memory allows: each input is read once and each output written once, by numpy's copies."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .peer import Peer, Prepared

PIECE = 1 << 16  # numbers that are copied at once: they fit in a core's cache
TOGETHER = 1 << 17  # numbers from which on threads are worth their start


class Bandwidth(Peer):
    name = "bandwidth"
    title = "copying"
    kind = "bound"
    home = "lossgraph"

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}

    @classmethod
    def has(cls, loss: str) -> bool:
        return loss.endswith("Loss")

    def prepare(self, loss: str, arrays: dict[str, Any], gradient: bool) -> Prepared:
        """The first input goes to the gradient, the others into memory that stays in a cache.

        What the value itself takes is not worth mentioning beside these.
        """
        first, *others = (array.reshape(-1) for array in arrays.values())
        count = self._threads if first.size >= TOGETHER else 1
        into = split(np.zeros_like(first), count) if gradient else [None] * count
        jobs = [[read(*pair)] for pair in zip(split(first, count), into)]  # noqa: B905
        for other in others:
            for job, part in zip(jobs, split(other, count)):  # noqa: B905
                job.append(read(part, None))
        if count == 1:
            return Prepared(lambda: work(jobs[0]), lambda _: {})
        return Prepared(lambda: list(self._pool.map(work, jobs)), lambda _: {})


def work(jobs: list[Callable[[], None]]) -> None:
    for job in jobs:
        job()


def split(array: Any, count: int) -> list[Any]:
    """An array in parts of almost the same length."""
    ends = [len(array) * i // count for i in range(count + 1)]
    return [array[i:j] for i, j in zip(ends, ends[1:])]  # noqa: B905, RUF007


def read(source: Any, into: Any) -> Callable[[], None]:
    """What copies an array, to where it stays in a cache if there is nowhere else."""
    pieces = [slice(i, i + PIECE) for i in range(0, len(source), PIECE)]
    scratch = np.zeros(min(PIECE, len(source)), source.dtype)
    pairs = [
        (scratch[: len(source[piece])] if into is None else into[piece], source[piece])
        for piece in pieces
    ]

    def copy() -> None:
        for target, piece in pairs:
            np.copyto(target, piece)

    return copy
