"""Derivatives by differences of values, in which no rule of differentiation has a part.

Imports numpy alone, and runs on Python 3.8 too: tools load this file where there is no lossgraph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping, Sequence  # noqa: UP035, which Python 3.8 needs

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]
    Arrays = Mapping[str, Array]
    Value = Callable[[Arrays], Any]  # a number or an array, of which the sum is differentiated

# In float64 a central difference is off by the square of its step times a third derivative, and
# by the rounding of the value, 1e-16 of it, over the step.
STEP = 1e-6
# One-sided slopes at a kink differ by a share of themselves; elsewhere by h f'', which is far less.
_KINK = 1e-3


def along(value: Value, arrays: Arrays, directions: Arrays, step: float = STEP) -> Any:
    """The derivative of a value, of any shape, where some arrays move in directions."""

    def moved(signed: float) -> Any:
        return value({**arrays, **{n: arrays[n] + signed * d for n, d in directions.items()}})

    return (moved(step) - moved(-step)) / (2 * step)


def gradient(
    value: Value,
    arrays: Arrays,
    name: str,
    step: float = STEP,
    axes: Mapping[str, int] | None = None,
) -> Array:
    """The gradient of the sum of a value by all entries of an array.

    An element of the value that is infinite on both sides does not change.

    Args:
        value: what is differentiated.
        arrays: where.
        name: of the array.
        step: of the differences.
        axes: if samples are independent, and the value has one number for each: the batch axis of
            each array that has one. All samples then move at once, in a single call.
    """
    array = arrays[name]
    if not array.size:
        return np.zeros(array.shape)
    if axes is not None:
        return _gradient_by_sample(value, arrays, name, step, axes)
    found = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        up, down = (_moved(array, place, signed) for signed in (step, -step))
        rise = _rise(value({**arrays, name: up}), value({**arrays, name: down}))
        found[place] = rise.sum() / (up[place] - down[place])
    return found


@dataclass(frozen=True)
class Slopes:
    """One-sided derivatives of a value by entries of an array.

    Attributes:
        places: indices of the entries.
        left: derivatives towards smaller numbers.
        right: derivatives towards larger ones.
        noise: how far rounding alone moves a slope.
        step: of the differences.
    """

    places: Sequence[tuple[int, ...]]
    left: Array
    right: Array
    noise: float
    step: float

    @property
    def central(self) -> Array:
        """The derivative by each of the entries, of a value that has one."""
        return (self.left + self.right) / 2

    @property
    def kinks(self) -> Array:
        """Where both sides differ."""
        size = np.maximum(np.abs(self.left), np.abs(self.right))
        return np.abs(self.right - self.left) > _KINK * size + 100 * self.noise


def one_sided(
    value: Value,
    arrays: Arrays,
    name: str,
    places: Sequence[tuple[int, ...]] | None = None,
    step: float = STEP,
) -> Slopes:
    """The slopes of the sum of a value by entries of an array, all of them if none are given."""
    array = arrays[name]
    chosen = list(np.ndindex(array.shape)) if places is None else places
    sides = np.zeros((2, len(chosen)))
    with np.errstate(all="ignore"):
        middle = np.asarray(value(arrays))
        for side, sign in zip(sides, (-1, 1)):  # noqa: B905, which Python 3.8 has not
            for k, place in enumerate(chosen):
                moved = _moved(array, place, sign * step)
                rise = np.sum(value({**arrays, name: moved}) - middle)
                side[k] = rise / (moved[place] - array[place])
    return Slopes(chosen, sides[0], sides[1], _noise(middle, step), step)


def _moved(array: Array, place: tuple[int, ...], by: float) -> Array:
    moved = array.copy()
    moved[place] += by
    return moved


def _rise(up: Any, down: Any) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where(up == down, 0.0, np.subtract(up, down))


def _noise(middle: Array, step: float) -> float:
    total = np.abs(middle.sum())  # which may be too large for a float, in extended precision
    if middle.dtype.kind != "f" or not np.isfinite(total):
        return 0.0
    return float(total * np.finfo(middle.dtype).eps / step)


def _gradient_by_sample(
    value: Value, arrays: Arrays, name: str, step: float, axes: Mapping[str, int]
) -> Array:
    samples = np.moveaxis(arrays[name], axes[name], 0)
    places = list(np.ndindex(samples.shape[1:]))
    # All samples with one entry moved are a batch; these batches, one after the other, another.
    moved = [
        _moved(samples, (slice(None), *place), signed)  # type: ignore[arg-type]
        for place in places
        for signed in (step, -step)
    ]
    batch = {
        each: np.concatenate([array] * len(moved), axes[each]) if each in axes else array
        for each, array in arrays.items()
    }
    batch[name] = np.moveaxis(np.concatenate(moved), 0, axes[name])
    values = np.split(value(batch), len(moved))
    rises = [_rise(*pair) for pair in zip(values[::2], values[1::2])]  # noqa: B905, as above
    found = np.stack(rises, axis=1).reshape(samples.shape) / (2 * step)
    return np.moveaxis(found, 0, axes[name])
