"""Measuring: one case after the other, the peers by turns, and not before they agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lossgraph.compare.bench import calls_in, in_turn
from lossgraph.compare.differences import SAMPLE_TOLERANCES, sample_difference

from .losses import Array, Case
from .meter import Meter
from .workers import Worker

TOLERANCE = SAMPLE_TOLERANCES["float32"]
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
    check({worker.name: worker.values() for worker in workers if worker.kind != "bound"}, case)
    found = Measured({worker.name: [] for worker in workers}, [])
    meter = Meter(cpus, [worker.pid for worker in workers])
    for turn in range(rounds):
        for worker in in_turn(workers, turn):
            progress(case, worker.name)
            found.seconds[worker.name].append(worker.run(counts[worker.name]))
        share = meter.lap()
        found.others.extend([] if share is None else [share])
    return found


def check(values: Mapping[str, Mapping[str, Array]], case: Case) -> None:
    """Compare what each computed with what each other did.

    Raises:
        DisagreementError: saying who differs from whom, in what and by how much.
    """
    apart = []
    for (one, ours), (other, theirs) in itertools.combinations(values.items(), 2):
        for name in {**ours, **theirs} if case.gradient else ("loss",):
            by = sample_difference(ours[name], theirs[name])
            if not by <= TOLERANCE:
                apart.append(f"{one} and {other} differ in the {name} by {by:.1e}")
    if apart:
        raise DisagreementError("\n".join([f"{describe(case)}: {TOLERANCE:.0e} allowed", *apart]))


def describe(case: Case) -> str:
    """A case in words, such as ``CTC loss, T=20 N=4 C=20 L=5, value``."""
    sizes = zip(case.loss.dims, case.sizes, strict=True)
    return f"{case.loss.title}, {' '.join(f'{d}={n}' for d, n in sizes)}, {case.what}"
