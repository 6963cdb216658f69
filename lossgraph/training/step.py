"""What ``build`` makes: the graphs of a training step, and what they begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from .gradient_graph import GradientGraph
from .optimizers.optimizer import Optimizer

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
        optional: the names of inputs that the loss need not have, and has not here, like weights
            of classes.
        variant: the step that has some of them.
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
    optional: frozenset[str] = frozenset()
    variant: Callable[[frozenset[str]], TrainingStep] | None = None

    def with_inputs(self, *names: str) -> TrainingStep:
        """The step whose loss takes some of its optional inputs too."""
        chosen = frozenset(names)
        return self.variant(chosen) if chosen and self.variant is not None else self

    @property
    def trainable(self) -> tuple[str, ...]:
        """The names of what is trained."""
        return tuple(self.parameters)
