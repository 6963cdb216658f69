"""``Trainer.fit``: epochs of steps, with validation, callbacks and a history.

What a run has to know to go on is a ``Run``, which goes into checkpoints.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import InputError, LossgraphError
from .callbacks import Callback, Checkpoints, Trainer
from .history import History, Row
from .progress import Bar, bar_for

Batch = Mapping[str, Any]
Batches = Iterable[Batch] | Callable[[int], Iterable[Batch]]
Metrics = Mapping[str, Callable[[Mapping[str, Any], Batch], float]]
Array = np.ndarray[Any, Any]


@dataclass
class Mean:
    """A mean over samples, of which a batch has several."""

    total: float = 0.0
    samples: int = 0

    def add(self, value: float, samples: int) -> None:
        """The mean of some more samples."""
        self.total += value * samples
        self.samples += samples

    @property
    def value(self) -> float:
        return self.total / self.samples if self.samples else math.nan


@dataclass
class Run:
    """How far a run has come.

    Attributes:
        epoch: how many epochs are complete.
        batches: how many batches of the next one are done.
        loss: their mean loss.
        seconds: how long they took.
        history: what was.
        reason: why a callback ended the run.
        callbacks: those that are asked for their state.
        waiting: states of callbacks that a checkpoint had, until they are taken up.
    """

    epoch: int = 0
    batches: int = 0
    loss: Mean = field(default_factory=Mean)
    seconds: float = 0.0
    history: History = field(default_factory=History)
    reason: str = ""
    callbacks: Sequence[Callback] = ()
    waiting: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def to_json(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What it is, and the arrays that callbacks keep."""
        states = [(type(each).__name__, dict(each.state())) for each in self.callbacks]
        states = states or self.waiting
        arrays = {
            f"callback{i}.{name}": value
            for i, (_, state) in enumerate(states)
            for name, value in state.items()
            if isinstance(value, np.ndarray)
        }
        plain = [
            (kind, {n: v for n, v in state.items() if not isinstance(v, np.ndarray)})
            for kind, state in states
        ]
        said = {
            "epoch": self.epoch, "batches": self.batches, "seconds": self.seconds,
            "loss": [self.loss.total, self.loss.samples], "history": self.history.to_json(),
            "reason": self.reason, "callbacks": plain,
        }  # fmt: skip
        return said, arrays

    @classmethod
    def of_json(cls, said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Run:
        """The run that ``to_json`` described."""
        waiting = []
        for i, (kind, state) in enumerate(said["callbacks"]):
            prefix = f"callback{i}."
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            waiting.append((kind, {**state, **own}))
        return cls(
            said["epoch"], said["batches"], Mean(*said["loss"]), said["seconds"],
            History.of_json(said["history"]), said["reason"], (), waiting,
        )  # fmt: skip

    def take_up(self, callbacks: Sequence[Callback]) -> None:
        """Let callbacks go on with what those of the same kinds had, in their order."""
        for each in callbacks:
            kind = type(each).__name__
            found = next((i for i, (name, _) in enumerate(self.waiting) if name == kind), None)
            if found is not None:
                each.restore(self.waiting.pop(found)[1])
        self.callbacks = callbacks


@dataclass(frozen=True)
class Plan:
    """What ``fit`` was asked for."""

    batches: Batches
    epochs: int
    validation: Batches | None
    schedule: Callable[[int], float] | None
    metrics: Metrics


def run(trainer: Trainer, state: Run, plan: Plan, callbacks: Sequence[Callback], bar: Any) -> None:
    """Run until all epochs are complete, or a callback ends it."""
    # What is saved after a step or an epoch has to have what others have noted of it.
    ordered = sorted(callbacks, key=lambda each: isinstance(each, Checkpoints))
    state.take_up(ordered)
    for each in ordered:
        each.on_begin(trainer)
    with bar_for(bar, plan.epochs, _length(plan.batches)) as shown:
        while state.epoch < plan.epochs and not state.reason:
            _epoch(trainer, state, plan, shown)
    for each in ordered:
        each.on_end(trainer)


def _epoch(trainer: Trainer, state: Run, plan: Plan, bar: Bar) -> None:
    """The rest of an epoch."""
    bar.begin(state.epoch, state.batches)
    for batch in _rest(plan.batches, state):
        began = time.perf_counter()
        if plan.schedule is not None:
            trainer.learning_rate = plan.schedule(trainer.steps)
        loss = _step(trainer, batch)
        state.batches += 1
        state.loss.add(loss, samples(batch))
        state.history.curve.add(loss)
        state.seconds += time.perf_counter() - began
        bar.step(loss)
        for each in state.callbacks:
            each.on_step(trainer, loss)
        if state.reason:
            return
    if not state.batches:
        raise InputError(
            f"epoch {state.epoch + 1}: there are no batches. An iterator gives its batches only "
            "once: give a list, a loader, or a function that makes them anew of the epoch's number"
        )
    _complete(trainer, state, plan, bar)


def _complete(trainer: Trainer, state: Run, plan: Plan, bar: Bar) -> None:
    """The end of an epoch: validation, its row, the callbacks."""
    row: Row = {
        "epoch": state.epoch + 1, "steps": trainer.steps, "loss": state.loss.value,
    }  # fmt: skip
    if plan.validation is not None:
        bar.validate()
        row |= validated(trainer, plan.validation, plan.metrics)
    row |= {"learning_rate": trainer.hyper.get("learning_rate", math.nan), "seconds": state.seconds}
    state.history.rows.append(row)
    state.epoch, state.batches, state.loss, state.seconds = state.epoch + 1, 0, Mean(), 0.0
    bar.end(row)
    for each in state.callbacks:
        each.on_epoch(trainer, row)


def validated(trainer: Trainer, batches: Batches, metrics: Metrics) -> Row:
    """The means over batches of the loss and of metrics."""
    means = {"validation_loss": Mean(), **{name: Mean() for name in metrics}}
    for batch in _of_epoch(batches, 0):
        count = samples(batch)
        if metrics:
            outputs = trainer.outputs(batch)
            means["validation_loss"].add(float(outputs["loss"]), count)
            for name, metric in metrics.items():
                means[name].add(float(metric(outputs, batch)), count)
        else:
            means["validation_loss"].add(trainer.evaluate(batch), count)
    if not means["validation_loss"].samples:
        raise InputError(
            "validation: there are no batches; an iterator gives them only once: give a list"
        )
    return {name: mean.value for name, mean in means.items()}


def samples(batch: Batch) -> int:
    """How many samples a batch has: the length of the first array that is no scalar."""
    for array in batch.values():
        shape = np.shape(array) if isinstance(array, (list, tuple)) else array.shape
        if len(shape):
            return int(shape[0])
    return 1


def _step(trainer: Trainer, batch: Batch) -> float:
    loss = trainer.step(batch)
    if math.isnan(loss):
        raise LossgraphError(
            f"step {trainer.steps + 1}: the loss is NaN. Parameters are as they were before it; is "
            "there a NaN in the batch, or is the learning rate too high?"
        )
    return loss


def _rest(batches: Batches, state: Run) -> Iterator[Batch]:
    """The batches of an epoch that are left."""
    return itertools.islice(_of_epoch(batches, state.epoch), state.batches, None)


def _of_epoch(batches: Batches, epoch: int) -> Iterator[Batch]:
    return iter(batches(epoch) if callable(batches) else batches)


def _length(batches: Batches) -> int | None:
    """How many batches an epoch has, where that is known."""
    try:
        return len(batches)  # type: ignore[arg-type]
    except TypeError:
        return None
