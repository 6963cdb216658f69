"""log Gamma and its derivatives: digits everywhere above 0, poles, the tool's coefficients."""

from __future__ import annotations

import runpy
from importlib import import_module

import numpy as np
import pytest
import scipy.special as sp

from lossgraph import reference
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.errors import InputError
from lossgraph.ir import ops
from support import ROOT, assert_close, run_ort, symbol

STEPS = 2.0 ** -np.arange(1, 24)
# The zeros of log Gamma, where the digits of x - 1 and x - 2 must be those of the result.
NEAR_ZEROS = np.concatenate([1 - STEPS, 1 + STEPS, 2 - STEPS, 2 + STEPS])
SAMPLES = np.concatenate([np.logspace(-30, 30, 301), np.linspace(0.05, 12, 240), NEAR_ZEROS])


def log_gamma(x):
    """SciPy's, and between the zeros, where it has few digits, the integral's power series.

    lgamma(1+d) = -g d + sum (-d)^k zeta(k)/k, and lgamma(2+d) = lgamma(1+d) + log1p(d).
    """

    def series(d):
        k = np.arange(2, 60)
        terms = sp.zeta(k) / k * (-d[:, None]) ** k
        return -np.euler_gamma * d + terms.sum(1)

    exact = sp.gammaln(x)
    for zero, more in ((1, lambda d: 0), (2, np.log1p)):
        near = np.abs(x - zero) <= 0.26
        d = x[near] - zero
        exact[near] = series(d) + more(d)
    return exact


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-6), ("float64", 4e-15)])
def test_digits_relative_to_the_result(dtype, rtol):
    x = SAMPLES.astype(dtype)
    value = FunctionLoss(lambda F, x: F.gammaln(x))(x)
    assert_close(value, log_gamma(x.astype(np.float64)), tolerance=(rtol, 0))
    assert_close(FunctionLoss(lambda F, x: F.digamma(x))(x), sp.digamma(x.astype(np.float64)),
                 tolerance=(rtol, 0))  # fmt: skip


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-6), ("float64", 4e-15)])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_higher_derivatives(order, dtype, rtol):
    x = np.concatenate([np.logspace(-6, 6, 101), np.linspace(0.05, 12, 240)]).astype(dtype)
    (value,) = run_ort([ops.polygamma(symbol("x", dtype, x.shape), order)], {"x": x})
    assert_close(value, sp.polygamma(order, x.astype(np.float64)), tolerance=(rtol, 0))


def test_the_gradient_is_digamma_and_its_own_trigamma():
    x = np.array([1e-30, 0.3, 1.0, 1.4616321449683622, 2.0, 7.5, 1e30])
    _, grads = FunctionLoss(lambda F, x: F.gammaln(x)).value_and_grad(x)
    assert_close(grads["x"], sp.digamma(x), tolerance=(1e-13, 1e-15))
    _, grads = FunctionLoss(lambda F, x: F.digamma(x)).value_and_grad(x)
    assert_close(grads["x"], sp.polygamma(1, x), tolerance=(1e-13, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outside_the_domain(dtype):
    x = np.array([0.0, -0.0, np.inf, np.nan, -1e-30, -0.5, -1.0, -np.inf], dtype)
    nan = [np.nan] * 5
    for F_value, expected in (
        ("gammaln", [np.inf, np.inf, np.inf]),
        ("digamma", [-np.inf, np.inf, np.inf]),
    ):
        value = FunctionLoss(lambda F, x, name=F_value: getattr(F, name)(x))(x)
        np.testing.assert_array_equal(value, [*expected, *nan])
        by_numpy = getattr(reference, F_value)(reference.Array(x))
        np.testing.assert_array_equal(by_numpy.asnumpy(), [*expected, *nan])


def test_the_order_of_a_derivative_is_not_negative():
    with pytest.raises(InputError, match="order: expected 0 or more"):
        ops.polygamma(symbol("x", "float32", (3,)), -1)


def test_the_tool_prints_the_coefficients():
    pytest.importorskip("mpmath")
    tool = runpy.run_path(str(ROOT / "tools" / "special_coefficients"))
    modules = (
        import_module(f"lossgraph.ir.ops.{name}") for name in ("erf", "erfc", "erfinv", "gamma")
    )
    held = {name: value for module in modules for name, value in vars(module).items()}
    for name, (function, degree) in tool["POLYNOMIALS"].items():
        found = [float(c) for c in tool["powers"](function, degree)]
        np.testing.assert_allclose(found, held[name], rtol=1e-15)
    assert abs(tool["ZERO"] - tool["mp"].mpf(held["ZERO"]) - held["ZERO_REST"]) < 1e-22
