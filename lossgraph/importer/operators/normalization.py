"""Operators that normalize."""

from __future__ import annotations

from ...ir import ops
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import NotTranslatedError, translates


@translates("BatchNormalization", since=7)
def _batch_normalization(node: Node) -> Expr:
    """By statistics that are given: scale (x - mean) / sqrt(var + epsilon) + bias."""
    if node.attribute("training_mode", 0):
        raise NotTranslatedError("it computes its statistics itself")
    x = node[0]
    after = range(1, x.rank - 1)  # the axes behind the channels
    scale, bias, mean, var = (ops.expand_dims(node[k], after) for k in (1, 2, 3, 4))
    deviation = ops.sqrt(ops.add(var, const(node.attribute("epsilon", 1e-5), var.dtype)))
    return ops.add(ops.mul(ops.sub(x, mean), ops.div(scale, deviation)), bias)
