"""Running statistics that share an initializer with a parameter.

Exporters join initializers of equal elements, and so the scale and the running variance of a fresh
batch normalization. A training run moves the scale and leaves the statistics.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import onnx

from ..models.light_copy import copy_of
from ..models.walk import STANDARD, fresh_name, graphs, value_names

_PLACES = (3, 4)  # of BatchNormalization, for mean and variance


def with_own_statistics(model: onnx.ModelProto, trained: Collection[str]) -> onnx.ModelProto:
    """The model with copies of trained initializers where they stand for running statistics.

    It is the same model where none does.
    """
    if not any(_joined(model, trained)):
        return model
    made = copy_of(model)
    taken, copies = value_names(made.graph), dict[str, str]()
    for node, place, name in list(_joined(made, trained)):
        if name not in copies:
            copies[name] = own_statistic(made, name, taken)
        node.input[place] = copies[name]
    return made


def own_statistic(model: onnx.ModelProto, name: str, taken: set[str]) -> str:
    """The name of a copy of an initializer, which is added to the model."""
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    copy = model.graph.initializer.add()
    copy.CopyFrom(tensor)
    copy.name = fresh_name(f"{name}_statistic", taken)
    return copy.name


def _joined(
    model: onnx.ModelProto, trained: Collection[str]
) -> Iterator[tuple[onnx.NodeProto, int, str]]:
    """Nodes that read trained initializers as statistics, directly or by ``Identity``."""
    same = {
        node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Identity"
    }
    for graph in graphs(model.graph):
        for node in graph.node:
            if node.op_type != "BatchNormalization" or node.domain not in STANDARD:
                continue
            for place in _PLACES:
                name = node.input[place]
                while name in same and name not in trained:
                    name = same[name]
                if name in trained:
                    yield node, place, name
