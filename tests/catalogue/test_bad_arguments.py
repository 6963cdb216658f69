"""Every loss with each argument replaced by what it is not: a result or a LossgraphError."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossgraph as lg
from bad_arguments import BAD, NO_ARRAYS, OTHER_KINDS, OTHER_SHAPES, raw_errors, with_each_replaced
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue import Entry, entries
from lossgraph.deploy.example_inputs import draw_inputs

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy before 2.2
every_loss = pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)


def _arrays(entry: Entry) -> tuple[Any, dict[str, Any]]:
    loss = entry.make()
    types = {name: example.type for name, example in entry.examples(loss).items()}
    return loss, draw_inputs(loss, loss.program(types))


def _place(entry: Entry) -> int:
    """A number by which losses differ."""
    return sum(map(ord, entry.name))


@every_loss
def test_inputs(entry: Entry) -> None:
    """What is no array of numbers; of the numbers, which are compiled, one for each loss."""
    loss, arrays = _arrays(entry)
    bad = {**NO_ARRAYS, **OTHER_KINDS}
    compiled = ["a fraction", "a negative", "a large int", "a truth value", "an empty list"]
    del compiled[_place(entry) % len(compiled)]
    bad = {what: value for what, value in bad.items() if what not in compiled}
    assert raw_errors(loss, with_each_replaced((), arrays, bad)) == []


@every_loss
def test_shapes_of_inputs(entry: Entry) -> None:
    """One input of another shape: one shape for each loss, as those that fit are compiled."""
    loss, arrays = _arrays(entry)
    chosen = list(OTHER_SHAPES)[_place(entry) % len(OTHER_SHAPES)]
    bad = {chosen: OTHER_SHAPES[chosen]}
    assert raw_errors(loss, with_each_replaced((), arrays, bad)) == []


@every_loss
def test_options(entry: Entry) -> None:
    def make(**options: Any) -> Any:
        return entry.make(options)

    assert raw_errors(make, with_each_replaced((), entry.options)) == []


@pytest.mark.parametrize(
    "entry", [e for e in entries() if isinstance(e.source, FunctionLoss)], ids=lambda e: e.name
)
def test_options_of_a_call(entry: Entry) -> None:
    loss, arrays = _arrays(entry)

    def call(**options: Any) -> Any:
        return loss(**arrays, **options)

    arrays_too = {"rank 1": BAD["rank 1"], **NO_ARRAYS, **OTHER_KINDS}
    del arrays_too["a negative"], arrays_too["a fraction"]  # each a graph of its own
    assert raw_errors(call, with_each_replaced((), loss.options, arrays_too)) == []


@pytest.mark.parametrize("bad", [None, "abc", {"a": 1}, int], ids=repr)
def test_the_argument_and_what_was_given_are_named(bad: Any) -> None:
    pred = np.ones((2, 3), np.float32)
    with pytest.raises(lg.InputError, match="L2Loss: label: expected an array, got"):
        lg.gluon.L2Loss()(pred, bad)
    with pytest.raises(lg.InputError, match="HuberLoss: rho: expected a number, got"):
        lg.gluon.HuberLoss(rho=bad)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lg.gluon.L2Loss(batch_axis=1.5), "batch_axis: expected an int, got 1.5"),
        (lambda: lg.nn.MSELoss(reduction=1), "reduction: expected a string, got 1"),
        (lambda: lg.gluon.KLDivLoss(from_logits="no"), "from_logits: expected True or False"),
        (lambda: lg.losses.tversky([[1.0]], [[1.0]], batch_axes=9), "prob: expected at least 9"),
        (lambda: lg.gluon.L2Loss()([[1.0, 2], [3]], [1.0]), "pred: not an array: .*inhomogeneous"),
        (
            lambda: lg.gluon.L2Loss()(np.ones(2, complex), [1.0, 1]),
            r"pred: expected numbers, got an array complex128\[2\]",
        ),
        (lambda: lg.nn.BCELoss(weight=[[1.0], [2, 3]]), "weight: not an array"),
        (
            lambda: lg.gluon.L2Loss().value_and_grad(np.ones(2), np.ones(2), wrt=0),
            "wrt: expected names of inputs, got 0",
        ),
    ],
)
def test_what_is_wanted_is_said(call: Any, message: str) -> None:
    with pytest.raises(lg.InputError, match=message):
        call()


def test_the_mask_of_an_array_is_not_dropped() -> None:
    pred = np.ma.array([[1.0, 2.0]], mask=[[False, True]], dtype=np.float32)
    label = np.zeros((1, 2), np.float32)
    loss = lg.gluon.L2Loss()
    compiled = lg.compile(loss, dict.fromkeys(("pred", "label"), ("float32", ("N", 2))))
    for call in (loss, compiled, loss.value_and_grad):
        for args in ((pred, label), (label, pred)):
            with pytest.raises(lg.InputError, match=r"masked array.* lg\.masked"):
                call(*args)
    unmasked = np.ma.array([[1.0, 2.0]], dtype=np.float32)
    assert loss(unmasked, label) == compiled(unmasked, label) == 1.25
