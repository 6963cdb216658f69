"""Options and inputs where a formula is 0/0, infinity less infinity, or loses its digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from lossgraph import losses
from support import assert_close
from tolerances import ORACLE, SINGLE, SINGLE_COUPLED

mp.mp.dps = 30
INF = np.inf
BOX_LOSSES = ("iou", "giou", "diou", "ciou")
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def f(*rows):
    return np.array(rows, np.float32)


# --- entmax, for every alpha from 1 on ---


def entmax(x, y, alpha):
    """The loss, the probabilities and the derivative by alpha, with thirty digits."""
    r = mp.mpf(float(alpha)) - 1
    x = [mp.mpf(float(v)) - mp.mpf(float(max(x))) for v in x]

    def probabilities(level):
        return [mp.power(max(1 + r * (v - level), mp.mpf(0)), 1 / r) for v in x]

    low, high = mp.mpf(0), (1 - mp.mpf(len(x)) ** -r) / r
    for _ in range(110):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(probabilities(middle)) >= 1 else (low, middle)
    p = probabilities(low)

    def entropy(a):
        return sum(q * (1 - q ** (a - 1)) for q in p) / (a * (a - 1))

    value = sum(q * v for q, v in zip(p, x, strict=True)) + entropy(1 + r) - x[y]
    return float(value), np.array([float(q) for q in p]), float(mp.diff(entropy, 1 + r))


@pytest.mark.parametrize("alpha", [1.00001, 1.001, 1.3, 1.5, 1.999, 2.0, 2.5, 10.0])
@pytest.mark.parametrize("scores", [(1, 2, 3), (0.1, 0.3, 0.2, 0.29), (40, -3, 39.5)], ids=str)
@DTYPES
def test_entmax_of_every_alpha(alpha, scores, dtype):
    x, label = np.array([scores], dtype), np.array([0])
    given = np.array(alpha, dtype)
    value, p, by_alpha = entmax(x[0], 0, given)
    hot = np.eye(len(scores))[0]
    tolerance, of_gradient = (SINGLE, SINGLE_COUPLED) if dtype == "float32" else (ORACLE, ORACLE)
    found, grads = losses.entmax.value_and_grad(x, label, alpha=given, wrt=("logits", "alpha"))
    assert_close(found, [value], tolerance=tolerance)
    assert_close(grads["logits"], [p - hot], tolerance=of_gradient)
    assert_close(grads["alpha"], by_alpha, tolerance=(of_gradient[0] * 10, of_gradient[1] * 10))
    found, grads = losses.entmax.value_and_grad(x, label, alpha=float(given))
    assert_close(found, [value], tolerance=tolerance)
    assert_close(grads["logits"], [p - hot], tolerance=of_gradient)


def test_entmax_near_1_is_cross_entropy():
    scores, label = f([1, 2, 3]), np.array([0])
    expected = losses.entmax(scores, label, alpha=1.0)
    assert_close(losses.entmax(scores, label, alpha=1.0001), [2.4074669], tolerance=SINGLE)
    for alpha in (1.0, 1 + 1e-12, 1e-40 + 1):
        assert_close(losses.entmax(scores, label, alpha=alpha), expected, tolerance=SINGLE)
        assert_close(
            losses.entmax(scores, label, alpha=np.float32(alpha)), expected, tolerance=SINGLE
        )


# --- other families at their limits: the same with an option next to it ---


@pytest.mark.parametrize(
    ("loss", "option", "limit", "near"),
    [
        ("general_robust", "alpha", 0.0, (1e-12, -1e-12, 1e-39)),
        ("general_robust", "alpha", 2.0, (2 - 1e-12, 2 + 1e-12)),
        ("generalized_cross_entropy", "q", 0.0, (1e-12, 1e-39, 5e-324)),
        ("sigmoid_focal", "gamma", 0.0, (1e-12, 1e-39)),
        ("softmax_focal", "gamma", 0.0, (1e-12, 1e-39)),
        ("tweedie_deviance", "power", 1.0, (1 + 1e-12,)),
        ("tweedie_deviance", "power", 2.0, (2 + 1e-12, 2 - 1e-12)),
        ("charbonnier", "epsilon", 0.0, (1e-12, 1e-39)),
        ("poly_cross_entropy", "epsilon", 0.0, (1e-12, 1e-39)),
        ("tukey_biweight", "c", INF, (1e9,)),
        ("quantile", "q", 0.0, (1e-39,)),
    ],
)
@DTYPES
def test_a_family_is_continuous_at_its_limit(loss, option, limit, near, dtype):
    x = np.array([[0.3, -2.0, 1.5], [1.0, 0.5, 0.7]], dtype)
    y = np.array([[0.3, 1.0, 2.0], [0.2, 0.1, 0.7]], dtype)
    given = {
        "generalized_cross_entropy": (x, np.array([0, 2])),
        "softmax_focal": (x, np.array([0, 2])),
        "sigmoid_focal": (x, np.abs(y) / 3),
        "tweedie_deviance": (np.abs(x), y),
    }.get(loss, (x, y))
    function = getattr(losses, loss)
    expected, slopes = function.value_and_grad(*given, **{option: limit})
    tolerance = {"float32": SINGLE_COUPLED, "float64": (1e-8, 1e-8)}[dtype]
    for value in near:
        found, grads = function.value_and_grad(*given, **{option: value})
        assert_close(found, expected, tolerance=tolerance)
        for name, slope in slopes.items():
            if loss != "charbonnier":  # whose kink is at an error of 0
                assert_close(grads[name], slope, tolerance=tolerance)


# --- distributions that are nearly equal, or sure ---


def softmax(logits, temperature):
    shares = [mp.exp(mp.mpf(float(x)) / mp.mpf(temperature)) for x in logits]
    return [share / sum(shares) for share in shares]


@pytest.mark.parametrize("temperature", [0.1, 1.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_distillation_of_any_temperature(temperature, dtype):
    student, teacher = (np.array([x], dtype) for x in ([1, 2, 0.5], [2, 1, -1]))
    p, q = softmax(teacher[0], temperature), softmax(student[0], temperature)
    divergence = sum(a * mp.log(a / b) for a, b in zip(p, q, strict=True))
    expected = float(divergence * mp.mpf(temperature) ** 2)
    slope = [float((b - a) * temperature) for a, b in zip(p, q, strict=True)]
    if dtype == "float16" and temperature > 1e4:
        return  # of which no square is a number
    value, grads = losses.distillation.value_and_grad(student, teacher, temperature=temperature)
    tolerance = {"float16": (4e-3, 1e-3), "float32": SINGLE, "float64": ORACLE}[dtype]
    assert_close(value, [expected], tolerance=tolerance)
    assert_close(grads["student"], [slope], tolerance=tolerance)


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("loss", ["relative_entropy", "jensen_shannon"])
@pytest.mark.parametrize("from_logits", [False, True])
def test_nearly_equal_distributions_keep_the_digits_of_their_distance(loss, size, from_logits):
    x, y = np.array([[0.3, -1.2, 0.8, 0.1]]), np.array([[1.0, -1.0, 0.4, 2.0]]) * size
    p, q = softmax(x[0], 1), softmax((x + y)[0], 1)
    mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    pairs = [(p, q)] if loss == "relative_entropy" else [(p, mean), (q, mean)]
    divergences = [sum(a * mp.log(a / b) for a, b in zip(*pair, strict=True)) for pair in pairs]
    expected = float(sum(divergences) / len(pairs))
    given = (x, x + y) if from_logits else [np.array([list(map(float, z))]) for z in (p, q)]
    value = getattr(losses, loss)(*given, from_logits=from_logits)
    # what rounding the inputs has done to their distance
    assert_close(value, [expected], tolerance=(1e-13 + 1e-14 / size, 0))
    assert value >= 0


def test_slopes_of_divergences_where_something_has_no_share():
    half = np.log(2) / 2
    p, q = f([0, 1], [0.5, 0.5], [0, 1]), f([0, 1], [0, 1], [0.5, 0.5])
    _, grads = losses.jensen_shannon.value_and_grad(p, q, wrt=("p", "q"))
    third = np.log(2 / 3) / 2
    assert_close(grads["p"], f([half, 0], [half, third], [-INF, np.log(4 / 3) / 2]))
    assert_close(grads["q"], f([half, 0], [-INF, np.log(4 / 3) / 2], [half, third]))
    _, grads = losses.relative_entropy.value_and_grad(p[[0, 2]], q[[0, 2]], wrt=("p", "q"))
    assert_close(grads["p"], f([INF, 1], [-INF, 1 + np.log(2)]))
    assert_close(grads["q"], f([0, -1], [0, -2]))
    table = f([[1, 0], [0, 0]], [[0.5, 0.5], [0, 0]])
    value, grads = losses.mutual_information.value_and_grad(table)
    assert_close(value, f(0, 0)[0] if value.ndim == 0 else f(0, 0).reshape(2))
    assert_close(grads["joint"][1], f([-1, -1], [np.log(2), np.log(2)]))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("as_array", [False, True])
def test_focal_losses_of_infinite_logits(gamma, as_array):
    logits, labels = f(-INF, INF, INF, -INF).ravel(), f(0, 1, 0, 1).ravel()
    given = np.float32(gamma) if as_array else gamma
    value, grads = losses.sigmoid_focal.value_and_grad(logits, labels, gamma=given)
    assert_close(value, f(0, 0, INF, INF).ravel())
    assert_close(grads["logits"], f(0, 0, 1, -1).ravel())
    rows, classes = f([INF, 0], [0, -INF]), np.array([0, 0])
    value, grads = losses.softmax_focal.value_and_grad(rows[1:], classes[1:], gamma=given)
    assert_close(value, f(0).ravel())
    assert_close(grads["logits"], f([0, 0]))


def test_an_answer_that_the_policy_rules_out():
    policy, never = f(-5).ravel(), f(-INF).ravel()
    for smoothing in (0.0, np.float32(0)):
        value, grads = losses.dpo.value_and_grad(
            policy, never, policy, policy, label_smoothing=smoothing
        )
        assert_close(value, f(0).ravel())
        assert_close(grads["policy_chosen"], f(0).ravel())
    assert losses.dpo(policy, never, policy, policy, label_smoothing=1.0) == INF


# --- boxes ---

TARGET = f([0, 0, 2, 2])


@pytest.mark.parametrize("loss", BOX_LOSSES)
def test_reversed_corners_are_an_empty_box(loss):
    function, high = getattr(losses, loss), {"iou": 1, "ciou": 3}.get(loss, 2)
    boxes = f([30, 30, -30, -30], [2, 2, 0, 0], [2, 0, 0, 2], [0, 2, 2, 0], [1, 1, -1e30, -1e30])
    value, grads = function.value_and_grad(boxes, TARGET.repeat(len(boxes), axis=0))
    assert ((value >= 1) & (value <= high)).all()
    assert np.isfinite(grads["pred"]).all()
    assert_close(function(boxes[1:2], TARGET), f(1).ravel())


def test_a_large_box_of_reversed_corners_is_far_from_a_small_one():
    assert_close(losses.giou(f([30, 30, -30, -30]), TARGET), [1 + 3596 / 3600], "float32")


@pytest.mark.parametrize("loss", BOX_LOSSES)
def test_boxes_without_an_area_overlap_where_they_are_the_same(loss):
    function = getattr(losses, loss)
    same = f([0, 0, 0, 0], [1, 1, 3, 1], [2, 2, 2, 5])
    value, grads = function.value_and_grad(same, same)
    assert_close(value, np.zeros(3, np.float32))
    assert_close(grads["pred"], np.zeros((3, 4), np.float32))
    assert function(f([0, 0, 0, 0]), f([1, 1, 1, 1])) >= 1


@pytest.mark.parametrize("loss", BOX_LOSSES)
@pytest.mark.parametrize(("dtype", "size"), [("float16", 1e4), ("float32", 1e30)])
def test_areas_do_not_overflow(loss, dtype, size):
    pred, target = np.array([[0, 0, 2, 1]]), np.array([[0, 0, 1, 1]])
    expected = getattr(losses, loss)(pred.astype("f8"), target.astype("f8"))
    scaled = [(box * size).astype(dtype) for box in (pred, target)]
    assert_close(getattr(losses, loss)(*scaled), expected, tolerance=(2e-3, 0))
