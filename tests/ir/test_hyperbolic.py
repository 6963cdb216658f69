"""Hyperbolic functions and their inverses against mpmath: all digits, wherever they are finite."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import symbolic as F

mp = pytest.importorskip("mpmath")

ULPS = 5  # of the result: some roundings of factors, and the engine's tanh and exp
FUNCTIONS = {
    "sinh": (mp.sinh, mp.cosh),
    "cosh": (mp.cosh, mp.sinh),
    "arcsinh": (mp.asinh, lambda x: 1 / mp.sqrt(1 + x * x)),
    "arccosh": (mp.acosh, lambda x: 1 / mp.sqrt(x * x - 1)),
}
LAST = {"float32": 89.4, "float64": 710.4}  # where sinh and cosh are still finite
LARGEST = {"float32": 37, "float64": 300}  # powers of ten


def arguments(name, dtype):
    """Random ones of all sizes, and those where simple formulas fail."""
    rng = np.random.default_rng(0)
    if name == "arccosh":
        return (1 + 10.0 ** rng.uniform(-6, LARGEST[dtype], 300)).astype(dtype)
    large = (
        10.0 ** rng.uniform(0, LARGEST[dtype], 100)
        if name == "arcsinh"
        else rng.uniform(0, LAST[dtype], 100)
    )
    small = 10.0 ** rng.uniform(-30, 0, 100)
    points = np.concatenate([large, small, [0, 8, 15, 18, 30, 88.9]])
    return np.concatenate([points, -points]).astype(dtype)


def distance(actual, exact, dtype):
    """The largest error in units of the last place; below the normal numbers, of those."""
    info = np.finfo(dtype)
    expected = np.array([float(value) for value in exact])
    return np.max(np.abs(actual - expected) / (np.abs(expected) * info.eps + info.tiny))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients(name, dtype):
    x = lg.symbol("x", dtype, ("N",))
    value, points = getattr(F, name)(x), arguments(name, dtype)
    function, derivative = FUNCTIONS[name]
    with mp.workdps(60):
        exact = [mp.mpf(float(point)) for point in points]
        values, slopes = [function(p) for p in exact], [derivative(p) for p in exact]
    assert distance(lg.compile(value)(points), values, dtype) < ULPS
    assert distance(lg.compile(lg.grad(F.sum(value), x))(points), slopes, dtype) < ULPS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("sinh", (np.inf, -np.inf, np.nan), (np.inf, np.inf, np.nan)),
        ("cosh", (np.inf, np.inf, np.nan), (np.inf, -np.inf, np.nan)),
        ("arcsinh", (np.inf, -np.inf, np.nan), (0, 0, np.nan)),
    ],
)
def test_special_values(name, dtype, values, slopes):
    x = lg.symbol("x", dtype, ("N",))
    value, points = getattr(F, name)(x), np.array([np.inf, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(lg.compile(value)(points), np.array(values, dtype))
    found = lg.compile(lg.grad(F.sum(value), x))(points)
    np.testing.assert_allclose(found, slopes, rtol=0, atol=np.finfo(dtype).tiny)


def test_second_derivatives():
    x = lg.symbol("x", "float64", ("N",))
    points = np.array([-2.0, 0.0, 0.5])
    for name, expected in (
        ("sinh", np.sinh(points)),
        ("cosh", np.cosh(points)),
        ("arcsinh", -points * (1 + points**2) ** -1.5),
    ):
        slope = lg.grad(F.sum(getattr(F, name)(x)), x)
        second = lg.compile(lg.grad(F.sum(slope), x))(points)
        np.testing.assert_allclose(second, expected, rtol=1e-12, atol=1e-14)
