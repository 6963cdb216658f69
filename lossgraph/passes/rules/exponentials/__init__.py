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
from .form import definite
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
    if whole is None or whole.safe or (whole.sums and not definite(form)):
        return None  # log1p keeps the digits of what cancels to something near 0
    return as_logarithm(reading.algebra, whole)


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
    if not (definite(x) and definite(y)):
        return None
    form = reading.form(node)
    return None if form is None else as_value(reading.algebra, form)


def _sum(reading: Reading, node: Expr) -> Expr | None:
    """Terms that cancel need not be computed."""
    if not reading.cancels(node):
        return None
    form = reading.form(node)
    return None if form is None else as_value(reading.algebra, form)


_WRITERS: dict[Op, Callable[[Reading, Expr], Expr | None]] = {
    ops.log: _log,
    ops.log1p: _log1p,
    ops.sqrt: _root,
    ops.power: _root,
    ops.div: _quotient,
    ops.mul: _product,
    ops.add: _sum,
    ops.sub: _sum,
}
