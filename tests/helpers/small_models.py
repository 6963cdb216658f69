"""Small models to train, and batches for them."""

from __future__ import annotations

import itertools

import numpy as np
from onnx import TensorProto, helper, numpy_helper


def mlp(sizes=(4, 8, 3), seed=0):
    """Layers of Gemm and Relu, from ``x`` to ``logits``, with metadata to be kept."""
    random, nodes, weights, last = np.random.default_rng(seed), [], [], "x"
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        weight = random.normal(size=(fan_out, fan_in)) / np.sqrt(fan_in)
        weights += [
            numpy_helper.from_array(weight.astype(np.float32), f"w{i}"),
            numpy_helper.from_array(np.zeros(fan_out, np.float32), f"b{i}"),
        ]
        out = "logits" if i == len(sizes) - 2 else f"h{i}"
        nodes.append(
            helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [out], transB=1, name=f"gemm{i}")
        )
        if out != "logits":
            last = f"a{i}"
            nodes.append(helper.make_node("Relu", [out], [last], name=f"relu{i}"))
    graph = helper.make_graph(
        nodes,
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", sizes[0]])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", sizes[-1]])],
        weights,
        doc_string="layers",
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="tests")
    model.metadata_props.add(key="task", value="classes")
    return model


def batches(count=4, size=16, features=4, classes=3, seed=1):
    """Batches of points, whose class is told by where they lie."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(classes, features)) * 2
    for _ in range(count):
        target = random.integers(classes, size=size)
        x = centers[target] + random.normal(size=(size, features))
        yield {"x": x.astype(np.float32), "target": target}
