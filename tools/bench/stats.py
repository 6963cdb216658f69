"""Numbers from the seconds of calls, round by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

Rounds = Sequence[Sequence[float]]


class Summary(NamedTuple):
    """One peer in one case: seconds, and its time divided by that of what it is compared with.

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


def summarize(seconds: Mapping[str, Rounds], base: str) -> dict[str, Summary]:
    """Each peer, compared with one of them."""
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
