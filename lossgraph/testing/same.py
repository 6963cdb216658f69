"""A loss against a function that is to compute the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..compare.differences import Deviation, deviation, number_text, tolerance_of
from ..compare.outputs import as_ours
from ..ir.types import dtype_name
from ..runtime.compiled import Compiled
from ..symbolic.arguments import checked
from .functions import framework_of, outputs_by
from .report import Report, fail
from .subjects import (
    Array,
    arrays_of,
    at_element,
    chosen_wrt,
    in_dtype,
    loss_of,
    name_of,
    outputs_of,
    reproduced,
)


@checked
def assert_same(
    loss: Any,
    function: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    grad: Sequence[str] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    ulp: int | None = None,
    dtype: str | None = None,
    framework: str | None = None,
    seed: int = 0,
) -> Report:
    """Compare a loss with a function of any framework: the value, and the gradients of its sum.

    The function gets arrays of its framework, by the names of the inputs if its parameters have
    these names, else in their order, and is differentiated by its framework. One of numpy may
    return ``(value, {name: gradient})``; otherwise its gradients are central differences, of which
    no more than five digits are right.

    Args:
        loss: a loss, a function of F, or a compiled loss.
        function: of PyTorch, JAX, MXNet, numpy, or another loss.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        grad: the inputs to differentiate by, none with ``()``; the predictions by default.
        rtol: relative tolerance, instead of the dtype's own.
        atol: absolute tolerance, instead of the dtype's own.
        ulp: tolerance in units in the last place, instead of both.
        dtype: of all inputs that are floats.
        framework: ``torch``, ``jax``, ``mxnet``, ``numpy`` or ``lossgraph``, where the function
            does not tell.
        seed: of drawn inputs.

    Raises:
        AssertionError: saying what differs, where, by how much and with which inputs.
        InputError: for inputs that the loss does not take, and if the framework is not told.
    """
    block = loss if isinstance(loss, Compiled) else loss_of(loss)
    arrays = arrays_of(block, inputs, seed)
    if dtype is not None:
        arrays = in_dtype(arrays, dtype_name(dtype))
    names = chosen_wrt(block, arrays, grad)
    home = framework_of(function, framework)
    ours, theirs = outputs_of(block, arrays, names), outputs_by(home, function, arrays, names)
    report, wrong = Report(name_of(loss)), []
    for name, mine in ours.items():
        allowed = tolerance_of(mine.dtype.name, rtol, atol, ulp)
        its = theirs.get(name)
        found = (
            deviation(name, mine, _shaped(mine, its), allowed)
            if its is not None
            else Deviation(np.inf, np.inf, f"{name}: {home} gives no such output")
        )
        report.lines.append(f"{name}: {found}")
        if found.wrong:
            wrong.append(_described(name, found, home, arrays))
    title = f"{name_of(loss)} and {name_of(function)} ({home}) differ"
    also = [line for line in report.lines if line.partition(": ")[2][:1].isdigit()]
    fail(title, wrong, [*also, reproduced(arrays)])
    return report


def _described(name: str, found: Deviation, home: str, arrays: Mapping[str, Array]) -> str:
    lines = [str(found)]
    if found.first is not None:
        index, mine, its = found.first
        at = "".join(f", {line}" for line in at_element(arrays, index))
        lines.append(f"  {name}{list(index)}: lossgraph {number_text(mine)}, "
                     f"{home} {number_text(its)}{at}")  # fmt: skip
    return "\n".join(lines)


def _shaped(mine: Array, its: Array) -> Array:
    """One number is one number, be its shape () or (1,)."""
    its = as_ours(mine, its)
    return its.reshape(mine.shape) if its.size == mine.size == 1 else its
