"""Random operators: dropout as the engine does it, and numbers that are a function of a seed."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lossgraph.importer.operators.random import SEEDED
from lossgraph.importer.reader import from_onnx
from model_gradients import gradient_model, model_of, run

RNG = np.random.default_rng(0)
X = {"x": np.random.default_rng(1).uniform(0.5, 1.5, (40, 50)).astype(np.float32)}


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def dropout(mode, opset=17, **attributes):
    inputs = ["x", "ratio", "mode"] if mode is not None else ["x", "ratio"]
    held = [constant("ratio", np.float32(0.25)), constant("mode", np.bool_(mode))]
    node = helper.make_node("Dropout", inputs, ["y", "mask"], **attributes)
    return model_of([node], X, ["y"], opset=opset, initializer=held[: len(inputs) - 1])


def test_dropout_in_training_is_that_of_the_engine():
    model = dropout(True, seed=3)
    again = from_onnx(model).to_onnx()
    np.testing.assert_allclose(run(again, X)["y"], run(model, X)["y"], rtol=2e-7)


def test_the_gradient_of_dropout_passes_where_it_keeps():
    graph = from_onnx(dropout(True, seed=3))
    made = run(gradient_model(graph, ["x"]), X)
    kept = run(from_onnx(dropout(True, seed=3)).to_onnx(), X)["y"] != 0
    np.testing.assert_array_equal(made["grad_x"] != 0, kept)


@pytest.mark.parametrize("model", [dropout(False), dropout(None), dropout(None, opset=12)])
def test_dropout_in_inference_is_nothing(model):
    again = from_onnx(model).to_onnx()
    assert {node.op_type for node in again.graph.node} <= {"Identity"}
    np.testing.assert_array_equal(run(again, X)["y"], X["x"])


def test_dropout_whose_mode_is_an_input():
    node = helper.make_node("Dropout", ["x", "", "mode"], ["y"], seed=5)
    arrays = {**X, "mode": np.asarray(True)}
    model = model_of([node], arrays, ["y"])
    again = from_onnx(model).to_onnx()
    for mode in (True, False):
        given = {**X, "mode": np.asarray(mode)}
        np.testing.assert_allclose(run(again, given)["y"], run(model, given)["y"], rtol=2e-7)


def seeded(operator, inputs=(), **attributes):
    """A model of an operator with a seed, of ``x`` too if it reads it."""
    node = helper.make_node(operator, [*inputs, "seed"], ["y"], domain=SEEDED, stream=2,
                            **attributes)  # fmt: skip
    arrays = {**(X if inputs else {}), "seed": np.asarray(7)}
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(SEEDED, 1)]
    return from_onnx(model_of([node], arrays, ["y"], opset_imports=opsets)).to_onnx(), arrays


def moments(operator, inputs=(), **attributes):
    model, arrays = seeded(operator, inputs, **attributes)
    y = run(model, arrays)["y"]
    np.testing.assert_array_equal(run(model, arrays)["y"], y)
    other = run(model, {**arrays, "seed": np.asarray(8)})["y"]
    assert abs(np.corrcoef(y.ravel(), other.ravel())[0, 1]) < 0.06
    assert abs(np.corrcoef(y.ravel()[1:], y.ravel()[:-1])[0, 1]) < 0.06
    return y.mean(), y.std()


SHAPE = {"shape": [50, 60]}


@pytest.mark.parametrize(("inputs", "operator"), [((), ""), (("x",), "Like")])
def test_numbers_by_a_seed_have_their_distribution(inputs, operator):
    shape = {} if inputs else SHAPE
    mean, deviation = moments(f"RandomUniform{operator}", inputs, low=-1.0, high=3.0, **shape)
    assert mean == pytest.approx(1, abs=0.1)
    assert deviation == pytest.approx(4 / np.sqrt(12), abs=0.05)
    mean, deviation = moments(f"RandomNormal{operator}", inputs, mean=2.0, scale=0.5, **shape)
    assert mean == pytest.approx(2, abs=0.05)
    assert deviation == pytest.approx(0.5, abs=0.03)


def test_draws_by_a_seed_have_their_probabilities():
    node = helper.make_node("Bernoulli", ["p", "seed"], ["y"], domain=SEEDED)
    p = np.repeat(np.float32([0.0, 0.3, 1.0]), 3000).reshape(3, 3000)
    arrays = {"p": p, "seed": np.asarray(1)}
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(SEEDED, 1)]
    graph = from_onnx(model_of([node], arrays, ["y"], opset_imports=opsets))
    y = run(graph.to_onnx(), arrays)["y"]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.mean(1), [0, 0.3, 1], atol=0.03)
    assert graph.to_onnx().graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
