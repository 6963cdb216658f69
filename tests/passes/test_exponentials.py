"""Exponentials, logarithms and what cancels: written in any way, value and slope are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import symbolic
from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import toposort, variable
from lossgraph.ir.types import TensorType
from lossgraph.passes.rewrite import rewrite
from lossgraph.passes.rules import STABILIZE
from naive_formulas import exact
from support import SPECIAL, assert_close

NEAR = (0.0, 1.0, -1.0, 2.0**-27, 20.0, -20.0, 200.0, -200.0)
FAR = (1e4, -1e4)
ROOT_HALF = math.sqrt(0.5)

# Formulas of one number, held to mpmath at NEAR, the first ones at FAR too.
AT_ALL = {
    "log(exp(x)-1)": lambda o, x: o.log(o.exp(x) - 1),
    "log(exp(x)+2)": lambda o, x: o.log(o.exp(x) + 2),
    "exp(x)/(1+exp(x))**2": lambda o, x: o.exp(x) / (1 + o.exp(x)) ** 2,
    "tanh by exponentials": lambda o, x: (o.exp(x) - o.exp(-x)) / (o.exp(x) + o.exp(-x)),
    "log(1-tanh(x)**2)": lambda o, x: o.log(1 - o.tanh(x) ** 2),
    "log(log(1+exp(x)))": lambda o, x: o.log(o.log(1 + o.exp(x))),
    "exp(x)*exp(-x)": lambda o, x: o.exp(x) * o.exp(-x),
}
FORMULAS = {
    **AT_ALL,
    "log(2*exp(x)+3)": lambda o, x: o.log(2 * o.exp(x) + 3),
    "log(exp(2x)-exp(x))": lambda o, x: o.log(o.exp(2 * x) - o.exp(x)),
    "log(1-exp(-x))": lambda o, x: o.log(1 - o.exp(-x)),
    "log1p(-exp(-x))": lambda o, x: o.log1p(-o.exp(-x)),
    "log(1+exp(x)+exp(2x))": lambda o, x: o.log(1 + o.exp(x) + o.exp(2 * x)),
    "log(1+x*exp(x))": lambda o, x: o.log(1 + x * o.exp(x)),
    "log1p(x*x*exp(x))": lambda o, x: o.log1p(x * x * o.exp(x)),
    "log(sinh(x))": lambda o, x: o.log(o.sinh(x)),
    "log(1+tanh(x))": lambda o, x: o.log(1 + o.tanh(x)),
    "log1p(tanh(x))": lambda o, x: o.log1p(o.tanh(x)),
    "arctanh(tanh(x))": lambda o, x: 0.5 * o.log((1 + o.tanh(x)) / (1 - o.tanh(x))),
    "log-odds": lambda o, x: o.log(o.sigmoid(x) / (1 - o.sigmoid(x))),
    "log(1-sigmoid(x)**2)": lambda o, x: o.log(1 - o.sigmoid(x) ** 2),
    "log(-log(sigmoid(x)))": lambda o, x: o.log(-o.log(o.sigmoid(x))),
    "log(1-exp(-softplus(x)))": lambda o, x: o.log(1 - o.exp(-o.log(1 + o.exp(x)))),
    "log(1-exp(-exp(x)))": lambda o, x: o.log(1 - o.exp(-o.exp(x))),
    "log(sqrt(1+exp(2x)))": lambda o, x: o.log(o.sqrt(1 + o.exp(2 * x))),
    "1/(1+exp(x))**3": lambda o, x: 1 / (1 + o.exp(x)) ** 3,
    "4/(exp(x)+exp(-x))**2": lambda o, x: 4 / (o.exp(x) + o.exp(-x)) ** 2,
    "(exp(2x)-1)/(exp(2x)+1)": lambda o, x: (o.exp(2 * x) - 1) / (o.exp(2 * x) + 1),
    "1-2/(1+exp(2x))": lambda o, x: 1 - 2 / (1 + o.exp(2 * x)),
    "2*sigmoid(2x)-1": lambda o, x: 2 * o.sigmoid(2 * x) - 1,
    "sinh(x)/cosh(x)": lambda o, x: o.sinh(x) / o.cosh(x),
    "1-tanh(x)": lambda o, x: 1 - o.tanh(x),
    "x*exp(x)/(1+exp(x))": lambda o, x: x * o.exp(x) / (1 + o.exp(x)),
    "sigmoid(x)/softplus(x)": lambda o, x: o.sigmoid(x) / o.log(1 + o.exp(x)),
    "exp(x)*sigmoid(-x)": lambda o, x: o.exp(x) * o.sigmoid(-x),
    "a ratio of three": lambda o, x: (o.exp(x) + 2 * o.exp(2 * x)) / (1 + o.exp(x) + o.exp(2 * x)),
    "exp(x)/(exp(x)-1)": lambda o, x: o.exp(x) / (o.exp(x) - 1),
    "1/sqrt(1+exp(2x))": lambda o, x: 1 / o.sqrt(1 + o.exp(2 * x)),
    "focal, gamma 1/2": lambda o, x: -((1 - o.sigmoid(x)) ** 0.5) * o.log(o.sigmoid(x)),
    "exp(-x-exp(-x))": lambda o, x: o.exp(-x - o.exp(-x)),
    "1-exp(-exp(x))": lambda o, x: 1 - o.exp(-o.exp(x)),
    "mish": lambda o, x: x * ((1 + o.exp(x)) ** 2 - 1) / ((1 + o.exp(x)) ** 2 + 1),
    "sqrt(1+x*x)-1": lambda o, x: o.sqrt(1 + x * x) - 1,
    "1-cos(x)": lambda o, x: 1 - o.cos(x),
    "cos(x)-1": lambda o, x: o.cos(x) - 1,
}
# Of the normal distribution, whose tails underflow sooner: at TAILS.
TAILS = (0.0, 1.0, -1.0, 2.0**-27, 10.0, -10.0)
NORMAL = {
    "log cdf": lambda o, x: o.log(0.5 * (1 + o.erf(x * ROOT_HALF))),
    "log cdf, spread": lambda o, x: o.log(0.5 + 0.5 * o.erf(x / math.sqrt(2))),
    "log cdf, halved": lambda o, x: o.log((1 + o.erf(x * ROOT_HALF)) / 2),
    "log of the upper tail": lambda o, x: o.log(1 - 0.5 * (1 + o.erf(x * ROOT_HALF))),
    "log erfc": lambda o, x: o.log(1 - o.erf(x)),
    "log1p(erf(x))": lambda o, x: o.log1p(o.erf(x)),
    "log(1-erf(x)**2)": lambda o, x: o.log(1 - o.erf(x) ** 2),
}


def hold(formula, points, dtype):
    """A formula's value and slope where they are numbers of the dtype."""
    info = np.finfo(dtype)
    found = [(point, exact(formula, point)) for point in points]
    found = [(p, e) for p, e in found if e and all(abs(part) < info.max for part in e)]
    run = lg.compile(lambda F, x: formula(F, x), {"x": (dtype, ("N",))}, grad=("x",))
    value, grads = run(np.array([point for point, _ in found], dtype))
    for actual, i in ((value, 0), (grads["x"], 1)):
        assert_close(actual, np.array([float(e[i]) for _, e in found], dtype))
    assert found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_slope(name, dtype):
    hold(FORMULAS[name], NEAR, dtype)


