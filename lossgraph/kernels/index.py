"""Indices into arrays: sums of loop variables and of what is looked up, with sizes as factors.

Sizes are symbolic, so that an index is too. Splitting an axis that a reshape has merged divides an
index; where its terms show the quotient no division is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..ir.dims import Dim, floordiv, is_nonnegative, is_positive, product


@dataclass(frozen=True, eq=False)
class LoopVar:
    """A variable that counts from 0 to below a size."""

    size: Dim


@dataclass(frozen=True)
class Quotient:
    """``index // divisor``, where the terms of the index do not show it."""

    index: Index
    divisor: Dim


@dataclass(frozen=True)
class Remainder:
    """``index % divisor``."""

    index: Index
    divisor: Dim


@dataclass(frozen=True)
class Lookup:
    """An integer that is computed: a label, or another index that was given."""

    value: Any


@dataclass(frozen=True)
class Clamped:
    """An index that may lie outside of an axis: what is read there must not count."""

    index: Index
    size: Dim


Atom: TypeAlias = LoopVar | Quotient | Remainder | Lookup | Clamped


@dataclass(frozen=True)
class Index:
    """``constant + sum(factor * atom)``."""

    terms: tuple[tuple[Atom, Dim], ...] = ()
    constant: Dim = 0

    def __add__(self, other: Index | Dim) -> Index:
        if not isinstance(other, Index):
            return Index(self.terms, self.constant + other)
        factors: dict[Atom, Dim] = dict(self.terms)
        for atom, factor in other.terms:
            factors[atom] = factors.get(atom, 0) + factor
        kept = tuple((atom, factor) for atom, factor in factors.items() if factor != 0)
        return Index(kept, self.constant + other.constant)

    def __mul__(self, factor: Dim) -> Index:
        if factor == 0:
            return ZERO
        terms = tuple((atom, each * factor) for atom, each in self.terms)
        return Index(terms, self.constant * factor)

    @property
    def variables(self) -> frozenset[LoopVar]:
        """The loop variables that it depends on, through what is looked up too."""
        return frozenset[LoopVar]().union(*(_variables(atom) for atom, _ in self.terms))

    @property
    def plain(self) -> LoopVar | None:
        """The loop variable that it is, if it is one alone."""
        if len(self.terms) == 1 and self.constant == 0:
            ((atom, factor),) = self.terms
            if isinstance(atom, LoopVar) and factor == 1:
                return atom
        return None


ZERO = Index()
Indices: TypeAlias = tuple[Index, ...]


def index_of(atom: Atom) -> Index:
    """The index that an atom is."""
    return Index(((atom, 1),))


def is_line(index: Index) -> bool:
    """Whether it is known by loop variables alone, perhaps clamped."""
    return all(
        isinstance(atom, LoopVar) or (isinstance(atom, Clamped) and is_line(atom.index))
        for atom, _ in index.terms
    )


def bounds(index: Index) -> tuple[Dim, Dim]:
    """The smallest and the largest that a line can be."""
    low = high = index.constant
    for atom, factor in index.terms:
        assert isinstance(atom, LoopVar | Clamped)
        end = (atom.size - 1) * factor
        low, high = (low, high + end) if is_nonnegative(factor) else (low + end, high)
    return low, high


def _variables(atom: Atom) -> frozenset[LoopVar]:
    if isinstance(atom, LoopVar):
        return frozenset((atom,))
    if isinstance(atom, Lookup):
        found: frozenset[LoopVar] = atom.value.variables
        return found
    return atom.index.variables


def clamped_sizes(indices: Sequence[Index]) -> list[Dim]:
    """The lengths that may be zero of axes that are read whatever an index is."""
    found: dict[Dim, None] = {}
    stack = list(indices)
    while stack:
        for atom, _ in stack.pop().terms:
            if isinstance(atom, Clamped):
                found.setdefault(atom.size)
            if not isinstance(atom, (LoopVar, Lookup)):
                stack.append(atom.index)
    return [dim for dim in found if not is_positive(dim)]


def strides(shape: Sequence[Dim]) -> list[Dim]:
    """Elements between neighbours along each axis, in row-major order."""
    return [product(shape[axis + 1 :]) for axis in range(len(shape))]


def address(indices: Sequence[Index], shape: Sequence[Dim]) -> Index:
    """The place of an element in memory, counted in elements."""
    total = ZERO
    for index, stride in zip(indices, strides(shape), strict=True):
        total = total + index * stride
    return _joined(total)


def _joined(index: Index) -> Index:
    """``(i // n) * n * f + (i % n) * f`` is ``i * f``."""
    factors = dict(index.terms)
    for atom, factor in index.terms:
        if not isinstance(atom, Quotient):
            continue
        rest = Remainder(atom.index, atom.divisor)
        if rest in factors and factors[rest] * atom.divisor == factor:
            others = tuple((a, f) for a, f in index.terms if a not in (atom, rest))
            return _joined(Index(others, index.constant) + atom.index * factors[rest])
    return index


def divided(index: Index, divisor: Dim) -> tuple[Index, Index]:
    """Quotient and remainder of an index that is not negative."""
    if divisor == 1:
        return index, ZERO
    high, low = ZERO, ZERO
    for part in (*(Index((term,)) for term in index.terms), Index((), index.constant)):
        quotient = _exact(part, divisor)
        if quotient is None:
            low = low + part
        else:
            high = high + quotient
    if _is_below(low, divisor):
        return high, low
    return index_of(Quotient(index, divisor)), index_of(Remainder(index, divisor))


def _exact(part: Index, divisor: Dim) -> Index | None:
    factor = part.terms[0][1] if part.terms else part.constant
    quotient = floordiv(factor, divisor)
    if quotient * divisor != factor:
        return None
    return Index(((part.terms[0][0], quotient),)) if part.terms else Index((), quotient)


def _is_below(index: Index, size: Dim) -> bool:
    """Whether an index is seen to lie in an axis of this size."""
    largest = index.constant
    for atom, factor in index.terms:
        if not isinstance(atom, LoopVar) or not is_nonnegative(factor):
            return False
        largest = largest + (atom.size - 1) * factor
    return is_nonnegative(index.constant) and is_nonnegative(size - 1 - largest)


def reshaped(indices: Sequence[Index], shape: Sequence[Dim], before: Sequence[Dim]) -> Indices:
    """The indices, in an array of shape ``before``, of an element of its reshape to ``shape``."""
    found = [ZERO] * len(before)
    for mine, theirs in _groups(shape, before):
        if len(mine) == len(theirs) == 1:
            found[theirs[0]] = indices[mine[0]]
            continue
        rest = address([indices[i] for i in mine], [shape[i] for i in mine])
        for axis, stride in zip(theirs, strides([before[i] for i in theirs]), strict=True):
            found[axis], rest = divided(rest, stride)
    return tuple(found)


def _groups(shape: Sequence[Dim], before: Sequence[Dim]) -> Iterator[tuple[list[int], list[int]]]:
    """Runs of axes of two shapes, but those of length one, that hold as many elements."""
    left = [i for i, dim in enumerate(shape) if dim != 1]
    right = [i for i, dim in enumerate(before) if dim != 1]
    while left and right:
        mine, theirs = [left.pop(0)], [right.pop(0)]
        while left or right:
            a, b = product(shape[i] for i in mine), product(before[i] for i in theirs)
            if a == b:
                break
            if left and (not right or floordiv(b, a) * a == b):
                mine.append(left.pop(0))
            else:
                theirs.append(right.pop(0))
        yield mine, theirs
