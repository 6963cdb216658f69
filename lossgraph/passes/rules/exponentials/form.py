"""Rational functions of exponentials, and their arithmetic.

A ``Form`` is a number times factors times ``exp`` of a sum, times powers of sums of such terms::

    c * f1^a1 * f2^a2 * .. * exp(k1 u1 + k2 u2 + ..) * S1^p1 * S2^p2 * ..

The ``f`` and ``u`` are expressions that are not looked into. Products and powers add exponents;
sums are expanded over what they have in common, so that what cancels does so before it is
computed: ``1 - tanh(x)^2`` is ``4 exp(2x) / (exp(2x) + 1)^2``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from ....ir.expr import Expr
from ..conditions import provably_positive

K = TypeVar("K")
Weights: TypeAlias = tuple[tuple[Expr, float], ...]  # powers or multiples of expressions

_MOST_TERMS = 12  # of a sum: what is longer is not expanded
_ROUNDING = 1e-14  # of coefficients that cancel


@dataclass(frozen=True)
class Monomial:
    """Factors with powers, times ``exp`` of a sum of multiples."""

    factors: Weights = ()
    exponent: Weights = ()


ONE = Monomial()
Sum: TypeAlias = tuple[tuple[Monomial, float], ...]  # in order of exponents; the first one is 1


@dataclass(frozen=True)
class Form:
    """A number times a monomial times powers of sums.

    Attributes:
        coefficient: the number.
        monomial: factors and exponent.
        sums: sums of at least two terms, with their powers.
        seen: the expressions that it was made of, those that have cancelled included.
        grows: whether the formula that it was read from may overflow.
        vanishes: whether that formula may underflow.
        cancels: whether its digits may cancel.
    """

    coefficient: float = 1.0
    monomial: Monomial = ONE
    sums: tuple[tuple[Sum, float], ...] = ()
    seen: frozenset[Expr] = frozenset()
    grows: bool = False
    vanishes: bool = False
    cancels: bool = False

    @property
    def safe(self) -> bool:
        """Whether the formula is right as it is."""
        return not (self.grows or self.vanishes or self.cancels)

    @property
    def kept(self) -> frozenset[Expr]:
        """The expressions that it is made of now."""
        every = [self.monomial, *(m for terms, _ in self.sums for m, _ in terms)]
        return frozenset(node for m in every for node, _ in (*m.factors, *m.exponent))

    @property
    def positive(self) -> bool:
        """Whether it is by its making."""
        return self.coefficient > 0 and positive(self.monomial) and all(
            positive_sum(terms) for terms, _ in self.sums
        )  # fmt: skip


def positive(monomial: Monomial) -> bool:
    """Whether the factors are, by their making."""
    return all(provably_positive(factor) for factor, _ in monomial.factors)


def positive_sum(terms: Sum) -> bool:
    """Whether every term is positive by its making."""
    return all(c > 0 and positive(monomial) for monomial, c in terms)


def definite(form: Form) -> bool:
    """Whether no sum in it has terms of both signs."""
    return all(c > 0 for terms, _ in form.sums for _, c in terms)


class Algebra:
    """Arithmetic of forms; it remembers the order in which expressions were met."""

    def __init__(self) -> None:
        self._order: dict[Expr, int] = {}

    def number(self, value: float) -> Form:
        """A number."""
        return Form(float(value))

    def factor(self, node: Expr) -> Form:
        """An expression that is not looked into."""
        return Form(monomial=Monomial(factors=((node, 1.0),)), seen=frozenset([node]))

    def exponential(self, node: Expr, *, grows: bool = True) -> Form:
        """``exp(node)``; ``grows`` if it may overflow."""
        return Form(
            monomial=Monomial(exponent=((node, 1.0),)),
            seen=frozenset([node]),
            grows=grows,
            vanishes=True,
        )

    def times(self, x: Form, y: Form) -> Form | None:
        """The product."""
        sums = dict(x.sums)
        for terms, power in y.sums:
            sums[terms] = sums.get(terms, 0.0) + power
        return _finite(
            Form(
                x.coefficient * y.coefficient,
                self._product(x.monomial, y.monomial),
                tuple((terms, power) for terms, power in sums.items() if power),
                x.seen | y.seen,
                x.grows or y.grows,
                x.vanishes or y.vanishes,
                x.cancels or y.cancels,
            )
        )

    def power(self, x: Form, k: float) -> Form | None:
        """``x^k``: of what may be negative only for whole numbers."""
        if k == 0 or (x.coefficient == 0 and k < 0) or (k != int(k) and not x.positive):
            return None
        try:
            coefficient = x.coefficient**k
        except OverflowError:
            return None
        sums = tuple((terms, power * k) for terms, power in x.sums)
        monomial = Monomial(scaled(x.monomial.factors, k), scaled(x.monomial.exponent, k))
        made = replace(x, coefficient=coefficient, monomial=monomial, sums=sums)
        if k < 0:
            made = replace(made, grows=x.vanishes, vanishes=x.grows)
        return _finite(made)

    def plus(self, x: Form, y: Form) -> tuple[Form, bool] | None:
        """The sum, and whether terms of the two cancelled."""
        for zero, other in ((x, y), (y, x)):
            if not zero.coefficient and not zero.seen:
                return other, False
        common, (x_rest, y_rest) = self._common(x, y)
        parts = [self._expanded(part) for part in (x_rest, y_rest)]
        if parts[0] is None or parts[1] is None:
            return None
        total, collided, lost = self._added(parts[0], parts[1])
        if not total or len(total) > _MOST_TERMS:
            return None
        found = self.times(common, self._sum(total))
        if found is None:
            return None
        mixed = any(c < 0 for c in total.values())
        cancelled = lost or (collided and mixed and len(total) == 2)
        return replace(
            found,
            seen=x.seen | y.seen,
            grows=x.grows or y.grows,
            vanishes=mixed or (x.vanishes and y.vanishes),
            cancels=x.cancels or y.cancels or cancelled or mixed,
        ), cancelled

    def mapped(
        self, x: Form, prepared: Callable[[Weights], Weights], change: Callable[[Expr], Expr]
    ) -> Form:
        """The form with every expression changed; different ones have to stay different."""

        def weights(pairs: Weights) -> Weights:
            return self._weights({change(node): w for node, w in prepared(pairs)})

        def monomial(m: Monomial) -> Monomial:
            return Monomial(weights(m.factors), weights(m.exponent))

        sums = tuple((tuple((monomial(m), c) for m, c in terms), power) for terms, power in x.sums)
        made = replace(x, monomial=monomial(x.monomial), sums=sums)
        return replace(made, seen=made.kept)

    def _common(self, x: Form, y: Form) -> tuple[Form, tuple[Form, Form]]:
        """What both have as a factor (as a divisor too), and what is left of each."""
        sums = _least(x.sums, y.sums)
        factors = _least(x.monomial.factors, y.monomial.factors)
        common = Form(1.0, Monomial(self._weights(factors)), tuple(sums.items()))
        return common, (self._without(x, common), self._without(y, common))

    def _without(self, x: Form, common: Form) -> Form:
        sums = dict(x.sums)
        for terms, power in common.sums:
            sums[terms] = sums.get(terms, 0.0) - power
        factors = self.combined(x.monomial.factors, scaled(common.monomial.factors, -1))
        left = tuple((terms, power) for terms, power in sums.items() if power)
        return Form(x.coefficient, Monomial(factors, x.monomial.exponent), left)

    def _expanded(self, x: Form) -> dict[Monomial, float] | None:
        """The terms of a product of sums; None if they are many, or no polynomial."""
        terms = {x.monomial: x.coefficient} if x.coefficient else {}
        for one, power in x.sums:
            if power != int(power) or power > 4:
                return None
            for _ in range(int(power)):
                product: dict[Monomial, float] = {}
                for a, p in terms.items():
                    for b, q in one:
                        key = self._product(a, b)
                        product[key] = product.get(key, 0.0) + p * q
                terms = {key: c for key, c in product.items() if c}
                if len(terms) > _MOST_TERMS:
                    return None
        return terms

    @staticmethod
    def _added(
        x: Mapping[Monomial, float], y: Mapping[Monomial, float]
    ) -> tuple[dict[Monomial, float], bool, bool]:
        """The terms of both, and whether some of opposite signs met, and were all there was."""
        total, collided, lost = dict(x), False, False
        for key, c in y.items():
            before = total.get(key, 0.0)
            total[key] = before + c
            collided = collided or before * c < 0
            if abs(total[key]) <= _ROUNDING * abs(c):
                del total[key]
                lost = True
        return total, collided, lost

    def _sum(self, terms: Mapping[Monomial, float]) -> Form:
        """Terms as a form: one that is a sum is divided by its least term."""
        ordered = sorted(terms.items(), key=functools.cmp_to_key(self._compare))
        least, c = ordered[0]
        if len(ordered) == 1:
            return Form(c, least)
        inverse = Monomial(exponent=scaled(least.exponent, -1))
        one = tuple((self._product(key, inverse), value / c) for key, value in ordered)
        return Form(c, Monomial(exponent=least.exponent), ((one, 1.0),))

    def _compare(self, x: tuple[Monomial, float], y: tuple[Monomial, float]) -> int:
        for a, b in (
            (x[0].exponent, y[0].exponent),
            (x[0].factors, y[0].factors),
        ):
            difference = self.combined(a, scaled(b, -1))
            if difference:
                return 1 if difference[0][1] > 0 else -1
        return 0

    def _product(self, x: Monomial, y: Monomial) -> Monomial:
        return Monomial(self.combined(x.factors, y.factors), self.combined(x.exponent, y.exponent))

    def combined(self, x: Weights, y: Weights) -> Weights:
        """The weights of both added."""
        if not x or not y:
            return x or y
        total = dict(x)
        for node, weight in y:
            total[node] = total.get(node, 0.0) + weight
        return self._weights(total)

    def _weights(self, weights: Mapping[Expr, float]) -> Weights:
        """In the order in which the expressions were met, so that equal ones are equal."""
        order = self._order
        for node in weights:
            order.setdefault(node, len(order))
        return tuple(sorted(
            ((node, w) for node, w in weights.items() if w), key=lambda pair: order[pair[0]]
        ))  # fmt: skip


def scaled(weights: Weights, k: float) -> Weights:
    """Every weight times ``k``."""
    if k in (0, 1):
        return weights if k else ()
    return tuple((node, weight * k) for node, weight in weights)


def _least(x: Iterable[tuple[K, float]], y: Iterable[tuple[K, float]]) -> dict[K, float]:
    """The smaller power of each base, 0 where one side has none."""
    left, right = dict(x), dict(y)
    powers = {base: min(left.get(base, 0.0), right.get(base, 0.0)) for base in (*left, *right)}
    return {base: power for base, power in powers.items() if power}


def _finite(form: Form) -> Form | None:
    return form if math.isfinite(form.coefficient) else None