@pytest.mark.parametrize("name", AT_ALL)
def test_value_and_slope_far_out(name):
    hold(AT_ALL[name], FAR, "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NORMAL)
def test_tails_of_the_normal_distribution(name, dtype):
    hold(NORMAL[name], TAILS, dtype)


ROWS = np.array([[0.0, 1, 2], [200, 0, 1], [-200, -300, -250], [1e4, 0, -1e4], [3, 3, 3]])
W = np.array([0.5, 2, 1])


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _lse(x):
    top = x.max(-1, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(-1, keepdims=True)))[:, 0]


def _others(x):
    return np.stack([_lse(np.delete(x, i, 1)) for i in range(x.shape[1])], 1)


def _slope_of_others(x):
    """Of sum log(1-softmax(x)): every element counts in the sums of the others."""
    total = np.zeros_like(x)
    for i in range(x.shape[1]):
        rest = [j for j in range(x.shape[1]) if j != i]
        total[:, rest] += _softmax(x[:, rest])
    return total - x.shape[1] * _softmax(x)


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


# name: (body, exact value, exact slope)
ROWWISE = {
    "log(1-softmax(x))": (
        lambda F, x: F.sum(F.log(1 - F.softmax(x)), axis=1),
        lambda x: (_others(x) - _lse(x)[:, None]).sum(1),
        _slope_of_others,
    ),
    "log1p(-softmax by hand)": (
        lambda F, x: F.sum(F.log1p(-F.exp(x) / F.sum(F.exp(x), axis=1, keepdims=True)), axis=1),
        lambda x: (_others(x) - _lse(x)[:, None]).sum(1),
        _slope_of_others,
    ),
    "log(prod(sigmoid(x)))": (
        lambda F, x: F.log(F.prod(F.sigmoid(x), axis=1)),
        lambda x: -np.logaddexp(0, -x).sum(1),
        lambda x: _sigmoid(-x),
    ),
    "log(sum(w*exp(x)))": (
        lambda F, x: F.log(F.sum(F.exp(x) * F.array(W), axis=1)),
        lambda x: _lse(x + np.log(W)),
        lambda x: _softmax(x + np.log(W)),
    ),
    "log(1+sum(exp(x)))": (
        lambda F, x: F.log(1 + F.sum(F.exp(x), axis=1)),
        lambda x: np.logaddexp(0, _lse(x)),
        lambda x: _softmax(np.pad(x, ((0, 0), (0, 1))))[:, :-1],
    ),
    "log(mean(exp(x)))": (
        lambda F, x: F.log(F.mean(F.exp(x), axis=1)),
        lambda x: _lse(x) - np.log(3),
        _softmax,
    ),
    "sum(w*exp(x))/sum(exp(x))": (
        lambda F, x: F.sum(F.exp(x) * F.array(W), axis=1) / F.sum(F.exp(x), axis=1),
        lambda x: (_softmax(x) * W).sum(1),
        lambda x: _softmax(x) * (W - (_softmax(x) * W).sum(1, keepdims=True)),
    ),
    "exp(x)/(1+sum(exp(x)))": (
        lambda F, x: F.sum(
            F.exp(x) / (1 + F.sum(F.exp(x), axis=1, keepdims=True)), axis=1),
        lambda x: np.exp(_lse(x) - np.logaddexp(0, _lse(x))),
        lambda x: _softmax(x) * (_sigmoid(_lse(x)) * _sigmoid(-_lse(x)))[:, None],
    ),
    "log(sum(softmax(x)[:2]))": (
        lambda F, x: F.log(F.sum(F.softmax(x)[:, :2], axis=1)),
        lambda x: _lse(x[:, :2]) - _lse(x),
        lambda x: np.pad(_softmax(x[:, :2]), ((0, 0), (0, 1))) - _softmax(x),
    ),
    "sqrt(sum(exp(x)**2))": (
        lambda F, x: F.log(F.sqrt(F.sum(F.exp(x) ** 2, axis=1))),
        lambda x: _lse(2 * x) / 2,
        lambda x: _softmax(2 * x),
    ),
    "softmax of all, by hand": (
        lambda F, x: F.log(F.exp(x[:, 0]) / F.sum(F.exp(x), axis=1)),
        lambda x: x[:, 0] - _lse(x),
        lambda x: np.eye(3)[0] - _softmax(x),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROWWISE)
def test_rows(name, dtype):
    body, value, slope = ROWWISE[name]
    run = lg.compile(body, {"x": (dtype, ("N", 3))}, grad=("x",))
    actual, grads = run(ROWS.astype(dtype))
    assert_close(actual, value(ROWS).astype(dtype))
    assert_close(grads["x"], slope(ROWS).astype(dtype))


P = np.array([0.0, 0.5, np.nan, 0.5, 0.0, 1.0])
Q = np.array([0.5, 0.25, 0.5, np.nan, 0.0, 0.5])
LOG2 = np.log(2)
DIVERGENCE = [0, LOG2 / 2, np.nan, np.nan, 0, LOG2]
ENTROPIES = {
    "p*log(p/q)": lambda F, p, q: p * F.log(p / q),
    "p*(log(p)-log(q))": lambda F, p, q: p * (F.log(p) - F.log(q)),
    "log(p)*p-p*log(q)": lambda F, p, q: F.log(p) * p - p * F.log(q),
    "-p*log(q/p)": lambda F, p, q: -p * F.log(q / p),
    "p*log2(p/q)*log(2)": lambda F, p, q: p * (F.log2(p) - F.log2(q)) * LOG2,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ENTROPIES)
def test_divergences_have_their_limits(name, dtype):
    """0 where p is, without a slope by q; NaN stays."""
    types = {"p": (dtype, ("N",)), "q": (dtype, ("N",))}
    run = lg.compile(ENTROPIES[name], types, grad=("p", "q"))
    value, grads = run(P.astype(dtype), Q.astype(dtype))
    assert_close(value, np.array(DIVERGENCE, dtype))
    assert_close(grads["q"], np.array([0, -2, np.nan, np.nan, 0, -2], dtype))
    by_p = np.array([-np.inf, LOG2 + 1, np.nan, np.nan, LOG2 + 1], dtype)
    assert_close(grads["p"][[0, 1, 2, 3, 5]], by_p)


def test_entropy_and_cross_entropy_at_zero():
    def body(F, p, y):
        return -F.sum(p * F.log(p), axis=1) - F.sum(y * F.log(p), axis=1)

    p, y = np.array([[0, 1], [0.5, 0.5]]), np.array([[0.0, 1], [0, 1]])
    types = {"p": ("float64", ("N", 2)), "y": ("float64", ("N", 2))}
    value, grads = lg.compile(body, types, grad=("p",))(p, y)
    assert_close(value, np.array([0, 2 * LOG2]))
    assert_close(grads["p"], np.array([[np.inf, -2], [LOG2 - 1, LOG2 - 3]]))


# Formulas that are rewritten, on special values: what they show, their rewritten form shows.
NAIVE = {
    "log(exp(x)-1)": lambda x: ops.log(ops.exp(x) - 1),
    "logistic density": lambda x: ops.exp(x) / ((1 + ops.exp(x)) * (1 + ops.exp(x))),
    "tanh": lambda x: (ops.exp(x) - ops.exp(-x)) / (ops.exp(x) + ops.exp(-x)),
    "three": lambda x: 1 / (1 + ops.exp(x) + ops.exp(x * 2)),
    "1-tanh^2": lambda x: 1 - ops.tanh(x) * ops.tanh(x),
    "log1p(tanh)": lambda x: ops.log1p(ops.tanh(x)),
    "exp(x)*exp(-x)": lambda x: ops.exp(x) * ops.exp(-x),
    "log(x*exp(x)+1)": lambda x: ops.log(x * ops.exp(x) + 1),
    "exp(-exp(x))": lambda x: ops.exp(-ops.exp(x)),
    "max": lambda x: ops.log(ops.maximum(ops.exp(x), 0.5)),
    "x*log(x)": lambda x: x * ops.log(x),
    "x*(log1p(x)-2*log(x))": lambda x: x * (ops.log1p(x) - ops.log(x) * 2),
    "sqrt(1+x)-1": lambda x: ops.sqrt(1 + x) - 1,
}


@pytest.mark.parametrize("name", NAIVE)
def test_what_was_right_stays(name):
    """Finite values, infinities that are limits, and every NaN of the input; and it ends."""
    x = variable("x", TensorType("float64", (len(SPECIAL),)))
    points = {"x": np.array(SPECIAL)}
    naive = NAIVE[name](x)
    (stable,) = rewrite([naive], STABILIZE)
    assert stable is not naive
    assert rewrite([stable], STABILIZE)[0] is stable
    before, after = evaluate([naive, stable], points)
    there = np.isfinite(before)
    assert_close(after[there], before[there], tolerance=(1e-7, 1e-9))
    assert np.isnan(after[np.isnan(points["x"])]).all()


@pytest.mark.parametrize(
    "build",
    [
        lambda x: ops.log(2 + ops.tanh(x)),
        lambda x: ops.log(1e-7 + ops.softmax(x, (1,))),
        lambda x: ops.exp(x) * x,
        lambda x: ops.sigmoid(x) * ops.sigmoid(x),
        lambda x: ops.exp(ops.minimum(x, 5.0)) / (1 + ops.exp(ops.minimum(x, 5.0))) * x / x,
        lambda x: ops.exp(x - ops.reduce_max(x, (1,))) * 3,
        lambda x: ops.log1p(ops.sinh(x) * ops.sinh(x) * 2),
    ],
)
def test_what_is_right_as_it_is_keeps_its_operations(build):
    """Nothing is scaled where nothing overflows."""
    (after,) = rewrite([build(variable("x", TensorType("float32", (2, 3))))], STABILIZE)
    names = {node.op for node in toposort([after])}
    assert not names & {ops.stop_gradient, ops.logaddexp, ops.log1m_exp, ops.log_softplus}


def test_a_sum_over_nothing_has_no_largest_term():
    x = lg.symbol("x", "float32", (0, 0))
    (first,) = lg.grad(symbolic.exp(symbolic.abs(x)), [x])
    run = lg.compile(lg.grad(symbolic.sum(first), [x]))
    (second,) = run(x=np.zeros((0, 0), "float32"))
    assert second.shape == (0, 0)


def test_what_is_multiplied_by_zero_is_no_term_of_a_sum():
    y = lg.symbol("y", "float32", (2, 2))
    (first,) = lg.grad(symbolic.erf(symbolic.square(y * 0)), [y])
    run = lg.compile(lg.grad(symbolic.sum(first), [y]))
    (second,) = run(y=np.ones((2, 2), "float32"))
    assert_close(second, np.zeros((2, 2)))
