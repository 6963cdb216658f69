"""Forms written as expressions that neither overflow nor cancel: values, and logarithms."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ....ir import ops
from ....ir.expr import Expr, scalar_value
from ....ir.types import numpy_dtype
from ..conditions import provably_positive
from .form import ONE, Algebra, Form, Monomial, Sum, Weights, positive, positive_sum, scaled

# --- sums with weights --------------------------------------------------------------------


def total(weights: Weights, number: float = 0.0) -> Expr | float:
    """The sum of multiples and of a number; equal multiples are added before they are scaled."""
    groups: dict[float, list[tuple[Expr, bool]]] = {}
    for node, weight in paired(weights):
        groups.setdefault(abs(weight), []).append((node, weight > 0))
    parts: list[tuple[Expr | float, bool]] = []
    for size, members in groups.items():
        positive_first = any(plus for _, plus in members)
        inner = _signed([(node, plus is positive_first) for node, plus in members])
        parts.append((inner if size == 1 else inner * size, positive_first))
    if number:
        parts.append((abs(number), number > 0))
    return _signed(parts) if parts else 0.0


def paired(weights: Weights) -> Weights:
    """``x - logsumexp(x)`` as ``log_softmax(x)``, which keeps the digits of large ones."""
    found: dict[Expr, float] = {}
    for node, weight in weights:
        found[node] = found.get(node, 0.0) + weight
    for row in [node for node in found if node.op is ops.logsumexp.op]:
        x = row.args[0]
        taken = found.get(x, 0.0)
        if taken * found[row] < 0:
            amount = math.copysign(min(abs(taken), abs(found[row])), taken)
            share = ops.log_softmax(x, row.attrs["axes"])
            for node, change in ((x, -amount), (row, amount), (share, amount)):
                found[node] = found.get(node, 0.0) + change
    return tuple((node, weight) for node, weight in found.items() if weight)


def _signed(parts: Sequence[tuple[Expr | float, bool]]) -> Expr | float:
    """Terms with signs, added; one that is positive comes first."""
    added = [part for part, plus in parts if plus]
    taken = [part for part, plus in parts if not plus]
    if not added:
        return -functools.reduce(lambda a, b: a + b, taken)
    result = functools.reduce(lambda a, b: a + b, added)
    return functools.reduce(lambda a, b: a - b, taken, result)


def with_nothing(value: Expr | float, lost: Iterable[Expr]) -> Expr | float:
    """A value plus x - x for what has cancelled."""
    for x in lost:
        value = x - x if isinstance(value, float) and not value else (x - x) + value
    return value


def product(factors: Iterable[tuple[Expr, float]], number: float = 1.0) -> Expr | float:
    """Factors with powers and a number, multiplied."""
    factors = list(factors)
    above = [_raised(node, power) for node, power in factors if power > 0]
    below = [_raised(node, -power) for node, power in factors if power < 0]
    multiply = functools.partial(functools.reduce, lambda a, b: a * b)
    result: Expr | float = multiply(above) if above else number
    if above and number != 1:
        result = -result if number == -1 else result * number
    return result / multiply(below) if below else result


def _raised(node: Expr, power: float) -> Expr:
    if power == int(power) and power <= 4:
        return functools.reduce(lambda a, b: a * b, [node] * int(power))
    return ops.power(node, power)


def peak(terms: Iterable[Expr | float]) -> Expr | float:
    """The largest of exponents, as a constant that is finite."""
    numbers: list[float] = []
    nodes: list[Expr] = []
    for term in terms:
        (nodes if isinstance(term, Expr) else numbers).append(term)  # type: ignore[arg-type]
    if not nodes:
        return max(numbers)
    top = functools.reduce(ops.maximum, nodes)
    if not numbers:
        return _constant(top)
    least = max(numbers)
    return _constant(ops.maximum(top, least) if least else ops.relu(top), bounded=True)


def _constant(top: Expr, *, bounded: bool = False) -> Expr:
    """A finite number in place of an infinite one, without a derivative."""
    big = float(np.finfo(numpy_dtype(top.dtype)).max)
    # ONNX Runtime 1.32 fails to fuse a Clip of a Relu in float64
    return ops.stop_gradient(ops.minimum(top, big) if bounded else ops.clip(top, -big, big))


def is_shift(node: Expr) -> bool:
    """Whether a node is the exponent that a sum has been scaled by."""
    if node.op is not ops.stop_gradient:
        return False
    (limited,) = node.args
    big = float(np.finfo(numpy_dtype(node.dtype)).max)
    if limited.op is ops.minimum:
        return any(scalar_value(arg) == big for arg in limited.args)
    return limited.op is ops.clip.op and limited.attrs["high"] == big


def row_peak(exponent: Expr, axes: Sequence[int]) -> Expr:
    """The largest exponent of each row, as a constant that is finite."""
    return _constant(ops.reduce_max_finite(exponent, axes))


def _exp(exponent: Expr | float) -> Expr | float:
    return _exp_of(exponent) if isinstance(exponent, Expr) else math.exp(exponent)


def _exp_of(exponent: Expr) -> Expr:
    if exponent.op is ops.log_softmax.op:
        return ops.softmax(exponent.args[0], exponent.attrs["axes"])
    return ops.exp(exponent)


# --- logarithms ---------------------------------------------------------------------------


def as_logarithm(algebra: Algebra, form: Form) -> Expr | None:
    """The logarithm of a form, where its sign is known to be that of one of its parts."""
    lost = _lost(form)
    if lost is None:
        return None
    unknown = [(f, p) for f, p in form.monomial.factors if not provably_positive(f)]
    indefinite = [(terms, p) for terms, p in form.sums if not positive_sum(terms)]
    if len(indefinite) > 1 or (indefinite and unknown):
        return None
    made = _Logarithm(algebra, form.monomial.exponent, math.log(abs(form.coefficient)))
    for node, power in form.monomial.factors:
        if provably_positive(node):
            made.add(ops.log(node), power)
    sign = math.copysign(1.0, form.coefficient)
    if unknown:
        inside = product(unknown, sign)
        assert isinstance(inside, Expr)
        made.add(ops.log(inside))
    elif indefinite:
        if not made.indefinite(*indefinite[0], sign, form.grows):
            return None
    elif sign < 0:
        return None
    for terms, power in form.sums:
        if positive_sum(terms):
            made.definite(terms, power)
    return made.written(lost)


@dataclass
class _Logarithm:
    """A logarithm as it is added up: multiples of exponents, a number, and other terms."""

    algebra: Algebra
    exponent: Weights
    number: float
    terms: list[tuple[Expr, float]] = field(default_factory=list)

    def add(self, term: Expr, weight: float = 1.0) -> None:
        if weight:
            self.terms.append((term, weight))

    def move(self, exponent: Weights, weight: float) -> None:
        """Add multiples of exponents."""
        self.exponent = self.algebra.combined(self.exponent, scaled(exponent, weight))

    def written(self, lost: Sequence[Expr]) -> Expr | None:
        weights = self.algebra.combined(self.exponent, ())
        result = with_nothing(total((*weights, *self.terms), self.number), lost)
        return result if isinstance(result, Expr) else None

    def definite(self, terms: Sum, power: float) -> None:
        """``power log(S)`` of positive terms, in a form in which the exponents do not cancel."""
        if len(terms) == 2 and terms[0][0] == ONE and not terms[1][0].factors:
            (monomial, c) = terms[1]
            share, rest = eliminated(self.algebra, self.exponent, monomial.exponent, power)
            if not _shares(rest, monomial.exponent):
                gap = total(monomial.exponent, math.log(c))
                self.exponent = rest
                self.number += power * share * math.log(c)
                self.add(_softplus(gap), power * (1 - share))
                self.add(_softplus(-gap), power * share)
                return
        shift = restricted(self.exponent, terms, power)
        self.move(shift, -power)
        logs = [_log_of_term(self.algebra, m, c, shift) for m, c in terms]
        self.add(_log_sum(logs), power)

    def indefinite(self, terms: Sum, power: float, sign: float, grows: bool) -> bool:
        """``power log(sign S)``, whose sign is only known when it is computed."""
        exponents_only = all(positive(monomial) for monomial, _ in terms)
        if len(terms) == 2 and exponents_only:
            self._difference(terms, power, sign)
            return True
        if not grows or power % 2 != 1:
            return False
        shift, scaled_terms = scaled_sum(self.algebra, terms, ())
        value = functools.reduce(lambda a, b: a + b, scaled_terms)
        if sign > 0 and terms[0][0] == ONE and isinstance(shift, Expr):
            rest = functools.reduce(lambda a, b: a + b, scaled_terms[1:])
            self.add(ops.log1p(rest + ops.expm1(-shift)), power)  # for digits near 1
        else:
            self.add(ops.log(value if sign > 0 else -value), power)
        if isinstance(shift, Expr):
            self.add(shift, power)
        return True

    def _difference(self, terms: Sum, power: float, sign: float) -> None:
        """log(exp(a) - exp(b)) = a + log(1 - exp(b-a))."""
        (one, _), (other, c) = terms
        upper_tail = _half_of_erfc(one, other, c)
        if upper_tail is not None and sign > 0:
            self.add(ops.log_erfc(-upper_tail), power)
            self.number -= power * math.log(2)
            return
        above, below = (one, 1.0), (other, -c)
        if sign < 0:
            above, below = below, above
        gap = _difference_of_logs(self.algebra, below, above)
        if power % 2 == 0:  # a square has the logarithm of its size
            self.add(ops.log1m_exp(-ops.absolute(gap)), power)
            self.add(ops.relu(gap), power)
        else:
            self.add(ops.log1m_exp(gap), power)
        self.move(above[0].exponent, power)
        self.number += power * math.log(above[1])
        for node, k in above[0].factors:
            self.add(ops.log(node), power * k)


def _half_of_erfc(one: Monomial, other: Monomial, c: float) -> Expr | None:
    """``x`` of ``1 - erfc(x)/2``, which is ``erfc(-x)/2``."""
    if one != ONE or other.factors or len(other.exponent) != 1 or abs(c + 0.5) > _ROUNDING:
        return None
    ((node, weight),) = other.exponent
    return node.args[0] if node.op is ops.log_erfc and weight == 1 else None


_ROUNDING = 1e-14


def _difference_of_logs(
    algebra: Algebra, x: tuple[Monomial, float], y: tuple[Monomial, float]
) -> Expr:
    exponent = algebra.combined(x[0].exponent, scaled(y[0].exponent, -1))
    factors = algebra.combined(x[0].factors, scaled(y[0].factors, -1))
    logs = tuple((ops.log(node), k) for node, k in factors)
    gap = total((*exponent, *logs), math.log(x[1]) - math.log(y[1]))
    assert isinstance(gap, Expr)
    return gap


def _log_of_term(algebra: Algebra, monomial: Monomial, c: float, shift: Weights) -> Expr | float:
    exponent = algebra.combined(monomial.exponent, shift)
    logs = tuple((ops.log(node), k) for node, k in monomial.factors)
    return total((*exponent, *logs), math.log(c))


def _log_sum(logs: Sequence[Expr | float]) -> Expr:
    """log of a sum, of the logarithms of its terms, one of which may be a number."""
    nodes = [term for term in logs if isinstance(term, Expr)]
    chain = functools.reduce(ops.logaddexp, nodes)
    for number in (term for term in logs if not isinstance(term, Expr)):
        chain = ops.logaddexp(chain, number) if number else ops.softplus(chain)
    return chain


def _softplus(gap: Expr | float) -> Expr:
    assert isinstance(gap, Expr)
    return ops.softplus(gap)


def eliminated(
    algebra: Algebra, exponent: Weights, gap: Weights, power: float
) -> tuple[float, Weights]:
    """``(t, rest)``: what multiple of a gap to take out of an exponent.

    ``exp(-t power gap) (1 + exp(gap))^power`` is a product of powers of ``1 + exp(gap)`` and
    ``1 + exp(-gap)`` with the shares 1-t and t: nothing overflows in it that the whole does not.
    """
    found = dict(exponent)
    shares = [0.0]
    for node, weight in gap:
        shares.append(min(max(-found.get(node, 0.0) / weight / power, 0.0), 1.0))
    rests = [algebra.combined(exponent, scaled(gap, power * share)) for share in shares]
    best = min(range(len(rests)), key=lambda i: (_shares(rests[i], gap), len(rests[i])))
    return shares[best], rests[best]


def _shares(exponent: Weights, gap: Weights) -> int:
    """How many expressions two exponents have in common."""
    present = {node for node, _ in exponent}
    return sum(node in present for node, _ in gap)


def restricted(exponent: Weights, terms: Sum, power: float) -> Weights:
    """The part of an exponent that is made of what the terms of a sum have in theirs."""
    inside = {node for monomial, _ in terms for node, _ in monomial.exponent}
    return tuple((node, weight / power) for node, weight in exponent if node in inside)


# --- values -------------------------------------------------------------------------------


def as_value(algebra: Algebra, form: Form, *, scaling: bool = True) -> Expr | None:
    """The value of a form, from parts that do not overflow where the whole is finite.

    None for a sum that would have to be scaled, if not ``scaling``.
    """
    if any(power != int(power) for _, power in form.sums):
        logarithm = as_logarithm(algebra, form) if form.positive else None
        return None if logarithm is None else ops.exp(logarithm)
    lost = _lost(form)
    if lost is None:
        return None
    number, pieces, sums = _without_differences(form)
    exponent = form.monomial.exponent
    written = None if lost else _by_sigmoids(algebra, exponent, sums)
    if written is None:
        if sums and not scaling:
            return None
        written = _by_scaling(algebra, exponent, sums, lost)
    result = product([*form.monomial.factors, *pieces, *written[1]], number * written[0])
    return result if isinstance(result, Expr) else None


Pieces = list[tuple[Expr, float]]


def _without_differences(form: Form) -> tuple[float, Pieces, dict[Sum, float]]:
    """1 - exp(d) as -tanh(d/2) (1 + exp(d)), whose second factor may cancel others."""
    number, pieces, sums = form.coefficient, [], dict[Sum, float]()
    for terms, power in form.sums:
        (one, _), (other, c) = terms[:2]
        if len(terms) == 2 and one == ONE and not other.factors and c < 0:
            half = total(scaled(other.exponent, 0.5), math.log(-c) / 2)
            assert isinstance(half, Expr)
            pieces.append((ops.tanh(half), power))
            number *= (-1.0) ** power
            terms = ((one, 1.0), (other, -c))
        sums[terms] = sums.get(terms, 0.0) + power
    return number, pieces, {terms: power for terms, power in sums.items() if power}


def _by_sigmoids(
    algebra: Algebra, exponent: Weights, sums: dict[Sum, float]
) -> tuple[float, Pieces] | None:
    """exp(p d) / (1 + exp(d))^q as sigmoid(d)^p sigmoid(-d)^(q-p), if all exponents go so."""
    number, pieces = 1.0, Pieces()
    for terms, power in sums.items():
        if len(terms) != 2 or power > 0 or not positive_sum(terms):
            return None
        (one, _), (other, c) = terms
        if one != ONE or other.factors:
            return None
        share, exponent = eliminated(algebra, exponent, other.exponent, power)
        p, q = -power * share, -power
        if abs(p - round(p)) > 1e-9:
            return None
        gap = total(other.exponent, math.log(c))
        assert isinstance(gap, Expr)
        number *= c ** -round(p)
        pieces += [(ops.sigmoid(gap), float(round(p))), (ops.sigmoid(-gap), q - round(p))]
    if exponent and sums:
        return None
    if exponent:
        return None
    return number, [(node, power) for node, power in pieces if power]


def _by_scaling(
    algebra: Algebra, exponent: Weights, sums: dict[Sum, float], lost: Sequence[Expr]
) -> tuple[float, Pieces]:
    """Every sum over the exponential of its largest term; those exponents meet in one."""
    pieces, number = Pieces(), 0.0
    for terms, power in sums.items():
        shift = restricted(exponent, terms, power)
        exponent = algebra.combined(exponent, scaled(shift, -power))
        top, scaled_terms = scaled_sum(algebra, terms, shift)
        value = functools.reduce(lambda a, b: a + b, scaled_terms)
        assert isinstance(value, Expr)
        pieces.append((value, power))
        if isinstance(top, Expr):
            exponent = algebra.combined(exponent, ((top, power),))
        else:
            number += top * power
    exponent, rows = _scaled_rows(algebra, exponent)
    pieces += rows
    whole = with_nothing(total(exponent, number), lost)
    if isinstance(whole, float):
        return math.exp(whole), pieces
    return 1.0, [(_exp_of(whole), 1.0), *pieces]


def scaled_sum(
    algebra: Algebra, terms: Sum, shift: Weights
) -> tuple[Expr | float, list[Expr | float]]:
    """The largest exponent of a sum, and the terms over its exponential."""
    exponents = [algebra.combined(monomial.exponent, shift) for monomial, _ in terms]
    top = peak(total(exponent) for exponent in exponents)
    back: Weights = ((top, -1.0),) if isinstance(top, Expr) else ()
    made: list[Expr | float] = []
    for (monomial, c), exponent in zip(terms, exponents, strict=True):
        lowered = total(algebra.combined(exponent, back), 0.0 if isinstance(top, Expr) else -top)
        power = _exp(lowered)
        if isinstance(power, Expr):
            made.append(product([*monomial.factors, (power, 1.0)], c))
        else:
            made.append(product(monomial.factors, c * power))
    return top, made


def _scaled_rows(algebra: Algebra, exponent: Weights) -> tuple[Weights, Pieces]:
    """The exponential of a logsumexp as a sum over that of the row's largest exponent."""
    exponent, pieces = paired(exponent), Pieces()
    if len(exponent) < 2:
        return exponent, pieces
    for node, weight in exponent:
        if node.op is ops.logsumexp.op and weight == int(weight):
            (x,), axes = node.args, node.attrs["axes"]
            top = row_peak(x, axes)
            pieces.append((ops.reduce_sum(ops.exp(x - top), axes), weight))
            exponent = algebra.combined(exponent, ((node, -weight), (top, weight)))
    return exponent, pieces


def _lost(form: Form) -> list[Expr] | None:
    """What has cancelled out of a form: its NaN has to stay.

    Where the formula overflows the rest of an infinity is NaN too, and x - x says so; else None.
    """
    lost = [node for node in form.seen if node not in form.kept]
    if not lost:
        return []
    return None if not form.grows or len(lost) > 1 else lost
