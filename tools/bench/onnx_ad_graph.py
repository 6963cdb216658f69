"""Gradients of a mean cross-entropy by onnx-ad: its graph, of a batch of one size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ad
from onnx import TensorProto, helper, numpy_helper, shape_inference


def with_gradients(model: onnx.ModelProto, batch: dict[str, Any]) -> tuple[onnx.ModelProto, Any]:
    """The graph of the gradients by all floating initializers, and the arrays that it takes.

    onnx-ad differentiates by inputs, so that initializers become some, and wants sizes.
    """
    graph, classes = model.graph, batch["target"]
    weights = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    weights = {name: array for name, array in weights.items() if array.dtype == np.float32}
    kept = [tensor for tensor in graph.initializer if tensor.name not in weights]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    _fix_sizes(graph.input[0], batch["x"])
    for name, array in weights.items():
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape))
    count = int(weights[_last_bias(graph)].shape[0])
    chosen = np.eye(count, dtype=np.float32)[classes]
    graph.input.append(helper.make_tensor_value_info("chosen", TensorProto.FLOAT, chosen.shape))
    graph.node.extend(
        [
            helper.make_node("LogSoftmax", ["logits"], ["log_p"], axis=-1),
            helper.make_node("Mul", ["log_p", "chosen"], ["of_class"]),
            helper.make_node("ReduceSum", ["of_class"], ["total"], keepdims=0),
            helper.make_node("Div", ["total", "minus_count"], ["loss"]),
        ]
    )
    graph.initializer.append(numpy_helper.from_array(np.float32(-len(classes)), "minus_count"))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("loss", TensorProto.FLOAT, []))
    del graph.value_info[:]
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    made = onnx_ad.reverse(inferred, inputs=list(weights), layout="onnx")
    seed = next(info.name for info in made.graph.input if info.name.endswith("loss"))
    return made, {**weights, "chosen": chosen, seed: np.ones(1, np.float32)}


def _last_bias(graph: onnx.GraphProto) -> str:
    """The bias of the last layer: as long as there are classes."""
    last = next(n for n in reversed(graph.node) if n.op_type in ("Gemm", "Add"))
    names = {info.name for info in graph.input}
    return next(name for name in reversed(last.input) if name in names)


def _fix_sizes(info: onnx.ValueInfoProto, array: Any) -> None:
    for dim, size in zip(info.type.tensor_type.shape.dim, array.shape, strict=True):
        dim.dim_value = size
