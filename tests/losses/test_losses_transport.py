"""Losses of transport, and those with sparse distributions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as matrices
from scipy.optimize import brentq
from scipy.special import log_softmax
from scipy.stats import wasserstein_distance

import lossgraph as lg
from loss_cases import Case, laws
from lossgraph import losses, reference
from lossgraph.errors import InputError
from support import assert_close, difference_quotient, newest_opset
from tolerances import DIFFERENCE

RNG = np.random.default_rng(5)
N, A, B, C = 3, 5, 4, 6
X, Y, YA = RNG.normal(size=(N, A)), RNG.normal(size=(N, B)), RNG.normal(size=(N, A))
U, V = RNG.uniform(0.2, 1, (N, A)), RNG.uniform(0.2, 1, (N, B))
H, G = RNG.uniform(0.1, 1, (N, C)), RNG.uniform(0.1, 1, (N, C))
COST = RNG.uniform(0, 1, (N, A, B))
LOGITS, LABEL = RNG.normal(size=(N, C)), np.array([2, 0, 5])


def line(x, y, x_weight=None, y_weight=None, p=1.0):
    """Quantiles on all intervals on which neither changes."""
    found = []
    for i in range(len(x)):
        sides = []
        for z, w in ((x, x_weight), (y, y_weight)):
            w = np.ones(len(z[i])) if w is None else w[i]
            order = np.argsort(z[i])
            sides.append((z[i][order], np.cumsum(w[order]) / w.sum()))
        ends = np.sort(np.concatenate([ends for _, ends in sides]))
        widths = np.diff(ends, prepend=0.0)
        middles = ends - widths / 2
        a, b = (z[np.minimum(np.searchsorted(q, middles), len(z) - 1)] for z, q in sides)
        found.append((widths * np.abs(a - b) ** p).sum())
    return np.array(found)


def bins(pred, target, p=1.0):
    places = np.broadcast_to(np.arange(float(pred.shape[1])), pred.shape)
    return line(places, places, pred, target, p)


def sinkhorn(cost, source=None, target=None, epsilon=0.1, iterations=100):
    """Scaling of the kernel, not in logarithms."""
    found = []
    for i, c in enumerate(cost):
        a = np.full(len(c), 1 / len(c)) if source is None else source[i]
        b = np.full(len(c.T), 1 / len(c.T)) if target is None else target[i]
        kernel = np.exp(-c / epsilon) * np.outer(a, b)
        v = np.ones(len(b))
        for _ in range(iterations):
            v = b / ((a / (kernel @ v)) @ kernel)
        found.append(((a / (kernel @ v))[:, None] * kernel * v * c).sum())
    return np.array(found)


def entmax(logits, label, alpha=1.5):
    """The root by Brent's method; alpha 1 as its limit."""
    if alpha == 1:
        return -log_softmax(logits, axis=-1)[np.arange(len(label)), label]
    found = []
    for x, y in zip(logits, label, strict=True):
        z = (alpha - 1) * x

        def powers(tau, z=z):
            return np.maximum(z - tau, 0) ** (1 / (alpha - 1))

        tau = brentq(lambda t, f=powers: f(t).sum() - 1, z.max() - 1, z.max(), xtol=1e-15)
        p = powers(tau)
        found.append(p @ x - x[y] + (1 - (p**alpha).sum()) / (alpha * (alpha - 1)))
    return np.array(found)


CLASSES = {"logits": LOGITS, "label": LABEL}
CASES = [
    Case("samples", losses.wasserstein_1d, {"x": X, "y": YA}, line),
    Case("samples p=2", losses.wasserstein_1d, {"x": X, "y": YA}, line, {"p": 2.0},
         scalars=("p",)),
    Case("samples of two sizes", losses.wasserstein_1d, {"x": X, "y": Y}, line, {"p": 1.5},
         scalars=("p",)),
    Case("samples with weights", losses.wasserstein_1d,
         {"x": X, "y": Y, "x_weight": U, "y_weight": V}, line, {"p": 3.0}),
    Case("samples with a weight", losses.wasserstein_1d, {"x": X, "y": YA, "x_weight": U}, line),
    Case("histograms", losses.wasserstein_histogram, {"pred": H, "target": G}, bins),
    Case("histograms p=2", losses.wasserstein_histogram, {"pred": H, "target": G}, bins,
         {"p": 2.0}, scalars=("p",)),
    Case("sinkhorn", losses.sinkhorn, {"cost": COST}, sinkhorn, {"epsilon": 0.2},
         scalars=("epsilon",)),
    Case("sinkhorn unfinished", losses.sinkhorn,
         {"cost": COST, "source": U / U.sum(1, keepdims=True),
          "target": V / V.sum(1, keepdims=True)},
         None, {"epsilon": 0.05, "iterations": 3}),
    *(Case(f"entmax {alpha}", losses.entmax, CLASSES, entmax, {"alpha": alpha})
      for alpha in (1.0, 1.5, 2.0)),
    *(Case(f"entmax array {alpha}", losses.entmax, CLASSES, entmax, {"alpha": alpha},
           scalars=("alpha",)) for alpha in (1.2, 1.5, 3.0)),
]  # fmt: skip


