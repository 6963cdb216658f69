"""What probabilities losses take their predictions for: by their own values, and by SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import special

import lossgraph as lg
from lossgraph.catalogue import entries, lookup
from lossgraph.catalogue.probabilities import (
    CODINGS,
    LINKS,
    PROBABILISTIC,
    Probabilities,
    probabilities_of,
)

CASES = [
    *((name, {}) for name in PROBABILISTIC),
    ("gluon.KLDivLoss", {"from_logits": False}),
    ("gluon.LogisticLoss", {"label_format": "binary"}),
    ("gluon.SigmoidBinaryCrossEntropyLoss", {"from_sigmoid": True}),
    ("gluon.SoftmaxCrossEntropyLoss", {"from_logits": True}),
    ("gluon.SoftmaxCrossEntropyLoss", {"sparse_label": False}),
    ("gluon.SoftmaxCrossEntropyLoss", {"axis": 1}),
    ("losses.cross_entropy", {"from_logits": True}),
    ("losses.relative_entropy", {"from_logits": True, "base": 2}),
    ("nn.KLDivLoss", {"log_target": True}),
]
IDS = [f"{name}-{options}" for name, options in CASES]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def known(name, options):
    loss = lookup(name).make(options)
    found = probabilities_of(loss)
    assert found is not None
    return loss, found


def as_predictions(link, logits):
    """Predictions that are these logits' probabilities, by SciPy, and the probabilities."""
    if link == "sigmoid":
        return logits, special.expit(logits)
    shares = special.softmax(logits, axis=-1)
    if link == "softmax":
        return logits, shares
    return (np.log(shares) if link == "log" else shares), shares


def expected_loss(loss, found, predictions, truth):
    """The mean loss if labels come from the distribution ``truth``."""

    def value(label):
        return np.mean(loss(**{found.predictions: predictions, found.labels: label}))

    if found.axis is None:
        low = -1.0 if found.coding == "signed" else 0.0
        hit, miss = (np.full(predictions.shape, label) for label in (1.0, low))
        return truth.item() * value(hit) + (1 - truth.item()) * value(miss)
    if found.coding == "class":
        return sum(share * value(np.array([c])) for c, share in enumerate(truth[0]))
    coded = {"log_distribution": np.log, "logits": np.log}.get(found.coding, np.array)
    return value(coded(truth))


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_the_true_probabilities_have_the_least_loss(name, options, rng):
    """No other prediction is better than that which means the labels' distribution."""
    loss, found = known(name, options)
    logits = rng.normal(size=(1, 1 if found.axis is None else 4))
    right, truth = as_predictions(found.link, logits)
    if found.axis is None and found.link == "identity":
        right = truth = special.expit(logits)
    at_truth = expected_loss(loss, found, right, truth)
    others = []
    for _ in range(12):
        moved = logits + rng.normal(scale=0.3, size=logits.shape)
        other, _ = as_predictions(found.link, moved)
        other = special.expit(moved) if found.axis is None and found.link == "identity" else other
        others.append(expected_loss(loss, found, other, truth))
    assert at_truth < min(others) or not found.proper
    label = np.zeros((1,) if found.coding == "class" else right.shape)
    got = found.outcomes({found.predictions: right, found.labels: label})
    np.testing.assert_allclose(got.confidence, truth.max(-1), rtol=1e-15)


def test_improper_losses_are_those_that_move_the_optimum(rng):
    """For each that is said not to be proper some distribution has a better prediction."""
    for name in PROBABILISTIC:
        loss, found = known(name, {})
        if found.proper:
            continue
        logits = np.array([[1.0]]) if found.axis is None else np.array([[2.0, 0.5, 0.0]])
        right, truth = as_predictions(found.link, logits)
        at_truth = expected_loss(loss, found, right, truth)
        scaled = [expected_loss(loss, found, right * k, truth) for k in (0.5, 0.8, 1.25, 2.0, 8.0)]
        assert min(scaled) < at_truth, name


def test_all_of_them_are_losses_with_such_inputs():
    names = {entry.name: entry for entry in entries()}
    for name, options in CASES:
        _, found = known(name, options)
        assert {found.predictions, found.labels} <= set(names[name].declared)
        assert found.mask is None or found.mask in names[name].declared
        assert found.link in LINKS
        assert found.coding in CODINGS


def test_cross_entropies_of_every_namespace_are_known():
    """A loss that is the same as a known one up to options is known too, or says why not."""
    without = {"nn.GaussianNLLLoss"}
    for entry in entries():
        if any(name in PROBABILISTIC for name in entry.same):
            assert entry.name in PROBABILISTIC or entry.name in without, entry.name


@pytest.mark.parametrize("loss", [lg.gluon.L2Loss(), lg.gluon.CTCLoss(), lg.losses.dice])
def test_other_losses_have_none(loss):
    assert probabilities_of(loss) is None


def test_classes_over_several_axes_are_none():
    assert probabilities_of(lookup("optax.softmax_cross_entropy").make({"axis": (0, 1)})) is None


