"""Losses of real predictions: quantile, Charbonnier, Wing, Barron's, Tukey's, means and logs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
from sklearn import metrics

import lossgraph as lg
from loss_cases import EdgeCase, check_edge_case, check_empty, laws, row
from lossgraph import losses
from support import assert_close

RNG = np.random.default_rng(3)
PRED, TARGET = RNG.normal(size=(4, 3)) * 3, RNG.normal(size=(4, 3))
POSITIVE, OTHER = RNG.uniform(0.2, 3, (4, 3)), RNG.uniform(0.2, 3, (4, 3))
PAIR = {"pred": PRED, "target": TARGET}
ABOVE = {"pred": POSITIVE, "target": OTHER}
ALPHAS = np.array([-2.0, 0.5, 3.0])
SCALES = np.array([0.7, 1.3, 2.0])


def each(score):
    """A score of scikit-learn, of single elements."""

    def apply(pred, target, **options):
        rows = zip(target.ravel(), pred.ravel(), strict=True)
        return np.reshape([score([y], [x], **options) for y, x in rows], pred.shape)

    return apply


def wing(pred, target, width=10.0, epsilon=2.0):
    size = np.abs(pred - target)
    offset = width - width * np.log(1 + width / epsilon)
    return np.where(size < width, width * np.log(1 + size / epsilon), size - offset)


def barron(pred, target, alpha=1.0, scale=1.0):
    """The cases of the paper, each as it stands there, with the digits that this costs."""

    def at(z, alpha):
        z, alpha = np.longdouble(z), np.longdouble(alpha)
        if alpha == 2:
            return z * z / 2
        if alpha == 0:
            return np.log(z * z / 2 + 1)
        if alpha == -np.inf:
            return 1 - np.exp(-z * z / 2)
        b = abs(alpha - 2)
        return b / alpha * ((z * z / b + 1) ** (alpha / 2) - 1)

    z, alpha = np.broadcast_arrays((pred - target) / scale, alpha)
    return np.vectorize(at, otypes=[np.float64])(z, alpha)


def tukey(pred, target, c=4.685):
    """The integral of its influence function."""

    def psi(e):
        return e * (1 - (e / c) ** 2) ** 2 if abs(e) <= c else 0.0

    errors = (pred - target).ravel()
    found = [scipy.integrate.quad(psi, 0, min(abs(e), c), epsabs=1e-13)[0] for e in errors]
    return np.reshape(found, pred.shape)


ROWS = [
    row("quantile", PAIR, each(lambda y, x, q: metrics.mean_pinball_loss(y, x, alpha=q)),
        {"q": 0.3}),
    row("quantile", {**PAIR, "q": np.array([0.1, 0.5, 0.9])},
        lambda pred, target, q: np.maximum(q * (target - pred), (q - 1) * (target - pred))),
    row("charbonnier", PAIR, lambda pred, target: np.sqrt((pred - target) ** 2 + 1e-6)),
    row("charbonnier", {**PAIR, "epsilon": np.array([0.5])},
        lambda pred, target, epsilon: np.sqrt((pred - target) ** 2 + epsilon**2), note="arrays"),
    row("wing", PAIR, wing),
    row("wing", PAIR, wing, {"width": 1.5, "epsilon": 0.5}),
    row("wing", {**PAIR, "width": np.array([2.0]), "epsilon": SCALES}, wing, note="arrays"),
    *(row("general_robust", PAIR, barron, {"alpha": alpha, "scale": 0.7})
      for alpha in (-np.inf, -1e6, -2.0, 0.0, 1e-3, 1.0, 1.9, 2.0, 2.5)),
    row("general_robust", {**PAIR, "alpha": ALPHAS, "scale": SCALES}, barron, note="arrays"),
    row("general_robust", {**PAIR, "alpha": np.array([0.0, 1e-7, -1e-5])}, barron,
        note="arrays-at-0"),
    row("tukey_biweight", PAIR, tukey),
    row("tukey_biweight", PAIR, tukey, {"c": 1.5}),
    row("root_mean_square", PAIR,
        lambda pred, target: metrics.root_mean_squared_error(target.ravel(), pred.ravel())),
    row("sample_root_mean_square", PAIR, lambda pred, target:
        metrics.root_mean_squared_error(target.T, pred.T, multioutput="raw_values")),
    row("absolute_percentage", PAIR, each(metrics.mean_absolute_percentage_error)),
    row("absolute_percentage", {**PAIR, "epsilon": np.array([0.5])},
        lambda pred, target, epsilon: abs(pred - target) / np.maximum(abs(target), epsilon)),
    row("squared_log", ABOVE, each(metrics.mean_squared_log_error)),
]  # fmt: skip


@laws(ROWS)
def test_others_agree(case, law):
    law(case)


INF, NAN = np.inf, np.nan
KINK = {"pred": np.array([1.0]), "target": np.array([1.0])}
FAR = {"pred": np.array([1e4, -1e4]), "target": np.array([0.0, 0.0])}


def robust(alpha, value, slope, **arrays):
    return EdgeCase(
        "general_robust", arrays or FAR, value, {"pred": slope}, {"alpha": alpha}, f"alpha={alpha}"
    )


EXTREMES = [
    EdgeCase("quantile", KINK, [0.0], {"pred": [0.0], "target": [0.0]}, note="kink"),
    EdgeCase("quantile", FAR, [9e3, 1e3], {"pred": [0.9, -0.1]}, {"q": 0.1}, note="far"),
    EdgeCase("charbonnier", KINK, [0.0], {"pred": [0.0]}, {"epsilon": 0.0}, note="kink"),
    EdgeCase("charbonnier", {"pred": np.array([1e30]), "target": np.array([0.0])}, [1e30],
            {"pred": [1.0]}, note="squares-overflow"),
    EdgeCase("wing", KINK, [0.0], {"pred": [0.0]}, note="kink"),
    EdgeCase("wing", {"pred": np.array([10.0, 1e30]), "target": np.zeros(2)},
            [10 * np.log(6), 1e30], {"pred": [1.0, 1.0]}, note="edge"),
    robust(2.0, [5e7, 5e7], [1e4, -1e4]),
    robust(1.0, [np.sqrt(1e8 + 1) - 1] * 2, [1e4 / np.sqrt(1e8 + 1), -1e4 / np.sqrt(1e8 + 1)]),
    robust(0.0, [np.log1p(5e7)] * 2, [2e-4, -2e-4]),
    robust(-2.0, [2 - 2 / (1 + 2.5e7)] * 2, [1e4 / (1 + 2.5e7) ** 2, -1e4 / (1 + 2.5e7) ** 2]),
    robust(-INF, [1.0] * 2, [0.0, 0.0]),
    *(robust(alpha, [0.0], [0.0], **KINK) for alpha in (-INF, -2.0, 0.0, 1.0, 2.0, 3.0)),
    EdgeCase("tukey_biweight", FAR, [4.685**2 / 6] * 2, {"pred": [0.0, 0.0]}, note="far"),
    EdgeCase("root_mean_square", KINK, 0.0, {"pred": [0.0]}, note="exact"),
    EdgeCase("sample_root_mean_square", {"pred": np.array([[1.0, 1], [3, 4]]),
            "target": np.array([[1.0, 1], [0, 0]])}, [0.0, np.sqrt(12.5)],
            {"pred": [[0.0, 0.0], [1.5 / np.sqrt(12.5), 2 / np.sqrt(12.5)]]}, note="exact"),
    EdgeCase("absolute_percentage", {"pred": np.array([0.0, 1.0, 3.0]),
            "target": np.array([0.0, 0.0, 2.0])}, [0.0, INF, 0.5], {"pred": [0.0, INF, 0.5]},
            note="target-0"),
    EdgeCase("squared_log", {"pred": np.array([1e-30, 0.0]), "target": np.array([0.0, 0.0])},
            [0.0, 0.0], {"pred": [0.0, 0.0]}, note="small"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", EXTREMES, ids=str)
def test_edge_cases(case, dtype):
    check_edge_case(case, dtype)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        ("quantile", {"q": 1.1}, "q: expected a number from 0 to 1, got 1.1"),
        ("wing", {"width": 0.0}, "width: expected a positive number"),
        ("wing", {"epsilon": -1.0}, "epsilon: expected a positive number"),
        ("general_robust", {"scale": 0.0}, "scale: expected a positive number"),
        ("tukey_biweight", {"c": float("nan")}, "c: expected a positive number, got nan"),
    ],
)
def test_options_that_are_refused(loss, options, message):
    with pytest.raises(lg.InputError, match=message):
        getattr(losses, loss)(**PAIR, **options)


@pytest.mark.parametrize("loss", sorted({case.loss.name for case in ROWS} - {"root_mean_square"}))
def test_an_empty_batch(loss):
    check_empty(loss, pred=("float", (0, 3)), target=("float", (0, 3)))


def test_the_shape_of_the_family_has_its_limits_as_an_input():
    """At alpha 2 the derivative by it is infinite, at the other limits it is finite."""
    alpha = np.array([2.0, 0.0, -INF, 2.0])
    error = np.array([1.0, 1.0, 1.0, 0.0])
    value, grads = losses.general_robust.value_and_grad(
        pred=error, target=np.zeros(4), alpha=alpha, wrt=("alpha", "pred")
    )
    assert_close(value, [0.5, np.log(1.5), 1 - np.exp(-0.5), 0.0])
    assert_close(grads["pred"], [1.0, 1 / 1.5, np.exp(-0.5), 0.0])
    # at 0: the derivative of (b/a) expm1(a/2 log1p(s/b)) with b = 2-a, s = 1
    log = np.log(1.5)
    slope = log * log / 4 - log / 2 + 1 / 6
    assert_close(grads["alpha"], [INF, slope, 0.0, 0.0], tolerance=(1e-12, 1e-12))
