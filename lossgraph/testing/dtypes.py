"""A loss in every float dtype, held to float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..compare.differences import TOLERANCES, Tolerance, deviation
from ..symbolic.arguments import checked
from .report import Report, fail
from .subjects import (
    Arrays,
    arrays_of,
    chosen_wrt,
    generator,
    in_dtype,
    loss_of,
    name_of,
    outputs_of,
    refused,
    reproduced,
)

NARROW = ("float16", "bfloat16", "float32")
_UNITS = 16  # roundings of an input that intermediate results may be worth


@checked
def check_dtypes(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> Report:
    """Hold value and gradient in float16, bfloat16 and float32 to float64 on the same numbers.

    A number may be off by the tolerance of its dtype, and by what some roundings of the inputs
    would make of it. Dtypes that the engine has no kernels for are left out, and said.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        wrt: the inputs to differentiate by; the predictions by default.
        seed: of drawn inputs.

    Raises:
        AssertionError: saying where it is off.
    """
    block = loss_of(loss)
    arrays = arrays_of(block, inputs, seed)
    names = chosen_wrt(block, arrays, wrt)
    report = Report(name_of(loss))
    for dtype in NARROW:
        given = in_dtype(arrays, dtype)
        try:
            mine = outputs_of(block, given, names)
        except Exception as error:
            if not refused(error) or dtype == "float32":
                raise
            report.lines.append(f"{dtype}: left out, {str(error).splitlines()[0]}")
            continue
        wrong, share = _against_wider(block, given, names, mine, dtype)
        fail(f"{name_of(loss)}: wrong in {dtype}", wrong, [reproduced(given)])
        report.lines.append(f"{dtype}: off by {share:.2g} of what is tolerated")
    return report


def _against_wider(
    block: Block, given: Arrays, names: Sequence[str], mine: Arrays, dtype: str
) -> tuple[list[str], float]:
    """What is wrong, and how much of the tolerance is used."""
    wide = in_dtype(given, "float64")
    right, rounded = (outputs_of(block, a, names) for a in (wide, _rounded(wide, dtype)))
    wrong, worst = [], 0.0
    for name, exact in right.items():
        with np.errstate(invalid="ignore"):
            moved = np.abs(rounded[name] - exact)
        room = _UNITS * float(np.nan_to_num(moved, posinf=0.0).max(initial=0.0))
        relative, absolute = TOLERANCES[dtype][:2]
        allowed = Tolerance(relative, absolute + room)
        if mine[name].dtype.name != dtype:
            wrong.append(f"{name} is of {mine[name].dtype} instead of {dtype}")
            continue
        with np.errstate(over="ignore"):
            found = deviation(name, mine[name], exact.astype(mine[name].dtype), allowed)
        worst = max(worst, found.share)
        wrong += [str(found)] if found.wrong else []
    return wrong, worst


def _rounded(arrays: Arrays, dtype: str) -> Arrays:
    """The inputs moved by half a unit of a dtype, up or down by chance."""
    half = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}[dtype]
    return {
        n: a * (1 + half * generator("rounded", n).choice([-1, 1], a.shape))
        if a.dtype == np.float64
        else a
        for n, a in arrays.items()
    }
