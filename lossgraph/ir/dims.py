"""Symbolic sizes: a dim is an int, or a ``Size`` built from named dims.

A ``Size`` is a polynomial with integer coefficients in *atoms*: names (``N``) and the few
functions that are not polynomials (floor division, minimum, maximum). The normal form makes
equal sizes equal objects under ``==`` and ``hash``, so shapes compare as tuples do.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import InputError

LARGEST = 2**63 - 1  # what ONNX can say of a length


@dataclass(frozen=True)
class Apply:
    """A function of sizes that has no polynomial form; ``function`` is //, min or max."""

    function: str
    left: Dim
    right: Dim

    def __str__(self) -> str:
        if self.function == "//":
            return f"({self.left})//({self.right})"
        return f"{self.function}({self.left}, {self.right})"


_NOT_NEGATIVE: ContextVar[frozenset[Dim]] = ContextVar("not_negative", default=frozenset())

# Beyond so many functions in a size it is not asked what each of them may be.
_MOST_FUNCTIONS = 6

Atom: TypeAlias = str | Apply
Monomial: TypeAlias = tuple[Atom, ...]


@dataclass(frozen=True)
class Size:
    """A size known by name only: sorted ``(monomial, coefficient)`` pairs."""

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Dim) -> Dim:
        terms = dict(self.terms)
        for monomial, coefficient in _terms(other):
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return _normal(terms)

    def __mul__(self, other: Dim) -> Dim:
        terms: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right, key=str))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return _normal(terms)

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + other * -1

    def __rsub__(self, other: Dim) -> Dim:
        return self * -1 + other

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floordiv(other, self)

    __radd__ = __add__
    __rmul__ = __mul__

    @property
    def name(self) -> str | None:
        """The dim's own name where it is one, None where it is derived."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            atom = self.terms[0][0][0]
            return atom if isinstance(atom, str) else None
        return None

    def __str__(self) -> str:
        text = ""
        for monomial, coefficient in self.terms:
            sign = "-" if coefficient < 0 else "+" if text else ""
            factors = [str(atom) for atom in monomial]
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            text += sign + "*".join(factors)
        return text

    __repr__ = __str__


Dim: TypeAlias = int | Size


def named(name: str) -> Size:
    """The size that a graph knows by ``name`` alone."""
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(f"a dim is an int or a name like 'N', got {name!r}")
    return Size((((name,), 1),))


def as_dim(value: object) -> Dim:
    """A dim from an int, a name or a size."""
    if isinstance(value, Size):
        return value
    if isinstance(value, str):
        return named(value)
    if hasattr(value, "__index__") and not isinstance(value, bool):
        size = int(value.__index__())
        if size < 0:
            raise InputError(f"a dim cannot be negative, got {size}")
        if size > LARGEST:
            raise InputError(f"a dim is below 2**63, got {size}")
        return size
    raise InputError(f"a dim is an int or a name, got {value!r}")


def floordiv(left: Dim, right: Dim) -> Dim:
    """``left // right``, exact where the polynomial divides."""
    if isinstance(left, int) and isinstance(right, int):
        return left // right if right else 0
    if left == right or right == 1:
        return 1 if left == right else left
    exact = _divide(_terms(left), _terms(right))
    return exact if exact is not None else _apply("//", left, right)


@contextmanager
def assuming(differences: Iterable[Dim]) -> Iterator[None]:
    """Take minima and maxima of sizes whose differences are known not to be negative."""
    token = _NOT_NEGATIVE.set(frozenset(differences))
    try:
        yield
    finally:
        _NOT_NEGATIVE.reset(token)


def differences_if_equal(left: Dim, right: Dim) -> list[Dim]:
    """What is not negative where two sizes are equal, of which one is an extremum of the other."""
    return [
        found
        for size, other in ((left, right), (right, left))
        for found in _differences(_extremum_of(size), other)
    ]


def _differences(atom: Apply | None, size: Dim) -> list[Dim]:
    if atom is None or size not in (atom.left, atom.right):
        return []
    other = atom.right if size == atom.left else atom.left
    return [other - size if atom.function == "min" else size - other]


def _extremum_of(dim: Dim) -> Apply | None:
    """The minimum or maximum that a size is, alone."""
    if isinstance(dim, int) or len(dim.terms) != 1 or dim.terms[0][1] != 1:
        return None
    atoms = dim.terms[0][0]
    atom = atoms[0] if len(atoms) == 1 else None
    return atom if isinstance(atom, Apply) and atom.function != "//" else None


def minimum(left: Dim, right: Dim) -> Dim:
    """The smaller of two sizes."""
    return _extremum("min", left, right)


def maximum(left: Dim, right: Dim) -> Dim:
    """The larger of two sizes."""
    return _extremum("max", left, right)


@functools.lru_cache(maxsize=4096)
def is_nonnegative(dim: Dim) -> bool:
    """Whether a size is seen to be at least 0, names being lengths.

    A minimum or maximum is one of its two sides, and at most or at least either of them.
    """
    if isinstance(dim, int):
        return dim >= 0
    if all(c >= 0 and all(map(_nonnegative_atom, atoms)) for atoms, c in dim.terms):
        return True
    if _count_of_functions(dim) > _MOST_FUNCTIONS:
        return False
    return any(_bounded_below(dim, atoms, c) for atoms, c in dim.terms)


