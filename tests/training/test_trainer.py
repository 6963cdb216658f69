"""The trainer: steps with parameters that stay with the engine, evaluation, export, refusals."""

from __future__ import annotations

import gc
import os
import weakref

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import lossgraph as lg
from small_models import batches, mlp


def step_of(model=None, optimizer=None, **options):
    return lg.training.build(
        model or mlp(),
        lg.nn.CrossEntropyLoss(),
        optimizer=optimizer or lg.training.AdamW(learning_rate=1e-2),
        **options,
    )


@pytest.fixture(scope="module")
def step():
    return step_of()


def by_hand(step, given):
    """The same steps by plain runs of the graph, in which everything comes to Python and back."""
    session = onnxruntime.InferenceSession(step.train.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    kept = {**step.parameters, **step.state}
    hyper = {name: np.asarray(value, np.float32) for name, value in step.hyper.items()}
    losses = []
    for batch in given:
        made = dict(zip(names, session.run(None, {**batch, **kept, **hyper}), strict=True))
        kept = {name: made[f"next_{name}"] for name in kept}
        losses.append(float(made["loss"]))
    return losses, kept


def test_steps_are_those_of_the_graph(step):
    given = list(batches(7))
    trainer = lg.training.Trainer(step)
    losses = [trainer.step(batch) for batch in given]
    right, kept = by_hand(step, given)
    assert losses == right
    for name, array in {**trainer.parameters, **trainer.state}.items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
    assert trainer.steps == 7


def test_a_trainer_leaves_its_step_as_it_was(step):
    before = {name: array.copy() for name, array in step.parameters.items()}
    for _ in range(2):
        trainer = lg.training.Trainer(step)
        losses = [trainer.step(batch) for batch in batches(5)]
        assert losses == by_hand(step, batches(5))[0]
    for name, array in step.parameters.items():
        np.testing.assert_array_equal(array, before[name])


def test_parameters_are_copies_of_the_moment(step):
    trainer = lg.training.Trainer(step)
    seen = []
    for batch in batches(4):
        seen.append((trainer.parameters, {n: a.copy() for n, a in trainer.parameters.items()}))
        trainer.step(batch)
    for given, copied in seen:
        for name in given:
            np.testing.assert_array_equal(given[name], copied[name])


def test_evaluation_sees_the_parameters_of_now(step):
    trainer, (batch, other) = lg.training.Trainer(step), batches(2)
    for _ in range(3):
        trainer.step(batch)
        model = onnxruntime.InferenceSession(trainer.export().SerializeToString())
        (logits,) = model.run(None, {"x": other["x"]})
        made = trainer.outputs(other)
        np.testing.assert_array_equal(made["logits"], logits)
        right = lg.nn.CrossEntropyLoss()(logits, other["target"])
        np.testing.assert_allclose(trainer.evaluate(other), right, rtol=1e-6)
    assert trainer.steps == 3


def test_the_learning_rate_is_that_of_the_step(step):
    trainer, (batch,) = lg.training.Trainer(step), batches(1)
    trainer.learning_rate = 0.0
    trainer.step(batch)
    for name, array in trainer.parameters.items():
        np.testing.assert_array_equal(array, step.parameters[name])
    trainer.learning_rate = 0.1
    trainer.step(batch)
    assert np.abs(trainer.parameters["0.weight"] - step.parameters["0.weight"]).max() > 0.05
    trainer.hyper["rate"] = 1.0
    with pytest.raises(lg.InputError, match=r"\['rate'\] is none of \['learning_rate'\]"):
        trainer.step(batch)


# --- export ---------------------------------------------------------------------------------


def test_the_model_comes_back_with_new_weights_and_nothing_else_changed(step, tmp_path):
    trainer = lg.training.Trainer(step)
    for batch in batches(3):
        trainer.step(batch)
    made = trainer.export(tmp_path / "trained.onnx")
    assert onnx.load(tmp_path / "trained.onnx") == made
    for tensor in made.graph.initializer:
        new = trainer.parameters[tensor.name]
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), new)
    original = mlp()
    for tensor, old in zip(made.graph.initializer, original.graph.initializer, strict=True):
        assert tensor.raw_data != old.raw_data
        tensor.raw_data = old.raw_data
    assert made == original


def test_weights_may_be_in_another_file(tmp_path):
    trainer = lg.training.Trainer(step_of(mlp(hidden=300), trainable=["2.*"]))
    for batch in batches(2):
        trainer.step(batch)
    made = trainer.export(tmp_path / "trained.onnx", external_data=True)
    assert sorted(os.listdir(tmp_path)) == ["trained.onnx", "trained.onnx.data"]
    assert (tmp_path / "trained.onnx").stat().st_size < 1500
    loaded = onnx.load(tmp_path / "trained.onnx")
    for tensor, right in zip(loaded.graph.initializer, made.graph.initializer, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(right))
    session = onnxruntime.InferenceSession(tmp_path / "trained.onnx")
    batch = next(batches(1))
    (logits,) = session.run(None, {"x": batch["x"]})
    np.testing.assert_allclose(trainer.outputs(batch)["logits"], logits, rtol=1e-5, atol=1e-6)


