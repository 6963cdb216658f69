"""Operators of scikit-learn's models in front of what is trained, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import lossgraph as lg

DOMAIN = "ai.onnx.ml"
RNG = np.random.default_rng(0)


def model_of(operator, dtype=TensorProto.FLOAT, **attributes):
    """An operator of a domain of its own, and a product with trained weights behind it."""
    nodes = [
        helper.make_node(operator, ["x"], ["ready"], domain=DOMAIN, **attributes),
        helper.make_node("MatMul", ["ready", "weight"], ["y"]),
    ]
    weight = numpy_helper.from_array(RNG.normal(size=(3, 2)).astype(np.float32), "weight")
    x = helper.make_tensor_value_info("x", dtype, ["N", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "net", [x], [y], [weight])
    versions = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 3)]
    return helper.make_model(graph, opset_imports=versions, ir_version=8)


def run(model, feed):
    session = ort.InferenceSession(model.SerializeToString())
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))


@pytest.mark.parametrize(
    ("operator", "dtype", "attributes"),
    [
        ("Scaler", "float32", {"offset": [0.5, -1.0, 2.0], "scale": [2.0, 0.1, 1.0]}),
        ("Scaler", "float32", {"offset": [0.5], "scale": [2.0]}),
        ("Scaler", "int64", {"offset": [0.5, -1.0, 2.0], "scale": [2.0, 0.1, 1.0]}),
        ("Binarizer", "float32", {"threshold": 0.25}),
        ("Binarizer", "float32", {}),
    ],
)
def test_it_is_read_and_what_is_behind_it_is_trained(operator, dtype, attributes):
    code = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}[dtype]
    model = model_of(operator, code, **attributes)
    x = (RNG.normal(size=(4, 3)) * 3).astype(dtype)
    (expected,) = run(model, {"x": x}).values()
    written = lg.from_onnx(model).to_onnx()
    onnx.checker.check_model(written, full_check=True)
    np.testing.assert_allclose(run(written, {"x": x})["y"], expected, rtol=1e-6, atol=1e-6)
    step = lg.training.build(model, lg.nn.MSELoss(reduction="sum"))
    weight, target = step.parameters["weight"], np.zeros((4, 2), np.float32)
    found = run(step.gradients.model, {"x": x, "target": target, "weight": weight})
    ready = expected @ np.linalg.pinv(weight.astype(float))  # not of full rank: the product is
    assert found["loss"] == pytest.approx((expected.astype(float) ** 2).sum(), rel=1e-5)
    assert found["grad_weight"].shape == (3, 2)
    np.testing.assert_allclose(
        weight.T @ found["grad_weight"], 2 * (ready @ weight).T @ expected, rtol=1e-4, atol=1e-4
    )