def _bounded_below(dim: Size, atoms: Monomial, coefficient: int) -> bool:
    """Whether ``dim`` is at least 0 because of what a function in one of its terms can be."""
    for place, atom in enumerate(atoms):
        rest = atoms[:place] + atoms[place + 1 :]
        if isinstance(atom, str) or not all(map(_nonnegative_atom, rest)):
            continue
        without = dim - Size(((atoms, coefficient),))
        sides = [without + product(map(_as_size, rest)) * coefficient * side
                 for side in (atom.left, atom.right)]  # fmt: skip
        if atom.function == "//":  # at most its dividend, at least 0
            limit = sides[0] if coefficient < 0 else without
            seen = _nonnegative_atom(atom) and is_nonnegative(limit)
        else:
            either = (atom.function == "min") == (coefficient < 0)
            seen = (any if either else all)(map(is_nonnegative, sides))
        if seen:
            return True
    return False


def _as_size(atom: Atom) -> Size:
    return Size((((atom,), 1),))


def _count_of_functions(dim: Dim) -> int:
    """How many minima, maxima and quotients stand in a size."""
    if isinstance(dim, int):
        return 0
    functions = [a for atoms, _ in dim.terms for a in atoms if isinstance(a, Apply)]
    return sum(1 + _count_of_functions(a.left) + _count_of_functions(a.right) for a in functions)


def at_most_one(dim: Dim) -> bool:
    """Whether a size is seen to be 0 or 1, as the length of ``x[:1]`` is."""
    return is_nonnegative(dim) and is_nonnegative(1 - dim)


def plain_sizes(dims: Iterable[Dim]) -> bool:
    """Whether sizes are those of inputs, so that none is zero where no input is empty."""
    return all(dim > 0 if isinstance(dim, int) else dim.name is not None for dim in dims)


def is_positive(dim: Dim) -> bool:
    """Whether a size is seen to be at least 1, names being lengths."""
    if isinstance(dim, int):
        return dim > 0
    if all(c >= 0 and all(map(_nonnegative_atom, atoms)) for atoms, c in dim.terms):
        return any(all(map(_positive_atom, atoms)) for atoms, _ in dim.terms)
    return is_nonnegative(dim - 1)


def product(dims: Iterable[Dim]) -> Dim:
    """The number of elements of a shape."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The value of ``dim`` where every name has the value that ``sizes`` gives it."""
    if isinstance(dim, int):
        return dim
    return sum(
        coefficient * math.prod(_evaluate_atom(atom, sizes) for atom in monomial)
        for monomial, coefficient in dim.terms
    )


def substitute(dim: Dim, sizes: Mapping[str, Dim]) -> Dim:
    """``dim`` with names replaced by other sizes."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for monomial, coefficient in dim.terms:
        factors = (_substitute_atom(atom, sizes) for atom in monomial)
        total = total + product(factors) * coefficient
    return total


def names(dim: Dim) -> frozenset[str]:
    """The names that ``dim`` is made of."""
    if isinstance(dim, int):
        return frozenset()
    found: set[str] = set()
    for monomial, _ in dim.terms:
        for atom in monomial:
            found |= {atom} if isinstance(atom, str) else names(atom.left) | names(atom.right)
    return frozenset(found)


def _nonnegative_atom(atom: Atom) -> bool:
    if isinstance(atom, str):
        return True
    sides = is_nonnegative(atom.left), is_nonnegative(atom.right)
    return any(sides) if atom.function == "max" else all(sides)


def _positive_atom(atom: Atom) -> bool:
    if isinstance(atom, str):
        return False
    if atom.function == "//":
        return is_positive(atom.right) and is_nonnegative(atom.left - atom.right)
    sides = is_positive(atom.left), is_positive(atom.right)
    return any(sides) if atom.function == "max" else all(sides)


def _terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    return dim.terms if isinstance(dim, Size) else (((), int(dim)),)


def _normal(terms: Mapping[Monomial, int]) -> Dim:
    kept = {monomial: c for monomial, c in terms.items() if c}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    # Names before constants (N+1, not 1+N), products of more names first.
    order = sorted(kept.items(), key=lambda item: (-len(item[0]), str(item[0])))
    return Size(tuple(order))


def _apply(function: str, left: Dim, right: Dim) -> Size:
    return Size((((Apply(function, left, right),), 1),))


def _extremum(function: str, left: Dim, right: Dim) -> Dim:
    known = _NOT_NEGATIVE.get()
    for smaller, larger in ((left, right), (right, left)):
        rest = larger - smaller
        if rest in known or is_nonnegative(rest):  # N against N+1: decided without knowing N
            return smaller if function == "min" else larger
    return _apply(function, left, right)


def _divide(
    dividend: tuple[tuple[Monomial, int], ...], divisor: tuple[tuple[Monomial, int], ...]
) -> Dim | None:
    if len(divisor) != 1 or divisor[0][1] == 0:
        return None
    monomial, coefficient = divisor[0]
    quotient: dict[Monomial, int] = {}
    for atoms, c in dividend:
        rest = list(atoms)
        for atom in monomial:
            if atom not in rest:
                return None
            rest.remove(atom)
        if c % coefficient:
            return None
        quotient[tuple(rest)] = c // coefficient
    return _normal(quotient)


def _evaluate_atom(atom: Atom, sizes: Mapping[str, int]) -> int:
    if isinstance(atom, str):
        return sizes[atom]
    left, right = evaluate(atom.left, sizes), evaluate(atom.right, sizes)
    if atom.function == "//":
        return left // right if right else 0
    return min(left, right) if atom.function == "min" else max(left, right)


def _substitute_atom(atom: Atom, sizes: Mapping[str, Dim]) -> Dim:
    if isinstance(atom, str):
        return sizes.get(atom, named(atom))
    left, right = substitute(atom.left, sizes), substitute(atom.right, sizes)
    if atom.function == "//":
        return floordiv(left, right)
    return minimum(left, right) if atom.function == "min" else maximum(left, right)
