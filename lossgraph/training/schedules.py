"""Schedules: learning rates by the number of steps made, as PyTorch's schedulers have them.

The rate is an input of the training graph, so that a schedule is plain Python, or any generator:

>>> from itertools import islice
>>> [round(rate, 3) for rate in islice(warm_up(2, cosine(0.1, 4)), 7)]
[0.0, 0.05, 0.1, 0.085, 0.05, 0.015, 0.0]
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, TypeAlias

from ..errors import InputError
from ..symbolic.arguments import Check, checked
from .optimizers.options import Above, Count, Rate, is_rate


def _is_share(value: Any) -> bool:
    return is_rate(value) and 0 < value < 1


Share: TypeAlias = Annotated[float, Check(_is_share, "a number between 0 and 1")]


class Schedule:
    """Rates without end: ``schedule(n)`` after n steps, and all in turn by iteration.

    It keeps nothing, so that a run goes on at any step with the rates that it would have had.

    Args:
        rate: the rate after so many steps.
    """

    def __init__(self, rate: Callable[[int], float]) -> None:
        self._rate = rate

    def __call__(self, steps: int) -> float:
        """The rate of the step that follows so many."""
        return float(self._rate(steps))

    def __iter__(self) -> Iterator[float]:
        return map(self, itertools.count())


@checked
def constant(rate: Rate) -> Schedule:
    """The same rate always."""
    return Schedule(lambda _: rate)


@checked
def linear(start: Rate, end: Rate, steps: Count) -> Schedule:
    """From one rate to another in a straight line, as ``LinearLR``; there it stays."""
    return Schedule(lambda n: _line(start, end, min(n / steps, 1)))


@checked
def cosine(rate: Rate, steps: Count, end: Rate = 0.0) -> Schedule:
    """From one rate to another by half a wave, as ``CosineAnnealingLR``; there it stays."""
    return Schedule(lambda n: _wave(rate, end, min(n / steps, 1)))


@checked
def cosine_restarts(rate: Rate, steps: Count, factor: Count = 1, end: Rate = 0.0) -> Schedule:
    """Half waves again and again, as ``CosineAnnealingWarmRestarts``.

    Args:
        rate: at the start of each.
        steps: of the first.
        factor: how many times longer each is than the one before.
        end: towards which each falls.
    """

    def at(n: int) -> float:
        length = steps
        while n >= length and factor > 1:
            n, length = n - length, length * factor
        return _wave(rate, end, n % length / length)

    return Schedule(at)


@checked
def step_decay(rate: Rate, every: Count, factor: Rate = 0.1) -> Schedule:
    """A rate times a factor, again after so many steps each, as ``StepLR``."""
    return Schedule(lambda n: rate * factor ** (n // every))


@checked
def milestones(rate: Rate, steps: Sequence[int], factor: Rate = 0.1) -> Schedule:
    """A rate times a factor, again at each of some numbers of steps, as ``MultiStepLR``."""
    ordered = sorted(steps)
    return Schedule(lambda n: rate * factor ** bisect.bisect_right(ordered, n))


@checked
def exponential(rate: Rate, factor: Rate) -> Schedule:
    """A rate times a factor in each step, as ``ExponentialLR``."""
    return Schedule(lambda n: rate * factor**n)


@checked
def polynomial(rate: Rate, steps: Count, power: Rate = 1.0) -> Schedule:
    """A power of the share of steps that are left, as ``PolynomialLR``; then 0."""
    return Schedule(lambda n: rate * (1 - min(n / steps, 1)) ** power)


@checked
def inverse_root(rate: Rate, steps: Count) -> Schedule:
    """Up in a straight line for so many steps, then as 1 / sqrt(n) (Vaswani et al., 2017)."""
    return Schedule(lambda n: rate * min((n + 1) / steps, math.sqrt(steps / (n + 1))))


@checked
def one_cycle(
    rate: Rate,
    steps: Count,
    rising: Share = 0.3,
    start_divisor: Above = 25.0,
    end_divisor: Above = 1e4,
    straight: bool = False,
    three_phases: bool = False,
) -> Schedule:
    """Up to a rate, and far down, as ``OneCycleLR`` (Smith and Topin, 2018); there it stays.

    Args:
        rate: the largest.
        steps: of all the cycle.
        rising: the share of the steps that go up.
        start_divisor: how many times smaller the first rate is than the largest.
        end_divisor: how many times smaller the last one is than the first.
        straight: in lines, not in half waves.
        three_phases: down as slowly as up, before it goes far down.
    """
    first, up, last = rate / start_divisor, rising * steps - 1, steps - 1
    ends = [(up, rate), (last, first / end_divisor)]
    if three_phases:
        ends.insert(1, (2 * rising * steps - 2, first))
    if any(a >= b for (a, _), (b, _) in itertools.pairwise([(0.0, first), *ends])):
        raise InputError(f"one_cycle: {steps} steps are too few where {rising:g} of them go up")
    between = _line if straight else _wave

    def at(n: int) -> float:
        begin, value = 0.0, first
        for end, target in ends:
            if n <= end:
                return between(value, target, (n - begin) / (end - begin))
            begin, value = end, target
        return value

    return Schedule(at)


@checked
def warm_up(steps: Count, schedule: Callable[[int], float], start: Rate = 0.0) -> Schedule:
    """In a straight line to where a schedule begins, and on with it.

    Args:
        steps: how many lead to it.
        schedule: what follows.
        start: the share of its first rate to begin with.
    """

    def at(n: int) -> float:
        if n >= steps:
            return schedule(n - steps)
        return schedule(0) * _line(start, 1, n / steps)

    return Schedule(at)


@checked
def in_turn(schedules: Sequence[Schedule], steps: Sequence[int]) -> Schedule:
    """One schedule after another, each from its own beginning, as ``SequentialLR``.

    Args:
        schedules: in order.
        steps: when all but the first begin.
    """
    if len(steps) != len(schedules) - 1 or list(steps) != sorted(steps):
        raise InputError(
            f"in_turn: {len(schedules)} schedules change at {len(schedules) - 1} growing numbers "
            f"of steps, got {list(steps)}"
        )

    def at(n: int) -> float:
        place = bisect.bisect_right(steps, n)
        return schedules[place](n - ([0, *steps][place]))

    return Schedule(at)


def _line(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


def _wave(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
