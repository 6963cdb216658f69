"""Naive formulas composed at random are right at the extremes, in value and slope."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import lossgraph as lg
from naive_formulas import POINTS, exact, random_formula
from tolerances import TOLERANCE

NEAR = tuple(point for point in POINTS if abs(point) < 1000)  # where many digits cost little


@functools.cache
def truth(seed, points):
    formula, _ = random_formula(seed)
    return [(point, exact(formula, point)) for point in points]


def check(seed, dtype, points=POINTS):
    """A formula's value and slope where the exact ones are numbers of the dtype."""
    formula, text = random_formula(seed)
    body = lambda F, x: formula(F, x)  # noqa: E731
    run = lg.compile(body, {"x": (dtype, ("N",))}, grad=("x",))
    info = np.finfo(dtype)
    there = [
        (p, e) for p, e in truth(seed, points) if e and all(abs(part) < info.max for part in e)
    ]
    value, grads = run(np.array([p for p, _ in there], dtype))
    rtol, atol = TOLERANCE[dtype]
    for (point, e), *found in zip(there, value, grads["x"], strict=True):
        # A value may be the difference of logarithms, which are as large as the point.
        for actual, right, size in zip(found, e, (max(abs(point), 1), 1), strict=True):
            assert abs(float(actual) - float(right)) <= rtol * abs(right) + atol * size, (
                f"seed {seed}, {dtype}, {text} at {point}: {found}, not {[*map(float, e)]}"
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(30))
def test_value_and_slope(seed, dtype):
    """Of thousands that hold: ``check`` takes any seed."""
    check(seed, dtype, POINTS if seed % 10 == 0 else NEAR)
