"""How far outputs are from what was expected, and how far they may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Tolerance(NamedTuple):
    """A number may differ from the expected b by ``absolute + relative * |b|``."""

    relative: float
    absolute: float


# Engines differ in exp and log by some units in the last place, and in the order of sums. A
# recursion over 60 steps adds such errors up: in float32, of 6e-8 each, that is some 1e-5 of the
# result, and an entry of a gradient is a difference of numbers up to 1. float16 and bfloat16 are
# one rounding, of 5e-4 and 4e-3, of intermediate results. Whatever is not in the table is exact.
TOLERANCES = {
    "float64": Tolerance(1e-9, 1e-10),
    "float32": Tolerance(1e-4, 1e-5),
    "float16": Tolerance(1e-2, 1e-3),
    "bfloat16": Tolerance(4e-2, 1e-2),
}
EXACT = Tolerance(0.0, 0.0)


@dataclass(frozen=True)
class Deviation:
    """How far an output is from the expected one.

    Attributes:
        error: the largest difference, relative to the expected number, or to 1 where that is
            smaller.
        share: the largest difference as a share of what is tolerated: at most 1 if it is right.
        wrong: what is wrong, empty if nothing is.
    """

    error: float
    share: float
    wrong: str = ""


def deviation(
    name: str, actual: Array | None, expected: Array, tolerance: Tolerance | None = None
) -> Deviation:
    """Compare an output with the expected one: NaN equals NaN, and infinities themselves.

    Args:
        name: of the output, for what is said.
        actual: the output, None if the engine did not give it.
        expected: what it ought to be.
        tolerance: instead of that of the dtype.
    """
    if actual is None:
        return Deviation(np.inf, np.inf, f"{name} is missing")
    if (actual.shape, actual.dtype) != (expected.shape, expected.dtype):
        given, wanted = (f"{a.dtype}{list(a.shape)}" for a in (actual, expected))
        return Deviation(np.inf, np.inf, f"{name} is {given} instead of {wanted}")
    own = TOLERANCES.get(expected.dtype.name, EXACT)
    relative, absolute = own if tolerance is None or own is EXACT else tolerance
    size = np.abs(expected.astype(np.float64))
    gap = _gap(actual, expected)
    share, error = _ratio(gap, absolute + relative * size), _ratio(gap, np.maximum(size, 1.0))
    return Deviation(
        float(error.max(initial=0.0)),
        float(share.max(initial=0.0)),
        _first_wrong(name, actual, expected, share),
    )


def worst(
    outputs: Mapping[str, Array],
    expected: Mapping[str, Array],
    tolerance: Tolerance | None = None,
) -> Deviation:
    """The deviation of the output that is furthest off."""
    all_ = [deviation(name, outputs.get(name), b, tolerance) for name, b in expected.items()]
    return max(all_, key=lambda found: (found.share, found.error))


def _gap(actual: Array, expected: Array) -> Array:
    """The differences: infinite between a number and what is none."""
    a, b = actual.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    gap = np.where(np.isnan(gap), np.inf, gap)
    return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, gap)


def _ratio(gap: Array, unit: Array) -> Array:
    """Nothing of anything is nothing; of what is infinite or zero, something is too much."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = gap / unit
    ratio = np.where(np.isfinite(gap) & np.isfinite(ratio), ratio, np.inf)
    return np.where(gap == 0, 0.0, ratio)


def _first_wrong(name: str, actual: Array, expected: Array, share: Array) -> str:
    wrong = np.argwhere(share > 1)
    if not len(wrong):
        return ""
    at = tuple(int(i) for i in wrong[0])
    place = f"{name}{list(at)}" if at else name
    others = f" ({len(wrong)} of {share.size} elements)" if share.size > 1 else ""
    return f"{place} is {actual[at]:.7g} instead of {expected[at]:.7g}{others}"
