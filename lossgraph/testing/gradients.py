"""Gradients held to slopes: central differences, and one-sided ones where there is a kink."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compiler.outputs import gradient_name
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

Total = Callable[[Mapping[str, Array]], Any]

# A central difference is off by the square of its step times a third derivative, and by the
# rounding of the value over the step.
STEP = 1e-6
_TOLD = 3  # entries that are wrong; there may be many
ENTRIES = 24  # of which each has its own slope; of larger arrays so many are drawn
DIRECTIONS = 3
# Of the slope, and of the largest slope of its array: third derivatives may be large.
RELATIVE, OF_LARGEST = 1e-5, 1e-6
_BENT = 1e-3  # what one-sided slopes differ by at a kink, as a share of them; h f'' is far less


@dataclass(frozen=True)
class Slopes:
    """How a function changes with entries of an array.

    Attributes:
        places: indices of the entries.
        left: slopes towards smaller numbers.
        right: slopes towards larger ones.
        shape: of the array.
        noise: how far rounding alone moves a slope.
        step: between the numbers.
    """

    places: Sequence[tuple[int, ...]]
    left: Array
    right: Array
    shape: tuple[int, ...]
    noise: float
    step: float

    @property
    def central(self) -> Array:
        """The gradient by all entries."""
        found = np.zeros(self.shape)
        for place, slope in zip(self.places, (self.left + self.right) / 2, strict=True):
            found[place] = slope
        return found

    @property
    def bent(self) -> Array:
        """Where there is a kink."""
        size = np.maximum(np.abs(self.left), np.abs(self.right))
        return np.abs(self.right - self.left) > _BENT * size + 100 * self.noise


def slopes(
    total: Total,
    arrays: Mapping[str, Array],
    name: str,
    places: Sequence[tuple[int, ...]] | None = None,
    step: float = STEP,
) -> Slopes:
    """The slopes of a function by entries of one of its arrays; all of them if none are said."""
    array = arrays[name]
    chosen = list(np.ndindex(array.shape)) if places is None else places
    with np.errstate(all="ignore"):
        middle = total(arrays)
        left, right = np.zeros(len(chosen)), np.zeros(len(chosen))
        for k, place in enumerate(chosen):
            for side, sign in ((left, -1), (right, 1)):
                moved = array.copy()
                moved[place] += sign * step
                by = moved[place] - array[place]
                side[k] = (total({**arrays, name: moved}) - middle) / by
        finite = np.isfinite(middle)
    precision = (
        np.finfo(np.asarray(middle).dtype).eps if np.asarray(middle).dtype.kind == "f" else 0
    )
    noise = float(abs(middle) * precision / step) if finite else 0.0
    return Slopes(chosen, left, right, array.shape, noise, step)


def places_of(array: Array, name: str, most: int = ENTRIES) -> list[tuple[int, ...]]:
    """All entries of a small array, some of a large one."""
    if array.size <= most:
        return list(np.ndindex(array.shape))
    drawn = generator("places", name).choice(array.size, most, replace=False)
    return [tuple(int(i) for i in np.unravel_index(k, array.shape)) for k in np.sort(drawn)]


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
    the gradient has to lie between the slopes of both sides, and the kink is reported.

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

    def total(given: Mapping[str, Array]) -> Any:
        return summed(outputs_of(block, given, names))  # one graph for all

    report, wrong = Report(name_of(loss)), []
    for name in names:
        gradient = gradients[gradient_name(name)]
        found = slopes(total, arrays, name, places_of(arrays[name], name), step)
        wrong += compare(name, gradient, found, total, arrays, (rtol, OF_LARGEST, 0.0))
        kinks = int(found.bent.sum())
        if not kinks:
            wrong += _along(total, arrays, name, gradient, step, rtol, found.noise)
        said = f", {kinks} at a kink" if kinks else f", {DIRECTIONS} directions"
        report.lines.append(f"gradient by {name}: {len(found.places)} entries{said}")
    fail(f"{name_of(loss)}: wrong gradient", wrong, [reproduced(arrays)])
    return report


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
    low, high = (np.where(found.bent, end, middle) for end in (low, high))
    mine = np.array([float(gradient[place]) for place in found.places])
    right = (low - room <= mine) & (mine <= high + room)
    off = [int(k) for k in np.flatnonzero(known & ~right)]
    wrong = [k for k in off if _is_steady(found, k, total, arrays, name)]
    lines = [
        f"{gradient_name(name)}{list(found.places[k])} is {mine[k]:.9g}, the slope is "
        + (f"{low[k]:.9g} to {high[k]:.9g}" if found.bent[k] else f"{middle[k]:.9g}")
        + "".join(f"; {line}" for line in at_element(arrays, found.places[k]))
        for k in wrong[:_TOLD]
    ]
    more = len(wrong) - _TOLD
    return [*lines, f"and {more} more entries of {gradient_name(name)}"] if more > 0 else lines


def _is_steady(found: Slopes, k: int, total: Total, arrays: Mapping[str, Array], name: str) -> bool:
    """Whether a slope is one, and not the height of a jump over the step."""
    again = slopes(total, arrays, name, [found.places[k]], found.step / 4)
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
        up, down = (
            total({**arrays, name: arrays[name] + sign * step * direction}) for sign in (1, -1)
        )
        slope, mine = float((up - down) / (2 * step)), float((gradient * direction).sum())
        room = rtol * float(np.abs(gradient * direction).sum()) + 100 * noise + OF_LARGEST
        if np.isfinite(slope) and not abs(mine - slope) <= room:
            wrong.append(
                f"{gradient_name(name)} along a random direction is {mine:.9g}, "
                f"the slope is {slope:.9g}"
            )
    return wrong
