"""Convolutions and pools of models: read, written, run, and differentiated."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import lossgraph as lg
from support import newest_opset


def run(model, arrays):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, arrays), strict=True))


def model_of(operator, shape, weights, dtype="float64", dynamic=False, opset=None, **attributes):
    """y = operator(x + p r, weights), where p has a number for each channel: a gradient by x too.

    ``dynamic`` says that the lengths of x are not known before it runs.
    """
    opset = min(22, newest_opset()) if opset is None else opset
    code = TensorProto.DOUBLE if dtype == "float64" else TensorProto.FLOAT
    sizes = [f"d{i}" if i == 0 or (dynamic and i > 1) else n for i, n in enumerate(shape)]
    rng = np.random.default_rng(len(shape))
    names = [f"w{i}" for i in range(len(weights))]
    shapes = dict(zip(names, weights, strict=True))
    shapes["p"] = (1, shape[1], *(1,) * (len(shape) - 2))
    arrays = {**shapes, "x": shape, "r": shape}
    arrays = {n: rng.standard_normal(s, np.float32).astype(dtype) for n, s in arrays.items()}
    tensors = {name: arrays[name] for name in shapes}
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["r", "p"], ["rp"]),
            helper.make_node("Add", ["x", "rp"], ["xp"]),
            helper.make_node(operator, ["xp", *names], ["y"], name="node", **attributes),
        ],
        "g",
        [helper.make_tensor_value_info(name, code, sizes) for name in ("x", "r")],
        [helper.make_tensor_value_info("y", code, [None] * len(shape))],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    batch = {name: arrays[name] for name in ("x", "r")}
    return model, tensors, batch


def loss_of(F, pred):
    return F.sum(F.sin(pred))


SAME, CEIL = {"auto_pad": "SAME_UPPER"}, {"ceil_mode": 1, "pads": [1, 1, 1, 1]}
POOL = {"kernel_shape": [3, 3], "strides": [2, 2]}
IMAGE, WEIGHTS, BIAS = (2, 4, 7, 6), (6, 4, 3, 3), (6,)
CASES = {
    "conv": ("Conv", IMAGE, [WEIGHTS, BIAS], {"pads": [1, 1, 1, 1]}),
    "conv strided": ("Conv", IMAGE, [WEIGHTS], {"strides": [2, 3]}),
    "conv pointwise": ("Conv", IMAGE, [(6, 4, 1, 1), BIAS], {}),
    "conv pointwise strided": ("Conv", IMAGE, [(6, 4, 1, 1)], {"strides": [2, 2]}),
    "conv groups": ("Conv", IMAGE, [(6, 2, 3, 3), BIAS], {"group": 2}),
    "conv depthwise": ("Conv", IMAGE, [(4, 1, 3, 3)], {"group": 4, "strides": [2, 1]}),
    "conv multiplied": ("Conv", IMAGE, [(8, 1, 3, 3)], {"group": 4}),
    "conv dilated": ("Conv", IMAGE, [(6, 4, 3, 2)], {"dilations": [2, 3], "pads": [2, 0, 1, 1]}),
    "conv same": ("Conv", IMAGE, [WEIGHTS, BIAS], {**SAME, "strides": [2, 2]}),
    "conv same lower": ("Conv", IMAGE, [(6, 4, 2, 3)], {"auto_pad": "SAME_LOWER"}),
    "conv valid": ("Conv", IMAGE, [WEIGHTS], {"auto_pad": "VALID"}),
    "conv 1d": ("Conv", (2, 4, 9), [(6, 2, 3), BIAS], {"strides": [3], "group": 2}),
    "conv 3d": ("Conv", (2, 2, 4, 5, 3), [(3, 2, 3, 2, 3)], {"pads": [1] * 6}),
    "transpose": ("ConvTranspose", IMAGE, [(4, 3, 3, 3), (3,)], {}),
    "transpose strided": (
        "ConvTranspose",
        IMAGE,
        [(4, 3, 3, 3), (3,)],
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 0]},
    ),
    "transpose groups": ("ConvTranspose", IMAGE, [(4, 3, 2, 2)], {"strides": [2, 2], "group": 2}),
    "transpose padded": (
        "ConvTranspose",
        IMAGE,
        [(4, 3, 3, 2)],
        {"strides": [2, 2], "dilations": [3, 3], "output_padding": [2, 2]},
    ),
    "transpose sparse": ("ConvTranspose", IMAGE, [(4, 3, 2, 2), (3,)], {"strides": [3, 3]}),
    "transpose same": (
        "ConvTranspose",
        IMAGE,
        [(4, 3, 3, 3), (3,)],
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ),
    "max": ("MaxPool", IMAGE, [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "max overlapping": ("MaxPool", IMAGE, [], {**POOL, "pads": [1, 1, 1, 1]}),
    "max ceil": ("MaxPool", IMAGE, [], {**POOL, **CEIL, "dilations": [2, 1]}),
    "max 1d": ("MaxPool", (2, 3, 9), [], {"kernel_shape": [3]}),
    "mean": ("AveragePool", IMAGE, [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "mean overlapping": ("AveragePool", IMAGE, [], {**POOL, "pads": [1, 1, 1, 1]}),
    "mean of padding": (
        "AveragePool",
        IMAGE,
        [],
        {**POOL, "pads": [0, 1, 2, 1], "count_include_pad": 1},
    ),
    "mean ceil": ("AveragePool", IMAGE, [], {**POOL, **CEIL}),
    "mean ceil of padding": ("AveragePool", IMAGE, [], {**POOL, **CEIL, "count_include_pad": 1}),
    "mean dilated": ("AveragePool", IMAGE, [], {"kernel_shape": [2, 3], "dilations": [2, 2]}),
    "norm": ("LpPool", IMAGE, [], {"kernel_shape": [2, 3], "p": 2}),
    "norm of three": ("LpPool", IMAGE, [], {"kernel_shape": [2, 2], "p": 3}),
    "global mean": ("GlobalAveragePool", IMAGE, [], {}),
    "global max": ("GlobalMaxPool", IMAGE, [], {}),
    "global norm": ("GlobalLpPool", IMAGE, [], {"p": 3}),
}
UNKNOWN = {"transpose same"}  # its padding, where lengths are not known


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_differences(name):
    """Central differences of the loss in float64 along a random direction of all parameters."""
    operator, shape, weights, attributes = CASES[name]
    for dynamic in (False, True) if name not in UNKNOWN else (False,):
        model, tensors, batch = model_of(operator, shape, weights, dynamic=dynamic, **attributes)
        step = lg.training.build(model, loss_of, trainable=list(tensors))
        found = run(step.gradients, {**batch, **tensors})
        rng = np.random.default_rng(5)
        direction = {n: rng.standard_normal(value.shape) for n, value in tensors.items()}
        slope = sum(np.sum(found[f"grad_{n}"] * v) for n, v in direction.items())
        width = 1e-6  # the best for central differences in float64: rounding and curvature alike
        ends = [
            run(step.gradients, {**batch, **{n: t + s * width * direction[n] for n, t in
                                             tensors.items()}})["loss"]
            for s in (-1, 1)
        ]  # fmt: skip
        assert slope == pytest.approx((ends[1] - ends[0]) / (2 * width), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_engines_operators_compute_the_same(name):
    """In float32 by Conv, MaxPool and others, what float64 has by formulas."""
    operator, shape, weights, attributes = CASES[name]
    found = []
    for dtype in ("float32", "float64"):
        model, tensors, batch = model_of(operator, shape, weights, dtype, **attributes)
        step = lg.training.build(model, loss_of, trainable=list(tensors))
        found.append(run(step.gradients, {**batch, **tensors}))
    for key, right in found[1].items():
        scale = 1 + np.abs(right).max()
        np.testing.assert_allclose(found[0][key] / scale, right / scale, atol=1e-5, err_msg=key)


WAYS = {  # channels, filters, length, kernel, stride: each computed in another way
    "columns": (3, 8, 12, 3, 1),
    "places": (16, 8, 20, 3, 1),
    "rows": (64, 64, 6, 3, 1),
    "rows strided": (16, 64, 9, 3, 2),
    "roles": (2, 4, 12, 7, 1),
    "pointwise": (8, 8, 16, 1, 1),
}


@pytest.mark.parametrize("name", WAYS)
def test_each_way_to_compute_gradients_in_float32(name):
    channels, filters, length, kernel, stride = WAYS[name]
    shape, weights = (2, channels, length, length), (filters, channels, kernel, kernel)
    pads = [kernel // 2] * 4
    found = []
    for dtype in ("float32", "float64"):
        model, tensors, batch = model_of(
            "Conv", shape, [weights], dtype, pads=pads, strides=[stride] * 2
        )
        tensors["w0"] /= np.sqrt(channels * kernel**2)
        step = lg.training.build(model, loss_of, trainable=list(tensors))
        found.append(run(step.gradients, {**batch, **tensors}))
    for key, right in found[1].items():
        scale = 1 + np.abs(right).max()
        np.testing.assert_allclose(found[0][key] / scale, right / scale, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", ["conv", "conv dilated", "max overlapping", "mean ceil"])
def test_gradients_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    functions = {
        "conv": lambda x, w, b: torch.nn.functional.conv2d(x, w, b, padding=1),
        "conv dilated": lambda x, w: torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, (0, 1, 2, 1)), w, dilation=(2, 3)
        ),
        "max overlapping": lambda x: torch.nn.functional.max_pool2d(x, 3, 2, 1),
        "mean ceil": lambda x: torch.nn.functional.avg_pool2d(
            x, 3, 2, 1, ceil_mode=True, count_include_pad=False
        ),
    }
    operator, shape, weights, attributes = CASES[name]
    model, tensors, batch = model_of(operator, shape, weights, **attributes)
    step = lg.training.build(model, loss_of, trainable=list(tensors))
    found = run(step.gradients, {**batch, **tensors})
    leaves = {n: torch.tensor(value, requires_grad=True) for n, value in tensors.items()}
    x = torch.tensor(batch["x"]) + torch.tensor(batch["r"]) * leaves["p"]
    given = [leaf for n, leaf in leaves.items() if n != "p"]
    functions[name](x, *given).sin().sum().backward()
    for n, leaf in leaves.items():
        np.testing.assert_allclose(found[f"grad_{n}"], leaf.grad, rtol=1e-10, atol=1e-10)


def test_the_gradient_goes_to_the_first_of_equal_maxima():
    shape, attributes = (1, 1, 2, 4), {"kernel_shape": [2, 2], "strides": [2, 2]}
    model, tensors, _ = model_of("MaxPool", shape, [], "float32", **attributes)
    zeros = np.zeros(shape, np.float32)
    places = np.arange(8, dtype=np.float32).reshape(shape)  # the first ones are 0 and 2
    step = lg.training.build(model, lambda F, pred: F.sum(pred), trainable=["p"])
    found = run(step.gradients, {"x": zeros, "r": places, "p": tensors["p"] * 0})
    assert found["grad_p"].reshape(()) == 2


def test_a_window_without_a_derivative_passes_through():
    """Places that are counted column after column stay ONNX's own node."""
    graph = helper.make_graph(
        [helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2], storage_order=1)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 3, 3])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 2, 2]),
            helper.make_tensor_value_info("i", TensorProto.INT64, [1, 1, 2, 2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = {"x": np.random.default_rng(0).standard_normal((1, 1, 3, 3)).astype(np.float32)}
    for name, value in run(model, x).items():
        np.testing.assert_array_equal(run(lg.from_onnx(model).to_onnx(), x)[name], value)


def test_an_unread_place_of_a_maximum_is_not_computed():
    """Engines are faster without."""
    model, _, _ = model_of("MaxPool", (1, 2, 4, 4), [], "float32", kernel_shape=[2, 2])
    (node,) = [n for n in lg.from_onnx(model).to_onnx().graph.node if n.op_type == "MaxPool"]
    assert len(node.output) == 1
