"""Parts of a batch, side by side on several threads.

An engine spreads one operator over threads, which does nothing for the small operators of a scan,
step after step. Where a program keeps samples apart, each thread takes some of them instead.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from .dims import Dim, evaluate, product
from .expr import Expr, is_input, toposort
from .separate import find_batch
from .sessions import run_bound

if TYPE_CHECKING:
    from .program import Program

Array = np.ndarray[Any, Any]
Bounds = list[tuple[int, int]]

# Elements computed inside scans that are worth a thread: about a quarter of a millisecond.
_WORTH_A_THREAD = 200_000
_POOL: list[ThreadPoolExecutor] = []


class Parts:
    """How a program is run in parts; ``batch`` is None if it is run as a whole."""

    def __init__(self, program: Program, threads: int | None = None) -> None:
        self._work = _work_in_scans(program.outputs.values())
        self._threads = threads or _processors()
        worth_it = self._work != 0 and self._threads > 1
        self.batch = find_batch(program.inputs, program.outputs) if worth_it else None
        self._known: dict[tuple[int, ...], Bounds] = {}

    def bounds(self, sizes: Mapping[str, int]) -> Bounds:
        """First and last sample of each part, for given sizes; empty if there is one part."""
        if self.batch is None:
            return []
        key = tuple(sizes.values())
        if key not in self._known:
            self._known = {key: self._bounds(sizes[self.batch.dim], sizes)}
        return self._known[key]

    def _bounds(self, samples: int, sizes: Mapping[str, int]) -> Bounds:
        count = min(self._threads, samples, evaluate(self._work, sizes) // _WORTH_A_THREAD)
        ends = [samples * i // count for i in range(count + 1)] if count > 1 else []
        return list(itertools.pairwise(ends))

    def run(
        self,
        sessions: Sequence[Any],
        feeds: Mapping[str, Array],
        results: Mapping[str, Array],
        bounds: Sequence[tuple[int, int]],
        own: Sequence[Mapping[str, Array]],
    ) -> None:
        """Run each session on a part of the arrays, into a part of the others and its own."""
        assert self.batch is not None
        inputs, outputs = self.batch.inputs, self.batch.outputs

        def run(session: Any, first: int, last: int, mine: Mapping[str, Array]) -> None:
            part = {name: _cut(a, inputs[name], first, last) for name, a in feeds.items()}
            views = {name: _cut(a, outputs[name], first, last) for name, a in results.items()}
            into = {name: np.ascontiguousarray(view) for name, view in views.items()}
            run_bound(session, part, {**into, **mine})
            for name, view in views.items():
                if into[name] is not view:
                    view[...] = into[name]

        jobs = [
            (session, *ends, mine)
            for session, ends, mine in zip(sessions, bounds, own, strict=True)
        ]
        waiting = [_pool().submit(run, *job) for job in jobs[1:]]
        run(*jobs[0])
        for part in waiting:
            part.result()


def _cut(array: Array, axis: int | None, first: int, last: int) -> Array:
    return array if axis is None else array[(slice(None),) * axis + (slice(first, last),)]


def _work_in_scans(roots: Iterable[Expr]) -> Dim:
    """How many elements scans compute, step by step."""
    total: Dim = 0
    for node in toposort(roots):
        if node.op.name == "Scan":
            outputs = node.attrs["body"].outputs
            each = [n.shape for n in toposort(outputs) if not is_input(n) and n.op.name != "Scan"]
            inside: Dim = sum((product(shape) for shape in each), 0)
            total = total + node.attrs["length"] * (inside + _work_in_scans(outputs))
    return total


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pool() -> ThreadPoolExecutor:
    if not _POOL:
        _POOL.append(ThreadPoolExecutor(_processors(), "lossgraph"))
    return _POOL[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.clear)  # threads do not survive it
