"""Calibration: bins against scikit-learn's and against numpy's, cuts and merges to the bit."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from scipy import special

import lossgraph as lg
from lossgraph.tables.calibration import ReliabilityBins, probabilities_for

ROWS = 5_000


@pytest.fixture(scope="module")
def binary():
    rng = np.random.default_rng(5)
    logits = rng.normal(scale=2, size=ROWS).astype("float32")
    label = (rng.uniform(size=ROWS) < special.expit(0.6 * logits - 0.2)).astype("float32")
    weight = rng.uniform(size=ROWS) * (rng.uniform(size=ROWS) > 0.1)
    return {"pred": logits, "label": label}, weight


@pytest.fixture(scope="module")
def classes():
    rng = np.random.default_rng(6)
    logits = rng.normal(scale=2, size=(ROWS, 6)).astype("float32")
    shares = np.cumsum(special.softmax(0.5 * logits, axis=1), axis=1)
    label = (rng.uniform(size=(ROWS, 1)) > shares).sum(1).clip(0, 5)
    return {"pred": logits, "label": label}, rng.uniform(size=ROWS)


def collected(loss, arrays, weight=None, bins=15, cuts=(), order=1):
    asked = ReliabilityBins(probabilities_for(loss), bins, None if weight is None else "w")
    pieces = []
    for rows in np.split(np.arange(ROWS), cuts)[::order]:
        piece = asked.start()
        part = {name: array[rows] for name, array in arrays.items()}
        batch = pa.record_batch({"w": np.zeros(len(rows)) if weight is None else weight[rows]})
        piece.add(SimpleNamespace(inputs=part, batch=batch), None)
        pieces.append(piece)
    first, *others = pieces
    for other in others:
        first.merge(other)
    return asked, first


def by_numpy(confidence, frequency, weight, bins):
    """The bins as one writes them down."""
    edges = np.linspace(0, 1, bins + 1)
    place = np.digitize(confidence, edges[1:-1], right=True)
    for i in np.unique(place):
        inside = place == i
        w = weight[inside]
        if w.any():
            means = (np.average(x[inside], weights=w) for x in (confidence, frequency))
            yield edges[i], edges[i + 1], np.count_nonzero(w), *means, w.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", ["binary", "classes"])
def test_bins_are_those_of_numpy(case, weighted, request):
    arrays, weight = request.getfixturevalue(case)
    if case == "binary":
        loss, confidence = lg.gluon.SigmoidBCELoss(), special.expit(arrays["pred"].astype("f8"))
        frequency = arrays["label"]
    else:
        loss = lg.gluon.SoftmaxCELoss()
        shares = special.softmax(arrays["pred"].astype("f8"), axis=1)
        confidence, frequency = shares.max(1), shares.argmax(1) == arrays["label"]
    found = collected(loss, arrays, weight if weighted else None)[1].reliability()
    expected = list(by_numpy(confidence, frequency, weight if weighted else np.ones(ROWS), 15))
    names = ("low", "high", "count", "confidence", "frequency")
    for name, column in zip(names, zip(*expected, strict=False), strict=False):
        np.testing.assert_allclose(found.table[name].to_numpy(), column, rtol=1e-12)
    *_, c, f, w = (np.array(column) for column in zip(*expected, strict=True))
    assert found.expected_error == pytest.approx(np.average(abs(c - f), weights=w), rel=1e-12)
    assert found.maximum_error == pytest.approx(abs(c - f).max(), rel=1e-12)
    assert found.kind == {"binary": "the event", "classes": "the most probable class"}[case]
    assert found.proper


def test_bins_are_those_of_scikit_learn(binary):
    calibration = pytest.importorskip("sklearn.calibration")
    arrays, _ = binary
    arrays = {"input": arrays["pred"], "target": arrays["label"]}
    found = collected(lg.nn.BCEWithLogitsLoss(), arrays, bins=10)[1].reliability()
    probability = special.expit(arrays["input"].astype("float64"))
    true, predicted = calibration.calibration_curve(arrays["target"], probability, n_bins=10)
    np.testing.assert_allclose(found.table["frequency"].to_numpy(), true, rtol=1e-12)
    np.testing.assert_allclose(found.table["confidence"].to_numpy(), predicted, rtol=1e-12)


def test_a_bin_has_its_upper_edge():
    arrays = {"input": np.array([0.0, 0.25, 0.5, 0.75, 1.0]), "target": np.zeros(5)}
    asked = ReliabilityBins(probabilities_for(lg.nn.BCELoss()), 4)
    made = asked.start()
    made.count(arrays)
    assert made.reliability().table["count"].to_pylist() == [2, 1, 1, 1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", ["binary", "classes"])
def test_any_cut_and_order_gives_equal_bits(case, weighted, request):
    arrays, weight = request.getfixturevalue(case)
    weight = weight if weighted else None
    loss = lg.gluon.SigmoidBCELoss() if case == "binary" else lg.gluon.SoftmaxCELoss()
    whole = collected(loss, arrays, weight)[1].reliability()
    cuts = np.sort(np.random.default_rng(1).integers(0, ROWS, 23))
    for order in (1, -1):
        asked, made = collected(loss, arrays, weight, cuts=cuts, order=order)
        assert made.reliability() == whole
        _, half = collected(loss, arrays, weight, cuts=cuts[:3])
        both = asked.restored(pa.concat_tables([made.to_arrow(), half.to_arrow()])).reliability()
        assert both.table["confidence"].equals(whole.table["confidence"])
        assert both.table["count"].to_numpy().sum() == 2 * whole.table["count"].to_numpy().sum()


def test_what_is_unknown_is_counted_apart():
    asked = ReliabilityBins(probabilities_for(lg.gluon.SoftmaxCELoss()))
    made = asked.start()
    pred = np.array([[np.nan, 0], [0, 1], [2, 0], [-np.inf, -np.inf]])
    made.count({"pred": pred, "label": np.array([0, 5, 0, 1])})
    made = asked.restored(made.to_arrow())
    found = made.reliability()
    assert found.unknown == 3
    assert found.table["count"].to_pylist() == [1]


def test_no_rows_have_no_error():
    asked = ReliabilityBins(probabilities_for(lg.gluon.SoftmaxCELoss()))
    found = asked.start().reliability()
    assert (found.expected_error, found.maximum_error, len(found.table)) == (None, None, 0)


def test_what_a_plan_asks_for_pickles():
    asked = ReliabilityBins(probabilities_for(lg.nn.CrossEntropyLoss(ignore_index=3)), 7, "w")
    assert pickle.loads(pickle.dumps(asked)) == asked


def test_losses_without_probabilities_are_refused():
    with pytest.raises(lg.InputError, match=r"L2Loss has no probabilities.*nn\.BCELoss"):
        probabilities_for(lg.gluon.L2Loss())


@pytest.mark.parametrize("bins", [0, -3, True, 2.5])
def test_numbers_of_bins_that_are_none_are_refused(bins):
    with pytest.raises(lg.InputError, match="number of bins"):
        ReliabilityBins(probabilities_for(lg.nn.BCELoss()), bins)
