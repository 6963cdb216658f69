"""Programs derived from programs: with gradients beside their outputs, and pullbacks of those.

They are made of the outputs in the forms that can be differentiated again, and of no body: so
compiled losses have them too, those of symbols and of derivatives among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import GradientError, InputError
from ..ir.expr import Expr, variable
from ..ir.ops import full
from ..passes import autodiff
from ..passes.rewrite import rewrite
from ..passes.rules import STABILIZE
from .outputs import Output, gradient_outputs, value_outputs
from .program import Program, finished, inputs_of_gradients


def with_gradients(program: Program, wrt: Sequence[str]) -> Program:
    """The program, with the gradients of the sum of its values beside its outputs.

    Raises:
        InputError: if it has gradients already, or has no input of a name.
    """
    if program.wrt:
        raise InputError(f"the program has gradients by {list(program.wrt)} among its outputs")
    values = [output.expr for output in program.differentiable if output.kind == "value"]
    ones = [full(1.0, value.dtype, value.shape) for value in values]
    gradients = dict(
        zip(wrt, autodiff.vjp(values, ones, inputs_of_gradients(program.inputs, wrt)), strict=True)
    )
    return _derived(program, (*program.differentiable, *gradient_outputs(gradients)))


def pullback(program: Program, wrt: Sequence[str]) -> Program:
    """What takes the program's inputs, and cotangents of its differentiable outputs.

    Its values are the cotangents of the inputs ``wrt``: a tuple of them, in order.

    Raises:
        GradientError: if no output is a float.
        InputError: if the program has no input of a name.
    """
    outputs = [output for output in program.differentiable if output.is_differentiable]
    if not outputs:
        raise GradientError(f"{program.name} computes integers, which have no gradient")
    cotangents = _cotangents(program, outputs)
    stable = rewrite([output.expr for output in outputs], STABILIZE)
    pulled = autodiff.vjp(stable, cotangents, inputs_of_gradients(program.inputs, wrt))
    derived = _derived(program, value_outputs(pulled, several=True))
    return replace(derived, inputs=(*program.inputs, *cotangents), several=True)


def _derived(program: Program, outputs: tuple[Output, ...]) -> Program:
    return replace(program, differentiable=outputs, typed_outputs=finished(outputs))


def _cotangents(program: Program, outputs: Sequence[Output]) -> list[Expr]:
    """An input for the cotangent of each output, of a name that no input has."""
    taken = {node.attrs["name"] for node in program.inputs}
    suffix = ""
    while any(f"ct_{output.name}{suffix}" in taken for output in outputs):
        suffix += "_"
    return [variable(f"ct_{output.name}{suffix}", output.expr.type) for output in outputs]
