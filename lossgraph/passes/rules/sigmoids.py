"""Differences of products that differ in a sigmoid: ``sigmoid(-x) - sigmoid(x) = -tanh(x/2)``.

The product rule makes them of ``sigmoid(x) sigmoid(-x)``, the derivative of the sigmoid and of
tanh. Near 0 their digits cancel; those of tanh do not.
"""

from __future__ import annotations

import functools
from collections import Counter

from ...ir import ops
from ...ir.expr import Expr, scalar_value

_MOST = 16  # factors of a product that is looked at


def difference_of_sigmoids(a: Expr, b: Expr, c: Expr, d: Expr) -> bool:
    """Whether ``a b - c d`` is a product times ``sigmoid(-x) - sigmoid(x)``."""
    return _parts(a, b, c, d) is not None


def difference_as_tanh(a: Expr, b: Expr, c: Expr, d: Expr) -> Expr:
    """``a b - c d`` as the product of what both have and a tanh."""
    parts = _parts(a, b, c, d)
    assert parts is not None
    shared, x = parts
    rest = functools.reduce(ops.mul, shared)
    if x.op is ops.neg:
        return -(rest * ops.tanh(x.args[0] * 0.5))
    return rest * ops.tanh(x * 0.5)


def _parts(a: Expr, b: Expr, c: Expr, d: Expr) -> tuple[list[Expr], Expr] | None:
    """What both products have, and ``x`` of ``sigmoid(x) - sigmoid(-x)``, which is left."""
    left, right = (Counter([*_factors(x), *_factors(y)]) for x, y in ((a, b), (c, d)))
    ours, theirs = left - right, right - left
    if ours.total() != 1 or theirs.total() != 1:
        return None
    (p,), (q,) = ours, theirs
    if p.op is not ops.sigmoid or q.op is not ops.sigmoid:
        return None
    (x, k), (y, m) = _multiple(*p.args), _multiple(*q.args)
    return (list((left & right).elements()), p.args[0]) if x is y and k == -m else None


def _multiple(node: Expr) -> tuple[Expr, float]:
    """An expression and the number that it is multiplied by."""
    if node.op is ops.neg:
        return node.args[0], -1.0
    for x, k in (node.args, node.args[::-1]) if node.op is ops.mul else ():
        number = scalar_value(k)
        if number is not None:
            return x, float(number)
    return node, 1.0


def _factors(node: Expr) -> list[Expr]:
    """What a product is made of, numbers too; a long one stays whole."""
    found: list[Expr] = []
    pending = [node]
    while pending:
        node = pending.pop()
        if node.op is ops.mul and len(pending) + len(found) < _MOST:
            pending.extend(node.args[::-1])
        else:
            found.append(node)
    return found
