"""Speculative execution: assumptions about a run, and an output that checks them.

An exported graph is right for any arrays. Of a run we know more: that arrays have elements, by
their shapes, and that numbers are finite, nearly always. Products that define ``0 * inf`` cost a
third more than plain ones; under the assumption they are plain, and a sum of their factors, which
is finite only if every element is, says whether to run again without it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ..ir.expr import Expr, rebuild, toposort, transform
from ..ir.ops import cast, isnan, masked_mul, maximum, reduce_sum, reshape
from .costs import Target
from .rewrite import rewrite
from .rules import NONEMPTY

ASSUMPTION_FAILED = "_assumption_failed"  # the output that is positive where one may not hold


def speculate(roots: Sequence[Expr], target: Target) -> tuple[list[Expr], dict[str, Expr]]:
    """The roots under the assumptions of a target, and the output that checks them, if any."""
    assumed = rewrite(roots, NONEMPTY) if target.nonempty else list(roots)
    factors = _masked_factors(assumed) if target.finite else []
    if not factors:
        return assumed, {}
    plain = transform([*assumed, *factors], _plain_product)
    # The factors as the plain graph has them: they may contain such products themselves.
    checks = map(_is_not_finite, dict.fromkeys(plain[len(assumed) :]))
    return plain[: len(assumed)], {ASSUMPTION_FAILED: functools.reduce(maximum, checks)}


def _masked_factors(roots: Sequence[Expr]) -> list[Expr]:
    """The factors that a weight of zero masks, in order."""
    return [node.args[1] for node in toposort(roots) if node.op is masked_mul]


def _plain_product(node: Expr, args: tuple[Expr, ...]) -> Expr:
    return args[0] * args[1] if node.op is masked_mul else rebuild(node, args)


def _is_not_finite(x: Expr) -> Expr:
    """1 if an element is infinite or NaN, or the sum overflows, else 0: int64, rank 0."""
    total = reduce_sum(x, range(x.rank))
    return reshape(cast(isnan(total * 0.0), "int64"), ())
