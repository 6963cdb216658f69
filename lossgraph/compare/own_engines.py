"""What lossgraph itself has to compare with: numpy, ONNX's reference evaluator, the whole graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from ..authoring.block import Block
from ..catalogue import Entry
from ..compiler.program import Program
from ..deploy.export import expected
from ..errors import LossgraphError
from ..models.model_runner import ModelRunner
from ..runtime.sessions import onnxruntime
from .checks import evaluate_model
from .outputs import Array, Arrays, Outputs, values_by_numpy

Answers = Sequence[Outputs | str]  # for each of the inputs, outputs or why there are none


@dataclass(frozen=True)
class Subject:
    """What is compared.

    Attributes:
        entry: the loss.
        loss: it with its options.
        program: its graph.
        arrays: the inputs.
        options: the options that were given.
    """

    entry: Entry
    loss: Block
    program: Program
    arrays: Arrays
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def grad(self) -> tuple[str, ...]:
        """By which inputs it is differentiated."""
        return tuple(self.program.wrt)


def _numpy(subject: Subject, inputs: Sequence[Arrays]) -> tuple[str, Answers]:
    """In float64: the value by the body of the loss on arrays, the gradients by the interpreter."""
    found: list[Outputs | str] = []
    for arrays in inputs:
        outputs = expected(subject.loss, subject.program, arrays)
        value = values_by_numpy(subject.loss, arrays, np.dtype(np.float64))
        found.append(outputs | {n: v.astype(outputs[n].dtype) for n, v in value.items()})
    return str(np.__version__), found


def _onnx_reference(subject: Subject, inputs: Sequence[Arrays]) -> tuple[str, Answers]:
    model = subject.program.to_onnx()
    return onnx.__version__, [_attempt(lambda a: evaluate_model(model, a), a) for a in inputs]


def _onnxruntime(subject: Subject, inputs: Sequence[Arrays]) -> tuple[str, Answers]:
    """The exported graph, run as a whole."""
    runner = ModelRunner(subject.program.to_onnx())
    return onnxruntime().__version__, [_attempt(runner.run, arrays) for arrays in inputs]


def _attempt(run: Callable[[dict[str, Array]], Outputs], arrays: Arrays) -> Outputs | str:
    try:
        return run(dict(arrays))
    except LossgraphError as error:
        return str(error).splitlines()[0]


OWN: Mapping[str, Callable[[Subject, Sequence[Arrays]], tuple[str, Answers]]] = {
    "numpy": _numpy,
    "onnx.reference": _onnx_reference,
    "onnxruntime": _onnxruntime,
}
