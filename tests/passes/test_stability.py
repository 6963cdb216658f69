"""Losses written by hand, the naive way, are right at the extremes: value and gradient."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import symbolic
from support import assert_close

GRID = np.array([0.0, 1, -1, 50, -50, 200, -200, 1e4, -1e4])
ROWS = np.array([[a, b, c] for a in GRID for b in (0.0, 1.0, -1e4) for c in (0.5, 1e4)])
LABELS = np.arange(len(ROWS)) % 3


def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def softmax(x):
    return np.exp(log_softmax(x))


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def one_hot(y):
    return np.eye(3)[y]


# name: (body(F, x, y), exact value, exact gradient by x), elementwise, y a probability
ELEMENTWISE = {
    "bce": (
        lambda F, x, y: -(y * F.log(F.sigmoid(x)) + (1 - y) * F.log(1 - F.sigmoid(x))),
        lambda x, y: y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x),
        lambda x, y: (1 - y) * sigmoid(x) - y * sigmoid(-x),
    ),
    "bce, operands turned around": (
        lambda F, x, y: -(F.log(1 - F.sigmoid(x)) * (1 - y) + F.log(F.sigmoid(x)) * y),
        lambda x, y: y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x),
        lambda x, y: (1 - y) * sigmoid(x) - y * sigmoid(-x),
    ),
    "bce, ones_like": (
        lambda F, x, y: (
            -(y * F.log(F.sigmoid(x)) + (F.ones_like(y) - y) * F.log(F.ones_like(x) - F.sigmoid(x)))
        ),
        lambda x, y: y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x),
        lambda x, y: (1 - y) * sigmoid(x) - y * sigmoid(-x),
    ),
    "bce of a written-out sigmoid": (
        lambda F, x, y: (
            -(y * F.log(1 / (1 + F.exp(-x))) + (1 - y) * F.log(1 - 1 / (1 + F.exp(-x))))
        ),
        lambda x, y: y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x),
        lambda x, y: (1 - y) * sigmoid(x) - y * sigmoid(-x),
    ),
    "log(1+exp(x))": (
        lambda F, x, y: F.log(1 + F.exp(x)) + 0 * y,
        lambda x, y: np.logaddexp(0, x),
        lambda x, y: sigmoid(x),
    ),
    "log(exp(x)+1)": (
        lambda F, x, y: F.log(F.exp(x) + 1) + 0 * y,
        lambda x, y: np.logaddexp(0, x),
        lambda x, y: sigmoid(x),
    ),
    "log1p(exp(-x))": (
        lambda F, x, y: F.log1p(F.exp(-x)) + 0 * y,
        lambda x, y: np.logaddexp(0, -x),
        lambda x, y: -sigmoid(-x),
    ),
    "log(1/(1+exp(-x)))": (
        lambda F, x, y: F.log(1 / (1 + F.exp(-x))) + 0 * y,
        lambda x, y: -np.logaddexp(0, -x),
        lambda x, y: sigmoid(-x),
    ),
    "log(exp(x)/(exp(x)+1))": (
        lambda F, x, y: F.log(F.exp(x) / (F.exp(x) + 1)) + 0 * y,
        lambda x, y: -np.logaddexp(0, -x),
        lambda x, y: sigmoid(-x),
    ),
    "relu and softrelu, as Gluon writes it": (
        lambda F, x, y: F.relu(x) - x * y + F.Activation(-F.abs(x), act_type="softrelu"),
        lambda x, y: y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x),
        lambda x, y: (1 - y) * sigmoid(x) - y * sigmoid(-x),
    ),
    "log of minus a sigmoid, plus 1": (
        lambda F, x, y: -F.log(-F.sigmoid(x) + 1) + 0 * y,
        lambda x, y: np.logaddexp(0, x),
        lambda x, y: sigmoid(x),
    ),
    "log1p(-sigmoid(x))": (
        lambda F, x, y: -F.log1p(-F.sigmoid(x)) + 0 * y,
        lambda x, y: np.logaddexp(0, x),
        lambda x, y: sigmoid(x),
    ),
    "swish, written out": (
        lambda F, x, y: x / (1 + F.exp(-x)) + 0 * y,
        lambda x, y: x * sigmoid(x),
        lambda x, y: sigmoid(x) * (1 + x * sigmoid(-x)),
    ),
    "log(cosh(x))": (
        lambda F, x, y: F.log((F.exp(x) + F.exp(-x)) / 2) + 0 * y,
        lambda x, y: np.logaddexp(x, -x) - np.log(2),
        lambda x, y: np.tanh(x),
    ),
    "log(F.cosh(x))": (
        lambda F, x, y: F.log(F.cosh(x)) + 0 * y,
        lambda x, y: np.logaddexp(x, -x) - np.log(2),
        lambda x, y: np.tanh(x),
    ),
    "log(exp(x)*2)": (
        lambda F, x, y: F.log(F.exp(x) * 2) + 0 * y,
        lambda x, y: x + np.log(2),
        lambda x, y: np.ones_like(x),
    ),
    "log(exp(x)**2)": (
        lambda F, x, y: F.log(F.exp(x) ** 2) + 0 * y,
        lambda x, y: 2 * x,
        lambda x, y: np.full_like(x, 2),
    ),
    "softplus in another order": (
        lambda F, x, y: (-x * y + F.relu(x)) + F.log1p(F.exp(-F.abs(x))),
        lambda x, y: y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x),
        lambda x, y: (1 - y) * sigmoid(x) - y * sigmoid(-x),
    ),
    "softplus of the negative, plus x": (
        lambda F, x, y: (F.maximum(-x, 0) + x) + F.log1p(F.exp(-F.abs(x))) + 0 * y,
        lambda x, y: np.logaddexp(0, x),
        lambda x, y: sigmoid(x),
    ),
    "a root of a square": (
        lambda F, x, y: ((x**2) ** 0.5) + 0 * y,
        lambda x, y: np.abs(x),
        lambda x, y: np.sign(x),
    ),
    "exp guarded by a condition": (
        lambda F, x, y: F.where(x < 10, F.exp(x), x) + 0 * y,
        lambda x, y: np.where(x < 10, np.exp(np.minimum(x, 10)), x),
        lambda x, y: np.where(x < 10, np.exp(np.minimum(x, 10)), 1),
    ),
    "log of a chosen probability": (
        lambda F, x, y: -F.log(F.where(y > 0.5, F.sigmoid(x), 1 - F.sigmoid(x))),
        lambda x, y: np.where(y > 0.5, np.logaddexp(0, -x), np.logaddexp(0, x)),
        lambda x, y: np.where(y > 0.5, -sigmoid(-x), sigmoid(x)),
    ),
}


@pytest.mark.parametrize("y", [0.0, 1.0, 0.25])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name, y):
    body, value, gradient = ELEMENTWISE[name]
    x = GRID.astype(np.float32)
    labels = np.full_like(x, y)
    run = lg.compile(body, {"x": ("float32", ("N",)), "y": ("float32", ("N",))}, grad=("x",))
    actual, grads = run(x, labels)
    assert_close(actual, value(GRID, labels), "float32")
    assert_close(grads["x"], gradient(GRID, labels), "float32")


def nll(x, y):
    return -log_softmax(x)[np.arange(len(x)), y]


def nll_grad(x, y):
    return softmax(x) - one_hot(y)


def lse(x, y):
    top = x.max(-1)
    return top + np.log(np.exp(x - top[:, None]).sum(-1))


# name: (body(F, x, y), exact value, exact gradient), rows of three logits, y a class
ROWWISE = {
    "log(softmax), picked": (
        lambda F, x, y: -F.pick(F.log(F.softmax(x)), y), nll, nll_grad),
    "log of a picked softmax": (
        lambda F, x, y: -F.log(F.pick(F.softmax(x), y)), nll, nll_grad),
    "log of a picked softmax, keepdims": (
        lambda F, x, y: -F.sum(F.log(F.pick(F.softmax(x), y, keepdims=True)), axis=1),
        nll, nll_grad),
    "exp over sum, keepdims": (
        lambda F, x, y: -F.log(
            F.pick(F.broadcast_div(F.exp(x), F.sum(F.exp(x), axis=1, keepdims=True)), y)),
        nll, nll_grad),
    "exp over sum, reshaped": (
        lambda F, x, y: -F.log(
            F.pick(F.exp(x) / F.exp(x).sum(axis=1).reshape((-1, 1)), y)), nll, nll_grad),
    "exp over sum, expanded and broadcast": (
        lambda F, x, y: -F.log(F.pick(
            F.exp(x) / F.broadcast_like(F.expand_dims(F.sum(F.exp(x), axis=1), axis=1), x), y)),
        nll, nll_grad),
    "exp of the pick over sum": (
        lambda F, x, y: -F.log(F.exp(F.pick(x, y)) / F.sum(F.exp(x), axis=1)), nll, nll_grad),
    "one-hot times log(softmax)": (
        lambda F, x, y: -F.sum(F.one_hot(y, 3) * F.log(F.softmax(x)), axis=1), nll, nll_grad),
    "x minus log(sum(exp(x)))": (
        lambda F, x, y: -F.pick(x - F.log(F.sum(F.exp(x), axis=1, keepdims=True)), y),
        nll, nll_grad),
    "shifted by the maximum by hand": (
        lambda F, x, y: -F.pick(F.log(F.softmax(x - F.max(x, axis=1, keepdims=True))), y),
        nll, nll_grad),
    "log(sum(exp(x)))": (
        lambda F, x, y: F.log(F.sum(F.exp(x), axis=1)), lse, lambda x, y: softmax(x)),
    "log(sum(exp(x))), keepdims": (
        lambda F, x, y: F.log(F.sum(F.exp(x), axis=1, keepdims=True)).reshape((-1,)),
        lse, lambda x, y: softmax(x)),
    "log(mean(exp(x)))": (
        lambda F, x, y: F.log(F.mean(F.exp(x), axis=1)),
        lambda x, y: lse(x, y) - np.log(3), lambda x, y: softmax(x)),
    "exp times one over the sum": (
        lambda F, x, y: -F.log(
            F.pick(F.exp(x) * (1 / F.sum(F.exp(x), axis=1, keepdims=True)), y)), nll, nll_grad),
    "exp times the reciprocal": (
        lambda F, x, y: -F.log(
            F.pick(F.exp(x) * F.reciprocal(F.sum(F.exp(x), axis=1, keepdims=True)), y)),
        nll, nll_grad),
    "exp times a power of the sum": (
        lambda F, x, y: -F.log(
            F.pick(F.exp(x) * F.sum(F.exp(x), axis=1, keepdims=True) ** -1, y)), nll, nll_grad),
    "picked exp over sum": (
        lambda F, x, y: -F.log(F.pick(F.exp(x), y) / F.sum(F.exp(x), axis=1)), nll, nll_grad),
    "logsumexp minus the pick": (
        lambda F, x, y: F.log(F.sum(F.exp(x), axis=1)) - F.pick(x, y), nll, nll_grad),
    "one-hot times softmax, summed, then the log": (
        lambda F, x, y: -F.log(F.sum(F.one_hot(y, 3) * F.softmax(x), axis=1)), nll, nll_grad),
    "InfoNCE": (
        lambda F, x, y: -F.log(
            F.exp(x[:, 0]) / (F.exp(x[:, 0]) + F.sum(F.exp(x[:, 1:]), axis=1))) + 0 * y,
        lambda x, y: nll(x, 0 * y), lambda x, y: nll_grad(x, 0 * y)),
    "a sum of three exps": (
        lambda F, x, y: F.log(F.add_n(*[F.exp(part) for part in F.split(x, 3)])).reshape((-1,)),
        lse, lambda x, y: softmax(x)),
    "log(1+sum(exp(x)))": (
        lambda F, x, y: F.log(1 + F.sum(F.exp(x), axis=1)),
        lambda x, y: np.logaddexp(0, lse(x, y)),
        lambda x, y: softmax(x) * np.exp(lse(x, y) - np.logaddexp(0, lse(x, y)))[:, None]),
    "log(sum(exp(x))/3)": (
        lambda F, x, y: F.log(F.sum(F.exp(x), axis=1) / 3),
        lambda x, y: lse(x, y) - np.log(3), lambda x, y: softmax(x)),
    "log(2*sum(exp(x)))": (
        lambda F, x, y: F.log(2 * F.sum(F.exp(x), axis=1)),
        lambda x, y: lse(x, y) + np.log(2), lambda x, y: softmax(x)),
    "a ratio of probabilities": (
        lambda F, x, y: F.log(F.softmax(x)[:, 0] / F.softmax(x)[:, 1]),
        lambda x, y: x[:, 0] - x[:, 1],
        lambda x, y: np.tile([1.0, -1, 0], (len(x), 1))),
    "KL from logits": (
        lambda F, x, y: F.sum(0.5 * F.log(0.5 / F.softmax(x)), axis=1),
        lambda x, y: 1.5 * np.log(0.5) - 0.5 * log_softmax(x).sum(1),
        lambda x, y: 1.5 * softmax(x) - 0.5),
    "log(softmax) along axis 0": (
        lambda F, x, y: -F.pick(F.log(F.softmax(F.transpose(x), axis=0)), y, axis=0),
        nll, nll_grad),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWWISE)
def test_rowwise(name):
    body, value, gradient = ROWWISE[name]
    types = {"x": ("float32", ("N", 3)), "y": ("int64", ("N",))}
    actual, grads = lg.compile(body, types, grad=("x",))(ROWS.astype(np.float32), LABELS)
    assert_close(actual, value(ROWS, LABELS), "float32")
    assert_close(grads["x"], gradient(ROWS, LABELS), "float32")


def test_a_norm_has_gradient_zero_at_the_zero_vector():
    def body(F, x):
        return F.sqrt(F.sum(F.square(x), axis=1))

    x = np.array([[0, 0], [3, 4], [1e30, 0], [1e-30, 1e-30]], np.float32)
    value, grads = lg.compile(body, {"x": ("float32", ("N", 2))}, grad=("x",))(x)
    assert_close(value, np.array([0, 5, 1e30, np.sqrt(2) * 1e-30], np.float32))
    half = np.sqrt(0.5)
    assert_close(grads["x"], np.array([[0, 0], [0.6, 0.8], [1, 0], [half, half]], np.float32))


def test_a_root_mean_square_has_gradient_zero_at_zero():
    def body(F, x):
        return F.sqrt(F.mean(F.square(x), axis=1))

    x = np.array([[0, 0], [3, 4]], np.float32)
    value, grads = lg.compile(body, {"x": ("float32", ("N", 2))}, grad=("x",))(x)
    assert_close(value, np.array([0, 5 / np.sqrt(2)], np.float32))
    assert_close(grads["x"], np.array([[0, 0], [0.3, 0.4]], np.float32) * np.sqrt(2, dtype="f"))


@pytest.mark.parametrize(
    ("body", "value", "slope"),
    [
        (lambda F, x: F.where(x > 0, F.log(x), F.zeros_like(x)), [0, 0, np.log(2)], [0, 0, 0.5]),
        (lambda F, x: F.where(x > 0, x * F.log(x), 0 * x), [0, 0, 2 * np.log(2)],
         [0, 0, 1 + np.log(2)]),
        (lambda F, x: F.where(x > 0, -F.log(x), 0 * x), [0, 0, -np.log(2)], [0, 0, -0.5]),
        (lambda F, x: F.where(x > 0, F.sqrt(x), 0 * x), [0, 0, np.sqrt(2)], [0, 0, np.sqrt(0.125)]),
        (lambda F, x: F.where(x > 0, 1 / x, 0 * x), [0, 0, 0.5], [0, 0, -0.25]),
        (lambda F, x: F.where(x <= 0, 0 * x, 1 / x), [0, 0, 0.5], [0, 0, -0.25]),
    ],
)  # fmt: skip
def test_a_condition_guards_the_gradient_too(body, value, slope):
    x = np.array([0.0, -1, 2])
    actual, grads = lg.compile(body, {"x": ("float64", ("N",))}, grad=("x",))(x)
    assert_close(actual, np.array(value))
    assert_close(grads["x"], np.array(slope))


def test_a_power_of_a_vanishing_probability_has_a_gradient():
    def body(F, x, y):
        return (1 - F.pick(F.softmax(x), y) ** 0.7) / 0.7

    types = {"x": ("float32", ("N", 3)), "y": ("int64", ("N",))}
    _, grads = lg.compile(body, types, grad=("x",))(ROWS.astype(np.float32), LABELS)
    p = np.take_along_axis(softmax(ROWS), LABELS[:, None], 1)
    assert_close(grads["x"], p**0.7 * (softmax(ROWS) - one_hot(LABELS)), "float32")


def test_stabilizing_comes_before_differentiating():
    """The same rules after differentiation give NaN: the order is what makes them work."""
    from lossgraph.ir import ops
    from lossgraph.ir.evaluate import evaluate
    from lossgraph.ir.expr import variable
    from lossgraph.ir.types import TensorType
    from lossgraph.passes import autodiff
    from lossgraph.passes.rewrite import rewrite
    from lossgraph.passes.rules import SIMPLIFY, STABILIZE

    x = variable("x", TensorType("float32", (5,)))
    naive = ops.log(ops.power(ops.sigmoid(x), 2))
    grid = {"x": np.array([200, -200, 0, 100, -100], np.float32)}
    late = rewrite(rewrite(autodiff.grad(naive, [x]), STABILIZE), SIMPLIFY)
    early = rewrite(autodiff.grad(rewrite([naive], STABILIZE)[0], [x]), SIMPLIFY)
    assert np.isnan(evaluate(late, grid)[0]).any()
    assert_close(evaluate(early, grid)[0], np.array([0, 2, 1, 0, 2], np.float32))


def test_a_guarded_logarithm_stays_guarded():
    """The double where: the logarithm never sees what the condition keeps from it."""

    def body(F, x):
        above = x > 0
        return F.where(above, F.log(F.where(above, x, F.ones_like(x))), F.zeros_like(x))

    x = np.array([0.0, -1, 2], np.float32)
    value, grads = lg.compile(body, {"x": ("float32", ("N",))}, grad=("x",))(x)
    assert_close(value, np.array([0, 0, np.log(2)], np.float32))
    assert_close(grads["x"], np.array([0, 0, 0.5], np.float32))


# name: (body(F, x, i), exact gradient of the sum of the values by x); the indices repeat
REPEATED = {
    "log of softmax": (
        lambda F, x, i: F.log(F.take_along_axis(F.softmax(x, axis=1), i, axis=1)),
        lambda x, counts: counts - counts.sum(1, keepdims=True) * softmax(x),
    ),
    "less logsumexp": (
        lambda F, x, i: F.broadcast_sub(
            F.take_along_axis(x, i, axis=1), F.log(F.sum(F.exp(x), axis=1, keepdims=True))
        ),
        lambda x, counts: counts - counts.sum(1, keepdims=True) * softmax(x),
    ),
    "log of exp": (
        lambda F, x, i: F.log(F.take_along_axis(F.exp(x), i, axis=1)),
        lambda x, counts: counts,
    ),
    "log of sigmoid": (
        lambda F, x, i: F.log(F.take_along_axis(F.sigmoid(x), i, axis=1)),
        lambda x, counts: counts * sigmoid(-x),
    ),
}
EXACT_ROWS = {
    "log of softmax": log_softmax,
    "less logsumexp": log_softmax,
    "log of exp": lambda x: x,
    "log of sigmoid": lambda x: np.log(sigmoid(x)),
}


@pytest.mark.parametrize("name", REPEATED)
def test_gradients_add_up_where_an_index_repeats(name):
    """The attribute that says so survives every rewrite."""
    body, gradient = REPEATED[name]
    x = np.array([[0.3, -0.2, 0.9], [1.5, 0.0, -2.0]])
    index = np.array([[1, 1, 0], [2, 2, 2]])
    counts = np.stack([np.bincount(row, minlength=3) for row in index])
    types = {"x": ("float64", ("N", 3)), "i": ("int64", ("N", 3))}
    value, grads = lg.compile(body, types, grad=("x",))(x, index)
    assert_close(value, np.take_along_axis(EXACT_ROWS[name](x), index, 1))
    assert_close(grads["x"], gradient(x, counts))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_derivatives_of_sigmoids_near_zero(dtype):
    """They are odd: of the difference of two sigmoids only the rounding would be left."""
    x = np.array([1e-30, -1e-20, 1e-8, 1e-3, -0.5, 4.0], dtype)
    wide = x.astype(np.longdouble)
    sech2 = 1 / np.cosh(wide) ** 2
    exact = {
        "sigmoid": -np.tanh(wide / 2) / np.cosh(wide / 2) ** 2 / 4,
        "tanh": -2 * np.tanh(wide) * sech2,
        "softrelu": 1 / np.cosh(wide / 2) ** 2 / 4,
    }
    for name, expected in exact.items():
        s = lg.symbol("x", dtype, (6,))
        slope = lg.grad(getattr(symbolic, name)(s), s)
        found = lg.compile(lg.grad(slope, s))(x)
        assert_close(found, expected.astype(dtype), dtype, tolerance=(8e-7, 0))


@pytest.mark.parametrize("power", [2, 3])
def test_a_power_times_a_logarithm_has_slope_zero_at_zero(power):
    x = np.array([0.0, 0.5])
    _, grads = lg.compile(
        lambda F, x: x**power * F.log(x), {"x": ("float64", ("N",))}, grad=("x",)
    )(x)
    slope = 0.5 ** (power - 1) * (power * np.log(0.5) + 1)
    assert_close(grads["x"], np.array([0, slope]))
