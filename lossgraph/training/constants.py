"""Weights in Constant nodes of a model: initializers of it where their names are asked for."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

import onnx

from ..models.light_copy import copy_of
from .selection import FLOATS


def with_named_constants(
    model: onnx.ModelProto, trainable: str | Sequence[str] | None
) -> onnx.ModelProto:
    """The model with an initializer in the place of each Constant node that is to be trained.

    It is the same model where no name is that of such a node, and where no names are given: what
    an exporter writes as a node it did not take for a weight.
    """
    patterns = [trainable] if isinstance(trainable, str) else list(trainable or ())
    known = {tensor.name for tensor in model.graph.initializer}
    asked = [pattern for pattern in patterns if pattern not in known]
    if not any(fnmatch.filter(_constants(model), pattern) for pattern in asked):
        return model
    made = copy_of(model)
    found = _constants(made)
    for name in (name for pattern in asked for name in fnmatch.filter(found, pattern)):
        node = found[name]
        if node in made.graph.node:
            tensor = made.graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = name
            made.graph.node.remove(node)
    return made


def _constants(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The nodes of floating constants, by the names of their values."""
    return {node.output[0]: node for node in model.graph.node if any(_tensors(node))}


def _tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.t.data_type in FLOATS:
                yield attribute.t
