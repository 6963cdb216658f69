"""What ``build`` makes: the graphs of a training step, and what they begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from ..ir.dims import Dim
from ..ir.expr import Expr
from .gradient_graph import GradientGraph
from .optimizers.optimizer import Optimizer
from .tying import Tie

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class TrainingStep:
    """The graphs of a training step.

    All are of standard operators, with a dynamic batch. Parameters go by the names that they have
    in the model.

    Attributes:
        model: the inference model that was given.
        gradients: from the batch and the parameters to ``loss`` and ``grad_<parameter>``; also a
            function of arrays.
        train: from the batch, the parameters, ``state`` and ``hyper`` to ``loss``, and
            ``next_<name>`` of each parameter and each part of the state.
        evaluate: from the batch and the parameters to ``loss`` and the outputs of the model.
        parameters: the parameters that are trained, as they are in the model.
        state: what the optimizer keeps between steps, as it is in the beginning, by name.
        hyper: scalars that are inputs of ``train`` and may differ from step to step, like
            ``learning_rate``, as they are in the beginning: arrays of the dtype that they have.
        batch: the names of what a batch consists of: the inputs of the model and of the loss.
        left_out: the floating initializers that are not trained, with the reason.
        optimizer: the optimizer.
        accumulate: with gradients of several batches in a step, the graph of all but the last of
            them: from the batch, the parameters and ``state`` to ``loss`` and ``next_<name>`` of
            the sums of gradients, which are parts of the state. ``train`` is that of the last: it
            adds the gradients of its batch, moves by the mean, and begins the sums again. Both
            leave out of their inputs and outputs what of the state they have no use for. None
            where each batch is a step.
        accumulation: the number of batches in a step.
        tied: what the copies are that parameters stand for, by the names of the copies.
        optional: the names of inputs that the loss need not have, and has not here, like weights
            of classes.
        variant: the step that has those of them that a batch has.
        labels: what is a class label, an input or an expression of inputs, with the number of
            classes.
    """

    model: onnx.ModelProto
    gradients: GradientGraph
    train: onnx.ModelProto
    evaluate: onnx.ModelProto
    parameters: Arrays
    state: Arrays
    hyper: Arrays
    batch: tuple[str, ...]
    left_out: Mapping[str, str]
    optimizer: Optimizer
    accumulate: onnx.ModelProto | None = None
    accumulation: int = 1
    tied: Mapping[str, Tie] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    variant: Callable[[Mapping[str, Any]], TrainingStep] | None = None
    labels: Sequence[tuple[str | Expr, Dim]] = ()

    def for_batch(self, arrays: Mapping[str, Any]) -> TrainingStep:
        """The step whose loss takes those of its optional inputs too that a batch has."""
        if self.variant is None or self.optional.isdisjoint(arrays):
            return self
        return self.variant(arrays)

    @property
    def trainable(self) -> tuple[str, ...]:
        """The names of what is trained."""
        return tuple(self.parameters)

    def initializers(self, parameters: Arrays) -> dict[str, Any]:
        """Parameters, and the copies that they stand for, as the model has them."""
        copies = {name: tie.of(parameters[tie.parameter]) for name, tie in self.tied.items()}
        return {**parameters, **copies}
