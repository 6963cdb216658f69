"""What a graph that is run here may assume, and how it says that it should not have.

An exported graph is right for anything. Where we run one ourselves we know more: that arrays
have elements, by their shapes; and that numbers are finite, nearly always. Products that take
care of ``0 * inf`` then cost a third, and a sum of what they multiply tells whether they were
right: it is finite only if every element is.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ..ir.expr import Expr, rebuild, toposort, transform
from ..ir.ops import cast, isnan, masked_mul, maximum, reduce_sum, reshape
from .costs import Target
from .rewrite import rewrite
from .rules import NONEMPTY

UNSURE = "_unsure"  # the output that is positive if an assumption may have been wrong


def assume(roots: Sequence[Expr], target: Target) -> tuple[list[Expr], dict[str, Expr]]:
    """The roots under the assumptions of a target, and the output that doubts them, if any."""
    made = rewrite(roots, NONEMPTY) if target.nonempty else list(roots)
    silenced = _silenced(made) if target.finite else []
    if not silenced:
        return made, {}
    plain = transform([*made, *silenced], _plain_product)
    # of the graph that is run: the factors may have such products inside
    doubts = map(_infinite, dict.fromkeys(plain[len(made) :]))
    return plain[: len(made)], {UNSURE: functools.reduce(maximum, doubts)}


def _silenced(roots: Sequence[Expr]) -> list[Expr]:
    """The factors that a weight of zero silences, in order."""
    return [node.args[1] for node in toposort(roots) if node.op is masked_mul]


def _plain_product(node: Expr, args: tuple[Expr, ...]) -> Expr:
    return args[0] * args[1] if node.op is masked_mul else rebuild(node, args)


def _infinite(x: Expr) -> Expr:
    """1 if an element is infinite or NaN, else 0, but for sums that overflow: int64, rank 0."""
    total = reduce_sum(x, range(x.rank))
    return reshape(cast(isnan(total * 0.0), "int64"), ())
