"""Segmentation losses leave out what is labelled void."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import losses
from support import assert_close

VOID = 255
RNG = np.random.default_rng(5)
KEPT = np.array([0, 2, 3, 5])  # the pixels that are not void
LABEL = RNG.integers(0, 2, (2, 6))
CLASSES = RNG.integers(0, 3, (2, 6))
PROB = RNG.uniform(0.05, 0.95, (2, 6))
SHARES = RNG.dirichlet(np.ones(3), (2, 6)).swapaxes(1, 2)
LOGITS = RNG.normal(size=(2, 6, 3))
ONE_HOT = np.eye(3)[CLASSES]


def voided(labels, axis=1):
    """The same with void labels in the other pixels."""
    kept = np.isin(np.arange(6), KEPT)
    shape = [1] * labels.ndim
    shape[axis] = 6
    return np.where(kept.reshape(shape), labels, VOID)


# loss, its prediction, its label, and the axes of pixels in both
CASES = [
    ("tversky", ("prob", PROB, 1), ("label", LABEL, 1)),
    ("focal_tversky", ("prob", PROB, 1), ("label", LABEL, 1)),
    ("jaccard", ("prob", PROB, 1), ("label", LABEL, 1)),
    ("lovasz_hinge", ("logits", LOGITS[..., 0], 1), ("label", LABEL, 1)),
    ("lovasz_softmax", ("prob", SHARES, 2), ("label", CLASSES, 1)),
    ("dice", ("predictions", LOGITS, 1), ("targets", ONE_HOT, 1)),
    ("generalized_dice", ("predictions", LOGITS, 1), ("targets", ONE_HOT, 1)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_void_pixels_are_as_if_they_were_not_there(case):
    name, (prediction, array, axis), (label, labels, label_axis) = case
    loss = getattr(losses, name)
    some = {prediction: array.take(KEPT, axis), label: labels.take(KEPT, label_axis)}
    expected, some_grads = loss.value_and_grad(**some, wrt=(prediction,))
    given = {prediction: array, label: voided(labels, label_axis)}
    value, grads = loss.value_and_grad(**given, ignore_index=VOID, wrt=(prediction,))
    assert_close(value, expected, "float64")
    everywhere = np.zeros_like(array)
    places = [slice(None)] * array.ndim
    places[axis] = KEPT
    everywhere[tuple(places)] = some_grads[prediction]
    assert_close(grads[prediction], everywhere, "float64")


@pytest.mark.parametrize("case", CASES[:5], ids=lambda case: case[0])
def test_an_image_of_void_alone_is_perfect(case):
    name, (prediction, array, _), (label, labels, _) = case
    given = {prediction: array, label: np.full_like(labels, VOID)}
    value, grads = getattr(losses, name).value_and_grad(**given, ignore_index=VOID)
    assert_close(value, [0.0, 0.0], "float64")
    if name != "focal_tversky":  # whose slope at a perfect overlap is infinite
        assert_close(grads[prediction], np.zeros_like(array), "float64")


def test_the_label_that_is_ignored_is_an_int():
    with pytest.raises(lg.InputError, match="ignore_index: expected an int"):
        losses.jaccard(PROB, LABEL, ignore_index="void")
    with pytest.raises(lg.InputError, match="255"):
        losses.lovasz_softmax(SHARES, voided(CLASSES))
