"""The model of the page, its data, and the graphs that train it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import lossgraph as lg

SIDE, CLASSES, CHANNELS, HIDDEN = 8, 10, (8, 16), 32
HELD_OUT = 297  # of the 1797 digits; they are not trained on
LARGEST = 16  # value of a pixel

_SEED = 7


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images of 64 numbers from 0 to 16, and their labels, in an order that is mixed."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(_SEED).permutation(len(images))
    return images[order].astype(np.uint8), labels[order].astype(np.uint8)


def network() -> onnx.ModelProto:
    """Two convolutions and two layers, with random weights."""
    rng = np.random.default_rng(_SEED)
    first, second = CHANNELS
    inner = second * (SIDE // 4) ** 2
    shapes = {
        "conv1": (first, 1, 3, 3), "conv2": (second, first, 3, 3),
        "linear1": (HIDDEN, inner), "linear2": (CLASSES, HIDDEN),
    }  # fmt: skip
    weights = []
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weight = (rng.normal(size=shape) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"{name}.weight"))
        weights.append(numpy_helper.from_array(np.zeros(shape[0], np.float32), f"{name}.bias"))
    half = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        _layer("Conv", "image", "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("MaxPool", ["relu1"], ["pool1"], **half),
        _layer("Conv", "pool1", "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("MaxPool", ["relu2"], ["pool2"], **half),
        helper.make_node("Flatten", ["pool2"], ["flat"]),
        _layer("Gemm", "flat", "linear1", transB=1),
        helper.make_node("Relu", ["linear1"], ["relu3"]),
        _layer("Gemm", "relu3", "linear2", "logits", transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(nodes, "digits", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def training_step() -> lg.training.TrainingStep:
    """The graphs of the training."""
    optimizer = lg.training.AdamW(learning_rate=3e-3, weight_decay=1e-3)
    loss = lg.nn.CrossEntropyLoss()
    return lg.training.build(network(), loss, rename={"target": "label"}, optimizer=optimizer)


def _layer(
    operator: str, value: str, name: str, output: str = "", **attributes: object
) -> onnx.NodeProto:
    inputs = [value, f"{name}.weight", f"{name}.bias"]
    return helper.make_node(operator, inputs, [output or name], **attributes)
