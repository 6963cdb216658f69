"""The trainer: runs a training step, and keeps parameters and state where the engine has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import InputError
from ..runtime.resident import Residents, device_for
from ..symbolic.arguments import checked
from .callbacks import Callback
from .checkpoints import read_checkpoint, write_checkpoint
from .exporting import exported
from .fitting import Plan, Run, run
from .history import History
from .runs import LOSS, StepRuns, as_arrays, large_weights
from .step import Arrays, TrainingStep
from .updates import MASTER

Array = np.ndarray[Any, Any]

_RUN = "run."  # before names of arrays in a checkpoint that callbacks keep


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
        self._batches = 0  # since the last step
        self._residents = Residents({**step.parameters, **step.state}, device_for(providers))
        self._run: Run | None = None
        self._shared = large_weights(step)
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
            self._runs[id(step)] = StepRuns(
                step, self._residents, **self._engine, weights=self._shared
            )
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

    @property
    def weights(self) -> dict[str, Array]:
        """Copies of what the model has of them: parameters, and statistics that steps change."""
        known = {tensor.name for tensor in self._step.model.graph.initializer}
        return {
            name: self._residents.view(name).copy() for name in self._residents if name in known
        }

    def assign(self, arrays: Mapping[str, Any]) -> None:
        """Let parameters and parts of the state be copies of these arrays from now on.

        With a parameter of 16 bits goes its master copy of 32, where that is not given itself.

        Raises:
            InputError: for one that there is not, and for another dtype or shape.
        """
        copies = {name: np.array(array, order="C") for name, array in arrays.items()}
        self._require_same(copies)
        masters = {f"{name}.{MASTER}": array for name, array in copies.items()}
        wide = {n: a.astype(self._residents.view(n).dtype)
                for n, a in masters.items() if n in self._residents}  # fmt: skip
        for name, array in {**wide, **copies}.items():
            self._residents.assign(name, array)

    # --- runs ---

    @checked
    def fit(
        self,
        batches: Any,
        epochs: int = 1,
        *,
        validation: Any = None,
        callbacks: Sequence[Callback] = (),
        schedule: Any = None,
        metrics: Mapping[str, Any] | None = None,
        progress: Any = None,
    ) -> History:
        """Train for some epochs.

        A run that ended before they were complete, by Ctrl-C or because the trainer was loaded from
        a checkpoint of it, goes on where it was: with the batches of the epoch that are left, and
        the callbacks of the same kinds as they were. It ends with bit for bit what it would have
        been, if the batches are the same.

        Args:
            batches: dicts of arrays or tensors: a list, a loader, a function that makes them of the
                number of the epoch (0 for the first), as ``lg.training.Batches`` does.
            epochs: how many, those of a run that goes on included.
            validation: the same of other data, of which the loss is taken after each epoch.
            callbacks: what else happens, like ``EarlyStopping`` and ``Checkpoints``.
            schedule: the learning rate by the number of steps made, as of ``schedules``.
            metrics: further means over the validation data, by name: functions of the dict of
                outputs (numpy arrays) and the batch.
            progress: whether to show a bar; by default where standard error is a terminal.

        Returns:
            The history: a row for each epoch, and ``plot``.

        Raises:
            InputError: for batches that do not fit, or none.
            LossgraphError: if a loss is NaN; the parameters are those before that step.
        """
        if epochs < 0:
            raise InputError(f"epochs: expected at least 0, got {epochs}")
        if metrics and validation is None:
            raise InputError("metrics are those of validation data: give them as validation=")
        plan = Plan(batches, epochs, validation, schedule, metrics or {})
        state = self._run = self._run or Run()
        run(self, state, plan, callbacks, progress)
        self._run = None
        return state.history

    def stop(self, reason: str) -> None:
        """End the run after this batch or epoch, for callbacks."""
        if self._run is not None:
            self._run.reason = reason

    # --- files ---

    def save(self, path: str | Path) -> Path:
        """Write all that is needed to go on to a file of safetensors.

        It is written whole or not at all, whatever ends the process meanwhile.

        Raises:
            InputError: if safetensors is not installed, or the system refuses to write.
        """
        arrays = {name: self._residents.view(name) for name in self._residents}
        notes: dict[str, Any] = {"steps": self.steps, "batches": self._batches, "hyper": self.hyper}
        if self._run is not None:
            notes["run"], kept = self._run.to_json()
            arrays |= {f"{_RUN}{name}": array for name, array in kept.items()}
        return write_checkpoint(path, arrays, notes)

    @classmethod
    def load(
        cls,
        step: TrainingStep,
        path: str | Path,
        providers: Any = "cpu",
        threads: int | None = None,
    ) -> Trainer:
        """A trainer as it was saved.

        Args:
            step: the step that it was of, or one with the same parameters and state.
            path: the file.
            providers: where it runs.
            threads: how many threads an operator may use on the CPU.

        Raises:
            InputError: for a file that is no checkpoint, or one of other parameters.
        """
        arrays, notes = read_checkpoint(path)
        own = {name: array for name, array in arrays.items() if not name.startswith(_RUN)}
        made = cls(step, providers, threads)
        try:
            made._require_same(own, all_of_them=True)
        except InputError as error:
            raise error.reworded(f"{path}: {error}") from None
        for name, array in own.items():
            made._residents.assign(name, array)
        made.steps, made._batches = notes["steps"], notes["batches"]
        made.hyper.update({n: v for n, v in notes["hyper"].items() if n in made.hyper})
        if "run" in notes:
            kept = {n.removeprefix(_RUN): a for n, a in arrays.items() if n.startswith(_RUN)}
            made._run = Run.of_json(notes["run"], kept)
        return made

    def export(
        self, path: str | Path | None = None, external_data: bool | None = None
    ) -> onnx.ModelProto:
        """The inference model with the weights as they are now.

        Names, metadata, dims and structure are those of the model that was given.

        Args:
            path: a file to write it to as well, whole or not at all.
            external_data: write the weights to another file beside it, ``<path>.data``; None for
                where one file cannot hold them.

        Raises:
            InputError: if the system refuses to write.
        """
        arrays = {name: self._residents.view(name) for name in self._residents}
        return exported(self._step.model, self._step.initializers(arrays), path, external_data)

    def _require_same(self, arrays: Arrays, all_of_them: bool = False) -> None:
        """Refuse arrays that cannot take the place of what there is."""
        unknown = [name for name in arrays if name not in self._residents]
        missing = [name for name in self._residents if name not in arrays]
        if unknown or (missing and all_of_them):
            what = f"unknown {unknown[:8]}" if unknown else f"missing {missing[:8]}"
            raise InputError(
                f"{what}: the parameters are {list(self._step.parameters)[:8]}, the state of the "
                f"optimizer is {list(self._step.state)[:8]}; is it the same model and optimizer?"
            )
        for name, array in arrays.items():
            known = self._residents.view(name)
            if (known.dtype, known.shape) != (array.dtype, array.shape):
                raise InputError(
                    f"{name}: expected {known.dtype}{list(known.shape)}, got {array.dtype}"
                    f"{list(array.shape)}"
                )

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
