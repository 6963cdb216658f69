"""Logarithms of what overflows, underflows or cancels, against mpmath: value and derivative."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.passes import autodiff
from support import assert_close, run_ort, symbol

mp = pytest.importorskip("mpmath")

DIGITS = {"float32": (3e-6, 1e-37), "float64": (3e-14, 1e-300)}
SMALL = 10.0 ** -np.arange(1, 30)
SIZES = np.concatenate([SMALL, np.linspace(0.05, 12, 80), [26.0, 100, 1e4]])
BOTH = np.concatenate([SIZES, -SIZES, [0.0]])


def _slope_of_log_erfc(x):
    return -2 / mp.sqrt(mp.pi) / (mp.exp(x * x) * mp.erfc(x))


# operation: its value, its derivative, where
FUNCTIONS = {
    "erfc": (mp.erfc, lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x), BOTH),
    "log_erfc": (lambda x: mp.log1p(-mp.erf(x)) if x < 0.5 else mp.log(mp.erfc(x)),
                 _slope_of_log_erfc, BOTH),
    "log1m_exp": (lambda x: mp.log(-mp.expm1(x)), lambda x: mp.exp(x) / mp.expm1(x), -SIZES),
    "log_softplus": (lambda x: mp.log(mp.log1p(mp.exp(x))),
                     lambda x: 1 / ((1 + mp.exp(-x)) * mp.log1p(mp.exp(x))), BOTH),
    "log_cloglog": (lambda x: mp.log(-mp.expm1(-mp.exp(x))),
                    lambda x: mp.exp(x - mp.exp(x)) / -mp.expm1(-mp.exp(x)), BOTH[BOTH < 2]),
    "sqrt1p_minus1": (lambda x: mp.sqrt(1 + x) - 1, lambda x: 1 / (2 * mp.sqrt(1 + x)),
                      np.concatenate([SIZES, -SMALL])),
}  # fmt: skip


def _floats(exact, dtype):
    """Rounded, and 0 below the normal numbers, where engines may flush."""
    tiny = float(np.finfo(dtype).tiny)
    return np.array([float(v) if abs(v) >= tiny else 0.0 for v in exact])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_digits(name, dtype):
    value, slope, points = FUNCTIONS[name]
    points = points.astype(dtype)
    x = symbol("x", dtype, points.shape)
    node = getattr(ops, name)(x)
    roots = [node, *autodiff.grad(node, [x])]
    with mp.workdps(60):
        exact = [[f(mp.mpf(float(p))) for p in points] for f in (value, slope)]
    for found in (run_ort(roots, {"x": points}), evaluate(roots, {"x": points})):
        for actual, expected in zip(found, exact, strict=True):
            tiny = np.finfo(dtype).tiny
            actual = np.where(np.abs(actual) < tiny, 0, actual)
            assert_close(actual.astype(np.float64), _floats(expected, dtype),
                         tolerance=DIGITS[dtype])  # fmt: skip


ROWS = np.array([[0.0, 1, 2], [200, 0, 1], [0, 0, 1e4], [-1e4, 5, 5], [3, 3, 3], [50, 49, -50]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logsumexp_of_the_others(dtype):
    rows = ROWS.astype(dtype)
    x, ct = (symbol(name, dtype, rows.shape) for name in ("x", "ct"))
    weights = np.array([0.5, -2, 1], dtype) * np.ones_like(rows)
    node = ops.logsumexp_others(x, 1)
    found = run_ort([node, *autodiff.vjp([node], [ct], [x])], {"x": rows, "ct": weights})
    values, slopes = np.zeros(ROWS.shape), np.zeros(ROWS.shape)
    with mp.workdps(30):
        for r, row in enumerate(ROWS):
            for i in range(3):
                total = mp.fsum(mp.exp(row[j]) for j in range(3) if j != i)
                values[r, i] = mp.log(total)
                for j in range(3):
                    if j != i:
                        slopes[r, j] += float(weights[r, i] * mp.exp(row[j]) / total)
    assert_close(found[0], values.astype(dtype))
    assert_close(found[1], slopes.astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_with_logarithms_at_zero(dtype):
    """0 where the factor is, with the slope of the limit; NaN stays."""
    p = np.array([0, 0, 0.5, np.nan, 0, 1], dtype)
    q = np.array([0.5, 0, 0.25, 1, np.nan, 0], dtype)
    x, y = (symbol(name, dtype, p.shape) for name in "xy")
    log2 = np.log(2)
    cases = {
        ops.xlogy: ([0, 0, -log2, np.nan, np.nan, -np.inf],
                    [-log2, -np.inf, -2 * log2, 0, np.nan, -np.inf],
                    [0, 0, 2, np.nan, np.nan, np.inf]),
        ops.relative_entropy: ([0, 0, 0.5 * log2, np.nan, np.nan, np.inf],
                               [-np.inf, 1, log2 + 1, np.nan, np.nan, np.inf],
                               [0, 0, -2, np.nan, np.nan, -np.inf]),
    }  # fmt: skip
    for op, expected in cases.items():
        node = op(x, y)
        found = run_ort([node, *autodiff.grad(node, [x, y])], {"x": p, "y": q})
        for actual, right in zip(found, expected, strict=True):
            assert_close(actual, np.array(right, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_derivatives_in_the_tails(dtype):
    x = symbol("x", dtype, (3,))
    points = np.array([-100.0, -1e4, -3], dtype)
    cases = {
        ops.log_softplus: lambda x: (
            lambda s, d: d * (1 - d) / s - (d / s) ** 2
        )(mp.log1p(mp.exp(x)), 1 / (1 + mp.exp(-x))),
        ops.log1m_exp: lambda x: -mp.exp(x) / mp.expm1(x) ** 2,
        ops.log_erfc: lambda x: -_slope_of_log_erfc(x) * (_slope_of_log_erfc(x) + 2 * x),
    }  # fmt: skip
    for op, exact in cases.items():
        node = op(x)
        second = autodiff.grad(*autodiff.grad(node, [x]), [x])
        with mp.workdps(60):
            expected = [float(exact(mp.mpf(float(p)))) for p in points]
        assert_close(run_ort(second, {"x": points})[0], np.array(expected, dtype))
