"""A loss that is NaN for numbers outside of its domain says so where it is called."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, losses, nn, optax


def f(*numbers):
    return np.array(numbers, np.float32)


OUTSIDE = [
    (nn.PoissonNLLLoss(log_input=False), {"input": f(1, -0.5), "target": f(1, 2)},
     r"input\[1\] is -0.5, which is outside of its domain, at least 0"),
    (losses.squared_log, {"pred": f(-2), "target": f(1)}, r"pred\[0\] is -2.0.*at least -1"),
    (losses.squared_log, {"pred": f(1), "target": f(-1.5)}, r"target\[0\] is -1.5"),
    (losses.gaussian_nll, {"mean": f(0), "variance": f(-1), "target": f(0)}, r"variance\[0\]"),
    (losses.laplace_nll, {"location": f(0), "scale": f(-1), "target": f(0)}, r"scale\[0\]"),
    (losses.entropy, {"p": f(-0.1, 1.1)}, r"p\[0\] is -0.1"),
    (losses.relative_entropy, {"p": f(0.1, 0.9), "q": f(-0.1, 1.1)}, r"q\[0\]"),
    (losses.orpo, {"chosen": f(-1), "rejected": f(0.5)}, r"rejected\[0\] is 0.5.*at most 0"),
    (optax.kl_divergence, {"log_predictions": np.log(f(0.5, 0.5)), "targets": f(-0.5, 1.5)},
     r"targets\[0\]"),
    (gluon.PoissonNLLLoss(from_logits=False), {"pred": f(-1), "target": f(1)}, r"pred\[0\]"),
    (gluon.SigmoidBCELoss(from_sigmoid=True), {"pred": f([1.2]), "label": f([1])},
     r"pred\[0, 0\] is 1.2.*0 to 1"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "arrays", "message"), OUTSIDE)
def test_a_call_warns_of_the_first_number_outside(loss, arrays, message):
    with pytest.warns(lg.LossgraphWarning, match=message) as caught:
        value = loss(**arrays)
    assert np.isnan(value).any()
    assert caught[0].filename == __file__
    with pytest.warns(lg.LossgraphWarning, match=message):
        loss.value_and_grad(**arrays)


@pytest.mark.parametrize(("loss", "arrays", "message"), OUTSIDE)
def test_nan_in_nan_out_without_a_word(loss, arrays, message):
    """As is a graph, which cannot speak."""
    unknown = {name: np.full_like(array, np.nan) for name, array in arrays.items()}
    run = lg.compile(loss, {name: (a.dtype.name, a.shape) for name, a in arrays.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(loss(**unknown)).any()
        assert np.isnan(run(**arrays)).any()


def test_logits_have_no_domain():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(losses.entropy(f(-3, 2), from_logits=True)).all()
        nn.PoissonNLLLoss()(f(-1), f(1))


@pytest.mark.parametrize(
    ("prob", "label", "name"),
    [(f(0.5, 1.2), f(1, 0), r"input\[1\] is 1.2"), (f(-0.1, 0.5), f(1, 0), r"input\[0\]"),
     (f(0.5, 0.5), f(1.5, 0), r"target\[0\] is 1.5")],
)  # fmt: skip
def test_what_pytorch_refuses_is_refused(prob, label, name):
    for call in (nn.BCELoss(), nn.BCELoss(reduction="none").value_and_grad):
        with pytest.raises(lg.InputError, match=f"BCELoss: {name}.*0 to 1"):
            call(prob, label)
