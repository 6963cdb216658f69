"""Measuring: one case after the other, the peers by turns, and not before they agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .losses import Array, Case
from .meter import Meter
from .workers import Worker

TOLERANCE = 2e-3
FEWEST, MOST = 3, 10_000  # calls of a round
COMPILING = "compiling"

Progress = Callable[[Case, str], None]  # the case, and COMPILING or whose turn it is


class Measured(NamedTuple):
    """What came out of a case."""

    seconds: dict[str, list[list[float]]]  # of all calls, by peer and round
    others: list[float]  # the share of the processors that others used, by round, where known


class DisagreementError(Exception):
    """Peers computed different numbers."""


def measure(
    case: Case,
    workers: Sequence[Worker],
    folder: Path,
    rounds: int,
    seconds: float,
    cpus: Sequence[int],
    progress: Progress,
) -> Measured:
    """Time the calls of all peers.

    Raises:
        DisagreementError: if peers compute different numbers; nothing is timed then.
        WorkerError: if one fails.
    """
    path = folder / "arrays.npz"
    arrays: dict[str, Any] = case.arrays()
    np.savez(path, **arrays)
    progress(case, COMPILING)
    counts = {
        w.name: calls_in(seconds, w.prepare(case.loss.name, path, case.gradient)) for w in workers
    }
    check({worker.name: worker.values() for worker in workers}, case)
    found = Measured({worker.name: [] for worker in workers}, [])
    meter = Meter(cpus, [worker.pid for worker in workers])
    for turn in range(rounds):
        for worker in in_turn(workers, turn):
            progress(case, worker.name)
            found.seconds[worker.name].append(worker.run(counts[worker.name]))
        share = meter.lap()
        found.others.extend([] if share is None else [share])
    return found


def calls_in(seconds: float, warm: Sequence[float], fewest: int = FEWEST) -> int:
    """How many calls fit in a time, from the seconds of some."""
    return int(np.clip(round(seconds / float(np.median(warm))), fewest, MOST))


def in_turn(workers: Sequence[Worker], turn: int) -> list[Worker]:
    """All of them, each time another one first; every other time around in reverse.

    So none always comes after the same one, whose leavings it would have to put up with.
    """
    first = turn % len(workers)
    order = [*workers[first:], *workers[:first]]
    return order if turn // len(workers) % 2 == 0 else order[::-1]


def check(values: Mapping[str, Mapping[str, Array]], case: Case) -> None:
    """Compare what each computed with what each other did.

    Raises:
        DisagreementError: saying who differs from whom, in what and by how much.
    """
    names = ("loss", "gradient") if case.gradient else ("loss",)
    apart = []
    for (one, ours), (other, theirs) in itertools.combinations(values.items(), 2):
        for name in names:
            by = difference(ours[name], theirs[name])
            if not by <= TOLERANCE:
                apart.append(f"{one} and {other} differ in the {name} by {by:.1e}")
    if apart:
        raise DisagreementError("\n".join([f"{describe(case)}: {TOLERANCE:.0e} allowed", *apart]))


def difference(a: Array, b: Array) -> float:
    """How far arrays are apart, relative to the larger: of all samples the worst.

    A sample is compared as a whole and in its worst entry, for single entries of a gradient may
    be as small as the rounding of its largest.
    """
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    a, b = (x.astype(np.float64).reshape(len(x), -1) for x in (a, b))
    worst = 0.0
    for order in (2, np.inf):
        sizes = [np.linalg.norm(x, order, axis=1) for x in (a, b)]
        scale = np.maximum(np.maximum(*sizes), np.finfo(np.float32).tiny)
        worst = max(worst, float((np.linalg.norm(a - b, order, axis=1) / scale).max()))
    return worst


def describe(case: Case) -> str:
    """A case in words, such as ``CTC loss, T=20 N=4 C=20 L=5, value``."""
    sizes = zip(case.loss.dims, case.sizes, strict=True)
    return f"{case.loss.title}, {' '.join(f'{d}={n}' for d, n in sizes)}, {case.what}"
