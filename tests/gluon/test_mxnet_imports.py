"""Public losses import more of MXNet than they use: what they import is there, or says why not.

The losses are written anew in the manner of public ones; only their import lines are changed.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import log_softmax

import lossgraph as lg
import lossgraph as mx
from lossgraph import autograd, gluon, init, nd, npx
from lossgraph import np as mnp
from lossgraph.gluon import nn
from lossgraph.gluon.loss import Loss
from support import assert_close

RNG = np.random.default_rng(3)
PRED, LABEL = RNG.normal(size=(4, 3)).astype("f"), np.array([0, 2, 1, 1])


class CenterLoss(gluon.HybridBlock):
    """Squared distances to the centers of classes, which are parameters."""

    def __init__(self, num_classes, feature_size, lmbd=1.0, **kwargs):
        super().__init__(**kwargs)
        self._lmbd = lmbd
        with self.name_scope():
            self.centers = self.params.get(
                "centers", shape=(num_classes, feature_size), init=init.Xavier(magnitude=2)
            )

    def hybrid_forward(self, F, feature, label, centers):
        rows = F.Embedding(label, centers, input_dim=3, output_dim=3)
        return self._lmbd * F.sum(F.square(feature - rows), axis=1) / 2


class WeightedSoftmax(Loss):
    """Weights of the classes as a constant of the loss."""

    def __init__(self, weights, **kwargs):
        super().__init__(weight=None, batch_axis=0, **kwargs)
        self.class_weights = self.params.get_constant("class_weights", weights)

    def hybrid_forward(self, F, pred, label, class_weights):
        picked = F.pick(F.log_softmax(pred), label, axis=-1)
        return -picked * F.take(class_weights, label)


class Imperative(gluon.Block):
    """A block that computes in ``forward`` with ``nd`` alone."""

    def __init__(self, margin=1.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin
        self.offset = nd.array([1.0, 0.0, -1.0])

    def forward(self, pred, label):
        score = nd.sum(pred * nd.one_hot(label, 3), axis=1, keepdims=True)
        rest = nd.maximum(0, self.margin + pred - score + self.offset)
        return nd.mean(rest, axis=1)


class WrongOrder(Loss):
    """The arguments of the base in the wrong order, neither of which it uses."""

    def __init__(self, batch_axis=0, weight=None, **kwargs):
        super().__init__(batch_axis, weight, **kwargs)

    def hybrid_forward(self, F, pred, label):
        return F.mean(F.abs(pred - label), axis=0, exclude=True)


class Annotated(Loss):
    """Annotations of several of MXNet's arrays."""

    def __init__(self):
        super().__init__(None, 0)

    def hybrid_forward(self, F, pred: nd.NDArray, label: mx.np.ndarray) -> mnp.ndarray:
        return F.square(pred - label)


def test_parameters_are_inputs():
    centers = RNG.normal(size=(3, 3)).astype("f")
    loss = CenterLoss(3, 3, lmbd=0.5)
    expected = 0.25 * ((PRED - centers[LABEL]) ** 2).sum(1)
    assert_close(loss(PRED, LABEL, centers), expected)
    _, grads = loss.value_and_grad(PRED, LABEL, centers, wrt=("centers",))
    assert grads["centers"].shape == (3, 3)
    parameter = loss.collect_params()["centers"]
    assert parameter.shape == (3, 3)
    assert repr(parameter.init) == "Xavier(magnitude=2)"
    with pytest.raises(lg.InputError, match="centers"):
        loss(PRED, LABEL)
    with pytest.raises(lg.InputError, match="give the array in a call"):
        loss.centers.data()


def test_constants_belong_to_the_loss():
    loss = WeightedSoftmax([1.0, 2.0, 3.0])
    expected = -log_softmax(PRED, 1)[range(4), LABEL] * np.array([1, 2, 3.0])[LABEL]
    assert_close(loss(PRED, LABEL), expected.astype("f"))
    assert_close(loss(PRED, LABEL, np.ones(3, "f")), -log_softmax(PRED, 1)[range(4), LABEL])
    again = pickle.loads(pickle.dumps(loss))
    assert_close(again(PRED, LABEL), expected.astype("f"))
    other = WeightedSoftmax([2.0, 4.0, 6.0])
    assert_close(other(PRED, LABEL), 2 * expected.astype("f"))
    model = loss.to_onnx({"pred": ("float32", ("N", 3)), "label": ("int64", ("N",))})
    assert [i.name for i in model.graph.input] == ["pred", "label"]
    with pytest.raises(lg.InputError, match="constant 'x'"):
        loss.params.get_constant("x", "no array")


def test_a_block_that_computes_in_forward():
    loss = Imperative(margin=0.5)
    score = PRED[range(4), LABEL][:, None]
    expected = np.maximum(0, 0.5 + PRED - score + [1, 0, -1]).mean(1)
    assert_close(loss(PRED, LABEL), expected.astype("f"))
    _, grads = loss.value_and_grad(PRED, LABEL)
    assert grads["pred"].shape == PRED.shape
    assert_close(loss.forward(nd.array(PRED), nd.array(LABEL)), expected.astype("f"))


def test_arguments_of_the_base_in_the_wrong_order():
    assert_close(WrongOrder()(PRED, 0 * PRED), np.abs(PRED).mean(1))
    with pytest.raises(lg.InputError, match="batch_axis"):
        gluon.L2Loss(weight=0.5, batch_axis=None)


def test_annotations_of_arrays():
    assert_close(Annotated()(PRED, 0 * PRED), PRED**2)


def test_arrays():
    x = nd.array([[1, 2], [3, 4]])
    assert x.dtype == np.float32
    assert isinstance(x, nd.NDArray)
    assert_close(nd.sum(x, axis=1).asnumpy(), np.array([3, 7], "f"))
    assert nd.zeros((2, 3)).shape == nd.ones((2, 3)).shape == (2, 3)
    assert nd.array(np.arange(3)).dtype == np.int64
    value = gluon.L2Loss()(x, nd.zeros((2, 2)))
    assert isinstance(value, nd.NDArray)
    assert value.mean().asscalar() == pytest.approx(3.75)
    assert value.as_in_context(value.context) is value
    assert_close(nd.linalg.potrf(nd.array([[4.0]])), np.array([[2]], "f"))
    assert_close(npx.softmax(x), nd.softmax(x))
    assert_close(mnp.exp(x), np.exp(np.asarray(x)))
    assert mnp.float32 is np.float32
    assert mnp.pi == np.pi
    npx.set_np()


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: autograd.record(), "value_and_grad"),
        (lambda: nd.array([1.0]).attach_grad(), "value_and_grad"),
        (lambda: type("Own", (autograd.Function,), {})(), "F.with_gradient"),
        (lambda: nn.Dense(3), "nn.Dense: layers belong to the model"),
        (lambda: nd.random.uniform(), "make the noise an input"),
        (lambda: mnp.random.uniform(), "make the noise an input"),
        (lambda: nd.sofmax, "the nearest names are softmax"),
        (lambda: init.Xaver, "Xavier"),
    ],
)
def test_what_has_no_meaning_says_what_to_do(use, words):
    with pytest.raises(lg.InputError, match=words):
        use()


def test_what_is_only_asked():
    assert not autograd.is_training()
    assert not autograd.is_recording()
    assert issubclass(nn.HybridBlock, gluon.HybridBlock)
    assert mx.init.Normal(0.1).args == (0.1,)
