"""A model as one node, whose operator is a function that the model brings along."""

from __future__ import annotations

import re

from .onnx_api import onnx

DOMAIN = "lossgraph"
FUNCTIONS_SINCE = 8  # the IR that has functions in models


def wrap_as_function(
    model: onnx.ModelProto, domain: str = DOMAIN, operator: str | None = None
) -> onnx.ModelProto:
    """The same model, its graph one node ``lossgraph.<name of the graph>``.

    Engines put the body in the node's place before anything else, so results are the same; who
    looks at the model sees one node. The function has no attributes; its constants are nodes, as
    a function has no initializers.

    Args:
        model: a model of standard operators, without functions.
        domain: the operator's domain.
        operator: its name, by default that of the graph.
    """
    operator = operator or re.sub(r"\W", "_", model.graph.name)
    wrapped = onnx.ModelProto()
    wrapped.CopyFrom(model)
    graph = wrapped.graph
    function = function_of(model, domain, operator)
    graph.ClearField("node")
    graph.ClearField("initializer")
    graph.node.add(
        domain=domain,
        op_type=operator,
        name=operator,
        input=function.input,
        output=function.output,
    )
    wrapped.opset_import.add(domain=domain, version=1)
    add_function(wrapped, function)
    return wrapped


def function_of(model: onnx.ModelProto, domain: str, operator: str) -> onnx.FunctionProto:
    """The graph of a model of standard operators as a function."""
    graph = model.graph
    function = onnx.FunctionProto(
        domain=domain,
        name=operator,
        input=[info.name for info in graph.input],
        output=[info.name for info in graph.output],
        opset_import=model.opset_import,
    )
    function.node.extend(map(_constant, graph.initializer))
    function.node.extend(graph.node)
    return function


def add_function(model: onnx.ModelProto, function: onnx.FunctionProto) -> None:
    """Have a model bring along a function that its nodes call."""
    model.functions.append(function)
    model.ir_version = max(model.ir_version, FUNCTIONS_SINCE)


def _constant(tensor: onnx.TensorProto) -> onnx.NodeProto:
    node = onnx.NodeProto(op_type="Constant", name=f"{tensor.name}/Constant", output=[tensor.name])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=tensor)
    return node
