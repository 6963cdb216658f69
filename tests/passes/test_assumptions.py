"""Graphs that take numbers for finite: right all the same where they are not."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon
from lossgraph.compiler import tiles
from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import toposort
from lossgraph.passes.assumptions import speculate
from lossgraph.passes.costs import Target
from lossgraph.runtime import session_cache as graphs
from support import assert_close, symbol

PAIR = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
INF = np.inf
PRED = np.array([[INF, -INF, 1.0], [2.0, 30.0, -30.0], [INF, 0.0, -INF]] * 4, np.float32)
LABEL = np.array([[1.0, 0.0, 0.5], [0.5, 1.0, 0.0], [0.25, 0.5, 0.0]] * 4, np.float32)


def compiled():
    return lg.compile(gluon.SigmoidBCELoss(), PAIR, grad=("pred",))


def expected(fn, pred, label):
    arrays = {"pred": pred, "label": label}
    return evaluate(list(fn.program.outputs.values()), arrays, {})


def check(fn, found, pred, label):
    value, grads = found
    for actual, right in zip((value, grads["pred"]), expected(fn, pred, label), strict=True):
        assert_close(actual, right)


@pytest.fixture(params=["whole", "tiles"])
def how(request, monkeypatch):
    monkeypatch.setattr(graphs, "_LARGE", 1)
    if request.param == "tiles":
        monkeypatch.setattr(tiles, "_WORTH_TILES", 1)
        monkeypatch.setattr(tiles, "_cache_size", lambda: 300)
    return request.param


@pytest.mark.parametrize("into", [False, True])
def test_infinite_numbers_are_noticed(how, into):
    fn = compiled()
    out = {"loss": np.empty(12, np.float32), "grad_pred": np.empty((12, 3), np.float32)}
    small = np.nan_to_num(PRED, posinf=3, neginf=-3)
    for pred in (small, PRED, small, PRED):
        found = fn(pred, LABEL, out=out) if into else fn(pred, LABEL)
        check(fn, found, pred, LABEL)
    assert not fn._runner._sessions.finite  # and are expected from now on
    assert np.isfinite(expected(fn, PRED, LABEL)[0][0])  # the loss of infinite logits is finite


def test_a_bound_call_notices_them_too(how):
    fn, pred = compiled(), np.zeros_like(PRED)
    run = fn.bind(pred, LABEL)
    check(fn, run(), pred, LABEL)
    pred[...] = PRED
    check(fn, run(), pred, LABEL)
    pred[...] = 1
    check(fn, run(), pred, LABEL)


def test_finite_numbers_run_once(how, monkeypatch):
    fn = compiled()
    pred = np.clip(PRED, -1e4, 1e4)
    check(fn, fn(pred, LABEL), pred, LABEL)
    assert fn._runner._sessions.finite


def test_a_sum_that_overflows_is_only_slower(how):
    fn = compiled()
    pred = np.full_like(PRED, 3e38)
    check(fn, fn(pred, LABEL), pred, LABEL)
    assert not fn._runner._sessions.finite


def test_nan_spoils_its_own_sample_only(how):
    fn, pred = compiled(), np.ones_like(PRED)
    pred[1, 2] = np.nan
    value, grads = fn(pred, LABEL)
    assert np.isnan(value).nonzero()[0].tolist() == [1]
    assert np.isnan(grads["pred"]).sum() == 1


def test_bad_labels_are_refused_beside_infinite_numbers():
    types = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
    fn = lg.compile(gluon.SoftmaxCELoss(), types, grad=("pred",))
    for bad in (-1, 3, 99, -99):
        for _ in range(2):  # the second call is the quick one
            fn(PRED, np.zeros(12, np.int64))
            with pytest.raises(lg.InputError, match=rf"label\[4\] is {bad}"):
                fn(PRED, np.array([0, 1, 2, 0, bad, 0, 0, 0, 0, 0, 0, 0]))


def test_what_is_guarded_is_computed_once():
    """The factor of one product may hold another: the guard sums what the graph has anyway."""
    w, x = (symbol(name, "float32", ("N", 3)) for name in "wx")
    inner = ops.exp(ops.masked_mul(w, x))
    root = ops.masked_mul(w, inner)
    (plain,), assumption_checks = speculate([root], Target("cpu", nonempty=True, finite=True))
    nodes = toposort([plain, *assumption_checks.values()])
    assert [node.op.name for node in nodes].count("Exp") == 1
    assert "MaskedMul" not in {node.op.name for node in nodes}
