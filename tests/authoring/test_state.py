"""What is compiled belongs to the value of a loss's attributes: set, replaced, changed in place."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn, optax
from lossgraph.authoring.block import Block
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.authoring.state import frozen
from support import assert_close

PRED, TARGET = np.array([[1.0, 2.0], [3.0, -4.0]]), np.zeros((2, 2))


class Tables(gluon.Loss):
    """A container of arrays, an object and a loss inside, traced as often as it says."""

    def __init__(self, table):
        super().__init__(None, 0)
        self.tables = {"w": table, "deep": [{"scale": np.ones(1)}]}
        self.inner = gluon.L2Loss()

    def hybrid_forward(self, F, pred):
        scale = F.array(self.tables["deep"][0]["scale"], dtype="float64")
        return self.inner(pred, F.zeros_like(pred)) * F.array(self.tables["w"][-1]) * scale


def at(loss):
    return loss(PRED) / gluon.L2Loss()(PRED, TARGET)


def test_replaced_entries_of_containers_count_with_all_their_bytes() -> None:
    table = np.ones(3000)
    loss = Tables(table)
    assert_close(at(loss), [1, 1])
    other = table.copy()
    other[2999] = 2.0
    loss.tables["w"] = other
    assert_close(at(loss), [2, 2])
    other[2999] = 3.0  # in place
    assert_close(at(loss), [3, 3])
    loss.tables["deep"][0]["scale"][0] = 2.0
    assert_close(at(loss), [6, 6])
    loss.inner._weight = 0.5
    assert_close(at(loss), [3, 3])


def test_arrays_that_cannot_change_are_known_by_what_they_are() -> None:
    fixed, equal = np.ones(5), np.ones(5)
    fixed.flags.writeable = equal.flags.writeable = False
    assert frozen(fixed) == frozen(fixed) != frozen(equal)
    view = np.broadcast_to(np.ones(1), (5,))  # what it shows may change
    assert frozen(view) == frozen(view.copy())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (1, 1.0), (0.0, -0.0), ("1", b"1"), ((1,), [1]), ({"a": 1}, {"a": 2}),
        (np.ones(3), np.ones(3, "float32")), (np.ones((1, 2)), np.ones((2, 1))),
        (np.zeros(2), -np.zeros(2)), (np.array([None, "a"]), np.array([None, "b"])),
        (np.float32(1), np.float64(1)), ({1, 2}, {1, 3}), (lg.Input("a"), lg.Input("b")),
        (gluon.L2Loss(), gluon.L1Loss()), (gluon.L2Loss(), gluon.L2Loss(2.0)),
        (lambda: 1, lambda: 1), (nn.HuberLoss(delta=0.0 + 1), nn.HuberLoss(delta=1)),
    ],
)  # fmt: skip
def test_what_computes_something_else_is_another_value(one, other) -> None:
    assert frozen(one) != frozen(other)
    assert frozen(one) == frozen(one)
    hash(frozen(one))


@pytest.mark.parametrize(
    "value",
    [3, 2.5, float("nan"), "x", (1, [2, {"a": np.arange(4)}]), {1, 2}, np.zeros((0, 3)),
     np.array(2.0), np.arange(6).reshape(2, 3).T, lg.Input("a"), gluon.HuberLoss(rho=2.0),
     lg.masked(gluon.L2Loss())],
)  # fmt: skip
def test_equal_values_are_equal_keys(value) -> None:
    again = copy.deepcopy(value)
    if not isinstance(value, Block):
        assert frozen(value) == frozen(again)
    assert hash(frozen(value)) == hash(frozen(value))


@dataclasses.dataclass
class Config:
    scale: float = 1.0


@dataclasses.dataclass(slots=True)
class Slotted:
    scale: float = 1.0


@pytest.mark.parametrize("make", [Config, Slotted, SimpleNamespace, argparse.Namespace])
def test_records_count_by_their_attributes(make) -> None:
    class Scaled(gluon.HybridBlock):
        def __init__(self, config):
            super().__init__()
            self.config = config

        def hybrid_forward(self, F, pred):
            return self.config.scale * pred

    loss = Scaled(make(scale=2.0))
    assert_close(loss(PRED), 2 * PRED)
    loss.config.scale = 3.0
    assert_close(loss(PRED), 3 * PRED)
    assert frozen(loss.config) == frozen(make(scale=3.0)) != frozen(make(scale=2.0))


def test_what_a_composite_takes_is_not_looked_through_at_every_call() -> None:
    loss = lg.masked(gluon.L2Loss())
    assert frozen(loss.signature) is loss.signature


def test_options_that_come_in_turn_are_compiled_once_each(monkeypatch) -> None:
    import lossgraph.authoring.cache as module

    made = []
    real = module.Compiled
    monkeypatch.setattr(module, "Compiled", lambda *a: made.append(a) or real(*a))
    loss = gluon.HuberLoss()
    for rho in (1.0, 2.0, 1.0, 2.0, 1.0):
        loss._rho = rho
        assert_close(loss(PRED, TARGET), gluon.HuberLoss(rho)(PRED, TARGET))
    assert len(made) - 5 == 2  # five are those of the losses to compare with


def test_an_option_of_a_call_counts_with_all_its_numbers() -> None:
    def body(F, pred, scales: tuple[float, ...] = ()):
        return pred * scales[-1]

    loss = FunctionLoss(body)
    for last in (1.0, 2.0):
        assert_close(loss(PRED, scales=(*[0.0] * 3000, last)), last * PRED)


# --- options of the constructor -------------------------------------------------------------


class Own(gluon.Loss):
    def __init__(self, scale, *shifts, weight=None, **kwargs):
        super().__init__(weight, 0, **kwargs)
        self._scale, self._shifts = scale, shifts

    def hybrid_forward(self, F, pred):
        return self._scale * pred + sum(self._shifts)


def test_every_loss_can_be_made_with_other_options() -> None:
    huber = gluon.HuberLoss(2.0, weight=3.0)
    other = huber.with_options(weight=5.0)
    assert (other.options, huber.options["weight"]) == (
        {"batch_axis": 0, "rho": 2.0, "weight": 5.0}, 3.0,
    )  # fmt: skip
    assert_close(3 * other(PRED, TARGET), 5 * huber(PRED, TARGET))
    weights = np.array([1.0, 3.0])
    given = PRED, np.array([0, 1])
    mean = nn.CrossEntropyLoss(weights)
    assert_close(
        mean.with_options(reduction="sum")(*given),
        nn.CrossEntropyLoss(weights, reduction="sum")(*given),
    )
    masked = lg.masked(gluon.L1Loss()).with_options(reduction="sum")
    assert masked.options["reduction"] == "sum"
    assert_close(Own(2.0, 1.0, 10.0).with_options(weight=1)(PRED), 2 * PRED + 11)
    assert optax.huber_loss.with_options(delta=2.0).with_options().options == {"delta": 2.0}


def test_copies_and_pickles_can_too() -> None:
    huber = gluon.HuberLoss(2.0)
    huber._weight = 7.0
    for again in (pickle.loads(pickle.dumps(huber)), copy.copy(huber), copy.deepcopy(huber)):
        assert again.options == huber.options
        assert again.with_options(weight=1.0).options == {**huber.options, "weight": 1.0}
        assert_close(again(PRED, TARGET), huber(PRED, TARGET))


def test_a_loss_pickled_by_its_attributes_alone_is_read() -> None:
    again = gluon.HuberLoss.__new__(gluon.HuberLoss)
    again.__setstate__({"_rho": 2.0, "_weight": None, "_batch_axis": 0})
    assert_close(again(PRED, TARGET), gluon.HuberLoss(2.0)(PRED, TARGET))
