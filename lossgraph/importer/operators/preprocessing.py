"""Operators that bring the inputs of models of scikit-learn to a scale."""

from __future__ import annotations

import numpy as np

from ...ir import ops
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import NotTranslatedError, translates

_ML = "ai.onnx.ml"


@translates("Scaler", domain=_ML)
def _scaler(node: Node) -> Expr:
    """(x - offset) scale, of any numbers in float32."""
    shifted = ops.sub(ops.cast(node[0], "float32"), _features(node, "offset", 0.0))
    return ops.mul(shifted, _features(node, "scale", 1.0))


@translates("Binarizer", domain=_ML)
def _binarizer(node: Node) -> Expr:
    """1 above a threshold, else 0."""
    x = node[0]
    if not x.type.is_float:
        raise NotTranslatedError("it is of floats alone")
    above = ops.greater(x, const(node.attribute("threshold", 0.0), x.dtype))
    return ops.cast(above, x.dtype)


def _features(node: Node, attribute: str, default: float) -> Expr:
    """Numbers for the columns, or one for all of them."""
    return const(np.asarray(node.attribute(attribute, [default]), np.float32))
