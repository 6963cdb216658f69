"""What ``build`` makes: the graphs of a training step, and what they begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from ..ir.dims import Dim
from ..ir.expr import Expr
from .optimizers.optimizer import Optimizer

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True)
class TrainingStep:
    """The graphs of a training step.

    All are of standard operators, with a dynamic batch. Parameters go by the names that they have
    in the model.

    Attributes:
        model: the inference model that was given.
        gradients: from the batch and the parameters to ``loss`` and ``grad_<parameter>``.
        train: from the batch, the parameters, ``state`` and ``hyper`` to ``loss``, and
            ``next_<name>`` of each parameter and each part of the state.
        evaluate: from the batch and the parameters to ``loss`` and the outputs of the model.
        parameters: the parameters that are trained, as they are in the model.
        state: what the optimizer keeps between steps, as it is in the beginning, by name.
        hyper: scalars that are inputs of ``train`` and may differ from step to step, like
            ``learning_rate``, as they are in the beginning.
        batch: the names of what a batch consists of: the inputs of the model and of the loss.
        left_out: the floating initializers that are not trained, with the reason.
        optimizer: the optimizer.
        labels: what is a class label, an input or an expression of inputs, with the number of
            classes.
    """

    model: onnx.ModelProto
    gradients: onnx.ModelProto
    train: onnx.ModelProto
    evaluate: onnx.ModelProto
    parameters: Arrays
    state: Arrays
    hyper: Mapping[str, float]
    batch: tuple[str, ...]
    left_out: Mapping[str, str]
    optimizer: Optimizer
    labels: Sequence[tuple[str | Expr, Dim]] = ()

    @property
    def trainable(self) -> tuple[str, ...]:
        """The names of what is trained."""
        return tuple(self.parameters)
