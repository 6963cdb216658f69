"""Quotients of what vanishes together: their values and derivatives of two orders, near 0 too."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

import lossgraph as lg

POINTS = (
    0.0, 1e-8, -1e-6, 1e-3, 0.01, 0.1, 0.124, 0.126, -0.2, 0.3, 0.49, 0.51, -0.7, 0.99, 1.01, -0.9,
    3.0, 20.0,
)  # fmt: skip
# name: (body, the same in mpmath, power series at 0: value, slope, half the second derivative)
QUOTIENTS = {
    "(exp(x)-1)/x": (lambda F, x: (F.exp(x) - 1) / x, lambda x: mp.expm1(x) / x, (1, 1 / 2, 1 / 6)),
    "expm1(-x)/x": (lambda F, x: F.expm1(-x) / x, lambda x: mp.expm1(-x) / x, (-1, 1 / 2, -1 / 6)),
    "(1-exp(-x))/x": (
        lambda F, x: (1 - F.exp(-x)) / x, lambda x: -mp.expm1(-x) / x, (1, -1 / 2, 1 / 6)),
    "(1-exp(-3x))/x": (
        lambda F, x: (1 - F.exp(-3 * x)) / x, lambda x: -mp.expm1(-3 * x) / x, (3, -4.5, 4.5)),
    "x/(exp(x)-1)": (
        lambda F, x: x / (F.exp(x) - 1), lambda x: x / mp.expm1(x), (1, -1 / 2, 1 / 12)),
    "log(1+x)/x": (lambda F, x: F.log(1 + x) / x, lambda x: mp.log1p(x) / x, (1, -1 / 2, 1 / 3)),
    "sin(x)/x": (lambda F, x: F.sin(x) / x, lambda x: mp.sin(x) / x, (1, 0, -1 / 6)),
    "sinh(x)/x": (lambda F, x: F.sinh(x) / x, lambda x: mp.sinh(x) / x, (1, 0, 1 / 6)),
    "tanh(x)/x": (lambda F, x: F.tanh(x) / x, lambda x: mp.tanh(x) / x, (1, 0, -1 / 3)),
    "tanh(x/2)/x": (
        lambda F, x: F.tanh(x / 2) / x, lambda x: mp.tanh(x / 2) / x, (0.5, 0, -1 / 24)),
    "x/tanh(x)": (lambda F, x: x / F.tanh(x), lambda x: x / mp.tanh(x), (1, 0, 1 / 3)),
    "arctan(x)/x": (lambda F, x: F.arctan(x) / x, lambda x: mp.atan(x) / x, (1, 0, -1 / 3)),
    "erf(x)/x": (
        lambda F, x: F.erf(x) / x, lambda x: mp.erf(x) / x,
        (2 / np.sqrt(np.pi), 0, -2 / 3 / np.sqrt(np.pi))),
    "(1-cos(x))/x": (lambda F, x: (1 - F.cos(x)) / x, lambda x: (1 - mp.cos(x)) / x, (0, 1 / 2, 0)),
    "(1-cos(x))/x^2": (
        lambda F, x: (1 - F.cos(x)) / x**2, lambda x: (1 - mp.cos(x)) / x**2, (1 / 2, 0, -1 / 24)),
    "(1-cos(x))/x/x": (
        lambda F, x: (1 - F.cos(x)) / x / x, lambda x: (1 - mp.cos(x)) / x**2, (1 / 2, 0, -1 / 24)),
}  # fmt: skip
# Half the digits of the dtype are lost at most to the two divisions by the radius of the series.
TOLERANCE = {"float32": (2e-5, 2e-5), "float64": (1e-12, 1e-12)}


def exact(function, series, x):
    if x == 0:
        return [series[0], series[1], 2 * series[2]]
    with mp.workdps(60):
        point = mp.mpf(float(x))
        return [float(function(point)), *(float(mp.diff(function, point, n)) for n in (1, 2))]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", QUOTIENTS)
def test_a_quotient_has_its_limit_and_its_digits(name, dtype):
    body, function, series = QUOTIENTS[name]
    x = np.array(POINTS, dtype)
    types = {"x": (dtype, ("N",))}
    value, first = lg.compile(body, types, grad=("x",))(x)
    _, second = lg.compile(lambda F, x: lg.grad(body(F, x), x), types, grad=("x",))(x)
    wanted = np.array([exact(function, series, each) for each in x]).T
    rtol, atol = TOLERANCE[dtype]
    for actual, expected in zip([value, first["x"], second["x"]], wanted, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol * abs(wanted[2]).max())


def test_a_large_argument_keeps_its_quotient():
    x = np.array([-1e4, 80.0], np.float32)
    value, grads = lg.compile(
        lambda F, x: (F.exp(x) - 1) / x, {"x": ("float32", ("N",))}, grad=("x",)
    )(x)
    np.testing.assert_allclose(value, [1e-4, np.expm1(80.0) / 80], rtol=1e-5)
    np.testing.assert_allclose(grads["x"], [1e-8, np.exp(80.0) * 79 / 6400], rtol=1e-4)


def test_a_nan_stays():
    types = {"x": ("float64", ("N",))}
    for body, _, _ in QUOTIENTS.values():
        value, grads = lg.compile(body, types, grad=("x",))(np.array([np.nan]))
        assert np.isnan(value[0])
        assert np.isnan(grads["x"][0])
