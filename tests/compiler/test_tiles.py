"""Large batches in tiles: the same numbers, labels checked, results in place."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue import entries, example_types
from lossgraph.compiler import tiles
from lossgraph.deploy.example_inputs import choose_sizes, draw
from lossgraph.ir.types import tensor_type
from lossgraph.runtime import shards
from lossgraph.runtime.compiled import Compiled
from lossgraph.runtime.runner import Runner
from lossgraph.runtime.shards import Shard
from separability import NOT_SEPARABLE, per_sample
from support import assert_close

# Loops are taken apart, but not in tiles; of a few numbers a sample thousands fill one.
UNTILED = {
    "gluon.CTCLoss", "losses.dpo", "losses.focal_ctc", "losses.ipo", "losses.orpo",
    "losses.sinkhorn", "losses.z_loss", "nn.CTCLoss", "optax.ctc_loss",
    "optax.ctc_loss_with_forward_probs",
}  # fmt: skip
SEPARABLE = [entry for entry in entries() if entry.name not in NOT_SEPARABLE | UNTILED]
PAIR = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
SPARSE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}


@pytest.fixture
def eager(monkeypatch):
    """Tiles of a few rows, however little there is to compute."""
    monkeypatch.setattr(tiles, "_WORTH_TILES", 1)
    monkeypatch.setattr(tiles, "_FEWEST_PASSES", 0)
    monkeypatch.setattr(tiles, "_cache_size", lambda: 240)  # for a few rows of five float32


def both(loss, types, arrays, grad=(), **named):
    """The results of a loss in tiles, which are used, and as a whole."""
    program = loss.program(types, grad=grad, **named)
    tiled, whole = Compiled(program, threads=2), Compiled(program)
    whole._runner._sharded = None
    runner = tiled._runner
    assert any(p.rows for each in runner.shards(runner.check(arrays)) for p in each)
    return tiled.run(arrays), whole.run(arrays)


def flat(result):
    values, grads = result if isinstance(result[-1], dict) else (result, {})
    return [values, *grads.values()]


@pytest.mark.parametrize("samples", [6, 8, 13])
@pytest.mark.parametrize("entry", SEPARABLE, ids=lambda entry: entry.name)
def test_every_separable_loss(eager, entry, samples):
    loss = entry.make(per_sample(entry))
    types = example_types(loss)
    program = loss.program(types)
    kinds = {node.attrs["name"]: node.type for node in program.inputs}
    sizes = choose_sizes(kinds, program.constraints, {"N": samples})
    arrays = draw(kinds, sizes, labels=program.labels)
    wrt = [name for name, kind in kinds.items() if kind.is_float]
    grad = tuple(name for name in wrt if name in ("pred", "input", "input1", "positive"))
    for a, b in zip(*map(flat, both(loss, types, arrays, grad)), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes(eager, dtype):
    types = {name: (dtype, shape) for name, (_, shape) in PAIR.items()}
    kinds = {name: tensor_type(*given) for name, given in types.items()}
    arrays = draw(kinds, {"N": 20, "C": 5})
    for a, b in zip(*map(flat, both(gluon.HuberLoss(), types, arrays, ("pred",))), strict=True):
        assert a.dtype == b.dtype
        assert_close(a, b)


def test_weights_options_and_inputs_for_all_samples(eager):
    rng = np.random.default_rng(0)
    arrays = {
        "pred": rng.normal(size=(11, 5)).astype(np.float32),
        "label": rng.random((11, 5)).astype(np.float32),
        "sample_weight": rng.random(11).astype(np.float32),
        "pos_weight": rng.random(5).astype(np.float32),
    }
    types = {**PAIR, "sample_weight": ("float32", ("N",)), "pos_weight": ("float32", ("C",))}
    loss = gluon.SigmoidBCELoss(weight=0.5)
    for a, b in zip(*map(flat, both(loss, types, arrays, ("pred", "sample_weight"))), strict=True):
        assert_close(a, b)
    backwards = {**arrays, "pred": np.asfortranarray(arrays["pred"])[::-1]}
    for a, b in zip(*map(flat, both(loss, types, backwards, ("pred",))), strict=True):
        assert_close(a, b)


def test_results_in_place(eager):
    fn = lg.compile(gluon.L2Loss(), PAIR, grad=("pred",), threads=2)
    x, y = np.random.default_rng(0).random((2, 10, 5)).astype(np.float32)
    out = {"loss": np.empty(10, np.float32), "grad_pred": np.empty((10, 5), np.float32)}
    value, grads = fn(x, y, out=out)
    assert value is out["loss"]
    assert grads["pred"] is out["grad_pred"]
    assert_close(value, ((x - y) ** 2).mean(1) / 2)
    assert_close(grads["pred"], (x - y) / 5)


@pytest.mark.parametrize("place", [0, 7, 12])  # in the tiles of either thread, and in the rest
@pytest.mark.parametrize("bad", [-1, 5, 99])
def test_a_label_that_is_no_class(eager, place, bad):
    fn = lg.compile(gluon.SoftmaxCELoss(), SPARSE, grad=("pred",), threads=2)
    label = np.arange(13) % 5
    pred = np.random.default_rng(0).random((13, 5)).astype(np.float32)
    assert np.isfinite(fn(pred, label)[0]).all()
    label[place] = bad
    with pytest.raises(lg.InputError, match=rf"label\[{place}\] is {bad}"):
        fn(pred, label)


def test_when_and_how(monkeypatch):
    monkeypatch.setattr(shards, "processors", lambda: 2)
    monkeypatch.setattr(tiles, "_cache_size", lambda: 1_200_000)

    def shards_of(loss, types, sizes, grad=("pred",), threads=None):
        runner = Runner(loss.program(types, grad=grad), threads=threads)
        return runner.shards(sizes)

    large, small = {"N": 4100, "C": 1000}, {"N": 64, "C": 10}
    assert shards_of(gluon.L2Loss(), PAIR, large) == [[Shard(0, 2050, 50)], [Shard(2050, 4100, 50)]]
    prime = {**large, "N": 4099}
    assert shards_of(gluon.L2Loss(), PAIR, prime) == [
        [Shard(0, 1998, 54)], [Shard(1998, 4050, 54), Shard(4050, 4099)],
    ]  # fmt: skip
    assert shards_of(gluon.L2Loss(), PAIR, prime, threads=1) == [
        [Shard(0, 4050, 54), Shard(4050, 4099)]
    ]
    assert shards_of(gluon.L2Loss(), PAIR, small) == []
    assert shards_of(gluon.L2Loss(), PAIR, {"N": 0, "C": 1000}) == []
    assert shards_of(gluon.SoftmaxCELoss(), SPARSE, large, grad=()) == []  # one operator
    assert shards_of(gluon.L2Loss(batch_axis=1), PAIR, large) == []  # samples are not in one piece


# --- sums over all samples ----------------------------------------------------------------


def log_of_a_mean(F, pred, label):
    return F.log1p(F.mean(F.square(pred - label)))


@pytest.mark.parametrize("samples", [8, 13])
def test_a_value_that_follows_from_sums(eager, samples):
    loss = gluon.PoissonNLLLoss(from_logits=True, compute_full=True)
    rng = np.random.default_rng(0)
    types = {"pred": ("float32", ("N", "C")), "target": ("float32", ("N", "C"))}
    arrays = {
        "pred": rng.normal(size=(samples, 5)).astype(np.float32),
        "target": rng.poisson(3, (samples, 5)).astype(np.float32),
    }
    for a, b in zip(*map(flat, both(loss, types, arrays, ("pred",))), strict=True):
        assert a.shape == b.shape
        assert_close(a, b)
    pair = {"pred": arrays["pred"], "label": arrays["target"]}
    for a, b in zip(*map(flat, both(FunctionLoss(log_of_a_mean), PAIR, pair)), strict=True):
        assert_close(a, b)


def test_a_gradient_that_needs_all_samples_first_is_run_whole():
    program = FunctionLoss(log_of_a_mean).program(PAIR, grad=("pred",))
    assert Runner(program).shards({"N": 100_000, "C": 100}) == []


def test_a_long_mean_keeps_its_digits():
    """ONNX Runtime's own is off by a per cent here."""
    many = np.full(10**7, 0.1, np.float32)
    fn = lg.compile(lambda F, x: F.mean(F.abs(x) * 3), {"x": ("float32", ("N",))})
    assert fn._runner.shards({"N": many.size})
    np.testing.assert_allclose(fn(many), 3 * many[:1].astype(float), rtol=1e-6)