SORTED = ("samples", "histograms p=2", "entmax 1.5", "entmax array 1.5")


@laws(CASES)
def test_laws(case, law):
    law(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_sample(case):
    if newest_opset() < 26 and case.name.startswith(SORTED):
        pytest.skip("TopK of no rows ends the process in this old ONNX Runtime")
    arrays = {k: v[:0] for k, v in case.arrays.items()}
    value, grads = case.loss.value_and_grad(**arrays, **case.options)
    assert value.shape == (0,)
    assert all(grad.size == 0 for grad in grads.values())


# --- on a line ---


def test_against_scipy():
    weighed = losses.wasserstein_1d(X, Y, U, V)
    assert_close(
        weighed, np.array([wasserstein_distance(*row) for row in zip(X, Y, U, V, strict=True)])
    )
    place = np.arange(C)
    assert_close(
        losses.wasserstein_histogram(H, G),
        np.array([wasserstein_distance(place, place, *r) for r in zip(H, G, strict=True)]),
    )


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
def test_against_pot(p):
    ot = pytest.importorskip("ot")
    shares = [w / w.sum(1, keepdims=True) for w in (U, V)]
    expected = [
        ot.wasserstein_1d(x, y, a, b, p=p) for x, y, a, b in zip(X, Y, *shares, strict=True)
    ]
    assert_close(losses.wasserstein_1d(X, Y, U, V, p=p), np.array(expected))
    plan = [
        ot.emd2(a, b, np.abs(x[:, None] - y) ** p) for x, y, a, b in zip(X, Y, *shares, strict=True)
    ]
    assert_close(losses.wasserstein_1d(X, Y, U, V, p=p), np.array(plan))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_distribution_costs_nothing(p, dtype):
    x, w = X.astype(dtype), U.astype(dtype)
    for sides in ((x, x[:, ::-1].copy()), (x, x, w, w), (np.ones_like(x), np.ones((N, B), dtype))):
        value, grads = losses.wasserstein_1d.value_and_grad(*sides, p=p)
        assert_close(value, np.zeros(N), tolerance=(0, 1e-6))
        assert np.isfinite(grads["x"]).all()
    value, grads = losses.wasserstein_histogram.value_and_grad(H.astype(dtype), H.astype(dtype))
    np.testing.assert_array_equal(value, np.zeros(N))
    np.testing.assert_array_equal(grads["pred"], np.zeros((N, C)))


def test_far_samples_and_samples_without_weight():
    x, y = np.array([[-1e4, 1e4, 7.0]]), np.array([[1e4, 1e4 + 1]])
    value, grads = losses.wasserstein_1d.value_and_grad(
        x, y, np.array([[1.0, 1.0, 0.0]]), p=2.0, wrt=("x", "y")
    )
    assert_close(value, np.array([(2e4**2 + 1) / 2]))
    assert_close(grads["x"], np.array([[-2e4, -1.0, 0.0]]))
    assert_close(grads["y"], np.array([[2e4, 1.0]]))


def test_the_mass_of_a_bin_moves_with_it():
    pred, target = np.eye(4)[:1], np.eye(4)[3:]
    assert_close(losses.wasserstein_histogram(pred, target), np.array([3.0]))
    assert_close(losses.wasserstein_histogram(pred, target, p=2), np.array([9.0]))


@settings(max_examples=25, deadline=None)
@given(
    matrices("f8", (2, 3), elements=st.integers(-3, 3)),
    matrices("f8", (2, 4), elements=st.integers(-3, 3)),
    matrices("f8", (2, 4), elements=st.integers(1, 3)),
)
def test_ties_and_whole_weights(x, y, weight):
    """Samples that meet, and quantiles that do: against SciPy, either way round, and moved."""
    value = losses.wasserstein_1d(x, y, y_weight=weight)
    expected = [
        wasserstein_distance(*row[:2], v_weights=row[2]) for row in zip(x, y, weight, strict=True)
    ]
    assert_close(value, np.array(expected))
    assert_close(losses.wasserstein_1d(y, x, weight), value)
    assert_close(losses.wasserstein_1d(x + 7, y + 7, y_weight=weight), value)
    _, grads = losses.wasserstein_1d.value_and_grad(x, y, y_weight=weight, wrt=("x", "y"))
    assert_close(grads["x"].sum(1), -grads["y"].sum(1))


# --- Sinkhorn ---


def test_sinkhorn_against_pot():
    ot = pytest.importorskip("ot")
    a, b = (w / w.sum(1, keepdims=True) for w in (U, V))
    value = losses.sinkhorn(COST, a, b, epsilon=0.05, iterations=2000)
    expected = [
        ot.sinkhorn2(*row, reg=0.05, method="sinkhorn_log", numItermax=5000, stopThr=1e-14,
                     warn=False) for row in zip(a, b, COST, strict=True)
    ]  # fmt: skip
    assert_close(value, np.array(expected), tolerance=(1e-9, 1e-10))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_epsilons_do_not_underflow(dtype):
    """The plan of exact transport, where kernels are exp(-1e5): all mass stays at its place."""
    cost = (1 - np.eye(4, dtype=dtype))[None] * 100
    value, grads = losses.sinkhorn.value_and_grad(cost, epsilon=1e-3)
    assert_close(value, np.zeros(1), tolerance=(0, 1e-300))
    assert_close(grads["cost"], np.eye(4, dtype=dtype)[None] / 4, tolerance=(1e-5, 1e-6))


def test_masses_of_zero_and_forbidden_ways():
    source, target = np.array([[0.0, 0.6, 0.4]]), np.array([[0.5, 0.5, 0.0, 0.0]])
    cost = COST[:1, :3].copy()
    cost[0, 1, 2] = np.inf
    value, grads = losses.sinkhorn.value_and_grad(
        cost, source, target, epsilon=0.1, wrt=("cost", "source", "target")
    )
    assert_close(value, sinkhorn(cost[:, 1:, :2], source[:, 1:], target[:, :2]))
    assert all(np.isfinite(grad).all() for grad in grads.values())
    assert (grads["cost"][0, 0] == 0).all()
    assert (grads["cost"][0, :, 2:] == 0).all()
    # the derivative by a mass that is 0, from the side that there is
    more = source + 1e-6 * np.array([[1, -1, 0]])
    slope = (losses.sinkhorn(cost, more, target) - value) / 1e-6
    direction = grads["source"][0, 0] - grads["source"][0, 1]
    assert_close(slope[0], direction, tolerance=(1e-3, 1e-4))


# --- entmax ---


def test_entmax_by_hand():
    """Two classes: p = 1/2 + x sqrt(8 - x^2) / 8 for alpha 1.5 and a gap 2x of at most 4."""
    x = 0.6
    p = 0.5 + x * np.sqrt(8 - x * x) / 8
    tsallis = (1 - p**1.5 - (1 - p) ** 1.5) / 0.75
    value, grads = losses.entmax.value_and_grad(np.array([[x, 0.0]]), np.array([1]))
    assert_close(value, np.array([p * x + tsallis]))
    assert_close(grads["logits"], np.array([[p, -p]]))
    # sparsemax: p = (1 + x)/2, and (1 + x)^2/4 for the class that it is not
    value, grads = losses.entmax.value_and_grad(np.array([[x, 0.0]]), np.array([1]), alpha=2)
    assert_close(value, np.array([(1 + x) ** 2 / 4]))
    assert_close(grads["logits"], np.array([[(1 + x) / 2, -(1 + x) / 2]]))


def test_entmax_by_two_ways():
    value, grads = losses.entmax.value_and_grad(LOGITS, LABEL)
    halved, by_halves = losses.entmax.value_and_grad(LOGITS, LABEL, alpha=np.array(1.5))
    assert_close(value, halved)
    assert_close(grads["logits"], by_halves["logits"])


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entmax_at_extremes(alpha, dtype):
    logits = np.array(
        [[1e4, 0, -1e4], [1e4, 0, -1e4], [0, -np.inf, -1e4], [7, 7, 7], [-1e4, -1e4, 1e4]], dtype
    )
    value, grads = losses.entmax.value_and_grad(logits, np.array([0, 2, 0, 1, 2]), alpha=alpha)
    even = np.log(3) if alpha == 1 else (1 - 3.0 ** (1 - alpha)) / (alpha * (alpha - 1))
    assert_close(value, np.array([0, 2e4, 0, even, 0]), tolerance=(1e-5, 1e-6))
    expected = np.array([[0, 0, 0], [1, 0, -1], [0, 0, 0], [1 / 3, -2 / 3, 1 / 3], [0, 0, 0]])
    assert_close(grads["logits"], expected, tolerance=(1e-5, 1e-6))


@pytest.mark.parametrize("alpha", [1.5, 2.5])
def test_entmax_has_a_second_derivative(alpha):
    x = lg.symbol("logits", "float64", (N, C))
    label = lg.symbolic.array(LABEL)
    slope = lg.grad(losses.entmax(x, label, alpha=alpha), x)
    direction = RNG.normal(size=(N, C))
    change = lg.compile([lg.grad(lg.symbolic.sum(slope * direction), x)])(LOGITS)[0]
    expected = difference_quotient(
        lambda logits: losses.entmax.value_and_grad(logits, LABEL, alpha=alpha)[1]["logits"],
        {"logits": LOGITS}, "logits", direction,
    )  # fmt: skip
    assert_close(change, expected, tolerance=(1e-5, 10 * DIFFERENCE[1]))


@settings(max_examples=25, deadline=None)
@given(
    matrices("f8", (3, 5), elements=st.floats(-30, 30, width=16)), st.sampled_from([1.5, 1.8, 3.0])
)
def test_entmax_gives_a_distribution(logits, alpha):
    """The gradient is p - y: p sums to 1, orders as the logits do, and moves with none of them."""
    label = np.zeros(3, int)
    value, grads = losses.entmax.value_and_grad(logits, label, alpha=alpha)
    p = grads["logits"] + np.eye(5)[label]
    assert (value >= -1e-12).all()
    assert_close(p.sum(1), np.ones(3), tolerance=(0, 1e-9))
    assert (p >= 0).all()
    order = np.argsort(logits, axis=1)
    assert (np.diff(np.take_along_axis(p, order, 1), axis=1) >= -1e-9).all()
    assert_close(losses.entmax(logits + 4, label, alpha=alpha), value, tolerance=(1e-9, 1e-9))


def test_entmax_of_sequences_and_of_no_class():
    logits, label = RNG.normal(size=(2, 3, C)), RNG.integers(0, C, (2, 3))
    value = losses.entmax(logits, label)
    assert_close(value.ravel(), losses.entmax(logits.reshape(6, C), label.ravel()))
    on_numpy = losses.entmax(reference.Array(logits), reference.Array(label)).asnumpy()
    assert_close(on_numpy, value)
    with pytest.raises(InputError, match=r"label\[2\] is 6"):
        losses.entmax(LOGITS, np.array([0, 1, 6]))
    import onnxruntime as ort

    model = losses.entmax.to_onnx(
        {"logits": ("float64", ("N", C)), "label": ("int64", ("N",))}, grad=("logits",)
    )
    session = ort.InferenceSession(model.SerializeToString())
    value, grad = session.run(None, {"logits": LOGITS, "label": np.array([0, 6, 1])})
    assert np.isnan(value).tolist() == [False, True, False]
    assert np.isnan(grad).all(1).tolist() == [False, True, False]
    assert np.isnan(grad).any(1).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.entmax(LOGITS, LABEL, alpha=0.5), "alpha: expected a number at least 1"),
        (lambda: losses.wasserstein_1d(X, Y, p=0.5), "p: expected a number at least 1"),
        (lambda: losses.wasserstein_1d(X, Y, V), "x_weight: expected shape"),
        (lambda: losses.wasserstein_histogram(H, G[:, :2]), "target: expected shape"),
        (lambda: losses.sinkhorn(COST[0]), "cost: expected 3 axes"),
        (lambda: losses.sinkhorn(COST, V), "source: expected shape"),
        (lambda: losses.sinkhorn(COST, iterations=0), "iterations: expected an int"),
        (lambda: losses.sinkhorn(COST, epsilon=0), "epsilon: expected a positive number"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


# --- what iterations do not reach ---


@pytest.mark.parametrize("epsilon", [0.1, 0.05, 0.02, 0.01, 0.001])
def test_a_small_epsilon_has_the_cost_of_the_best_plan(epsilon):
    cost = np.array([[[0.0, 1], [1, 0]]], np.float32)
    masses = np.array([[0.3, 0.7]], np.float32), np.array([[0.5, 0.5]], np.float32)
    assert_close(losses.sinkhorn(cost, *masses, epsilon=epsilon), [0.2], tolerance=(1e-5, 0))


def test_an_unfinished_plan_is_dearer_than_the_best():
    source, target = (x / x.sum(1, keepdims=True) for x in (U, V))
    best = [optimal_cost(*sample) for sample in zip(COST, source, target, strict=True)]
    for iterations in (1, 3, 10, 100):
        value = losses.sinkhorn(COST, source, target, epsilon=0.001, iterations=iterations)
        assert (value >= np.array(best) - 1e-12).all()
    assert_close(value, best, tolerance=(0.05, 0))


def optimal_cost(cost, source, target):
    """By linear programming."""
    rows, columns = np.eye(len(source)), np.eye(len(target))
    masses = [np.kron(row, np.ones(len(target))) for row in rows]
    masses += [np.kron(np.ones(len(source)), column) for column in columns]
    wanted = np.concatenate([source, target])
    return scipy.optimize.linprog(cost.ravel(), A_eq=masses, b_eq=wanted).fun
