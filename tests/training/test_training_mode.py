"""Models in training: statistics of batches, running ones that move, dropout by a seed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lossgraph as lg
from lossgraph.deploy.export_training import export_training
from model_gradients import run

RNG = np.random.default_rng(0)
N, INPUTS, HIDDEN = 6, 3, 4
EPSILON, MOMENTUM = 1e-5, 0.75


def network(nodes, initializers, opset=17):
    """Nodes from ``h``, a product of ``x`` with weights, to ``y``."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ("N", INPUTS)), ("y", ("N", HIDDEN)))
    ]
    held = {"weight": RNG.normal(size=(INPUTS, HIDDEN)), **initializers}
    tensors = [numpy_helper.from_array(np.asarray(a, np.float32), n) for n, a in held.items()]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["h"]), *nodes],
        "network", infos[:1], infos[1:], tensors,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def normalized(training_mode, opset=17, joined=False):
    scale = np.ones(HIDDEN) if joined else RNG.uniform(0.5, 1.5, HIDDEN)
    held = {"scale": scale, "bias": RNG.normal(size=HIDDEN), "mean": RNG.normal(size=HIDDEN)}
    var = "scale" if joined else "var"
    if not joined:
        held["var"] = RNG.uniform(0.5, 1.5, HIDDEN)
    outputs = ["y", "mean_out", "var_out"] if training_mode else ["y"]
    mode = {"training_mode": 1} if training_mode and opset >= 14 else {}
    node = helper.make_node(
        "BatchNormalization", ["h", "scale", "bias", "mean", var], outputs,
        epsilon=EPSILON, momentum=MOMENTUM, **mode,
    )  # fmt: skip
    return network([node], held, opset)


def batch():
    return {
        "x": RNG.normal(size=(N, INPUTS)).astype(np.float32),
        "label": RNG.normal(size=(N, HIDDEN)).astype(np.float32),
    }


def values(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def build(model, **options):
    rate = options.pop("learning_rate", 0.1)
    return lg.training.build(
        model, lg.gluon.L2Loss(), "y", optimizer=lg.training.SGD(learning_rate=rate), **options
    )


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (normalized(True), {}),
        (normalized(True, opset=13), {}),
        (normalized(False), {"training_mode": True}),
        (normalized(False, opset=13), {"training_mode": True}),
    ],
)
def test_a_normalization_in_training_takes_the_statistics_of_the_batch(model, options):
    step, data, held = build(model, **options), batch(), values(model)
    hidden = data["x"] @ held["weight"]
    center, spread = hidden.mean(0), hidden.var(0)
    y = (hidden - center) / np.sqrt(spread + EPSILON) * held["scale"] + held["bias"]
    trainer = lg.training.Trainer(step)
    loss = trainer.step(data)
    assert loss == pytest.approx(((y - data["label"]) ** 2 / 2).mean(1).sum(), rel=1e-5)
    for name, own in (("mean", center), ("var", spread)):
        expected = MOMENTUM * held[name] + (1 - MOMENTUM) * own
        np.testing.assert_allclose(trainer.state[name], expected, rtol=1e-5, atol=1e-6)


def test_evaluation_and_the_exported_model_take_the_running_statistics():
    model, data = normalized(True), batch()
    trainer = lg.training.Trainer(build(model))
    for _ in range(3):
        trainer.step(data)
    exported = trainer.export()
    held = values(exported)
    np.testing.assert_array_equal(held["mean"], trainer.state["mean"])
    hidden = data["x"] @ held["weight"]
    factor = held["scale"] / np.sqrt(held["var"] + EPSILON)
    y = (hidden - held["mean"]) * factor + held["bias"]
    np.testing.assert_allclose(run(exported, data)["y"], y, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trainer.outputs(data)["y"], y, rtol=1e-4, atol=1e-5)
    onnx.checker.check_model(exported, full_check=True)


def test_statistics_that_an_exporter_joined_with_a_scale_move_by_themselves():
    model, data = normalized(False, joined=True), batch()
    trainer = lg.training.Trainer(build(model, training_mode=True, learning_rate=0.0))
    trainer.step(data)
    np.testing.assert_array_equal(trainer.parameters["scale"], np.ones(HIDDEN))
    own = (data["x"] @ values(model)["weight"]).var(0)
    (moved,) = (array for name, array in trainer.state.items() if "statistic" in name)
    np.testing.assert_allclose(moved, MOMENTUM + (1 - MOMENTUM) * own, rtol=1e-5)


def test_running_statistics_move_with_each_of_the_batches_of_a_step():
    model, data = normalized(True), batch()
    trainer = lg.training.Trainer(build(model, accumulate=2))
    before = values(model)["mean"]
    trainer.step(data)
    center = (data["x"] @ values(model)["weight"]).mean(0)
    expected = MOMENTUM * before + (1 - MOMENTUM) * center
    np.testing.assert_allclose(trainer.state["mean"], expected, rtol=1e-5, atol=1e-6)


def dropping(ratio=0.25, opset=17, mode=True):
    constants = [numpy_helper.from_array(np.asarray(ratio, np.float32), "ratio")]
    if mode:
        constants.append(numpy_helper.from_array(np.asarray(True), "mode"))
    names = ["h", "ratio", "mode"] if mode else ["h", "ratio"]
    model = network([helper.make_node("Dropout", names, ["y"])], {}, opset)
    model.graph.initializer.extend(constants)
    return model


def test_dropout_by_a_seed_is_the_same_in_every_run_and_another_in_every_step():
    model, data = dropping(), batch()
    losses = []
    for seed in (1, 1, 2):
        trainer = lg.training.Trainer(build(model, seed=seed, learning_rate=0.0))
        losses.append([trainer.step(data) for _ in range(4)])
        assert trainer.state["random_seed"] == seed + 4
    assert losses[0] == losses[1]
    assert len({*losses[0], *losses[2]}) == 5  # steps 2 to 4 of seed 1 are 1 to 3 of seed 2
    evaluated = {lg.training.Trainer(build(model, seed=s)).evaluate(data) for s in (1, 2)}
    y = data["x"] @ values(model)["weight"]
    (value,) = evaluated
    assert value == pytest.approx(((y - data["label"]) ** 2 / 2).mean(1).sum(), rel=1e-5)


@pytest.mark.parametrize(("model", "options"), [
    (dropping(), {}), (dropping(mode=False), {"training_mode": True}),
])  # fmt: skip
def test_dropout_keeps_its_share_and_what_it_keeps_is_scaled(model, options):
    step = build(model, **options)
    size = 4000
    data = {"x": np.ones((size, INPUTS), np.float32)}
    y = data["x"] @ values(model)["weight"]
    losses = step.gradients.run({**data, **step.parameters, "label": np.zeros_like(y)})["loss"]
    # Each element is y/(1-r) with probability 1-r: the mean of its square is y^2/(1-r).
    expected = (y**2 / 2).mean(1).sum() / 0.75
    assert losses == pytest.approx(expected, rel=0.02)


def test_a_model_without_anything_in_training_has_no_further_state():
    for model in (normalized(False), dropping(mode=False)):
        assert list(build(model).state) == ["step"]


def test_an_exported_folder_predicts_by_the_statistics_of_its_state(tmp_path):
    export_training(build(normalized(True)), tmp_path)
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    outside = {t.name for t in model.graph.initializer if t.external_data}
    assert {"weight", "scale", "bias", "mean", "var"} <= outside
    inputs = {info.name for info in onnx.load(tmp_path / "predict.onnx").graph.input}
    assert {"mean", "var"} <= inputs
