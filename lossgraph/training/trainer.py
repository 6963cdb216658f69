"""The trainer: runs a training step, and keeps parameters and state where the engine has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import InputError
from ..runtime.resident import Residents, device_for
from .exporting import exported
from .runs import LOSS, StepRuns, as_arrays
from .step import Arrays, TrainingStep

Array = np.ndarray[Any, Any]


class Trainer:
    """Trains by the graphs of a step.

    Parameters and the optimizer's state stay on the device between steps, in two sets of buffers,
    of which a step reads one and writes the other.

    Args:
        step: what ``lg.training.build`` made; it is not changed.
        providers: where it runs: ``"cpu"``, ``"cuda"``, or a list as ``lg.compile`` takes it.
        threads: how many threads an operator may use on the CPU; None for all.

    Attributes:
        hyper: scalars that may differ from step to step, like ``learning_rate``; assign to change
            them.
        steps: how many steps were made.

    >>> trainer = Trainer(step)                                                 # doctest: +SKIP
    >>> trainer.step({"x": x, "label": y})                                      # doctest: +SKIP
    2.302585
    """

    def __init__(
        self, step: TrainingStep, providers: Any = "cpu", threads: int | None = None
    ) -> None:
        self._begin(step, {**step.parameters, **step.state}, providers, threads)

    def _begin(self, step: TrainingStep, arrays: Arrays, providers: Any, threads: Any) -> None:
        self._step = step
        self._engine = {"providers": providers, "threads": threads}
        self.hyper: dict[str, float] = {name: float(value) for name, value in step.hyper.items()}
        self.steps = 0
        self._batches = 0  # since the last step
        self._residents = Residents(arrays, device_for(providers))
        self._runs: dict[int, StepRuns] = {}
        self._runs_of(step)

    def step(self, batch: Mapping[str, Any]) -> float:
        """One step on a batch: a dict of arrays or tensors by input name.

        Where several batches make a step, their gradients are added until there are enough.

        Returns:
            The loss before the step. Where it is NaN, nothing is changed.

        Raises:
            InputError: for a batch that does not fit; parameters and state are as they were.
        """
        runs, feeds = self._prepared(batch)
        moves = self._batches + 1 >= self._step.accumulation
        if moves:
            session, scalars = runs.train, self._scalars()
        else:
            session, scalars = runs.accumulate, {}
        loss = float(session.run({**feeds, **scalars})[LOSS])
        if math.isnan(loss):
            runs.check_labels(feeds)
            return loss
        session.accept()
        self.steps += moves
        self._batches = 0 if moves else self._batches + 1
        return loss

    def evaluate(self, batch: Mapping[str, Any]) -> float:
        """The loss of a batch, in the form of the model that is meant for inference.

        Raises:
            InputError: for a batch that does not fit.
        """
        return float(self.outputs(batch)[LOSS])

    def outputs(self, batch: Mapping[str, Any]) -> dict[str, Array]:
        """The loss of a batch and the model's outputs, by name.

        Raises:
            InputError: for a batch that does not fit.
        """
        runs, feeds = self._prepared(batch)
        made = runs.evaluation.run(feeds)
        if math.isnan(made[LOSS]):
            runs.check_labels(feeds)
        return made

    def _prepared(self, batch: Mapping[str, Any]) -> tuple[StepRuns, dict[str, Any]]:
        """What runs a batch, and its arrays, which were checked."""
        arrays, step = as_arrays(batch, self._step.batch), self._step
        if arrays.keys() > set(step.batch):  # it has optional inputs too, or what is unknown
            step = step.for_batch(arrays)
        runs = self._runs_of(step)
        arrays = runs.as_declared(arrays)
        runs.check(arrays)
        return runs, arrays

    def _runs_of(self, step: TrainingStep) -> StepRuns:
        """The sessions of a step; there is one for each choice of optional inputs."""
        if id(step) not in self._runs:
            self._runs[id(step)] = StepRuns(step, self._residents, **self._engine)
        return self._runs[id(step)]

    @property
    def parameters(self) -> dict[str, Array]:
        """Copies of the parameters as they are now, by name."""
        return {name: self._residents.view(name).copy() for name in self._step.parameters}

    @property
    def state(self) -> dict[str, Array]:
        """Copies of what the optimizer keeps, as it is now, by name."""
        return {name: self._residents.view(name).copy() for name in self._step.state}

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.hyper["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self.hyper["learning_rate"] = float(rate)

    def export(self, path: str | Path | None = None) -> onnx.ModelProto:
        """The inference model with the weights as they are now; in a file too, if a path is given.

        Names, metadata, dims and structure are those of the model that was given. The file is
        written whole or not at all; weights are in another file beside it where they were so, or
        where a file cannot hold them.
        """
        arrays = {name: self._residents.view(name) for name in self._residents}
        return exported(self._step.model, self._step.initializers(arrays), path)

    def _scalars(self) -> dict[str, Array]:
        """The scalars of a step, as arrays.

        Raises:
            InputError: for one that the step has not.
        """
        known = self._step.hyper
        if self.hyper.keys() != known.keys():
            unknown = [name for name in self.hyper if name not in known]
            raise InputError(f"hyper: {unknown} is none of {list(known)}")
        return {name: np.asarray(v, known[name].dtype) for name, v in self.hyper.items()}
