"""Callbacks: what else happens in a run, after steps and epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..symbolic.arguments import checked
from .checkpoints import require_safetensors

Array = np.ndarray[Any, Any]


class Trainer(Protocol):
    """What callbacks may ask of a trainer; ``lossgraph.training.Trainer`` is one."""

    steps: int
    hyper: dict[str, float]
    learning_rate: float

    def step(self, batch: Mapping[str, Any]) -> float:
        """One step on a batch."""

    def evaluate(self, batch: Mapping[str, Any]) -> float:
        """The loss of a batch."""

    def outputs(self, batch: Mapping[str, Any]) -> dict[str, Array]:
        """The loss of a batch and the model's outputs."""

    @property
    def weights(self) -> dict[str, Array]:
        """Copies of the weights of the model that a run changes."""

    def assign(self, arrays: Mapping[str, Any]) -> None:
        """Set parameters and parts of the state."""

    def stop(self, reason: str) -> None:
        """End the run."""

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint."""


class Callback:
    """What ``fit`` calls; all methods may be left out.

    >>> class Halve(Callback):
    ...     def on_epoch(self, trainer, row):
    ...         if row["epoch"] % 10 == 0:
    ...             trainer.learning_rate /= 2

    A callback ends a run by ``trainer.stop(reason)``.
    """

    def on_begin(self, trainer: Trainer) -> None:
        """Before the first step, also of a run that goes on."""

    def on_step(self, trainer: Trainer, loss: float) -> None:
        """After each batch, with its loss."""

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float]) -> None:
        """After each epoch, with its row of the history."""

    def on_end(self, trainer: Trainer) -> None:
        """When the run is over."""

    def state(self) -> Mapping[str, Any]:
        """What it has to know to go on: numbers, texts and arrays, by name."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with what ``state`` was."""


class EarlyStopping(Callback):
    """Ends a run when nothing has become better for some epochs.

    Args:
        patience: so many epochs.
        monitor: a column of the history; by default the loss of validation, or that of training if
            there is none.
        maximize: whether more is better, as of an accuracy.
        min_delta: how much better counts.
        restore: let the weights of the model be again what they were after the best epoch.
    """

    @checked
    def __init__(
        self,
        patience: int = 3,
        monitor: str | None = None,
        maximize: bool = False,
        min_delta: float = 0.0,
        restore: bool = True,
    ) -> None:
        if patience < 1:
            raise InputError(f"patience: expected at least 1 epoch, got {patience}")
        self.patience, self.monitor, self.min_delta = patience, monitor, min_delta
        self._sign, self._restores = -1 if maximize else 1, restore
        self.best, self.waited = self._sign * math.inf, 0
        self._weights: dict[str, Array] = {}

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float]) -> None:
        value = monitored(row, self.monitor)
        if self._sign * value < self._sign * self.best - self.min_delta:
            self.best, self.waited = value, 0
            if self._restores:
                self._weights = trainer.weights
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop(f"no better than {self.best:.6g} for {self.waited} epochs")

    def on_end(self, trainer: Trainer) -> None:
        trainer.assign(self._weights)

    def state(self) -> Mapping[str, Any]:
        return {"best": self.best, "waited": self.waited, **self._weights}

    def restore(self, state: Mapping[str, Any]) -> None:
        numbers = {"best": state["best"], "waited": state["waited"]}
        self.best, self.waited = numbers.values()
        self._weights = {name: array for name, array in state.items() if name not in numbers}


class Checkpoints(Callback):
    """Saves the trainer again and again, so that ``Trainer.load`` can go on.

    Args:
        path: the file, which is replaced each time; with a place for the number of steps, as in
            ``"run-{steps:06d}.safetensors"``, it is another one.
        every_steps: after so many steps.
        every_epochs: after so many epochs.
        keep: how many files to keep, the last ones; None for all.
        best: save only after epochs that are better than all before, by the loss of validation, or
            by another column of the history in which less is better.
    """

    @checked
    def __init__(
        self,
        path: str | Path,
        every_steps: int | None = None,
        every_epochs: int | None = None,
        keep: int | None = None,
        best: bool | str = False,
    ) -> None:
        for name, value in (("every_steps", every_steps), ("every_epochs", every_epochs)):
            if value is not None and value < 1:
                raise InputError(f"{name}: expected at least 1, got {value}")
        if keep is not None and keep < 1:
            raise InputError(f"keep: expected at least 1 file, got {keep}")
        self.path, self.keep, self.best = str(path), keep, best
        self.every_steps = every_steps
        self.every_epochs = every_epochs or (None if every_steps else 1)
        self.value = math.inf
        self._saved: list[str] = []
        self._last = -1

    def on_begin(self, trainer: Trainer) -> None:
        require_safetensors()  # not only when there is something to lose
        self._last = trainer.steps

    def on_step(self, trainer: Trainer, loss: float) -> None:
        if self.every_steps and trainer.steps - self._last >= self.every_steps:
            self._last = trainer.steps
            self._save(trainer)

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float]) -> None:
        if self.best:
            value = monitored(row, None if self.best is True else self.best)
            if not value < self.value:
                return
            self.value = value
        elif self.every_epochs is None or row["epoch"] % self.every_epochs:
            return
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        path = self.path.format(steps=trainer.steps)
        self._saved = [*(p for p in self._saved if p != path), path]
        old = self._saved[: -self.keep] if self.keep else []
        self._saved = self._saved[len(old) :]
        trainer.save(path)
        for gone in old:
            Path(gone).unlink(missing_ok=True)

    def state(self) -> Mapping[str, Any]:
        return {"value": self.value, "saved": self._saved}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.value, self._saved = state["value"], list(state["saved"])


def monitored(row: Mapping[str, float], name: str | None) -> float:
    """A value of a row; by default the loss of validation if there is one.

    Raises:
        InputError: if there is none of this name.
    """
    if name is None:
        return row.get("validation_loss", row["loss"])
    if name not in row:
        raise InputError(f"the history has no {name!r}: it has {list(row)}")
    return row[name]
