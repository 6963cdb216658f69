"""The trainer: runs a training step, and keeps parameters and state between steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from .step import TrainingStep


class Trainer:
    """Runs the graphs of a step."""

    def __init__(self, step: TrainingStep, providers: Sequence[str] = ("cpu",)) -> None:
        self._step = step
        self._parameters = dict(step.parameters)
        self._state = dict(step.state)
        options = onnxruntime.SessionOptions()
        self._session = onnxruntime.InferenceSession(
            step.train.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def step(self, batch: Mapping[str, Any]) -> float:
        """One step on a batch; the loss before it."""
        made = self._session.run(
            None, {**batch, **self._parameters, **self._state, **self._step.hyper}
        )
        following = dict(zip(self._outputs, made, strict=True))
        self._parameters = {name: following[f"next_{name}"] for name in self._parameters}
        self._state = {name: following[f"next_{name}"] for name in self._state}
        return float(following["loss"])

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as they are now."""
        return dict(self._parameters)
