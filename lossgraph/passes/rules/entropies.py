"""Products with logarithms, which are 0 where the other factor is: ``p (log(p) - log(q))``."""

from __future__ import annotations

from ...ir import ops
from ...ir.expr import Expr, scalar_value
from .conditions import provably_positive

LAW = "x*log(y) = 0 where x = 0"
_DEPTH = 12  # of sums and multiples of logarithms that are looked through


def product_with_logarithm(node: Expr) -> tuple[Expr, str] | None:
    """What a product with a logarithm becomes, and the law; None for any other node."""
    if node.op is not ops.mul:
        return None
    for x, y in (node.args, node.args[::-1]):
        if scalar_value(x) is None and not provably_positive(x) and not _has_logarithm(x):
            found = _weighted(x, y, _DEPTH)
            if found is not None and found.type == node.type:
                return found, LAW
    return None


_LOGARITHMS = (ops.log, ops.log1p)


def _has_logarithm(x: Expr, depth: int = _DEPTH) -> bool:
    """Whether a term of x is one: then it is no weight of another."""
    if x.op in _LOGARITHMS:
        return True
    return bool(depth) and x.op in _TERMS and any(_has_logarithm(a, depth - 1) for a in x.args)


_TERMS = (ops.add, ops.sub, ops.neg, ops.mul)


def _weighted(x: Expr, y: Expr, depth: int) -> Expr | None:
    """``x y``, each logarithm in ``y`` with ``x`` for itself; None if there is none."""
    if y.op in _LOGARITHMS:
        return _times_logarithm(x, y)
    if not depth:
        return None
    if y.op is ops.neg:
        found = _weighted(x, y.args[0], depth - 1)
        return None if found is None else -found
    if y.op in (ops.add, ops.sub):
        parts = [_weighted(x, arg, depth - 1) for arg in y.args]
        if parts[0] is None and parts[1] is None:
            return None
        left, right = (
            x * arg if part is None else part for arg, part in zip(y.args, parts, strict=True)
        )
        return y.op(left, right)
    if y.op is ops.mul:
        for w, z in (y.args, y.args[::-1]):
            if scalar_value(w) is not None:
                found = _weighted(x, z, depth - 1)
                return None if found is None else found * w
        for w, z in (y.args, y.args[::-1]):
            if z.op in _LOGARITHMS and not _has_logarithm(w):
                return _weighted(x * w, z, depth - 1)
    if y.op is ops.div and scalar_value(y.args[1]) is not None:
        found = _weighted(x, y.args[0], depth - 1)
        return None if found is None else found / y.args[1]
    return None


def _times_logarithm(x: Expr, logarithm: Expr) -> Expr | None:
    (inside,) = logarithm.args
    if provably_positive(inside) or scalar_value(inside) is not None:
        return None
    if logarithm.op is ops.log1p:
        return ops.xlog1py(x, inside)
    if inside.op is ops.div and inside.args[0] is x:
        return ops.relative_entropy(x, inside.args[1])
    if inside.op is ops.div and inside.args[1] is x:
        return -ops.relative_entropy(x, inside.args[0])
    return ops.xlogy(x, inside)
