"""Samples that stay apart: what is separable, and that parts of a batch give parts of the whole."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings

import lossgraph as lg
from ctc_oracle import NAMED, draw, oracle
from lossgraph import gluon
from lossgraph.catalogue import entries, example_types
from lossgraph.deploy.example_inputs import choose_sizes
from lossgraph.deploy.example_inputs import draw as draw_arrays
from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import is_literal
from lossgraph.passes import autodiff
from lossgraph.passes.batch_partition import BATCH_SIZE, partition_batch
from lossgraph.passes.scan import scan
from lossgraph.runtime import shards
from lossgraph.runtime.runner import Runner
from random_expressions import LEAVES, arrays, expressions
from separability import NOT_SEPARABLE, per_sample
from support import assert_close, symbol

X = symbol("x", "float64", ("N", 3))
Y = symbol("y", "float64", ("N", 4))
W = symbol("w", "float64", (3, 4))
I = symbol("i", "int64", ("N",))  # noqa: E741
INPUTS = (X, Y, W, I)
N = X.shape[0]
COLUMN = ops.expand_dims(I, (1,))


def running(step):
    return scan(
        step, [ops.take_range(Y, 1, 0, 1)], [ops.expand_dims(ops.transpose(X, (1, 0)), (2,))]
    )


SEPARABLE = {
    "pointwise": ops.tanh(X) * 2 + ops.cast(COLUMN, "float64"),
    "rows": ops.reduce_sum(X, (1,)),
    "from a table": ops.take(ops.transpose(W, (1, 0)), I, 0),
    "columns of all": ops.take(Y, ops.iota(3), 1),
    "by one matrix": ops.matmul(X, W),
    "by the samples' own": ops.matmul(ops.expand_dims(X, (2,)), ops.expand_dims(Y, (1,))),
    "there and back": ops.transpose(ops.exp(ops.transpose(X, (1, 0))), (1, 0)),
    "picked": ops.pick(Y, COLUMN, 1),
    "scatter": ops.scatter_add(ops.reduce_sum(X, (1,)), COLUMN, 1, 4),
    "the second of two batches": ops.take_range(ops.concat([X, X * 2], 0), 0, N, N),
    "beside each other": ops.concat([X, Y], 1),
    "the same for all": ops.broadcast_to(ops.reduce_sum(W, (0, 1)), (N, 1)),
    "one hot": ops.one_hot(I, 4, "float64"),
    "sorted within": ops.cast(ops.arg_sort(Y, 1, 4, largest=True), "float64"),
    "running sums": ops.flip(ops.cumsum(Y, 1), (1,)),
    "padded": ops.pad(X, (0, 1), (0, 2)),
    "split in two axes": ops.reshape(Y, (N, 2, 2)),
    "their number": X / ops.cast(ops.size_of(N * 3 + 1), "float64"),
    "step after step": running(lambda s, e: ([s[0] + ops.tanh(e[0])], []))[0][0],
    "every step": ops.transpose(running(lambda s, e: ([s[0] * e[0]], [s[0]]))[1][0], (1, 0, 2)),
}
MIXED = {
    "sum over samples": ops.broadcast_to(ops.reduce_sum(X, (0,)), (N, 3)),
    "their number divided": X / ops.cast(ops.size_of(N // 2), "float64"),
    "beside a sum over them": X / ops.reduce_sum(X, (0,)),
    "their place": ops.cast(ops.iota(N), "float64"),
    "the other way round": ops.flip(X, (0,)),
    "every other": ops.slice_(X, (0, 0), (2, 1), (N, 3)),
    "running over samples": ops.cumsum(X, 0),
    "one row": ops.take_range(X, 0, 0, 1),
    "each with each": ops.matmul(X, ops.transpose(X, (1, 0))),
    "gram": ops.matmul(X, ops.matmul(ops.transpose(X, (1, 0)), X)),
    "as one row": ops.reshape(X, (N * 3,)),
    "halves of the wrong batch": ops.take_range(ops.concat([X, X * 2], 0), 0, 1, N),
    "taken from each other": ops.take(X, I, 0),
    "sorted among": ops.cast(ops.arg_sort(X, 0, N, largest=True), "float64"),
    "a parameter": W,
    "over samples as steps": scan(lambda s, e: ([s[0] + e[0]], [s[0]]),
                                  [ops.full(0.0, "float64", (3,))], [X])[1][0],
}  # fmt: skip
ROWS = {
    "x": np.random.default_rng(0).normal(size=(5, 3)),
    "y": np.random.default_rng(1).normal(size=(5, 4)),
    "w": np.random.default_rng(2).normal(size=(3, 4)),
    "i": np.array([0, 3, 1, 1, 2]),
}


def cut_at(array, axis, part):
    return array if axis is None else array[(slice(None),) * axis + (part,)]


def in_parts(outputs, given_arrays, batch, cut, sizes):
    """The outputs from those of the samples before ``cut`` and of the others."""
    halves, count = [], {BATCH_SIZE: np.array(sizes[batch.dim])}
    for part, samples in ((slice(None, cut), cut), (slice(cut, None), sizes[batch.dim] - cut)):
        mine = {n: cut_at(array, batch.inputs[n], part) for n, array in given_arrays.items()}
        values = evaluate(
            list(batch.per_shard.values()), mine | count, {**sizes, batch.dim: samples}
        )
        halves.append(dict(zip(batch.per_shard, values, strict=True)))
    joined = {
        name: np.concatenate([half[name] for half in halves], axis)
        for name, axis in batch.outputs.items()
    }
    sums = {name: halves[0][name] + halves[1][name] for name in batch.sums}
    rest = evaluate(list(batch.combined.values()), {**given_arrays, **count, **sums}, sizes)
    joined.update(zip(batch.combined, rest, strict=True))
    return [joined[name] for name in outputs]


@pytest.mark.parametrize("name", SEPARABLE)
def test_shards_are_shards_of_the_whole(name):
    batch = partition_batch(INPUTS, {"loss": SEPARABLE[name]})
    assert batch is not None
    assert batch.dim == "N"
    assert batch.inputs == {"x": 0, "y": 0, "w": None, "i": 0}
    (whole,) = evaluate([SEPARABLE[name]], ROWS, {"N": 5})
    (joined,) = in_parts(["loss"], ROWS, batch, 2, {"N": 5})
    assert_close(joined, whole, tolerance=(1e-14, 0))


SUMMED = {
    "a sum": ops.reduce_sum(X, (0,)),
    "a mean": ops.reduce_mean(ops.tanh(X) * ops.reduce_mean(Y, (1,)), (0, 1)),
    "the root of a mean": ops.sqrt(ops.reduce_mean(X * X, (0, 1))),
    "two sums": ops.reduce_sum(X, (0, 1)) / ops.reduce_sum(Y * Y, (0, 1)),
    "with what all share": ops.reduce_sum(W, (0, 1)) * ops.reduce_sum(X, (0, 1)),
    "how many": ops.reduce_sum(ops.cast(ops.equal(COLUMN, 1), "int64"), (0, 1)),
}


@pytest.mark.parametrize("name", SUMMED)
def test_sums_over_the_samples_add_up(name):
    """Beside an output of each sample, the gradient of a mean."""
    each = ops.tanh(X) / ops.cast(ops.size_of(N), "float64")
    outputs = {"loss": SUMMED[name], "each": each}
    batch = partition_batch(INPUTS, outputs)
    assert batch is not None
    assert set(batch.outputs) == {"each"}
    assert batch.sums
    whole = evaluate(list(outputs.values()), ROWS, {"N": 5})
    for joined, expected in zip(in_parts(outputs, ROWS, batch, 2, {"N": 5}), whole, strict=True):
        assert_close(joined, expected, tolerance=(1e-14, 1e-15))


@pytest.mark.parametrize("name", MIXED)
def test_samples_that_see_each_other(name):
    assert partition_batch(INPUTS, {"loss": MIXED[name]}) is None
    assert partition_batch(INPUTS, {"loss": X * 1.0, "other": MIXED[name]}) is None


def test_a_dim_that_stands_twice_is_no_batch():
    square = symbol("square", "float64", ("N", "N"))
    assert partition_batch([square], {"loss": square * 2.0}) is None
    assert partition_batch([symbol("x", "float64", (4, 3))], {"loss": X * 2.0}) is None


@settings(max_examples=150, deadline=None, derandomize=True)
@given(expressions())
def test_random_expressions_in_parts(made):
    root, _ = made
    gradients = autodiff.grad(root, [LEAVES[0], LEAVES[2]])
    outputs = {"loss": root, "grad_x": gradients[0], "grad_z": gradients[1]}
    batch = None if is_literal(root) else partition_batch(LEAVES, outputs)
    if batch is None:
        return
    given_arrays = arrays(5, 0)
    whole = evaluate(list(outputs.values()), given_arrays, {"N": 5})
    joined = in_parts(outputs, given_arrays, batch, 2, {"N": 5})
    for a, b in zip(joined, whole, strict=True):
        assert_close(a, b, tolerance=(1e-12, 1e-13))


# Every sample against every other, or a gradient that needs a sum over all of them first.
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_loss_in_parts(entry):
    loss = entry.make(per_sample(entry))
    types = example_types(loss)
    program = loss.program(types, grad=(next(iter(types)),))
    batch = partition_batch(program.inputs, program.outputs)
    assert (batch is None) == (entry.name in NOT_SEPARABLE)
    if batch is None:
        return
    kinds = {node.attrs["name"]: node.type for node in program.inputs}
    sizes = choose_sizes(kinds, program.constraints, {"N": 6})
    given_arrays = draw_arrays(kinds, sizes, labels=program.labels)
    whole = evaluate(list(program.outputs.values()), given_arrays, sizes)
    for cut in (1, 4):
        joined = in_parts(program.outputs, given_arrays, batch, cut, sizes)
        for a, b in zip(joined, whole, strict=True):
            assert_close(a, b)


# --- run on shards ---


@pytest.fixture
def eager(monkeypatch):
    """Threads for however little work."""
    monkeypatch.setattr(shards, "_WORTH_A_THREAD", 1)


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
@pytest.mark.parametrize("layout", ["NTC", "TNC"])
@pytest.mark.parametrize("lengths", [False, True])
def test_ctc_on_several_threads(eager, threads, layout, lengths):
    pred, label = draw((5, 7, 4), 2)
    more = {}
    if lengths:
        more["pred_lengths"] = np.array([7, 3, 0, 7, 5], np.int32)
        more["label_lengths"] = (label != -1).sum(1).astype(np.int32)
    types = {n: t for n, t in NAMED.items() if n in ("pred", "label") or lengths}
    if layout == "TNC":
        types["pred"] = ("float64", ("T", "N", "C"))
    fn = lg.compile(gluon.CTCLoss(layout=layout), types, grad=("pred",), threads=threads)
    given_pred = np.swapaxes(pred, 0, 1) if layout == "TNC" else pred
    out = {"loss": np.empty(5), "grad_pred": np.empty(given_pred.shape)}
    expected = oracle(pred, label, **more)
    for into in (None, out, {"loss": out["loss"]}):
        value, grads = fn(given_pred, label, out=into, **more)
        grad = np.swapaxes(grads["pred"], 0, 1) if layout == "TNC" else grads["pred"]
        assert_close(value, expected[0])
        assert_close(grad, expected[1])
        assert into is None or value is out["loss"]


def test_shards_are_chosen_by_work(monkeypatch):
    program = gluon.CTCLoss().program({n: NAMED[n] for n in ("pred", "label")})
    monkeypatch.setattr(shards, "processors", lambda: 4)

    def ends(sizes, threads=None):
        found = Runner(program, threads=threads).shards(sizes)
        assert all(shard.rows == 0 for each in found for shard in each)
        return [(shard.first, shard.last) for (shard,) in found]

    small, large = {"N": 8, "T": 4, "C": 5, "L": 2}, {"N": 10, "T": 500, "C": 50, "L": 40}
    assert ends(small) == []
    assert ends(large) == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert ends({**large, "N": 3, "T": 9000}) == [(0, 1), (1, 2), (2, 3)]
    assert ends(large, threads=1) == []


def test_errors_of_a_shard_come_out(eager):
    pred, label = draw((4, 5, 3), 2)
    fn = lg.compile(gluon.CTCLoss(), {n: NAMED[n] for n in ("pred", "label")}, threads=2)
    with pytest.raises(lg.InputError, match=r"label\[3, 0\] is 7"):
        fn(pred, np.array([[0, 1]] * 3 + [[7, 0]], np.int32))
    with pytest.raises(lg.InputError, match="out: the outputs are"):
        fn(pred, label, out={"los": np.empty(4)})


def test_many_callers_at_once(eager):
    fn = lg.compile(gluon.CTCLoss(), {n: NAMED[n] for n in ("pred", "label")}, threads=2)
    cases = [draw((2 + seed % 3, 4 + seed % 4, 4), 2, seed=seed) for seed in range(6)]
    wrong = []

    def work():
        for pred, label in cases * 5:
            if not np.allclose(fn(pred, label), oracle(pred, label)[0], rtol=1e-10):
                wrong.append(pred.shape)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