def test_frozen_weights_are_exported_as_they_were():
    model = mlp()
    trainer = lg.training.Trainer(step_of(model, trainable=["2.weight", "2.bias"]))
    for batch in batches(2):
        trainer.step(batch)
    new = {t.name: t.raw_data for t in trainer.export().graph.initializer}
    old = {t.name: t.raw_data for t in model.graph.initializer}
    assert [name for name in old if new[name] != old[name]] == ["2.weight", "2.bias"]


# --- batches --------------------------------------------------------------------------------


def bad_batches():
    (batch,) = batches(1)
    x, target = batch["x"], batch["target"]
    yield {"x": x}, lg.InputError, r"\['x', 'target'\]: missing \['target'\]"
    yield {**batch, "y": x}, lg.InputError, r"unknown \['y'\]"
    yield {**batch, "x": x.astype(np.float64)}, lg.DtypeError, "x: expected float32"
    yield {**batch, "x": x[:, :3]}, lg.InputError, r"x: axis 1 of float32\[N,6\] is 6, got"
    yield {**batch, "x": x[0]}, lg.InputError, "x: expected .* of rank 2"
    yield {**batch, "x": x[:5]}, lg.InputError, "target: axis 0 has length 16"
    yield {**batch, "x": "text"}, lg.InputError, "x"
    yield {**batch, "target": target + 3}, lg.InputError, r"target\[0\] is ., which is not one of"
    yield {**batch, "target": target - 3}, lg.InputError, r"target\[0\] is -., which is not one"
    yield [x, target], lg.InputError, "a batch is a dict of arrays by name"


@pytest.mark.parametrize(("batch", "error", "match"), list(bad_batches()))
def test_batches_that_do_not_fit_are_refused_and_change_nothing(step, batch, error, match):
    trainer, good = lg.training.Trainer(step), next(batches(1))
    trainer.step(good)
    before = trainer.parameters
    with pytest.raises(error, match=match):
        trainer.step(batch)
    with pytest.raises(error, match=match):
        trainer.evaluate(batch)
    for name, array in trainer.parameters.items():
        np.testing.assert_array_equal(array, before[name])
    assert trainer.steps == 1
    assert np.isfinite(trainer.step(good))


def test_no_step_is_made_where_the_loss_is_nan(step):
    trainer, (batch,) = lg.training.Trainer(step), batches(1)
    trainer.step(batch)
    before = trainer.parameters
    x = batch["x"].copy()
    x[3, 1] = np.nan
    assert np.isnan(trainer.step({**batch, "x": x}))
    assert np.isnan(trainer.evaluate({**batch, "x": x}))
    for name, array in trainer.parameters.items():
        np.testing.assert_array_equal(array, before[name])
    assert np.isfinite(trainer.step(batch))


def test_arrays_in_any_layout_are_read_right(step):
    (batch,) = batches(1)
    right = lg.training.Trainer(step).step(batch)
    wide = np.zeros((16, 12), np.float32)
    wide[:, ::2] = batch["x"]
    frozen = batch["x"].copy()
    frozen.setflags(write=False)
    for x in (wide[:, ::2], np.asfortranarray(batch["x"]), frozen):
        assert lg.training.Trainer(step).step({**batch, "x": x}) == right


def test_batches_of_any_size_follow_each_other(step):
    trainer = lg.training.Trainer(step)
    given = [next(batches(1, size)) for size in (16, 3, 1, 64, 16)]
    assert [trainer.step(batch) for batch in given] == by_hand(step, given)[0]
    logits = [trainer.outputs(batch)["logits"] for batch in given]
    assert [len(rows) for rows in logits] == [16, 3, 1, 64, 16]
    np.testing.assert_array_equal(logits[0], logits[-1])  # which no later run has written over


def test_tensors_of_torch_are_batches_too(step):
    torch = pytest.importorskip("torch")
    (batch,) = batches(1)
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    assert lg.training.Trainer(step).step(tensors) == lg.training.Trainer(step).step(batch)
    tensors["x"].requires_grad_()
    with pytest.raises(lg.GradientError, match="x: it requires a gradient"):
        lg.training.Trainer(step).step(tensors)
    with torch.no_grad():
        assert np.isfinite(lg.training.Trainer(step).step(tensors))


def test_providers_that_are_not_there_are_refused(step):
    with pytest.raises(lg.ProviderError, match="not available"):
        lg.training.Trainer(step, providers="coreml")