@pytest.mark.parametrize(("tiles", "rows"), [(0, set()), (3, {3, 0}), (4, {4}), (100, set())])
def test_tiles_of_ones_own(tiles, rows):
    fn = lg.compile(gluon.L2Loss(), PAIR, grad=("pred",), threads=2, tiles=tiles)
    x, y = np.random.default_rng(0).random((2, 8, 5)).astype(np.float32)
    assert {shard.rows for each in fn._runner.shards({"N": 8, "C": 5}) for shard in each} == rows
    value, grads = fn(x, y)
    assert_close(value, ((x - y) ** 2).mean(1) / 2)
    assert_close(grads["pred"], (x - y) / 5)


@pytest.mark.parametrize("wrong", [-1, True, 2.0, "8"])
def test_tiles_are_numbers_of_samples(wrong):
    with pytest.raises(lg.InputError, match="tiles: expected"):
        lg.compile(gluon.L2Loss(), PAIR, tiles=wrong)


@pytest.mark.parametrize("rows", [1, 2])
def test_tiles_of_arrays_without_elements(rows):
    run = lg.compile(lambda F, x: x[..., :0] * 2, {"x": ("float32", ("N", "C"))}, grad=("x",),
                     tiles=rows)  # fmt: skip
    value, grads = run(np.ones((4, 3), np.float32))
    assert value.shape == (4, 0)
    assert_close(grads["x"], np.zeros((4, 3), np.float32))
