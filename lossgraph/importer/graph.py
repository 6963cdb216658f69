"""A model as expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx

from ..ir.expr import Expr


@dataclass(frozen=True)
class Graph:
    """A model as expressions of its outputs.

    Attributes:
        inputs: what has to be given, by name.
        weights: the weights that are inputs of the expressions too, by name; their values stand in
            the model. Small constants are in the expressions.
        outputs: the expressions of the outputs, by name.
        values: those of every value of the model's own graph.
        labels: what an error calls the node that a value came of.
        dims: the model's own names of dims, by ours.
        model: the model.
        moves: what initializers are after a batch that move with it, like running statistics.
    """

    inputs: Mapping[str, Expr]
    weights: Mapping[str, Expr]
    outputs: Mapping[str, Expr]
    values: Mapping[str, Expr]
    labels: Mapping[Expr, str]
    dims: Mapping[str, str]
    model: onnx.ModelProto
    moves: Mapping[str, Expr] = field(default_factory=dict)

    def to_onnx(self, opset: int | None = None) -> onnx.ModelProto:
        """The expressions as a model again, with the names, weights and metadata that it had.

        Args:
            opset: the version of the standard operators; the model's own by default.

        Raises:
            LoweringError: where an operator that is kept as it was means something else there.
        """
        from .writing import written

        return written(self, opset)