def test_classes_in_the_middle(rng):
    logits = rng.normal(size=(5, 3, 2)).astype("float32")
    label = rng.integers(0, 3, size=(5, 2))
    found = probabilities_of(lg.nn.CrossEntropyLoss())
    got = found.outcomes({"input": logits, "target": label})
    shares = special.softmax(logits.astype("float64"), axis=1)
    np.testing.assert_allclose(got.confidence, shares.max(1).reshape(-1), rtol=1e-15)
    np.testing.assert_array_equal(got.frequency, (shares.argmax(1) == label).reshape(-1))
    np.testing.assert_array_equal(got.row, np.repeat(np.arange(5), 2))
    dense = found.outcomes({"input": logits, "target": shares})
    np.testing.assert_allclose(dense.frequency, dense.confidence, rtol=1e-15)


def test_ignored_classes_and_masks(rng):
    logits = rng.normal(size=(4, 3))
    found = probabilities_of(lg.nn.CrossEntropyLoss(ignore_index=1))
    got = found.outcomes({"input": logits, "target": np.array([0, 1, 2, 1])})
    np.testing.assert_array_equal(got.row, [0, 2])
    found = probabilities_of(lg.optax.softmax_cross_entropy_with_integer_labels)
    where = np.array([[True, True, False], [True, False, True], [False] * 3, [True] * 3])
    label = np.array([0, 2, 0, 1])
    got = found.outcomes({"logits": logits, "labels": label, "where": where})
    kept = special.softmax(np.where(where, logits, -np.inf)[[0, 1, 3]], axis=-1)
    np.testing.assert_allclose(got.confidence, kept.max(-1), rtol=1e-15)
    np.testing.assert_array_equal(got.row, [0, 1, 3])
    samples = np.array([True, False, True, True])
    got = found.outcomes({"logits": logits, "labels": label, "where": samples})
    np.testing.assert_array_equal(got.row, [0, 2, 3])


def test_several_events_in_a_row():
    found = probabilities_of(lg.gluon.SigmoidBCELoss())
    got = found.outcomes({"pred": np.zeros((3, 2)), "label": np.arange(6.0)})
    np.testing.assert_array_equal(got.frequency, np.arange(6.0))
    np.testing.assert_array_equal(got.row, [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize(
    ("scores", "confidence"),
    [
        ((1e4, -1e4), 1.0),
        ((np.inf, 0.0), 1.0),
        ((np.inf, np.inf), 0.5),
        ((-np.inf, 0.0), 1.0),
        ((-np.inf, -np.inf), np.nan),
        ((np.nan, 0.0), np.nan),
        ((800.0, 800.0), 0.5),
    ],
)
def test_extreme_scores(scores, confidence):
    found = probabilities_of(lg.gluon.SoftmaxCELoss())
    got = found.outcomes({"pred": np.array([scores], "float32"), "label": np.array([0])})
    np.testing.assert_array_equal(got.confidence, [confidence])


def test_labels_that_are_no_classes_are_unknown():
    found = probabilities_of(lg.gluon.SoftmaxCELoss())
    label = np.array([np.nan, -1.0, 2.0, 1.0, 0.9])
    got = found.outcomes({"pred": np.tile([0.0, 1.0], (5, 1)), "label": label})
    np.testing.assert_array_equal(got.frequency, [np.nan, np.nan, np.nan, 1.0, 0.0])


def test_an_empty_batch_has_none():
    found = probabilities_of(lg.gluon.SoftmaxCELoss())
    got = found.outcomes({"pred": np.empty((0, 3)), "label": np.empty(0, "int64")})
    assert [len(part) for part in got] == [0, 0, 0]


@pytest.mark.parametrize("shape", [(1000, 2), (1000, 9), (400, 130), (300, 3, 5)])
def test_a_row_has_the_same_bits_in_every_batch(shape, rng):
    found = Probabilities("pred", "label", "softmax", "class", 1)
    pred = rng.normal(scale=3, size=shape).astype("float32")
    label = rng.integers(0, shape[1], size=shape[:1] + shape[2:])
    whole = found.outcomes({"pred": pred, "label": label})
    cuts = [0, *np.sort(rng.integers(0, len(pred), 40)), len(pred)]
    for low, high in itertools.pairwise(cuts):
        part = found.outcomes({"pred": pred[low:high], "label": label[low:high]})
        inside = (whole.row >= low) & (whole.row < high)
        np.testing.assert_array_equal(part.confidence, whole.confidence[inside])
        np.testing.assert_array_equal(part.frequency, whole.frequency[inside])


def test_chunks_join(monkeypatch, rng):
    found = Probabilities("pred", "label", "softmax", "class", -1)
    arrays = {"pred": rng.normal(size=(50, 3)), "label": rng.integers(0, 3, 50)}
    whole = found.outcomes(arrays)
    monkeypatch.setattr("lossgraph.catalogue.probabilities._CHUNK", 21)
    for part, other in zip(found.outcomes(arrays), whole, strict=True):
        np.testing.assert_array_equal(part, other)
