"""Measuring callables against each other: by turns, and compared round by round.

A time means little on a machine that does other things too; the ratio of two times that were
taken in one round means much more, and its median over the rounds is not moved by a bad one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

Rounds = Sequence[Sequence[float]]
T = TypeVar("T")

FEWEST, MOST = 3, 10_000  # calls of a round
WARM_CALLS, WARM_SECONDS = 3, 0.1  # at least so many, and for so long, before anything is timed


class Summary(NamedTuple):
    """One of several in seconds, and its time divided by that of what it is compared with.

    Ratios are taken round by round, for what slows a machine down slows both down in a round.
    """

    median: float  # of the medians of the rounds
    minimum: float  # of all calls
    medians: list[float]  # of each round
    calls: int
    ratio: float  # the median of the ratios
    low: float  # their quartiles
    high: float
    ratios: list[float]  # of each round


# --- taking turns ---


def interleave(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    watch: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> dict[str, list[list[float]]]:
    """The seconds of all calls, by name and round.

    Args:
        calls: what is measured. Each is called some times before, untimed.
        rounds: how often each has its turn.
        seconds: how long a turn takes.
        clock: tells the time in seconds.
        watch: gives the rounds one by one, and may show how many are done.
    """
    counts = {name: calls_in(seconds, warm(call, clock)) for name, call in calls.items()}
    found: dict[str, list[list[float]]] = {name: [] for name in calls}
    for turn in watch(range(rounds)):
        for name in in_turn(list(calls), turn):
            call = calls[name]
            call()  # for caches that others have used meanwhile
            found[name].append([timed(call, clock) for _ in range(counts[name])])
    return found


def warm(call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Call until it is warm; the seconds of the later half of these calls."""
    call()  # which may compile
    seconds: list[float] = []
    start = clock()
    while len(seconds) < WARM_CALLS or clock() - start < WARM_SECONDS:
        seconds.append(timed(call, clock))
    return seconds[len(seconds) // 2 :]


def timed(call: Callable[[], Any], clock: Callable[[], float]) -> float:
    """The seconds of a call."""
    start = clock()
    call()
    return clock() - start


def calls_in(seconds: float, warm: Sequence[float]) -> int:
    """How many calls fit in a time, from the seconds of some."""
    return int(np.clip(round(seconds / float(np.median(warm))), FEWEST, MOST))


def in_turn(items: Sequence[T], turn: int) -> list[T]:
    """All of them, each time another one first; every other time around in reverse.

    So none always comes after the same one, whose leavings it would have to put up with.
    """
    first = turn % len(items)
    order = [*items[first:], *items[:first]]
    return order if turn // len(items) % 2 == 0 else order[::-1]


# --- numbers from seconds ---


def summarize(seconds: Mapping[str, Rounds], base: str) -> dict[str, Summary]:
    """Each of several, compared with one of them."""
    medians = {name: [float(np.median(r)) for r in rounds] for name, rounds in seconds.items()}
    return {
        name: _summary(rounds, medians[name], medians[base]) for name, rounds in seconds.items()
    }


def _summary(rounds: Rounds, medians: list[float], base: list[float]) -> Summary:
    ratios = [mine / its for mine, its in zip(medians, base, strict=True)]
    low, ratio, high = map(float, np.quantile(ratios, [0.25, 0.5, 0.75]))
    return Summary(
        median=float(np.median(medians)),
        minimum=min(map(min, rounds)),
        medians=medians,
        calls=sum(map(len, rounds)),
        ratio=ratio,
        low=low,
        high=high,
        ratios=ratios,
    )


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean of ratios: twice as fast and half as fast are 1. NaN of none."""
    logarithms = [math.log(ratio) for ratio in ratios]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else math.nan


# --- words ---


def ratio_text(value: float) -> str:
    """Two digits behind the point; from 10 on and below 0.1, three and two digits that count."""
    if value >= 99.95:
        return f"{value:.0f}"
    return (
        f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.0995 else f"{value:.2g}"
    )


def duration_text(seconds: float) -> str:
    """Three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
