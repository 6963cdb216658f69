"""Exponentials in the log domain: formulas are stable because of what they are.

An expression is read as a rational function of exponentials (``reading``, ``form``) and, where the
way in which it is written overflows, underflows or cancels, written anew (``writing``).
``Exponentials`` says where: at logarithms, roots, quotients, and at products and sums of which the
parts go astray though the whole does not.
"""

from __future__ import annotations

from collections.abc import Callable

from ....ir import ops
from ....ir.expr import Expr, Op, scalar_value
from ..conditions import largest_exponent, upper_bound
from .form import Form, definite
from .reading import Reading
from .writing import as_logarithm, as_value

LAW = "a function of exponentials, in the log domain"


class Exponentials:
    """Rewrites nodes whose exponentials matter; one object serves one run of rewriting."""

    def __init__(self) -> None:
        self._reading = Reading()

    def __call__(self, node: Expr) -> tuple[Expr, str] | None:
        """What a node becomes, and the law; None if it is right as it is."""
        write = _WRITERS.get(node.op)
        if write is None:
            return None
        found = write(self._reading, node)
        if found is None or found is node:
            return None
        if found.type != node.type:
            found = ops.broadcast_to(found, node.shape)
        if found is node:
            return None
        self._reading.remember(found, self._reading.form(node))
        return found, LAW


def _log(reading: Reading, node: Expr) -> Expr | None:
    form = reading.form(node.args[0])
    if form is None or form.safe:
        return None
    return as_logarithm(reading.algebra, form)


def _log1p(reading: Reading, node: Expr) -> Expr | None:
    form = reading.form(node.args[0])
    if form is None:
        return None
    whole = reading.plus(node, reading.algebra.number(1), form)
    if whole is None or whole.safe or not (definite(form) or _may_vanish(whole)):
        return None  # log1p keeps the digits of what cancels to something near 0
    return as_logarithm(reading.algebra, whole)


def _log1m_exp(reading: Reading, node: Expr) -> Expr | None:
    """Of exponents that are logarithms of sums: 1 - exp(-softplus(x)) is sigmoid(x)."""
    power = reading.exponential(node.args[0])
    if power is None or not power.sums:
        return None
    negative = reading.times(reading.algebra.number(-1), power)
    whole = reading.plus(node, reading.algebra.number(1), negative)
    if whole is None or not definite(whole):
        return None
    return as_logarithm(reading.algebra, whole)


def _may_vanish(form: Form) -> bool:
    """Whether a form has no lower bound above 0 that its sums show."""
    return not form.sums or (not form.grows and any(power < 0 for _, power in form.sums))


def _nested(reading: Reading, node: Expr) -> Expr | None:
    """exp(-exp(x)): where the inner one overflows, its derivative does beside a 0."""
    limited = _limited(node.args[0], -1)
    return None if limited is None else node.op(limited)


def _limited(u: Expr, sign: int, depth: int = 12) -> Expr | None:
    """An exponent in which an exponential that is subtracted stays below the square root of all.

    The exponential of it is 0 long before.
    """
    if u.op is ops.exp:
        (x,) = u.args
        bound = largest_exponent(x.dtype) / 2
        return ops.exp(ops.minimum(x, bound)) if sign > 0 and upper_bound(x) > bound else None
    if not depth or u.op not in (ops.add, ops.sub, ops.neg, ops.mul, ops.div):
        return None
    args = list(u.args)
    for i, arg in enumerate(args):
        turned = sign
        if u.op is ops.neg or (u.op is ops.sub and i == 1):
            turned = -sign
        elif u.op in (ops.mul, ops.div):
            other = scalar_value(args[1 - i])
            if other is None or (u.op is ops.div and i == 1):
                continue
            turned = sign if other > 0 else -sign
        found = _limited(arg, turned, depth - 1)
        if found is not None:
            args[i] = found
    changed = any(new is not old for new, old in zip(args, u.args, strict=True))
    return u.op(*args) if changed else None


def _root(reading: Reading, node: Expr) -> Expr | None:
    k = 0.5 if node.op is ops.sqrt else scalar_value(node.args[1])
    form = reading.form(node.args[0])
    if form is None or form.safe or k is None or k == int(k):
        return None
    logarithm = as_logarithm(reading.algebra, form)
    return None if logarithm is None else ops.exp(logarithm * float(k))


def _quotient(reading: Reading, node: Expr) -> Expr | None:
    above, below = (reading.form(arg) for arg in node.args)
    if below is None or not (below.grows or (above and above.vanishes and below.vanishes)):
        return None
    form = reading.form(node)
    return None if form is None else as_value(reading.algebra, form)


def _product(reading: Reading, node: Expr) -> Expr | None:
    """One factor may overflow where the other underflows."""
    x, y = (reading.form(arg) for arg in node.args)
    if x is None or y is None or node.args[0] is node.args[1]:
        return None
    if not ((x.grows and y.vanishes) or (x.vanishes and y.grows)):
        return None
    form = reading.form(node)
    scaling = definite(x) and definite(y)
    return None if form is None else as_value(reading.algebra, form, scaling=scaling)


def _sum(reading: Reading, node: Expr) -> Expr | None:
    """Terms that cancel need not be computed."""
    if not reading.cancels(node):
        return None
    form = reading.form(node)
    return None if form is None else as_value(reading.algebra, form)


_WRITERS: dict[Op, Callable[[Reading, Expr], Expr | None]] = {
    ops.log: _log,
    ops.log1p: _log1p,
    ops.log1m_exp: _log1m_exp,
    ops.exp: _nested,
    ops.expm1: _nested,
    ops.sqrt: _root,
    ops.power: _root,
    ops.div: _quotient,
    ops.mul: _product,
    ops.add: _sum,
    ops.sub: _sum,
}
