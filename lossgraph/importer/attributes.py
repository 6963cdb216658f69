"""Attributes of nodes as Python values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import onnx

from ..lowering.onnx_api import helper, numpy_helper


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Numbers, text, lists of them, arrays, and graphs as they are."""
    return {attribute.name: _value(attribute) for attribute in node.attribute}


def bound(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    """A node of a function with the attributes that the function was called with.

    One that the caller left out, and that has no default, is left out too.
    """
    if not any(_refers(attribute) for attribute in node.attribute):
        return node
    made = onnx.NodeProto()
    made.CopyFrom(node)
    del made.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            kept = made.attribute.add()
            kept.CopyFrom(attribute)
            _bind_inside([kept], given)
        elif attribute.ref_attr_name in given:
            kept = made.attribute.add()
            kept.CopyFrom(given[attribute.ref_attr_name])
            kept.name = attribute.name
    return made


def _refers(attribute: onnx.AttributeProto) -> bool:
    inside = (node for graph in _graphs(attribute) for node in graph.node)
    return bool(attribute.ref_attr_name) or any(_refers(a) for n in inside for a in n.attribute)


def _bind_inside(
    attributes: Iterable[onnx.AttributeProto], given: Mapping[str, onnx.AttributeProto]
) -> None:
    for attribute in attributes:
        for graph in _graphs(attribute):
            for node in graph.node:
                node.CopyFrom(bound(node, given))


def _graphs(attribute: onnx.AttributeProto) -> list[onnx.GraphProto]:
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _value(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        is_text = value.data_type == onnx.TensorProto.STRING
        return value if is_text else numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [item.decode("utf-8", "replace") for item in value]
    return list(value) if attribute.type in _LISTS else value


_LISTS = (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRINGS)
