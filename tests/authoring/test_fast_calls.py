"""Calls that are not bound anew: whatever they depend on is still seen."""

import copy
import pickle

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn
from lossgraph.authoring import block as block_module
from support import assert_close

RNG = np.random.default_rng(0)
PRED = RNG.normal(size=(6, 4)).astype(np.float32)
OTHER = RNG.normal(size=(6, 4)).astype(np.float32)
LABEL = np.arange(6) % 4


@pytest.fixture
def bound(monkeypatch):
    """The calls that were bound."""
    calls = []

    def bind_call(*args):
        calls.append(args)
        return original(*args)

    original = block_module.bind_call
    monkeypatch.setattr(block_module, "bind_call", bind_call)
    return calls


def _half_square(pred, label):
    return ((pred - label) ** 2).mean(1) / 2


def test_the_second_call_like_another_is_not_bound(bound):
    loss = gluon.L2Loss()
    for pred, label in ((PRED, OTHER), (OTHER, PRED), (PRED + 1, OTHER)):
        assert_close(loss(pred, label), _half_square(pred, label))
    assert len(bound) == 1
    assert_close(loss(PRED[:3], OTHER[:3]), _half_square(PRED, OTHER)[:3])
    assert len(bound) == 2


def test_arrays_by_name_are_taken_by_their_names(bound):
    loss = gluon.TripletLoss()
    expected = loss(PRED, OTHER, PRED + OTHER)
    for _ in range(2):
        actual = loss(PRED, negative=PRED + OTHER, positive=OTHER)
        np.testing.assert_array_equal(actual, expected)
    assert len(bound) == 2
    swapped = loss(PRED, positive=PRED + OTHER, negative=OTHER)
    assert_close(swapped, loss(PRED, PRED + OTHER, OTHER))
    assert not np.array_equal(swapped, expected)


def test_an_optional_array_tells_calls_apart(bound):
    loss, weight = gluon.L2Loss(), np.full((6, 1), 3, np.float32)
    for _ in range(2):
        assert_close(loss(PRED, OTHER, weight), 3 * _half_square(PRED, OTHER))
        assert_close(loss(PRED, OTHER, sample_weight=weight), 3 * _half_square(PRED, OTHER))
        assert_close(loss(PRED, OTHER), _half_square(PRED, OTHER))
    assert len(bound) == 3


def test_an_attribute_that_is_set_is_seen():
    loss = gluon.L2Loss(weight=1.0)
    for weight in (1.0, 2.0, 3, True, 2.0):
        loss._weight = weight
        for _ in range(3):
            assert_close(loss(PRED, OTHER), weight * _half_square(PRED, OTHER))


def test_equal_attributes_of_other_types_are_told_apart():
    """1.0 and True are equal, and are not the same option."""

    class Shown(gluon.Loss):
        def hybrid_forward(self, F, pred, label):
            return F.sum(pred - label, axis=1) * 0 + (5.0 if self.option is True else 7.0)

    loss = Shown(None, 0)
    loss.option = 1.0
    assert [loss(PRED, OTHER)[0] for _ in range(3)] == [7, 7, 7]
    loss.option = True
    assert [loss(PRED, OTHER)[0] for _ in range(3)] == [5, 5, 5]


@pytest.mark.parametrize("place", ["list", "dict", "array", "loss", "namespace"])
def test_what_changes_inside_of_an_attribute_is_seen(place):
    from types import SimpleNamespace

    class Scaled(gluon.Loss):
        def hybrid_forward(self, F, pred, label):
            return F.sum(pred - label, axis=1) * float(self.read())

    loss = Scaled(None, 0)
    inner = gluon.L2Loss(weight=1.0)
    holders = {
        "list": ([1.0], lambda h: h[0], lambda h, x: h.__setitem__(0, x)),
        "dict": ({"a": 1.0}, lambda h: h["a"], lambda h, x: h.__setitem__("a", x)),
        "array": (np.ones(1), lambda h: h[0], lambda h, x: h.__setitem__(0, x)),
        "loss": (inner, lambda h: h._weight, lambda h, x: setattr(h, "_weight", x)),
        "namespace": (SimpleNamespace(a=1.0), lambda h: h.a, lambda h, x: setattr(h, "a", x)),
    }
    loss.held, read, write = holders[place]
    loss.read = lambda: read(loss.held)
    expected = (PRED - OTHER).sum(1)
    for scale in (1.0, 2.0, 5.0):
        write(loss.held, scale)
        for _ in range(3):
            assert_close(loss(PRED, OTHER), scale * expected, tolerance=(1e-5, 1e-5))


def test_a_body_that_sets_attributes_goes_on_doing_so():
    class Counting(gluon.Loss):
        calls = 0

        def hybrid_forward(self, F, pred, label):
            self.calls += 1
            return F.sum(pred - label, axis=1) * self.calls

    loss = Counting(None, 0)
    first = loss(PRED, OTHER)
    for _ in range(3):
        np.testing.assert_array_equal(loss(PRED, OTHER), first)


def test_gradients_are_told_apart_by_what_they_are_of(bound):
    loss = gluon.L2Loss()
    for _ in range(2):
        value, grads = loss.value_and_grad(PRED, OTHER)
        assert_close(grads["pred"], (PRED - OTHER) / 4)
        both = loss.value_and_grad(PRED, OTHER, wrt=["pred", "label"])[1]
        np.testing.assert_array_equal(both["label"], -both["pred"])
        assert_close(loss(PRED, OTHER), value)
        weighed = loss.value_and_grad(PRED, OTHER, ct=np.full(6, 2, np.float32))[1]
        assert_close(weighed["pred"], (PRED - OTHER) / 2)
    assert len(bound) == 5  # calls with a cotangent are bound each time
    for wrt in ({"pred": 1}, (["pred"],), 5):
        with pytest.raises(lg.InputError, match="wrt: expected names"):
            loss.value_and_grad(PRED, OTHER, wrt=wrt)


def test_labels_and_shapes_are_checked_each_time():
    loss = gluon.SoftmaxCELoss()
    for _ in range(2):
        loss(PRED, LABEL)
    with pytest.raises(lg.InputError, match=r"label\[1\] is 9"):
        loss(PRED, np.where(LABEL == 1, 9, LABEL))
    with pytest.raises(lg.InputError):
        loss(PRED, LABEL[:5])
    with pytest.raises(lg.InputError, match="expected an array"):
        loss(PRED, "label")
    assert loss(PRED, LABEL).shape == (6,)


def test_a_domain_is_looked_at_each_time():
    loss = nn.PoissonNLLLoss(log_input=False, full=False, eps=0.0)
    good, target = np.abs(PRED) + 1, np.ones_like(PRED)
    for _ in range(2):
        loss(good, target)
    with pytest.warns(lg.LossgraphWarning, match="outside of its domain"):
        loss(-good, target)
    with pytest.warns(lg.LossgraphWarning, match="outside of its domain"):
        loss.value_and_grad(-good, target)


@pytest.mark.parametrize(
    "copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)  # fmt: skip
def test_a_copy_has_calls_of_its_own(copied):
    loss = gluon.L2Loss()
    expected = [loss(PRED, OTHER) for _ in range(2)][1]
    other = copied(loss)
    other._weight = 3.0
    assert_close(other(PRED, OTHER), 3 * expected)
    assert_close(loss(PRED, OTHER), expected)
