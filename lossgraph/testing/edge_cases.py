"""A loss at edge cases: large logits, zeros, certain probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..catalogue import examples_of
from ..compare.differences import SAMPLE_TOLERANCES, TOLERANCES, Tolerance, deviation, with_floats
from ..compare.edge_cases import edge_cases
from ..compare.finite_differences import one_sided
from ..compare.outputs import values_by_numpy
from ..compiler.outputs import classify, gradient_name
from ..errors import LossgraphError
from ..symbolic.arguments import checked
from .gradients import compare, places_of, value_to_differentiate
from .report import Report, fail
from .subjects import (
    Array,
    Arrays,
    arrays_of,
    at_element,
    chosen_wrt,
    in_dtype,
    loss_of,
    name_of,
    outputs_of,
    reproduced,
)

EXTENDED = np.dtype(np.longdouble)  # 80 bits where the processor has them
# A derivative in float32, at numbers of 1e4, by differences of a value of up to 1e8.
_STEP, _ENTRIES = 2.0**-10, 12
# An entry of a gradient may be a difference of probabilities, numbers up to 1, which it rounds.
_SHARE = SAMPLE_TOLERANCES["float32"]
_TOLERANCE = (_SHARE, _SHARE, float(np.finfo(np.float32).eps))


@checked
def check_extremes(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> Report:
    """Hold value and gradient in float32 to wider numbers where inputs are at extremes.

    These are logits of 200 and 1e4, zeros, and probabilities of 0 and 1: what an input is, is seen
    by its numbers. The value is to be that of the loss's body on numpy arrays in extended
    precision where that is finite, and the gradient that value's slopes.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        wrt: the inputs to differentiate by; the predictions by default.
        seed: of drawn inputs.

    Raises:
        AssertionError: saying where it is not finite, or wrong.
    """
    block = loss_of(loss)
    arrays = in_dtype(arrays_of(block, inputs, seed), "float32")
    names = chosen_wrt(block, arrays, wrt)
    kinds = {name: example.values for name, example in examples_of(block).items()}
    report = Report(name_of(loss))
    for title, moved in edge_cases(arrays, kinds).items():
        wrong, known = _at_edge_case(block, moved, names)
        fail(f"{name_of(loss)}: wrong at {title}", wrong, [reproduced(moved)])
        report.lines.append(f"{title}: {known}")
    return report


def _at_edge_case(block: Block, arrays: Arrays, names: Sequence[str]) -> tuple[list[str], str]:
    """What is wrong, and what was compared."""
    mine = outputs_of(block, arrays, names)
    wide = outputs_of(block, in_dtype(arrays, "float64"), names)
    values = {n: array for n, array in wide.items() if classify(n)[0] != "gradient"}
    try:
        exact = values_by_numpy(block, arrays, EXTENDED)
    except LossgraphError:  # an operation that numpy has not in that precision
        exact = {}
    right = {
        name: np.where(np.isfinite(exact[name]), exact[name], value) if name in exact else value
        for name, value in values.items()
    }
    wrong = _wrong_values(mine, right, arrays) + _lost_gradients(mine, wide, arrays)
    compared = f"{sum(int(np.isfinite(value).sum()) for value in right.values())} values"
    if wrong or not all(np.isfinite(value).all() for value in (exact or values).values()):
        return wrong, compared
    wrong = _wrong_gradients(block, arrays, mine, names, EXTENDED if exact else None)
    return wrong, f"{compared}, gradients by {', '.join(names) or 'nothing'}"


def _wrong_values(mine: Arrays, right: Arrays, arrays: Arrays) -> list[str]:
    """Values that are off, where it is known what they are."""
    wrong = []
    for name, value in right.items():
        known = np.isfinite(value)
        with np.errstate(over="ignore"):
            rounded = np.where(known, value, 0).astype(np.float32)
        given = np.where(known, mine[name], np.float32(0))
        wrong.append(deviation(name, given, rounded, _rounding(arrays)).wrong)
    return [text for text in wrong if text]


def _lost_gradients(mine: Arrays, wide: Arrays, arrays: Arrays) -> list[str]:
    """Gradients that are numbers of float32 in float64 only."""
    wrong = []
    for name in (name for name in wide if classify(name)[0] == "gradient"):
        right = wide[name]
        lost = np.isfinite(right) & ~np.isfinite(mine[name]) & _fits(right)
        wrong += _lost(name, lost, mine[name], right, arrays)
    return wrong


def _wrong_gradients(
    block: Block,
    arrays: Arrays,
    mine: Arrays,
    names: Sequence[str],
    dtype: np.dtype[Any] | None,
) -> list[str]:
    """Gradients that are no slopes of the value."""
    total = value_to_differentiate(block, arrays, names, dtype)
    spread, wrong = with_floats(arrays, dtype or np.float64), []
    for name in names:
        places = places_of(arrays[name], name, _ENTRIES)
        slopes = one_sided(total, spread, name, places, _STEP)
        wrong += compare(name, mine[gradient_name(name)], slopes, total, spread, _TOLERANCE)
    return wrong


def _rounding(arrays: Arrays) -> Tolerance:
    """The tolerance of float32, with one rounding of the largest number that goes in."""
    largest = max(np.abs(a).max(initial=0) for a in arrays.values() if a.dtype == np.float32)
    relative, absolute = TOLERANCES["float32"][:2]
    return Tolerance(relative, max(absolute, float(np.spacing(np.float32(largest)))))


def _fits(array: Array) -> Array:
    """Where numbers have a place in float32."""
    return np.asarray(np.abs(array) < np.finfo(np.float32).max)


def _lost(name: str, lost: Array, mine: Array, right: Array, arrays: Arrays) -> list[str]:
    places = np.argwhere(lost)
    if not len(places):
        return []
    first = tuple(int(i) for i in places[0])
    at = "".join(f", {line}" for line in at_element(arrays, first))
    return [
        f"{name}{list(first)} is {mine[first]}, in float64 {right[first]:.9g}"
        f" ({len(places)} of {lost.size} elements){at}"
    ]
