"""Curves of a loss: its value and gradient along one entry of its prediction."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph import gluon, losses, nn, optax
from lossgraph.catalogue import entries, lookup
from lossgraph.compare.finite_differences import along
from lossgraph.errors import InputError
from lossgraph.view.curves import Kink, curve
from lossgraph.view.sweeps import sweep_of

pytestmark = pytest.mark.once

X = np.linspace(-5, 5, 101)
STEP = 1e-5
CONSTANTS = ("ciou", "circle")  # whose sources keep factors out of the gradient


def slopes(loss, sweep, x, step):
    """Central differences of the value alone."""
    return along(
        lambda at: np.array([np.sum(first(loss(**sweep.at(each)))) for each in at["x"]]),
        {"x": np.asarray(x)}, {"x": np.ones(len(x))}, step,
    )  # fmt: skip


def first(value):
    return value[0] if isinstance(value, tuple) else value


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_loss_has_a_curve_with_the_slope_that_its_gradient_says(entry):
    loss = entry.make()
    sweep = sweep_of(loss)
    at = np.linspace(sweep.low, sweep.high, 25)[1:-1]
    found = curve(loss, sweep, np.concatenate([at - STEP, at, at + STEP]))
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.gradient).all()
    assert np.ptp(found.value) > 0, "it does not move"
    if entry.own_name in CONSTANTS:
        return
    left, _, right = found.value.reshape(-1, 3).T
    expected, slope = (right - left) / (2 * STEP), found.gradient[1::3]
    near = (np.array([kink.x for kink in found.kinks])[:, None], found.x[1::3])
    smooth = (np.abs(near[0] - near[1]) > 2 * STEP).all(axis=0)
    scale = max(1, np.ptp(expected) / 10)
    assert slope[smooth] == pytest.approx(expected[smooth], rel=1e-4, abs=1e-4 * scale)
    assert smooth.sum() > 20


@pytest.mark.parametrize(
    "name", ["gluon.HingeLoss", "l1", "nn.MultiMarginLoss", "losses.giou", "losses.wing",
             "losses.lovasz_softmax", "losses.batch_hard_triplet", "losses.wasserstein_1d"],
)  # fmt: skip
def test_kinks_have_the_slopes_of_both_sides(name):
    loss = lookup(name).make()
    sweep = sweep_of(loss)
    found = curve(loss, sweep, 101)
    assert found.kinks
    for kink in found.kinks:
        left = slopes(loss, sweep, [kink.x - 2 * STEP], STEP)[0]
        right = slopes(loss, sweep, [kink.x + 2 * STEP], STEP)[0]
        assert (kink.left, kink.right) == pytest.approx((left, right), rel=1e-3, abs=1e-3)


# --- against closed forms ---


def test_huber():
    found = curve(gluon.HuberLoss(rho=2), sweep_of(gluon.HuberLoss(rho=2)), X)
    near = np.abs(X) <= 2
    assert found.value == pytest.approx(np.where(near, X**2 / 4, np.abs(X) - 1))
    assert found.gradient == pytest.approx(np.where(near, X / 2, np.sign(X)))
    assert found.kinks == ()


def test_hinge():
    loss = gluon.HingeLoss(margin=2)
    found = curve(loss, sweep_of(loss), X)
    assert found.value == pytest.approx(np.maximum(0, 2 - X))
    (kink,) = found.kinks
    assert (kink.x, kink.left, kink.right) == pytest.approx((2, -1, 0))


@pytest.mark.parametrize("loss", [gluon.LogisticLoss(), nn.SoftMarginLoss()])
def test_logistic(loss):
    sweep = sweep_of(loss)
    found = curve(loss, sweep, X)
    assert found.value == pytest.approx(np.log1p(np.exp(-X)))
    assert found.gradient == pytest.approx(-1 / (1 + np.exp(X)))
    moved = curve(loss, sweep.labelled(-1), X)
    assert moved.value == pytest.approx(np.log1p(np.exp(X)))


@pytest.mark.parametrize(
    "loss",
    [gluon.SoftmaxCELoss(), gluon.SoftmaxCELoss(sparse_label=False), nn.CrossEntropyLoss(),
     optax.softmax_cross_entropy, optax.softmax_cross_entropy_with_integer_labels],
)  # fmt: skip
def test_cross_entropy_of_three_classes(loss):
    sweep = sweep_of(loss)
    assert sweep.entry == (0, 1)
    found = curve(loss, sweep, X)
    assert found.value == pytest.approx(np.log(2 + np.exp(X)) - X)
    assert found.gradient == pytest.approx(np.exp(X) / (2 + np.exp(X)) - 1)
    other = curve(loss, sweep.labelled(2), X)
    assert other.value == pytest.approx(np.log(2 + np.exp(X)))


def test_absolute_error_jumps_at_its_label():
    sweep = sweep_of(losses.quantile).labelled(1.5)
    found = curve(losses.quantile.with_options(q=0.9), sweep, X)
    assert found.value == pytest.approx(np.where(X < 1.5, 0.9 * (1.5 - X), 0.1 * (X - 1.5)))
    (kink,) = found.kinks
    assert (kink.x, kink.left, kink.right) == pytest.approx((1.5, -0.9, 0.1))


# --- what moves, what stays ---


@pytest.mark.parametrize(
    ("loss", "low", "high"),
    [
        (gluon.L2Loss(), -5, 5),
        (nn.BCELoss(), 0.001, 0.999),
        (gluon.SigmoidBCELoss(from_sigmoid=True), 0.001, 0.999),
        (nn.NLLLoss(), -5, -0.001),
        (losses.gamma_nll, 0.001, 5),
        (nn.PoissonNLLLoss(log_input=False), 0.001, 5),
    ],
)
def test_ranges_are_those_where_the_loss_is_defined(loss, low, high):
    sweep = sweep_of(loss)
    assert (sweep.low, sweep.high) == (low, high)


@pytest.mark.parametrize(
    ("name", "label", "kind", "default", "choices"),
    [
        ("huber", "label[0, 0]", "number", 0, ()),
        ("hinge", "label[0, 0]", "number", 1, (-1, 1)),
        ("sigmoid_bce", "label[0, 0]", "number", 1, ()),
        ("softmax_ce", "label[0]", "class", 1, (0, 1, 2)),
        ("optax.softmax_cross_entropy", "labels[0]", "one_hot", 1, (0, 1, 2)),
        ("nn.MultiLabelMarginLoss", "target[0, 0]", "class", 1, (0, 1, 2)),
        ("losses.arcface", "label[0]", "class", 1, (0, 1, 2, 3, 4)),
        ("optax.huber_loss", "targets[0, 0]", "number", 0, ()),
        ("losses.cross_entropy", "p[0, 1]", "number", None, ()),
    ],
)
def test_labels(name, label, kind, default, choices):
    found = sweep_of(lookup(name).make()).label
    assert f"{found.input}[{', '.join(map(str, found.entry))}]" == label
    assert (found.kind, found.choices) == (kind, choices)
    assert default is None or found.default == default


def test_one_sample_unless_samples_see_each_other():
    sizes = {
        name: len(sweep_of(lookup(name).make()).arrays[first])
        for name, first in {
            "losses.cosface": "embedding", "triplet": "pred", "losses.supcon": "embedding",
            "sdml": "x1", "losses.cox_partial_likelihood": "log_risk",
        }.items()
    }  # fmt: skip
    assert list(sizes.values()) == [1, 1, 4, 4, 4]


def test_the_label_must_be_allowed():
    with pytest.raises(InputError, match="the label 'label' is one of -1, 1 here, got 0"):
        sweep_of(gluon.HingeLoss()).labelled(0)
    with pytest.raises(InputError, match=r"a number from 0\.0 to 1\.0 here, got 2"):
        sweep_of(nn.BCELoss()).labelled(2)
    with pytest.raises(InputError, match="there is no label to set"):
        sweep_of(losses.z_loss).labelled(0)


def test_a_loss_of_ones_own_is_not_known():
    with pytest.raises(InputError, match="what to vary of Own is not known"):
        sweep_of(type("Own", (gluon.Loss,), {})(None, 0))


def test_other_dtypes_move_in_their_own_numbers():
    sweep = sweep_of(gluon.L1Loss(), "float16")
    found = curve(gluon.L1Loss(), sweep, 5001)
    assert sweep.arrays["pred"].dtype == np.float16
    assert (found.x == found.x.astype(np.float16)).all()
    assert [kink.x for kink in found.kinks] == [0]


def test_the_values_line_has_its_corner_between_points():
    found = curve(gluon.HingeLoss(), sweep_of(gluon.HingeLoss()), [0, 3])
    assert [values.tolist() for values in found.value_line] == [[0, 1, 3], [1, 0, 0]]


def test_the_gradients_line_has_a_gap_at_a_kink():
    found = curve(gluon.L1Loss(), sweep_of(gluon.L1Loss()), [-1, 0, 1])
    assert found.kinks == (Kink(0, -1, 1, 0),)
    assert found.gradient.tolist() == [-1, 0, 1]
    x, y = found.gradient_line
    assert x.tolist() == [-1, 0, 0, 0, 1]
    np.testing.assert_equal(y, [-1, -1, np.nan, 1, 1])


def test_at_their_limits_losses_have_the_values_that_they_have():
    found = curve(nn.BCELoss(), sweep_of(nn.BCELoss()), [0.0, 0.5])
    assert found.value.tolist() == pytest.approx([100, np.log(2)])  # torch's clamp
    found = curve(losses.gamma_nll, sweep_of(losses.gamma_nll), [0.0, 1.0, 2.0])
    assert found.value.tolist() == pytest.approx([np.inf, 1, 1])
    assert found.gradient[0] == -np.inf
    assert found.kinks == ()


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (gluon.LogisticLoss(label_format="binary"), np.log1p(np.exp(-X))),
        (nn.MSELoss(reduction="none"), X**2),
        (nn.HuberLoss(reduction="sum", delta=10), X**2 / 2),
        (nn.CrossEntropyLoss(reduction="none"), np.log(2 + np.exp(X)) - X),
        (gluon.PoissonNLLLoss(from_logits=True), np.exp(X) - X),
    ],
)
def test_options_change_what_stands_there(loss, value):
    assert curve(loss, sweep_of(loss), X).value == pytest.approx(value)
