"""Expressions read as rational functions of exponentials.

``READERS`` says of an operation what it is in exponentials, ``EXPONENTS`` what its exponential is;
what stands in neither is not looked into.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from ....ir import ops
from ....ir.expr import Expr, Movement, Op, rebuild, scalar_value
from ..conditions import (
    largest_exponent,
    nonnegative_weights,
    provably_positive,
    upper_bound,
)
from .form import Algebra, Form
from .writing import as_logarithm, is_shift, paired, product, row_peak, total

_DEPTH = 24  # of an exponent that is taken apart
_ORDINARY = 50.0  # exponents that are numbers below this are factors


class Reading:
    """The forms of expressions, each found once."""

    def __init__(self) -> None:
        self.algebra = Algebra()
        self._forms: dict[Expr, Form | None] = {}
        self._cancelling: set[Expr] = set()

    def form(self, node: Expr) -> Form | None:
        """What a node is in exponentials; None if there are none."""
        if node not in self._forms:
            reader = READERS.get(node.op)
            if reader is None and node.op.movement is not None:
                reader = _moved
            self._forms[node] = reader(self, node) if reader else None
        return self._forms[node]

    def remember(self, node: Expr, form: Form | None) -> None:
        """That what was written anew has a form, which cancels no more."""
        if form is not None:
            vanishes = form.vanishes or form.cancels
            self._forms[node] = replace(form, vanishes=vanishes, cancels=False)

    def cancels(self, node: Expr) -> bool:
        """Whether terms of the two sides of a sum cancel."""
        return self.form(node) is not None and node in self._cancelling

    def operand(self, node: Expr) -> Form:
        """The form of a node, be it a number or a factor."""
        number = scalar_value(node)
        if number is not None and math.isfinite(number):
            return self.algebra.number(float(number))
        return self.form(node) or self.algebra.factor(node)

    def plus(self, node: Expr, x: Form | None, y: Form | None) -> Form | None:
        """The sum of two forms; what does not expand is the exponential of its logarithm."""
        if x is None or y is None:
            return None
        found = self.algebra.plus(x, y)
        if found is None:
            closed = self._closed(x), self._closed(y)
            if closed[0] is None or closed[1] is None or closed == (x, y):
                return None
            found = self.algebra.plus(closed[0], closed[1])
        if found is None:
            return None
        if found[1]:
            self._cancelling.add(node)
        return found[0]

    def _closed(self, form: Form) -> Form | None:
        if not form.sums:
            return form
        size = replace(form, coefficient=abs(form.coefficient))
        logarithm = as_logarithm(self.algebra, size) if size.positive else None
        if logarithm is None:
            return None
        closed = self.algebra.exponential(logarithm, grows=form.grows)
        return replace(closed, coefficient=math.copysign(1.0, form.coefficient))

    def times(self, x: Form | None, y: Form | None) -> Form | None:
        """The product."""
        return None if x is None or y is None else self.algebra.times(x, y)

    def power(self, x: Form | None, k: float) -> Form | None:
        """The power."""
        return None if x is None else self.algebra.power(x, k)

    def exponential(self, u: Expr, depth: int = _DEPTH) -> Form | None:
        """``exp(u)``; None where that is scaled by its largest term already."""
        number = scalar_value(u)
        if number is not None and abs(number) < _ORDINARY:
            return self.algebra.number(math.exp(number))
        reader = EXPONENTS.get(u.op) if depth else None
        if reader is None and u.op.movement is Movement.BROADCAST:
            reader = _exp_of_broadcast
        found = reader(self, u, depth - 1) if reader else None
        if found is None and not (is_shift(u) or _has_shift(u)):
            found = self.algebra.exponential(u)
        if found is not None and found.grows and upper_bound(u) < largest_exponent(u.dtype):
            found = replace(found, grows=False)
        return found


Exponent: TypeAlias = Callable[[Reading, Expr, int], Form | None]
Reader: TypeAlias = Callable[[Reading, Expr], Form | None]


def _has_shift(u: Expr) -> bool:
    return u.op in _LINEAR and any(is_shift(arg) or _has_shift(arg) for arg in u.args)


# --- exponents ----------------------------------------------------------------------------


def _exp_of_sum(reading: Reading, u: Expr, depth: int) -> Form | None:
    x, y = (reading.exponential(arg, depth) for arg in u.args)
    return reading.times(x, reading.power(y, -1 if u.op is ops.sub else 1))


def _exp_of_negative(reading: Reading, u: Expr, depth: int) -> Form | None:
    return reading.power(reading.exponential(u.args[0], depth), -1)


def _exp_of_multiple(reading: Reading, u: Expr, depth: int) -> Form | None:
    for x, k in (u.args, u.args[::-1]):
        number = scalar_value(k)
        if number is not None and math.isfinite(number) and number:
            return reading.power(reading.exponential(x, depth), float(number))
    return None


def _exp_of_quotient(reading: Reading, u: Expr, depth: int) -> Form | None:
    number = scalar_value(u.args[1])
    if number is None or not math.isfinite(number) or not number:
        return None
    return reading.power(reading.exponential(u.args[0], depth), 1 / float(number))


def _exp_of_broadcast(reading: Reading, u: Expr, depth: int) -> Form | None:
    return reading.exponential(u.args[0], depth)


def _exp_of_softplus(reading: Reading, u: Expr, depth: int) -> Form | None:
    return reading.plus(u, reading.algebra.number(1), reading.exponential(u.args[0], depth))


def _exp_of_logaddexp(reading: Reading, u: Expr, depth: int) -> Form | None:
    x, y = (reading.exponential(arg, depth) for arg in u.args)
    return reading.plus(u, x, y)


def _exp_of_log(reading: Reading, u: Expr, depth: int) -> Form | None:
    (x,) = u.args
    form = reading.operand(x)
    return form if form.positive or provably_positive(x) else None


def _exp_of_log_softmax(reading: Reading, u: Expr, depth: int) -> Form | None:
    row = ops.logsumexp(u.args[0], u.attrs["axes"])
    x, whole = reading.exponential(u.args[0], depth), reading.algebra.exponential(row)
    return reading.times(x, reading.power(whole, -1))


EXPONENTS: dict[Op, Exponent] = {
    ops.add: _exp_of_sum,
    ops.sub: _exp_of_sum,
    ops.neg: _exp_of_negative,
    ops.mul: _exp_of_multiple,
    ops.div: _exp_of_quotient,
    ops.softplus: _exp_of_softplus,
    ops.logaddexp: _exp_of_logaddexp,
    ops.log: _exp_of_log,
    ops.log_softmax.op: _exp_of_log_softmax,
}
_LINEAR = (ops.add, ops.sub, ops.neg, ops.mul, ops.div)

# --- what is positive by its making -------------------------------------------------------


def _exp(reading: Reading, node: Expr) -> Form | None:
    return reading.exponential(node.args[0])


def _expm1(reading: Reading, node: Expr) -> Form | None:
    return reading.plus(node, _exp(reading, node), reading.algebra.number(-1))


def _of_its_logarithm(logarithm: Callable[[Expr], Expr]) -> Reader:
    def read(reading: Reading, node: Expr) -> Form | None:
        return reading.algebra.exponential(logarithm(node), grows=False)

    return read


def _bounded(form: Form | None, *, vanishes: bool) -> Form | None:
    if form is None:
        return None
    return replace(form, grows=False, vanishes=vanishes, cancels=False)


def _sigmoid(reading: Reading, node: Expr) -> Form | None:
    other = reading.power(reading.exponential(node.args[0]), -1)
    return _bounded(
        reading.power(reading.plus(node, reading.algebra.number(1), other), -1),
        vanishes=True,
    )


def _softmax(reading: Reading, node: Expr) -> Form | None:
    return _bounded(_exp_of_log_softmax(reading, node, _DEPTH), vanishes=True)


def _erf(reading: Reading, node: Expr) -> Form | None:
    """1 - erfc(x)."""
    other = reading.algebra.exponential(ops.log_erfc(*node.args), grows=False)
    negative = reading.times(reading.algebra.number(-1), other)
    return _bounded(reading.plus(node, reading.algebra.number(1), negative), vanishes=False)


def _two(reading: Reading, node: Expr, k: float, sign: float) -> Form | None:
    """exp(k x) + sign exp(-k x)."""
    x = reading.power(reading.exponential(node.args[0]), k)
    return reading.plus(node, x, reading.times(reading.algebra.number(sign), reading.power(x, -1)))


def _hyperbolic(sign: float) -> Reader:
    def read(reading: Reading, node: Expr) -> Form | None:
        return reading.times(reading.algebra.number(0.5), _two(reading, node, 1, sign))

    return read


def _tanh(reading: Reading, node: Expr) -> Form | None:
    """Its own formula is right everywhere: only a sum with it may cancel."""
    below = reading.power(_two(reading, node, 1, 1), -1)
    return _bounded(reading.times(_two(reading, node, 1, -1), below), vanishes=False)


# --- arithmetic ---------------------------------------------------------------------------


def _operands(reading: Reading, node: Expr) -> list[Form] | None:
    """The forms of the arguments, if one of them has exponentials."""
    if all(reading.form(arg) is None for arg in node.args):
        return None
    return [reading.operand(arg) for arg in node.args]


def _sum(reading: Reading, node: Expr) -> Form | None:
    operands = _operands(reading, node)
    if operands is None:
        return None
    x, y = operands
    sign = reading.algebra.number(-1 if node.op is ops.sub else 1)
    return reading.plus(node, x, reading.times(sign, y))


def _product(reading: Reading, node: Expr) -> Form | None:
    operands = _operands(reading, node)
    return None if operands is None else reading.times(*operands)


def _quotient(reading: Reading, node: Expr) -> Form | None:
    operands = _operands(reading, node)
    if operands is None:
        return None
    return reading.times(operands[0], reading.power(operands[1], -1))


def _negative(reading: Reading, node: Expr) -> Form | None:
    return reading.times(reading.algebra.number(-1), reading.form(node.args[0]))


def _power(reading: Reading, node: Expr) -> Form | None:
    exponent = scalar_value(node.args[1])
    if exponent is None or not math.isfinite(exponent):
        return None
    return reading.power(reading.form(node.args[0]), float(exponent))


def _extremum(reading: Reading, node: Expr) -> Form | None:
    """The larger of positive ones is the exponential of their larger logarithm."""
    operands = _operands(reading, node)
    if operands is None or not all(form.positive for form in operands):
        return None
    x, y = (_logarithm(reading, form) for form in operands)
    if x is None or y is None:
        return None
    return reading.algebra.exponential(node.op(x, y), grows=any(f.grows for f in operands))


def _logarithm(reading: Reading, form: Form) -> Expr | float | None:
    if form.seen:
        return as_logarithm(reading.algebra, form)
    return math.log(form.coefficient)


def _root(reading: Reading, node: Expr) -> Form | None:
    return reading.power(reading.form(node.args[0]), 0.5)


# --- rows ---------------------------------------------------------------------------------


def _reduced(reading: Reading, node: Expr) -> Form | None:
    """A sum of positive terms is the exponential of a logsumexp; of others, it is scaled."""
    (x,), axes = node.args, node.attrs["axes"]
    form = reading.form(x)
    if form is None:
        return None
    weights = [pair for pair in form.monomial.factors if not provably_positive(pair[0])]
    logarithm = None
    if not weights:
        logarithm = as_logarithm(reading.algebra, form) if form.positive else None
    elif len(weights) == 1 and weights[0][1] == 1 and nonnegative_weights(weights[0][0]):
        logarithm = as_logarithm(reading.algebra, form) if form.coefficient > 0 else None
    if logarithm is not None:
        whole = ops.broadcast_to(logarithm, x.shape)
        return reading.algebra.exponential(ops.logsumexp(whole, axes), grows=form.grows)
    return _scaled_sum(reading, node, form) if form.grows and not form.sums else None


def _scaled_sum(reading: Reading, node: Expr, form: Form) -> Form | None:
    (x,), axes = node.args, node.attrs["axes"]
    exponent = total(form.monomial.exponent)
    if not isinstance(exponent, Expr) or 0 in (x.shape[axis] for axis in axes):
        return None  # of no terms none is the largest
    exponent = ops.broadcast_to(exponent, x.shape)
    top = row_peak(exponent, axes)
    factor = product(form.monomial.factors, form.coefficient)
    rows = reading.algebra.factor(ops.reduce_sum(ops.exp(exponent - top) * factor, axes))
    return reading.times(rows, reading.algebra.exponential(top))


def _multiplied(reading: Reading, node: Expr) -> Form | None:
    form = reading.form(node.args[0])
    logarithm = as_logarithm(reading.algebra, form) if form and form.positive else None
    if logarithm is None:
        return None
    whole = ops.broadcast_to(logarithm, node.args[0].shape)
    return reading.algebra.exponential(
        ops.reduce_sum(whole, node.attrs["axes"]), grows=form is not None and form.grows
    )


def _moved(reading: Reading, node: Expr) -> Form | None:
    """Elements that are moved: so are those of its exponents and factors."""
    form = reading.form(node.args[0])
    if form is None or node.op.movement is Movement.BROADCAST:
        return form

    def move(part: Expr) -> Expr:
        return rebuild(node, (ops.broadcast_to(part, node.args[0].shape), *node.args[1:]))

    return reading.algebra.mapped(form, paired, move)


READERS: dict[Op, Reader] = {
    ops.exp: _exp,
    ops.expm1: _expm1,
    ops.sigmoid: _sigmoid,
    ops.tanh: _tanh,
    ops.sinh: _hyperbolic(-1),
    ops.cosh: _hyperbolic(1),
    ops.softmax.op: _softmax,
    ops.softplus: _of_its_logarithm(lambda node: ops.log_softplus(*node.args)),
    ops.erf: _erf,
    ops.erfc: _of_its_logarithm(lambda node: ops.log_erfc(*node.args)),
    ops.add: _sum,
    ops.sub: _sum,
    ops.mul: _product,
    ops.div: _quotient,
    ops.neg: _negative,
    ops.power: _power,
    ops.sqrt: _root,
    ops.maximum: _extremum,
    ops.minimum: _extremum,
    ops.reduce_sum.op: _reduced,
    ops.reduce_prod.op: _multiplied,
}
