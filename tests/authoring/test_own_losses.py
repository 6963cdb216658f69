"""Losses of one's own, as people write them for Gluon."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, reference
from lossgraph.authoring.functions import FunctionLoss, as_loss
from lossgraph.errors import InputError
from support import assert_close, difference_quotient
from tolerances import DIFFERENCE

RNG = np.random.default_rng(0)
N, C = 4, 5


def real(*shape):
    return RNG.uniform(-2, 2, shape)


def test_import_lines_of_gluon_code():
    """What stands behind ``from mxnet`` and ``from mxnet.gluon`` in the wild."""
    lines = """
import lossgraph as mx
from lossgraph import gluon
from lossgraph.gluon import HybridBlock, loss as gloss
from lossgraph.gluon.block import HybridBlock as Base
from lossgraph.gluon.loss import Loss, SoftmaxCELoss, _apply_weighting, _reshape_like
assert mx.gluon.loss.L2Loss is gloss.L2Loss is gluon.L2Loss
assert issubclass(Loss, Base) and Base is HybridBlock
"""
    exec(lines, {})


class FocalLoss(gluon.Loss):
    """As people write it for Gluon."""

    def __init__(self, alpha=0.25, gamma=2, sparse_label=True, num_class=None, axis=-1,
                 weight=None, batch_axis=0, **kwargs):  # fmt: skip
        super().__init__(weight, batch_axis, **kwargs)
        self._alpha, self._gamma, self._num_class = alpha, gamma, num_class
        self._axis, self._sparse_label = axis, sparse_label

    def hybrid_forward(self, F, pred, label, sample_weight=None):
        pred = F.sigmoid(pred)
        one_hot = F.one_hot(label, self._num_class) if self._sparse_label else label > 0
        pt = F.where(one_hot, pred, 1 - pred)
        t = F.ones_like(one_hot)
        alpha = F.where(one_hot, self._alpha * t, (1 - self._alpha) * t)
        loss = -alpha * ((1 - pt) ** self._gamma) * F.log(pt)
        loss = gluon._apply_weighting(F, loss, self._weight, sample_weight)
        return F.mean(loss, axis=self._batch_axis, exclude=True)


class PixelLoss(gluon.Loss):
    """reshape, slice_axis and pick."""

    def __init__(self, channels, **kwargs):
        super().__init__(None, 0, **kwargs)
        self._channels = channels

    def hybrid_forward(self, F, pred, label):
        scores = F.slice_axis(pred, axis=1, begin=0, end=self._channels)
        boxes = pred.slice_axis(axis=1, begin=self._channels, end=None)
        scores = scores.transpose((0, 2, 1)).reshape((-3, self._channels))
        picked = F.pick(F.log_softmax(scores, axis=-1), label.reshape((-1,)))
        return -picked.reshape_like(label).mean(axis=1) + F.smooth_l1(boxes).mean(axis=(1, 2))


def test_a_focal_loss_written_for_gluon():
    pred = np.array([[2.0, -1, 0.5], [1e4, -1e4, -50]], np.float32)
    label = np.array([0, 2])
    value, grads = FocalLoss(num_class=3).value_and_grad(pred, label)
    p, y = 1 / (1 + np.exp(-pred.astype(np.float64).clip(-700, 700))), np.eye(3)[label]
    log_pt = np.where(
        y, -np.logaddexp(0, -pred.astype(float)), -np.logaddexp(0, pred.astype(float))
    )
    pt, alpha = np.where(y, p, 1 - p), np.where(y, 0.25, 0.75)
    assert_close(value, (-alpha * (1 - pt) ** 2 * log_pt).mean(1), "float32")
    assert np.isfinite(grads["pred"]).all()
    wide, direction = pred[:1].astype(float), np.array([[0.3, -0.2, 0.9]])
    loss = FocalLoss(num_class=3)
    at = {"pred": wide, "label": label[:1]}
    (expected,) = difference_quotient(loss, at, "pred", direction)
    _, exact = loss.value_and_grad(wide, label[:1])
    assert_close(np.sum(exact["pred"] * direction), expected, tolerance=DIFFERENCE)


def test_a_loss_of_slices_and_picks():
    pred, label = real(2, 7, 3), RNG.integers(0, 4, (2, 3))
    loss = PixelLoss(4)
    on_numpy = loss(reference.Array(pred), reference.Array(label))
    assert_close(loss(pred, label), on_numpy.asnumpy())
    model = loss.to_onnx(
        {"pred": ("float32", ("N", 7, "P")), "label": ("int64", ("N", "P"))}, grad=["pred"]
    )
    assert [o.name for o in model.graph.output] == ["loss", "grad_pred"]


class Mixed(gluon.HybridBlock):
    """Losses inside, a tuple out."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.classes = gluon.loss.SoftmaxCrossEntropyLoss()
            self.boxes = gluon.loss.HuberLoss(rho=2)

    def hybrid_forward(self, F, scores, boxes, label, target):
        a, b = self.classes(scores, label), self.boxes(boxes, target)
        return a + 0.5 * b, a, b


