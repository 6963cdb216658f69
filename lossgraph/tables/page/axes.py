"""Axes of charts: where a number lies, and which numbers are written beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_TICKS = 5  # about as many


@dataclass(frozen=True)
class Axis:
    """Numbers from ``low`` to ``high`` on pixels from ``start`` to ``end``.

    Attributes:
        low: the number at the start.
        high: the number at the end.
        start: the first pixel.
        end: the last one, which may be the smaller.
        log: whether equal ratios are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a number; of what lies outside, the end that is nearer."""
        inside = min(max(value, self.low), self.high)
        # halves, as the length of an axis may be no number
        low, high, at = (self._scaled(x) / 2 for x in (self.low, self.high, inside))
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers on the axis, with their texts."""
        values = self._powers() if self.log else self._steps()
        return [(value, _text(value)) for value in values]

    def _steps(self) -> list[float]:
        width = self.high - self.low
        if not 0 < width < math.inf:
            return [self.low]
        power = 10.0 ** math.floor(math.log10(width / _TICKS))
        step = next(m * power for m in (1, 2, 5, 10) if width / (m * power) <= _TICKS + 1)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 12 - math.floor(math.log10(step))) for i in range(first, last + 1)]

    def _powers(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        every = max(1, math.ceil((last - first) / _TICKS))
        some: Sequence[int] = (1, 2, 5) if last - first <= 2 else (1,)
        values = [m * 10.0**p for p in range(first, last + 1, every) for m in some]
        return [value for value in values if self.low <= value <= self.high]


def _text(value: float) -> str:
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 and value == round(value) else f"{value:.6g}"