def test_arrays_of_batches_are_not_kept(step):
    trainer = lg.training.Trainer(step)

    class Kept(np.ndarray):
        pass

    x = next(batches(1))["x"].view(Kept)
    gone = weakref.ref(x)
    trainer.step({**next(batches(1)), "x": x})
    del x
    gc.collect()
    trainer.step(next(batches(1)))
    assert gone() is None


# --- several batches in a step, and optional inputs -----------------------------------------


def test_gradients_of_several_batches_make_one_step():
    several = lg.training.Trainer(step_of(accumulate=3))
    whole = lg.training.Trainer(step_of())
    for _ in range(4):
        given = list(batches(3))
        before = several.parameters
        losses = []
        for batch in given:
            for name, array in several.parameters.items():
                np.testing.assert_array_equal(array, before[name])
            losses.append(several.step(batch))
        joined = {name: np.concatenate([batch[name] for batch in given]) for name in given[0]}
        np.testing.assert_allclose(np.mean(losses), whole.step(joined), rtol=1e-5)
        for name, array in several.parameters.items():
            np.testing.assert_allclose(array, whole.parameters[name], rtol=1e-4, atol=1e-5)
    assert several.steps == whole.steps == 4


def test_a_batch_may_bring_optional_inputs_of_the_loss(step):
    trainer, (batch,) = lg.training.Trainer(step), batches(1)
    weighted = {**batch, "weight": np.array([1, 2, 0.5], np.float32)}
    assert trainer.evaluate(weighted) != trainer.evaluate(batch)
    first = trainer.step(weighted)
    assert trainer.step(batch) != first
    assert trainer.steps == 2
    assert trainer.state["step"] == 2


def test_large_weights_that_stay_are_shared_by_the_sessions():
    step = step_of(mlp(hidden=12_000), trainable=["2.*", "0.bias"])
    trainer, given = lg.training.Trainer(step), list(batches(3))
    (shared,) = trainer._shared
    assert shared == "0.weight"
    losses, kept = by_hand(step, given)
    assert [trainer.step(batch) for batch in given] == losses
    for name, array in trainer.parameters.items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
    session = onnxruntime.InferenceSession(trainer.export().SerializeToString())
    (logits,) = session.run(None, {"x": given[0]["x"]})
    np.testing.assert_allclose(trainer.outputs(given[0])["logits"], logits, rtol=1e-5, atol=1e-6)


def test_copies_that_are_tied_are_exported_with_their_parameter():
    model = mlp(features=6, hidden=6, classes=6)
    first, second = (t for t in model.graph.initializer if t.name.endswith("weight"))
    second.raw_data = numpy_helper.to_array(first).T.tobytes()
    step = step_of(model, tie=[["0.weight", "2.weight"]])
    trainer = lg.training.Trainer(step)
    for batch in batches(3):
        trainer.step(batch)
    assert "2.weight" not in trainer.parameters
    made = {t.name: numpy_helper.to_array(t) for t in trainer.export().graph.initializer}
    np.testing.assert_array_equal(made["0.weight"], trainer.parameters["0.weight"])
    np.testing.assert_array_equal(made["2.weight"], made["0.weight"].T)
    batch = next(batches(1))
    (logits,) = onnxruntime.InferenceSession(trainer.export().SerializeToString()).run(
        None, {"x": batch["x"]}
    )
    np.testing.assert_allclose(trainer.outputs(batch)["logits"], logits, rtol=1e-5, atol=1e-6)


def test_master_copies_go_with_parameters_that_are_assigned():
    model = mlp()
    for tensor in model.graph.initializer:
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    trainer = lg.training.Trainer(step_of(model, lg.training.SGD(learning_rate=0.1)))
    given = [{**batch, "x": batch["x"].astype(np.float16)} for batch in batches(2)]
    best = trainer.weights
    trainer.step(given[0])
    assert any(np.abs(trainer.weights[name] - best[name]).max() > 0 for name in best)
    trainer.assign(best)
    trainer.learning_rate = 0.0
    trainer.step(given[1])
    for name, array in trainer.weights.items():
        np.testing.assert_array_equal(array, best[name])


# --- many steps -----------------------------------------------------------------------------


def resident_memory():
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the system has no /proc")
def test_memory_does_not_grow_with_steps(step):
    trainer = lg.training.Trainer(step, threads=1)
    given = [next(batches(1, size)) for size in (3, 16, 5)]

    def steps(count):
        for i in range(count):
            trainer.step(given[i % 3])
            if i % 100 == 0:
                trainer.outputs(given[0])
                trainer.learning_rate = 1e-3
        gc.collect()
        return resident_memory()

    before = steps(1000)
    after = steps(4000)
    # A batch that was kept each time would be more, and so would a binding.
    assert after - before < 1 << 20