def test_a_tuple_of_losses_inside_a_loss():
    scores, boxes, label, target = real(N, C), real(N, 4), np.arange(N), real(N, 4)
    loss = Mixed(prefix="mixed_")
    (total, a, b), grads = loss.value_and_grad(
        scores, boxes, label, target, wrt=("scores", "boxes")
    )
    ce, ce_grad = gluon.SoftmaxCELoss().value_and_grad(scores, label)
    huber, huber_grad = gluon.HuberLoss(rho=2).value_and_grad(boxes, target)
    assert_close(a, ce)
    assert_close(b, huber)
    assert_close(total, ce + 0.5 * huber)
    assert_close(grads["scores"], 2 * ce_grad["pred"])
    assert_close(grads["boxes"], 1.5 * huber_grad["pred"])
    _, weighed = loss.value_and_grad(
        scores, boxes, label, target, wrt=("scores",), ct=(np.ones(N), np.zeros(N), np.zeros(N))
    )
    assert_close(weighed["scores"], ce_grad["pred"])
    loss.boxes._rho = 3.0  # an option of a loss inside
    assert not np.allclose(loss(scores, boxes, label, target)[2], b)
    model = loss.to_onnx({
        "scores": ("float32", ("N", C)), "boxes": ("float32", ("N", 4)),
        "label": ("int64", ("N",)), "target": ("float32", ("N", 4)),
    }, grad=["scores"])  # fmt: skip
    assert [o.name for o in model.graph.output] == ["loss_0", "loss_1", "loss_2", "grad_scores"]


def test_callables_of_any_kind_are_losses():
    class Squares:
        __slots__ = ()
        __hash__ = None

        def __call__(self, F, pred, label):
            return F.square(pred - label)

        def method(self, F, pred, label):
            return self(F, pred, label)

    pred, label = np.array([1.0, 2.0]), np.array([3.0, 2.0])
    types = {"pred": ("float64", ("N",)), "label": ("float64", ("N",))}
    bodies = [Squares(), Squares().method, functools.partial(Squares.__call__, Squares())]
    for body in bodies:
        np.testing.assert_array_equal(lg.compile(body, types)(pred, label), [4, 0])
        np.testing.assert_array_equal(FunctionLoss(body)(pred, label=label), [4, 0])


def scaled(F, pred, label=None, scale: float = 2.0):
    """A function with an optional input and an option."""
    return scale * (pred if label is None else pred - label)


def test_options_of_a_function_are_given_at_the_call_or_before() -> None:
    loss, x = FunctionLoss(scaled), np.ones(3)
    assert loss.options == {"scale": 2.0}
    np.testing.assert_array_equal(loss(x), [2, 2, 2])
    np.testing.assert_array_equal(loss(x, x, scale=3), [0, 0, 0])
    np.testing.assert_array_equal(loss.with_options(scale=4)(x), [4, 4, 4])
    _, grads = loss.value_and_grad(x, x, scale=3, wrt=("label",))
    np.testing.assert_array_equal(grads["label"], [-3, -3, -3])
    _, grads = loss.value_and_grad(x, scale=np.array(5.0), wrt=("scale",))  # now an input
    assert grads["scale"] == 3


def test_an_option_that_a_function_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"scaled has no option 'size': its options are scale"):
        FunctionLoss(scaled).with_options(size=1)


def test_a_body_that_no_module_has():
    scope = {}
    exec("def body(F, x):\n    return x * 2", scope)
    assert as_loss(scope["body"])(np.ones(2, np.float32)).tolist() == [2, 2]
