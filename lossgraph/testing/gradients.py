"""Gradients held to slopes: central differences, and one-sided ones where there is a kink."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..compare.finite_differences import STEP, Slopes, along, one_sided
from ..compare.outputs import values_by_numpy
from ..compiler.outputs import gradient_name
from ..errors import LossgraphError
from ..reference.constants import held_constants, recorded_constants
from ..symbolic.arguments import checked
from .report import Report, fail
from .subjects import (
    Array,
    arrays_of,
    at_element,
    chosen_wrt,
    generator,
    in_dtype,
    loss_of,
    name_of,
    outputs_of,
    reproduced,
    summed,
)

_DOUBLE = np.dtype(np.float64)

Total = Callable[[Mapping[str, Array]], Any]

_TOLD = 3  # entries that are wrong; there may be many
ENTRIES = 24  # of which each has its own slope; of larger arrays so many are drawn
DIRECTIONS = 3
# Of the slope, and of the largest slope of its array: third derivatives may be large.
RELATIVE, OF_LARGEST = 1e-5, 1e-6


def places_of(array: Array, name: str, most: int = ENTRIES) -> list[tuple[int, ...]]:
    """All entries of a small array, some of a large one."""
    if array.size <= most:
        return list(np.ndindex(array.shape))
    drawn = generator("places", name).choice(array.size, most, replace=False)
    return [tuple(int(i) for i in np.unravel_index(k, array.shape)) for k in np.sort(drawn)]


@checked
def gradcheck(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    step: float = STEP,
    rtol: float = RELATIVE,
    seed: int = 0,
) -> Report:
    """Hold the gradients of a loss to central differences of its value, in float64.

    Small inputs entry by entry, larger ones in some entries; all in random directions. At a kink
    the gradient has to lie between the slopes of both sides, and the kink is reported. What the
    body takes for a constant, by ``stop_gradient``, does not move with the inputs.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        wrt: the inputs to differentiate by; the predictions by default.
        step: of the differences.
        rtol: how far a gradient may be from them.
        seed: of drawn inputs.

    Raises:
        AssertionError: saying where the gradient is wrong.
    """
    block = loss_of(loss)
    arrays = in_dtype(arrays_of(block, inputs, seed), "float64")
    names = chosen_wrt(block, arrays, wrt)
    gradients = outputs_of(block, arrays, names)

    total = value_to_differentiate(block, arrays, names)
    report, wrong = Report(name_of(loss)), []
    for name in names:
        gradient = gradients[gradient_name(name)]
        found = one_sided(total, arrays, name, places_of(arrays[name], name), step)
        wrong += compare(name, gradient, found, total, arrays, (rtol, OF_LARGEST, 0.0))
        kinks = int(found.kinks.sum())
        if not kinks:
            wrong += _along(total, arrays, name, gradient, step, rtol, found.noise)
        said = f", {kinks} at a kink" if kinks else f", {DIRECTIONS} directions"
        report.lines.append(f"gradient by {name}: {len(found.places)} entries{said}")
    fail(f"{name_of(loss)}: wrong gradient", wrong, [reproduced(arrays)])
    return report


def value_to_differentiate(
    block: Block,
    arrays: Mapping[str, Array],
    names: Sequence[str],
    dtype: np.dtype[Any] | None = None,
) -> Total:
    """The value of which a gradient at some arrays is to be that.

    It is computed by the loss's body on numpy arrays if a dtype is given, or if the body takes
    something for a constant, which then stays what it is at the arrays.
    """
    with recorded_constants() as constants:
        try:
            values_by_numpy(block, arrays, dtype or _DOUBLE)
        except LossgraphError:  # not all bodies run on numpy
            constants.clear()
    if dtype is None and not constants:
        return lambda given: summed(outputs_of(block, given, names))  # one graph for all

    def total(given: Mapping[str, Array]) -> Any:
        with held_constants(constants):
            return summed(values_by_numpy(block, given, dtype or _DOUBLE))

    return total


def compare(
    name: str,
    gradient: Array,
    found: Slopes,
    total: Total,
    arrays: Mapping[str, Array],
    tolerance: tuple[float, float, float],
) -> list[str]:
    """What is wrong with a gradient, by its slopes; slopes that are not finite tell nothing.

    Args:
        name: the input.
        gradient: the gradient by it.
        found: the slopes.
        total: the function that has them, at ``arrays``.
        arrays: its inputs.
        tolerance: relative to a slope, to the largest, and absolute.
    """
    low, high = np.minimum(found.left, found.right), np.maximum(found.left, found.right)
    most = float(np.finfo(np.float32).max if gradient.dtype.itemsize == 4 else np.inf)
    known = (np.abs(low) < most) & (np.abs(high) < most)  # NaN is not
    if not known.any() or found.noise >= most:
        return []
    largest = float(np.maximum(np.abs(low), np.abs(high))[known].max())
    middle = (low + high) / 2
    relative, of_largest, absolute = tolerance
    room = relative * np.abs(middle) + of_largest * largest + absolute + 10 * found.noise
    low, high = (np.where(found.kinks, end, middle) for end in (low, high))
    mine = np.array([float(gradient[place]) for place in found.places])
    right = (low - room <= mine) & (mine <= high + room)
    off = [int(k) for k in np.flatnonzero(known & ~right)]
    wrong = [k for k in off if _is_steady(found, k, total, arrays, name)]
    lines = [
        f"{gradient_name(name)}{list(found.places[k])} is {mine[k]:.9g}, the slope is "
        + (f"{low[k]:.9g} to {high[k]:.9g}" if found.kinks[k] else f"{middle[k]:.9g}")
        + "".join(f"; {line}" for line in at_element(arrays, found.places[k]))
        for k in wrong[:_TOLD]
    ]
    more = len(wrong) - _TOLD
    return [*lines, f"and {more} more entries of {gradient_name(name)}"] if more > 0 else lines


def _is_steady(found: Slopes, k: int, total: Total, arrays: Mapping[str, Array], name: str) -> bool:
    """Whether a slope is one, and not the height of a jump over the step."""
    again = one_sided(total, arrays, name, [found.places[k]], found.step / 4)
    return all(
        abs(new[0] - old[k]) <= 0.5 * abs(old[k]) + 100 * again.noise
        for old, new in ((found.left, again.left), (found.right, again.right))
    )


def _along(
    total: Total,
    arrays: Mapping[str, Array],
    name: str,
    gradient: Array,
    step: float,
    rtol: float,
    noise: float,
) -> list[str]:
    """What is wrong along random directions, which see every entry of a large array."""
    wrong = []
    for k in range(DIRECTIONS if gradient.size else 0):
        direction = generator("direction", name, k).standard_normal(gradient.shape)
        direction /= np.abs(direction).max()
        slope = float(along(total, arrays, {name: direction}, step))
        mine = float((gradient * direction).sum())
        room = rtol * float(np.abs(gradient * direction).sum()) + 100 * noise + OF_LARGEST
        if np.isfinite(slope) and not abs(mine - slope) <= room:
            wrong.append(
                f"{gradient_name(name)} along a random direction is {mine:.9g}, "
                f"the slope is {slope:.9g}"
            )
    return wrong
