"""ShardedRun of a batch, side by side on several threads.

An engine spreads one operator over threads, which does nothing for the small operators of a scan,
step after step, and takes every intermediate of a large batch through memory. Where samples
do not depend on each other, each thread takes a shard of them instead: at once, or in tiles.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..compiler.tiles import rows_of_a_tile
from ..errors import InputError
from ..ir.dims import Dim, evaluate, product
from ..ir.evaluate import evaluate as evaluate_exprs
from ..ir.expr import Expr, is_input, toposort
from ..passes.batch_partition import BATCH_SIZE, BatchPartition
from .session_cache import LoadedModel
from .sessions import bind_session

if TYPE_CHECKING:
    from ..compiler.program import Program

Array = np.ndarray[Any, Any]

# Elements computed inside scans that are worth a thread: about a quarter of a millisecond, more
# than ten times what handing work to a thread and waiting for it costs (17 us). The engine gives so
# small operators one thread, so that a scan leaves the others idle. It may go when a release does
# not: when CTC of a large batch, on a machine with nothing else to do, is no faster in shards.
_WORTH_A_THREAD = 200_000
_POOL: list[ThreadPoolExecutor] = []


class Shard(NamedTuple):
    """Samples ``first`` to ``last``, in tiles of ``rows`` samples, or all at once for 0."""

    first: int
    last: int
    rows: int = 0


Shards = list[list[Shard]]  # the shards of each thread
SessionForShard = Callable[[int, bool], LoadedModel]  # by a thread's number; whether in tiles


class ShardedRun:
    """How a program is run on shards of its batch.

    Attributes:
        batch: the dim that it is sharded along, and what its shards compute.
    """

    def __init__(
        self,
        program: Program,
        batch: BatchPartition,
        threads: int | None = None,
        tiles: int | None = None,
    ) -> None:
        self.batch = batch
        self._inputs = program.inputs
        self._work = _work_in_scans(batch.per_shard.values())
        self._threads = threads or processors()
        self._tiles = _checked(tiles)

    @property
    def loops(self) -> bool:
        """Whether the work is in scans, whose operators are too small for several threads."""
        return self._work != 0 and self._threads > 1

    def shards(self, sizes: Mapping[str, int]) -> Shards:
        """The shards for given sizes; empty if it is better run on the whole batch.

        Shards take it that arrays have elements, as a mean of none is NaN.
        """
        if 0 in sizes.values():
            return []
        samples = sizes[self.batch.dim]
        return self._by_threads(samples, sizes) or self._in_tiles(samples, sizes)

    def _by_threads(self, samples: int, sizes: Mapping[str, int]) -> Shards:
        if not self.loops:
            return []
        count = min(self._threads, samples, evaluate(self._work, sizes) // _WORTH_A_THREAD)
        return [[Shard(*ends)] for ends in _even_ranges(samples, count)] if count > 1 else []

    def _in_tiles(self, samples: int, sizes: Mapping[str, int]) -> Shards:
        """Whole tiles for each thread, and what is left for the last of them."""
        if self._work != 0:
            return []
        best = rows_of_a_tile(self._inputs, self.batch, sizes)
        rows = self._tiles if self._tiles is not None and self.batch.contiguous else best
        if rows == 0 or samples < 2 * rows:
            return []
        tiles = samples // rows
        cuts = _even_ranges(tiles, min(self._threads, tiles))
        shards = [[Shard(first * rows, last * rows, rows)] for first, last in cuts]
        if samples % rows:
            shards[-1].append(Shard(tiles * rows, samples))
        return shards

    def run(
        self,
        session_for: SessionForShard,
        feeds: Mapping[str, Array],
        results: Mapping[str, Array],
        shards: Shards,
        sizes: Mapping[str, int],
    ) -> set[str]:
        """Compute shards of the results from shards of arrays; the checks that failed."""
        feeds = {**feeds, BATCH_SIZE: np.array(sizes[self.batch.dim], np.int64)}

        def run(jobs: Sequence[tuple[LoadedModel, Shard]]) -> list[tuple[list[str], list[Array]]]:
            return [self._run(model, shard, feeds, results, sizes) for model, shard in jobs]

        work = [
            [(session_for(thread, shard.rows > 0), shard) for shard in mine]
            for thread, mine in enumerate(shards)
        ]
        waiting = [_pool().submit(run, jobs) for jobs in work[1:]]
        done = [*run(work[0]), *(each for jobs in waiting for each in jobs.result())]
        self._finish([sums for _, sums in done], feeds, results, sizes)
        return set[str]().union(*(failed for failed, _ in done))

    def _run(
        self,
        model: LoadedModel,
        shard: Shard,
        feeds: Mapping[str, Array],
        results: Mapping[str, Array],
        sizes: Mapping[str, int],
    ) -> tuple[list[str], list[Array]]:
        """Compute one shard: the checks that failed, and the shard's sums."""
        batch = self.batch
        mine = {name: _slice(feeds[name], batch.inputs.get(name), shard) for name in model.inputs}
        views = {name: _slice(results[name], axis, shard) for name, axis in batch.outputs.items()}
        into = {name: np.ascontiguousarray(view) for name, view in views.items()}
        tiles = ((shard.last - shard.first) // shard.rows,) if shard.rows else ()
        sums = {
            name: np.empty(
                (*tiles, *_shape(batch.per_shard[name], sizes)), batch.per_shard[name].dtype
            )
            for name in batch.sums
        }
        failed = bind_session(model.session, mine, {**into, **sums}, model.checks, tiles)()
        for name, view in views.items():
            if into[name] is not view:
                view[...] = into[name]
        return failed, [array.sum(0) if tiles else array for array in sums.values()]

    def _finish(
        self,
        sums: Sequence[Sequence[Array]],
        feeds: Mapping[str, Array],
        results: Mapping[str, Array],
        sizes: Mapping[str, int],
    ) -> None:
        """The outputs that follow from sums over all samples."""
        rest = self.batch.combined
        totals = {
            name: np.sum(each, axis=0)
            for name, each in zip(self.batch.sums, zip(*sums, strict=True), strict=True)
        }
        values = evaluate_exprs(list(rest.values()), {**feeds, **totals}, sizes)
        for name, value in zip(rest, values, strict=True):
            results[name][...] = value


def _checked(tiles: int | None) -> int | None:
    if tiles is not None and (isinstance(tiles, bool) or not isinstance(tiles, int) or tiles < 0):
        raise InputError(f"tiles: expected a number of samples, 0 for none, got {tiles!r}")
    return tiles


def _shape(node: Expr, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(evaluate(dim, sizes) for dim in node.shape)


def _even_ranges(total: int, count: int) -> list[tuple[int, int]]:
    """``count`` runs of about one length."""
    return list(itertools.pairwise(total * i // count for i in range(count + 1)))


def _slice(array: Array, axis: int | None, shard: Shard) -> Array:
    """The shard of an array, its samples in tiles if there are any."""
    if axis is None:
        return array
    mine = array[(slice(None),) * axis + (slice(shard.first, shard.last),)]
    if not shard.rows:
        return mine
    return mine.reshape(len(mine) // shard.rows, shard.rows, *mine.shape[1:])


def _work_in_scans(roots: Iterable[Expr]) -> Dim:
    """How many elements scans compute, step by step."""
    total: Dim = 0
    for node in toposort(roots):
        if node.op.has_body:
            outputs = node.attrs["body"].outputs
            each = [n.shape for n in toposort(outputs) if not is_input(n) and not n.op.has_body]
            inside: Dim = sum((product(shape) for shape in each), 0)
            total = total + node.attrs["length"] * (inside + _work_in_scans(outputs))
    return total


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pool() -> ThreadPoolExecutor:
    if not _POOL:
        _POOL.append(ThreadPoolExecutor(processors(), "lossgraph"))
    return _POOL[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.clear)  # threads do not survive it
