"""What an exported graph keeps to, so that it is right in engines that are not ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import lossgraph as lg
from lossgraph import losses, nn
from lossgraph.ir import ops
from lossgraph.ir.ops.sums import LongSums
from lossgraph.lowering.lower import lower
from lossgraph.passes.costs import PORTABLE, Target

CPU = Target("cpu", elements=1, long_sums=LongSums.NONE)
MATRIX = ("float32", ("N", "C"))
LABEL = ("int64", ("N",))


def model_of(function, target=PORTABLE, shape=("N", "C")):
    x = lg.symbol("x", "float32", shape).expr
    return lower([x], {"y": function(x)}, target=target)


def operators(model):
    return [node.op_type for node in model.graph.node]


def run(model, x):
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(model).run(None, {"x": np.asarray(x, np.float32)})[0]


def test_a_log_softmax_is_no_logarithm_of_zero():
    model = model_of(lambda x: ops.log_softmax(x, (1,)))
    assert "LogSoftmax" not in operators(model)
    np.testing.assert_array_equal(run(model, [[1e4, 0, -1e4]]), [[0, -1e4, -2e4]])
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    wide = x.astype(np.float64)
    expected = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(run(model, x), expected, rtol=1e-6)
    assert operators(model_of(lambda x: ops.log_softmax(x, (1,)), CPU)) == ["LogSoftmax"]


def test_a_cross_entropy_at_extremes_in_the_reference():
    loss = nn.CrossEntropyLoss(reduction="none")
    model = loss.to_onnx({"input": MATRIX, "target": LABEL}, grad=("input",))
    feed = {"input": np.array([[1e4, 0, -1e4]], np.float32), "target": np.array([2])}
    with np.errstate(all="ignore"):
        value, grad = ReferenceEvaluator(model).run(None, feed)
    np.testing.assert_array_equal(value, [2e4])
    np.testing.assert_array_equal(grad, [[1, 0, -1]])


@pytest.mark.parametrize(("function", "expected"), [
    (ops.sign, [-1, -1, -1, 0, 0, 1, 1, 1, np.nan]),
    (ops.step, [0, 0, 0, 0, 0, 1, 1, 1, np.nan]),
])  # fmt: skip
def test_factors_of_a_sign_stay_apart(function, expected):
    model = model_of(function)
    assert operators(model) == ["Mul", "Clip", "Mul", "Clip"]
    x = [[-np.inf, -3, -1e-45, -0.0, 0, 1e-45, 2, np.inf, np.nan]]
    np.testing.assert_array_equal(run(model, x), [expected])
    assert operators(model_of(function, CPU)) == ["Mul", "Mul", "Clip"]


def ranks(model):
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    typed = [*inferred.value_info, *inferred.input, *inferred.output]
    found = {info.name: len(info.type.tensor_type.shape.dim) for info in typed}
    return found | {tensor.name: len(tensor.dims) for tensor in inferred.initializer}


@pytest.mark.parametrize(("loss", "types"), [
    (nn.MSELoss(), {"input": MATRIX, "target": MATRIX}),
    (nn.GaussianNLLLoss(), {"input": MATRIX, "target": MATRIX, "var": MATRIX}),
])  # fmt: skip
def test_a_one_is_divided_by_what_has_as_many_axes(loss, types):
    model = loss.to_onnx(types, grad=("input",))
    constants = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
    }
    rank = ranks(model)
    divisions = [node for node in model.graph.node if node.op_type == "Div"]
    ones = [node for node in divisions if np.all(constants.get(node.input[0], 0) == 1)]
    assert ones
    assert all(rank[node.input[0]] <= rank[node.input[1]] for node in ones)


def test_a_scan_without_sequences_reads_the_one_that_it_is_given():
    model = losses.sinkhorn.to_onnx({"cost": ("float32", ("N", "A", "B"))})
    (scan,) = [node for node in model.graph.node if node.op_type == "Scan"]
    (body,) = [attribute.g for attribute in scan.attribute if attribute.name == "body"]
    (count,) = [each.i for each in scan.attribute if each.name == "num_scan_inputs"]
    sequences = {info.name for info in body.input[-count:]}
    assert sequences & {name for node in body.node for name in node.input}
