"""Finished statistics of groups: each figure rounded once from exact sums, quantiles by sketch.

A row a group: the group's columns; ``rows``; ``count``, of those with a weight; ``weight``, the sum
of weights, of weighted rows; then of each measure ``mean``, ``standard_error``, ``min``, ``max``,
quantiles as ``q50`` or ``q99.9``, ``nan`` and ``infinite``. All but the first measure have their
name and ``_`` before these.

Means follow IEEE 754: with a NaN they are NaN, with an infinity that one, with both NaN; standard
errors then are NaN. Extremes and quantiles are of all values but NaN. What is of no value is null,
as the standard error is of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InputError
from .collected import Collected
from .measure import Measure
from .rounding import quotient, ratio_error, standard_error

Array = np.ndarray[Any, Any]


def quantile_name(level: float) -> str:
    """The column of a quantile: q50 for 0.5, q99.9 for 0.999."""
    return f"q{float(f'{100 * level:.12g}'):.12g}"


def figures(measures: Sequence[str], weighted: bool, quantiles: Sequence[float]) -> list[str]:
    """The names of the columns beside those of the group."""
    names = [
        "mean", "standard_error", "min", "max", *map(quantile_name, quantiles), "nan", "infinite",
    ]  # fmt: skip
    prefixes = [prefix(i, name) for i, name in enumerate(measures)]
    whole = ["rows", "count", *(["weight"] if weighted else [])]
    return whole + [before + name for before in prefixes for name in names]


def prefix(i: int, measure: str) -> str:
    """What stands before the figures of the i-th measure: nothing for the loss."""
    return "" if i == 0 else f"{measure}_"


def require_names(
    by: Sequence[str],
    weighted: bool,
    quantiles: Sequence[float],
    measures: Sequence[str] = ("loss",),
) -> None:
    """Refuse quantiles that are none, and columns of groups that are named as a figure is.

    Raises:
        InputError: naming them.
    """
    wrong = [level for level in quantiles if not 0 <= level <= 1]
    if wrong:
        raise InputError(f"quantiles: expected numbers between 0 and 1, got {wrong[0]!r}")
    taken = set(figures(measures, weighted, quantiles))
    for name in by:
        if name in taken:
            raise InputError(f"column {name!r} has the name of a figure: rename it to group by it")


def finished(groups: Collected, quantiles: Sequence[float]) -> pa.Table:
    """The table of finished statistics."""
    require_names(groups.by, groups.weighted, quantiles, tuple(groups.measures))
    count = len(groups)
    columns = dict(zip(groups.by, groups.keys.columns(), strict=True))
    columns |= {"rows": groups.rows[:count], "count": groups.count[:count]}
    if groups.weighted:
        integers, exponent = groups.weights[0].integers(count)
        columns["weight"] = pa.array([quotient(n, 1, exponent) for n in integers], _FLOAT)
    for i, (name, measure) in enumerate(groups.measures.items()):
        before = prefix(i, name)
        columns |= {before + key: value for key, value in _of(groups, measure, quantiles)}
    return pa.table(columns).take(groups.keys.order())


_FLOAT = pa.float64()


def _of(groups: Collected, measure: Measure, levels: Sequence[float]) -> Iterator[tuple[str, Any]]:
    count = len(groups)
    means, errors = _means(groups, measure)
    some = groups.count[:count] > measure.nans[:count]
    yield "mean", pa.array(means, _FLOAT)
    yield "standard_error", pa.array(errors, _FLOAT)
    yield "min", pa.array(measure.least[:count], _FLOAT, mask=~some)
    yield "max", pa.array(measure.most[:count], _FLOAT, mask=~some)
    found = measure.quantiles(np.array(levels, np.float64), count)
    for i, level in enumerate(levels):
        yield quantile_name(level), pa.array(found[:, i], _FLOAT, mask=~some)
    yield "nan", measure.nans[:count]
    yield "infinite", measure.below[:count] + measure.above[:count]


def _means(groups: Collected, measure: Measure) -> tuple[list[float | None], list[float | None]]:
    """Means and their standard errors."""
    finish = _ratios(groups, measure) if groups.weighted else _averages(groups, measure)
    means: list[float | None] = []
    errors: list[float | None] = []
    special = (measure.nans + measure.below + measure.above) > 0
    for i, count in enumerate(groups.count[: len(groups)].tolist()):
        if not count:
            mean, error = None, None
        elif special[i]:
            mean = _special(measure, i)
            error = math.nan if count > 1 else None
        else:
            mean, error = finish(i, count)
        means.append(mean)
        errors.append(error)
    return means, errors


def _special(measure: Measure, i: int) -> float:
    if measure.nans[i] or (measure.below[i] and measure.above[i]):
        return math.nan
    return -math.inf if measure.below[i] else math.inf


def _averages(groups: Collected, measure: Measure) -> Any:
    values, exponent = measure.sums.integers(len(groups))
    squares, below = measure.squares.integers(len(groups))

    def finish(i: int, count: int) -> tuple[float, float | None]:
        mean = quotient(values[i], count, exponent)
        return mean, standard_error(count, values[i], squares[i], exponent, below)

    return finish


def _ratios(groups: Collected, measure: Measure) -> Any:
    assert measure.crossed is not None
    sums = (groups.weights[0], measure.sums, groups.weights[1], measure.crossed, measure.squares)
    (weights, e), (values, f), *second = (each.integers(len(groups)) for each in sums)
    exponents = (e, f, *(each[1] for each in second))

    def finish(i: int, count: int) -> tuple[float, float | None]:
        squares = [each[0][i] for each in second]
        mean = quotient(values[i], weights[i], f - e)
        return mean, ratio_error(count, (weights[i], values[i]), squares, exponents)

    return finish
