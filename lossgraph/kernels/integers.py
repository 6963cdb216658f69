"""Whole numbers in lanes that may be narrower than their dtype: what is exact, what is refused.

A kernel of float32 computes integers in lanes of 32 bits. An int64 that is loaded there saturates:
as a label it stays outside of all classes, but nothing can be added to it. So each value has a
range of what it may truly be. One that lanes cannot hold is compared with others that they can,
chosen, and used as an index, which the plan knows to be small; anything else refuses the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..errors import LossgraphError
from ..ir.dims import Dim
from .index import Clamped, Index, LoopVar, Quotient, Remainder

DIGITS = {32: 24, 64: 53}  # of a real number of so many bits


class KernelUnsupportedError(LossgraphError):
    """A program that is no kernel: an operation, a dtype or an access that kernels have not."""


class Range(NamedTuple):
    """The least and the largest number that a value may be."""

    low: int
    high: int

    def __or__(self, other: object) -> Range:
        assert isinstance(other, Range)
        return Range(min(self.low, other.low), max(self.high, other.high))

    def within(self, other: Range) -> bool:
        """Whether all of it lies in another range."""
        return other.low <= self.low and self.high <= other.high


TRUTH = Range(0, 1)


def of_dtype(dtype: str) -> Range:
    """What numbers of a dtype may be."""
    if dtype == "bool":
        return TRUTH
    info = np.iinfo(dtype)
    return Range(int(info.min), int(info.max))


def of_lanes(bits: int) -> Range:
    """What lanes hold as it is: their ends stand for all that lies beyond."""
    most = 2 ** (bits - 1) - 1
    return Range(-most, most - 1)


def combined(function: str, x: Range, y: Range) -> Range:
    """What the sum, difference or product of two numbers may be."""
    if function == "+":
        return Range(x.low + y.low, x.high + y.high)
    if function == "-":
        return Range(x.low - y.high, x.high - y.low)
    ends = [a * b for a in x for b in y]
    return Range(min(ends), max(ends))


def reach(index: Index) -> Iterator[Dim]:
    """Sizes whose sum no index leaves, to either side."""
    yield index.constant
    for atom, factor in index.terms:
        if isinstance(atom, LoopVar):
            yield atom.size * factor
        elif isinstance(atom, Clamped):
            yield atom.size * factor
            yield from reach(atom.index)
        elif isinstance(atom, Quotient):
            yield from (each * factor for each in reach(atom.index))
        elif isinstance(atom, Remainder):
            yield atom.divisor * factor
            yield from reach(atom.index)
