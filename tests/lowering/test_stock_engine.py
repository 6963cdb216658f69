"""Valid graphs that ONNX's or ONNX Runtime's own tools get wrong are written so that they work."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.authoring.functions import as_loss
from support import run_model


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (lambda F, x: F.clip(F.relu(x), 0, 6), lambda x: np.clip(x, 0, 6)),
        (lambda F, x: F.clip(F.maximum(x, 0), -1, 2), lambda x: np.clip(x, 0, 2)),
        (lambda F, x: F.clip(F.relu(x), -3, -1), lambda x: np.where(np.isnan(x), x, -1)),
        (lambda F, x: F.arctan(F.relu(x)), lambda x: np.arctan(np.maximum(x, 0))),
        (lambda F, x: F.clip(F.clip(x, 0, 8), 1, 6), lambda x: np.clip(x, 1, 6)),
    ],
)
def test_a_relu_before_a_clip_loads(body, expected, dtype):
    x = np.array([-2, -0.5, 0.5, 3, 7, np.nan, np.inf, -np.inf], dtype)
    model = as_loss(body).to_onnx({"x": (dtype, ("N",))})
    rtol = {"float16": 1e-3, "float32": 1e-6, "float64": 1e-14}[dtype]
    for found in (as_loss(body)(x), run_model(model, {"x": x})[0]):
        np.testing.assert_allclose(found, expected(x), rtol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (3, 2), (1, 4), (5, 1), (2, 2)])
@pytest.mark.parametrize(
    "body",
    [
        lambda F, a, w: F.broadcast_mul(F.expand_dims(a, 1), w),
        lambda F, a, w: F.broadcast_sub(F.expand_dims(a, 0), F.expand_dims(w, 1)),
        lambda F, a, w: F.expand_dims(a, 1) + w * F.expand_dims(w, 0),
        lambda F, a, w: F.concat(F.expand_dims(a, 1) * w, F.expand_dims(w, 0), dim=0),
        lambda F, a, w: F.dot(F.expand_dims(a, 1), F.expand_dims(w, 0)) * w,
    ],
)
def test_fixed_sizes_are_taken_as_named_ones(body, rows, columns, dtype):
    """ONNX's propagation of data takes a short vector for a shape, and refused products of two."""
    a, w = np.arange(1, rows + 1, dtype=dtype), np.arange(3, columns + 3, dtype=dtype)
    named = {"a": (dtype, ("A",)), "w": (dtype, ("W",))}
    fixed = {"a": (dtype, (rows,)), "w": (dtype, (columns,))}
    expected, slopes = lg.compile(body, named, grad=("a", "w"))(a, w)
    value, grads = lg.compile(body, fixed, grad=("a", "w"))(a, w)
    model = as_loss(body).to_onnx(fixed, grad=("a", "w"))
    for found in ((value, grads["a"], grads["w"]), run_model(model, {"a": a, "w": w})):
        for left, right in zip(found, (expected, slopes["a"], slopes["w"]), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0)])
def test_one_number_expands_to_nothing(shape, dtype):
    """ONNX Runtime takes an Expand of a length 1 to a fixed 0 for none, and leaves it out."""

    def body(F, x, y):
        return F.scalar(F.sum(x)) * y

    types = {"x": (dtype, shape), "y": (dtype, shape[:1])}
    x, y = np.zeros(shape, dtype), np.zeros(shape[:1], dtype)
    value, grads = lg.compile(body, types, grad=("x", "y"))(x, y)
    model = as_loss(body).to_onnx(types, grad=("x", "y"))
    for found in ((value, grads["x"], grads["y"]), run_model(model, {"x": x, "y": y})):
        assert [each.shape for each in found] == [shape[:1], shape, shape[:1]]
