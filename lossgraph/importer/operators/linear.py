"""Products of matrices."""

from __future__ import annotations

from ...ir import ops
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import translates


@translates("MatMul")
def _matmul(node: Node) -> Expr:
    """As NumPy's: a vector is a row on the left and a column on the right, and its 1 is dropped."""
    a, b = node[0], node[1]
    left = ops.expand_dims(a, (0,)) if a.rank == 1 else a
    right = ops.expand_dims(b, (1,)) if b.rank == 1 else b
    product = ops.matmul(left, right)
    if a.rank == 1:
        product = ops.squeeze(product, (-2,))
    return ops.squeeze(product, (-1,)) if b.rank == 1 else product


@translates("Gemm", since=7)
def _gemm(node: Node) -> Expr:
    """alpha a b + beta c, a and b transposed if so asked for."""
    a, b, c = node[0], node[1], node.optional(2)
    turned = bool(node.attribute("transA", 0)), bool(node.attribute("transB", 0))
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    if alpha != 1.0:
        return _added(ops.mul(ops.gemm(a, b, None, *turned), const(alpha, a.dtype)), c, beta)
    if c is None or beta != 1.0:
        return _added(ops.gemm(a, b, None, *turned), c, beta)
    return ops.gemm(a, b, c, *turned)


def _added(product: Expr, c: Expr | None, beta: float) -> Expr:
    if c is None:
        return product
    return ops.add(product, c if beta == 1.0 else ops.mul(c, const(beta, c.dtype)))
