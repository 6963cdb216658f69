"""Models that call kernels: nodes of a library's domain, among standard ones where there are some.

With bodies an operator is also a function in the model: where a library of its domain is
registered ONNX Runtime calls the kernel, elsewhere engines put the function's nodes in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ..errors import InputError
from ..ir.expr import Body, Expr, toposort
from ..lowering.as_function import add_function, function_of
from ..lowering.lower import lower, lower_wide
from ..passes.costs import Target
from ..passes.mixed_precision import widen
from .call import call_kernel
from .integers import KernelUnsupportedError
from .kernel import Kernel
from .partition import Partition, partition
from .unit import Unit, translation_unit

if TYPE_CHECKING:
    import onnx

    from ..compiler.program import Program


_HERE = Target("cpu")


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


@dataclass(frozen=True)
class Fused:
    """A program with kernels.

    Attributes:
        kernels: the kernels, in an order of execution.
        unit: the C of them all, for one library.
        model: the program as a model that calls them.
    """

    kernels: tuple[Kernel, ...]
    unit: Unit
    model: onnx.ModelProto


@dataclass(frozen=True)
class CutProgram:
    """What of a program is kernels, and what is not.

    Attributes:
        program: the program.
        outputs: the names of its outputs, checks among them.
        partition: the kernels among the other operations.
    """

    program: Program
    outputs: tuple[str, ...]
    partition: Partition

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels, in an order of execution."""
        return tuple(region.kernel for region in self.partition.regions)

    def model(
        self,
        domain: str,
        opset: int | None = None,
        target: Target = _HERE,
        *,
        bodies: bool = False,
    ) -> onnx.ModelProto:
        """The model that calls the kernels of a library.

        Args:
            domain: that of the library.
            opset: version of the standard operators.
            target: where the standard operators are to run.
            bodies: whether the model can do without the library.
        """
        regions, program = self.partition.regions, self.program
        calls = [
            partial(call_kernel, body=region.body, operator=region.kernel.name, domain=domain)
            for region in regions
        ]
        roots = dict(zip(self.outputs, self.partition.with_calls(calls), strict=True))
        model = lower_wide(program.inputs, roots, opset=opset, name=program.name, target=target)
        if bodies:
            for kernel in {kernel.name: kernel for kernel in self.kernels}.values():
                body = lower(kernel.inputs, kernel.outputs, opset=opset, target=target)
                add_function(model, function_of(body, domain, kernel.name))
        return model


def cut(program: Program, *, checks: bool = False) -> CutProgram:
    """A program with kernels: one if it is one as a whole, else what ``partition`` finds.

    Args:
        program: the program.
        checks: also compute what says whether labels are valid, as outputs of their own.

    Raises:
        KernelUnsupportedError: if no part of the program is worth a kernel.
    """
    outputs = dict(program.outputs)
    if checks:
        outputs |= program.label_check(Target("cpu", nonempty=False))
    found = partition(program.inputs, widen(list(outputs.values())))
    if not found.regions:
        raise KernelUnsupportedError(_nothing_fused(outputs))
    return CutProgram(program, tuple(outputs), found)


def fused(
    program: Program,
    *,
    checks: bool = False,
    opset: int | None = None,
    target: Target = _HERE,
    domain: str | None = None,
    bodies: bool = False,
) -> Fused:
    """A program cut into kernels, with their C and the model that calls them.

    Args:
        program: the program.
        checks: as ``cut`` takes it.
        opset: as ``CutProgram.model`` takes it, as the rest.
        target: likewise.
        domain: of the library; by default named by what the kernels compute.
        bodies: whether the model can do without the library.

    Raises:
        KernelUnsupportedError: if no part of the program is worth a kernel.
    """
    parts = cut(program, checks=checks)
    unit = translation_unit(parts.kernels, domain)
    return Fused(parts.kernels, unit, parts.model(unit.domain, opset, target, bodies=bodies))


def _nothing_fused(outputs: Mapping[str, Expr]) -> str:
    without = {node.op.name for node in toposort(outputs.values()) if node.op.kernel is None}
    listed = ", ".join(sorted(without - {"Const", "Input"}))
    return "kernels have no form of " + listed if listed else "kernels save nothing here"


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
    computed = Body(kernel.inputs, tuple(kernel.outputs.values()), 0)
    results = call_kernel(kernel.inputs, computed, kernel.name, domain)
    outputs = dict(zip(kernel.outputs, results, strict=True))
    model = lower_wide(kernel.inputs, outputs, opset=opset, name=kernel.name)
    if body is not None:
        _check_body(body, [node.attrs["name"] for node in kernel.inputs], list(kernel.outputs))
        add_function(model, function_of(body, domain, kernel.name))
    return model


def _check_body(body: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> None:
    found = [info.name for info in body.graph.input], [info.name for info in body.graph.output]
    if found != (inputs, outputs):
        raise InputError(f"the body takes and gives {found}, the kernel {(inputs, outputs)}")
