"""The trainer: runs a training step, and keeps parameters and state where the engine has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import InputError
from ..ir.types import numpy_dtype
from ..models.declared_types import input_types, output_types
from ..runtime.resident import Residents, ResidentSession, device_for
from .batches import BatchReader
from .exporting import exported
from .step import TrainingStep

LOSS = "loss"
_NEXT = "next_"

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
        self._step = step
        self._engine = {"providers": providers, "threads": threads}
        self.hyper: dict[str, float] = {name: float(value) for name, value in step.hyper.items()}
        self.steps = 0
        types = input_types(step.train)
        self._dtypes = {name: numpy_dtype(types[name].dtype) for name in step.hyper}
        self._residents = Residents({**step.parameters, **step.state}, device_for(providers))
        self._reader = BatchReader(step)
        outputs = output_types(step.train)
        written = {name: name.removeprefix(_NEXT) for name in outputs if name.startswith(_NEXT)}
        others = {name: type_ for name, type_ in outputs.items() if name not in written}
        self._session = ResidentSession(
            step.train, self._residents, written, others, providers, threads
        )

    def step(self, batch: Mapping[str, Any]) -> float:
        """One step on a batch: a dict of arrays or tensors by input name.

        Returns:
            The loss before the step. Where it is NaN no step is made.

        Raises:
            InputError: for a batch that does not fit; parameters and state are as they were.
        """
        feeds = self._reader.read(batch)
        loss = float(self._session.run({**feeds, **self._scalars()})[LOSS])
        if math.isnan(loss):
            self._reader.check_labels(feeds)
        else:
            self._residents.advance()
            self.steps += 1
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
        feeds = self._reader.read(batch)
        made = self._evaluation.run(feeds)
        if math.isnan(made[LOSS]):
            self._reader.check_labels(feeds)
        return made

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
        names = (*self._step.parameters, *self._step.state)
        return exported(self._step.model, {n: self._residents.view(n) for n in names}, path)

    @cached_property
    def _evaluation(self) -> ResidentSession:
        outputs = output_types(self._step.evaluate)
        return ResidentSession(self._step.evaluate, self._residents, {}, outputs, **self._engine)

    def _scalars(self) -> dict[str, Array]:
        """The scalars of a step, as arrays.

        Raises:
            InputError: for one that the step has not.
        """
        if self.hyper.keys() != self._dtypes.keys():
            unknown = [name for name in self.hyper if name not in self._dtypes]
            raise InputError(f"hyper: {unknown} is none of {list(self._dtypes)}")
        return {name: np.asarray(v, self._dtypes[name]) for name, v in self.hyper.items()}
