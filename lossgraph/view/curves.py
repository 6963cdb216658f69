"""Curves of a loss: its value and gradient along a sweep, and where the gradient jumps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..authoring.block import Block
from .sweeps import Sweep

Array = np.ndarray[Any, Any]
Run = Callable[[float], tuple[float, float]]  # the value and the slope at a point

_MOST_KINKS = 32  # places that are looked at
_NEAR = 1e-6  # of an interval, places that are one
_LEAST = 1e-3  # of a gradient's range, what a jump is
_KEPT = 0.3  # of a change, what is left of a jump in half the interval, and not of a slope


@dataclass(frozen=True)
class Kink:
    """Where the gradient jumps, from where to where, and the value there."""

    x: float
    left: float
    right: float
    value: float


@dataclass(frozen=True)
class Curve:
    """The value and the gradient at points.

    Attributes:
        x: the points.
        value: the sum of the loss's value.
        gradient: its derivative by the entry that moves, in the loss's own choice at kinks.
        kinks: where the gradient jumps between two points.
    """

    x: Array
    value: Array
    gradient: Array
    kinks: tuple[Kink, ...] = ()

    @property
    def value_line(self) -> tuple[Array, Array]:
        """The value's line, which has its corners at the kinks."""
        return self._with([(kink.x, kink.value) for kink in self.kinks], self.value)

    @property
    def gradient_line(self) -> tuple[Array, Array]:
        """The gradient's line: at each kink its two limits, and a NaN between them."""
        sides = [(k.x, y) for k in self.kinks for y in (k.left, np.nan, k.right)]
        return self._with(sides, self.gradient)

    def _with(self, points: Sequence[tuple[float, float]], y: Array) -> tuple[Array, Array]:
        """The points of a line, with others in the place of those at kinks."""
        away = ~np.isin(self.x, [kink.x for kink in self.kinks])
        x = np.concatenate([self.x[away], [x for x, _ in points]])
        order = np.argsort(x, kind="stable")
        return x[order], np.concatenate([y[away], [y for _, y in points]])[order]


def curve(loss: Block, sweep: Sweep, points: int | Sequence[float] | Array = 401) -> Curve:
    """The value and gradient of a loss along a sweep.

    Args:
        loss: the loss.
        sweep: what moves, and what stays.
        points: the points, or how many of them from ``sweep.low`` to ``sweep.high``.
    """
    if isinstance(points, int):
        points = np.linspace(sweep.low, sweep.high, points)
    dtype = sweep.arrays[sweep.input].dtype
    # The numbers that the loss is really given; in a small dtype some points are one number.
    x = np.unique(np.asarray(points).astype(dtype)).astype("float64")
    run = _runner(loss, sweep)
    found = np.array([run(at) for at in x]).reshape(-1, 2)
    value, gradient = found[:, 0], found[:, 1]
    return Curve(x, value, gradient, _kinks(_inside(run, sweep.limits), x, gradient, dtype))


def _runner(loss: Block, sweep: Sweep) -> Run:
    """The value and slope at a point; of several values the first."""
    sample = loss(**sweep.arrays)
    ct = None
    if isinstance(sample, tuple):
        ct = (np.ones_like(sample[0]), *(np.zeros_like(other) for other in sample[1:]))

    def run(x: float) -> tuple[float, float]:
        value, grads = loss.value_and_grad(**sweep.at(x), wrt=(sweep.input,), ct=ct)
        first = value if ct is None else value[0]
        return float(np.sum(first, dtype="float64")), float(grads[sweep.input][sweep.entry])

    return run


def _inside(run: Run, limits: tuple[float, float]) -> Run:
    """The same, and NaN beyond the limits, where a loss is not to be called."""

    def limited(x: float) -> tuple[float, float]:
        return run(x) if limits[0] <= x <= limits[1] else (np.nan, np.nan)

    return limited


def _kinks(run: Run, x: Array, gradient: Array, dtype: np.dtype[Any]) -> tuple[Kink, ...]:
    """Where the gradient jumps, found by bisection between points where it changes most."""
    finite = np.isfinite(gradient)
    if not finite.any():
        return ()
    low, high = np.percentile(gradient[finite], [5, 95])
    least = max(_LEAST * (high - low), _LEAST**2)
    steps = np.abs(np.diff(np.where(finite, gradient, 0))) * (finite[1:] & finite[:-1])
    chosen = [i for i in np.argsort(-steps, kind="stable")[:_MOST_KINKS] if steps[i] > least]
    kinks: list[Kink] = []
    for i in sorted(chosen):
        kink = _jump(run, x[i : i + 2], gradient[i : i + 2], dtype)
        # One on a point is found from both sides.
        if kink and not (kinks and kink.x - kinks[-1].x < _NEAR * (x[i + 1] - x[i])):
            kinks.append(kink)
    return tuple(kinks)


def _jump(run: Run, ends: Array, slopes: Array, dtype: np.dtype[Any]) -> Kink | None:
    """The jump between two points, if what changes does so at one place."""
    (left, right), (below, above) = ends.tolist(), slopes.tolist()
    least, near = _KEPT * abs(above - below), _NEAR * (right - left) / 4
    while True:
        middle = float(dtype.type((left + right) / 2))
        if not left < middle < right or right - left < near / 4:
            break
        _, at = run(middle)
        if abs(at - below) >= abs(above - at):
            right, above = middle, at
        else:
            left, below = middle, at
        if not abs(above - below) > least:
            return None
    # At the place itself the loss may have a choice between the sides.
    away = max(near, 4 * float(np.spacing(dtype.type(max(abs(left), abs(right))))))
    x = _round(left, right)
    return Kink(x, run(x - away)[1], run(x + away)[1], run(x)[0])


def _round(left: float, right: float) -> float:
    """The number between two that has the fewest digits: kinks stand at numbers like 0 and 1.5."""
    tries = (round((left + right) / 2, digits) for digits in range(16))
    return next((x for x in tries if left <= x <= right), left) + 0.0  # not -0
