"""Options and labels at the ends of their ranges."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph import gluon, nn, optax
from support import assert_close

ONE, OTHER = np.array([1.0, 2.0]), np.array([1.0, 3.0])


@pytest.mark.parametrize("threshold", [1e-39, 1e-45, 1e-300, 5e-324])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_threshold_below_all_normal_numbers(threshold, dtype):
    one, other = ONE.astype(dtype), OTHER.astype(dtype)
    value, grads = nn.SmoothL1Loss(beta=threshold).value_and_grad(one, other)
    assert_close(value, np.array(0.5, dtype))
    assert_close(grads["input"], np.array([0, -0.5], dtype))
    assert_close(gluon.HuberLoss(rho=threshold)(one[:, None], other[:, None]), one * 0 + [0, 1])
    for loss in (nn.HuberLoss(delta=threshold), optax.huber_loss.with_options(delta=threshold)):
        value, grads = loss.value_and_grad(one, other)
        assert np.isfinite(value).all() and (np.abs(value) <= threshold).all()
        assert np.isfinite(next(iter(grads.values()))).all()


def test_a_threshold_without_an_end_is_squared_error():
    for loss in (nn.HuberLoss(reduction="none", delta=np.inf),
                 optax.huber_loss.with_options(delta=np.inf)):  # fmt: skip
        assert_close(loss(ONE, OTHER), [0, 0.5], "float64")


def test_the_slope_of_a_divergence_by_a_target_of_0():
    log_p, target = np.log([0.2, 0.8]), np.array([0.0, 1.0])
    loss = nn.KLDivLoss(reduction="none")
    value, grads = loss.value_and_grad(log_p, target, wrt=("input", "target"))
    assert_close(value, [0, -np.log(0.8)], "float64")
    assert_close(grads["target"], [-np.inf, 1 - np.log(0.8)], "float64")
    assert_close(grads["input"], [0, -1], "float64")


def test_sure_alignments_are_not_below_0():
    scores = np.array([[[17, 0], [17, 0]]], np.float32)
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    value = gluon.CTCLoss()(scores, np.array([[0]]))
    assert (value >= 0).all() and (value < 1e-6).all()
    loss = nn.CTCLoss(blank=1, reduction="none")
    value = loss(log_probs.swapaxes(0, 1), np.array([[0]]), np.array([2]), np.array([1]))
    assert (value >= 0).all() and (value < 1e-6).all()
    paddings = np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32)
    value = optax.ctc_loss(scores, paddings[0], np.array([[0]]), paddings[1], blank_id=1)
    assert (value >= 0).all() and (value < 1e-6).all()
