"""Small models to train, written without a framework, and batches for them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def mlp(features: int = 6, hidden: int = 8, classes: int = 3, seed: int = 0) -> onnx.ModelProto:
    """Two layers, whose parameters have names as PyTorch gives them."""
    rng = np.random.default_rng(seed)
    shapes = {
        "0.weight": (hidden, features), "0.bias": (hidden,),
        "2.weight": (classes, hidden), "2.bias": (classes,),
    }  # fmt: skip
    weights = [
        numpy_helper.from_array((rng.normal(size=shape) * 0.3).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "0.weight", "0.bias"], ["hidden"], transB=1),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "2.weight", "2.bias"], ["logits"], transB=1),
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])]
        for name, size in (("x", features), ("logits", classes))
    ]
    graph = helper.make_graph(nodes, "mlp", *ends, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model.metadata_props.add(key="made", value="by hand")
    return model


def batches(count=4, size=16, features=6, classes=3, seed=1):
    """Batches of points, whose class is told by where they lie."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(classes, features)) * 2
    for _ in range(count):
        target = rng.integers(classes, size=size)
        x = centers[target] + rng.normal(size=(size, features))
        yield {"x": x.astype(np.float32), "target": target}
