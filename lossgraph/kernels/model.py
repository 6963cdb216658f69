"""Models whose graph is one node, an operator of a kernel.

With a body the operator is also a function in the model: where a library of its domain is
registered ONNX Runtime calls the kernel, elsewhere engines put the function's nodes in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from ..errors import InputError
from ..ir.expr import Expr
from ..lowering.as_function import wrap_as_function
from ..lowering.onnx_api import helper, value_info
from ..lowering.opsets import checked_opset

if TYPE_CHECKING:
    import onnx

VERSION = 1  # of a domain of ours


class KernelInterface(Protocol):
    """What a node needs to know of a kernel."""

    @property
    def name(self) -> str:
        """The operator's name."""

    @property
    def inputs(self) -> tuple[Expr, ...]:
        """The inputs in their order."""

    @property
    def outputs(self) -> Mapping[str, Expr]:
        """The outputs by name, in their order."""


def kernel_model(
    kernel: KernelInterface,
    domain: str,
    opset: int | None = None,
    body: onnx.ModelProto | None = None,
) -> onnx.ModelProto:
    """The model of one node that calls a kernel.

    Args:
        kernel: the kernel.
        domain: that of the library which has it.
        opset: version of the standard operators that the model says it imports.
        body: a model of standard operators with the kernel's inputs and outputs.

    Raises:
        InputError: for a body that takes or gives something else than the kernel.
    """
    inputs = [node.attrs["name"] for node in kernel.inputs]
    if body is not None:
        _check_body(body, inputs, list(kernel.outputs))
        return wrap_as_function(body, domain, kernel.name)
    node = helper.make_node(
        kernel.name, inputs, list(kernel.outputs), name=kernel.name, domain=domain
    )
    graph = helper.make_graph(
        [node],
        kernel.name,
        [value_info(node.attrs["name"], node.type) for node in kernel.inputs],
        [value_info(name, value.type) for name, value in kernel.outputs.items()],
    )
    standard = helper.make_opsetid("", checked_opset(opset))
    return helper.make_model(
        graph,
        opset_imports=[standard, helper.make_opsetid(domain, VERSION)],
        ir_version=helper.find_min_ir_version_for([standard]),
        producer_name="lossgraph",
    )


def _check_body(body: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> None:
    found = [info.name for info in body.graph.input], [info.name for info in body.graph.output]
    if found != (inputs, outputs):
        raise InputError(f"the body takes and gives {found}, the kernel {(inputs, outputs)}")
