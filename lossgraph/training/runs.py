"""What runs the graphs of a step, on batches that are checked before the engine sees them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
import onnx

from ..errors import InputError
from ..ir.dims import names
from ..ir.types import TensorType
from ..models.declared_types import declared_type, input_types
from ..runtime.arrays import device_of, stand_in, to_numpy
from ..runtime.input_checks import check_arrays
from ..runtime.resident import Residents, ResidentSession
from ..runtime.runner import check_class_labels
from .feeds import as_declared
from .step import TrainingStep

LOSS, NEXT = "loss", "next_"

# Batches of sizes that were right are not compared again, which takes 20 us.
_MOST_KINDS = 256


class StepRuns:
    """The sessions of a step, each made when it is first used.

    Args:
        step: the step.
        residents: its parameters and state.
        providers: where the sessions run.
        threads: how many threads an operator may use on the CPU.
    """

    def __init__(
        self, step: TrainingStep, residents: Residents, providers: Any, threads: int | None
    ) -> None:
        self._step, self._residents = step, residents
        self._engine = {"providers": providers, "threads": threads}
        found = input_types(step.train)
        self._types: dict[str, TensorType] = {name: found[name] for name in step.batch}
        self._checked: set[Any] = set()

    @cached_property
    def train(self) -> ResidentSession:
        """The session of a step."""
        return self._session(self._step.train)

    @cached_property
    def accumulate(self) -> ResidentSession:
        """The session that adds the gradients of a batch to those of others."""
        assert self._step.accumulate is not None
        return self._session(self._step.accumulate)

    @cached_property
    def evaluation(self) -> ResidentSession:
        """The session of the loss and the outputs of the model."""
        return self._session(self._step.evaluate)

    def _session(self, model: onnx.ModelProto) -> ResidentSession:
        outputs = dict(_tensors(model))
        known = set(self._residents)
        following = {name: name.removeprefix(NEXT) for name in outputs if name.startswith(NEXT)}
        written = {output: name for output, name in following.items() if name in known}
        return ResidentSession(model, self._residents, outputs, written, **self._engine)

    def as_declared(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Integers in the dtypes that the step takes, where nothing is lost."""
        return as_declared(arrays, self._types)

    def check(self, arrays: Mapping[str, Any]) -> None:
        """Refuse arrays that the step does not take.

        Raises:
            InputError: for an input that is missing, unknown, or not of its type, and for dims of
                one name that differ.
        """
        kinds = tuple((name, array.dtype, array.shape) for name, array in arrays.items())
        if kinds not in self._checked:
            check_arrays(self._types, {name: stand_in(name, a) for name, a in arrays.items()})
            if len(self._checked) >= _MOST_KINDS:
                self._checked.clear()
            self._checked.add(kinds)

    def check_labels(self, arrays: Mapping[str, Any]) -> None:
        """Refuse class labels that are none of the classes, for which the loss is NaN.

        Raises:
            InputError: naming the first.
        """
        read = {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
        if len(read) == len(arrays):
            sizes = check_arrays(self._types, read)
            labels = self._step.labels
            known = ((label, count) for label, count in labels if names(count) <= sizes.keys())
            check_class_labels(known, read, sizes)


def _tensors(model: onnx.ModelProto) -> Iterator[tuple[str, TensorType]]:
    """The outputs that are tensors of a known rank, with their types."""
    for info in model.graph.output:
        with suppress(InputError):
            yield info.name, declared_type(info)


def as_arrays(batch: Any, names: Collection[str]) -> dict[str, Any]:
    """The arrays of a batch as the engine reads them, without copies where that can be.

    Args:
        batch: arrays or tensors by name.
        names: what a batch consists of, for an error.

    Raises:
        InputError: for what is no dict, or holds what is no array.
    """
    if not isinstance(batch, Mapping):
        raise InputError(
            f"a batch is a dict of arrays by name, {list(names)}, got {type(batch).__name__}"
        )
    return {name: _engine_ready(name, value) for name, value in batch.items()}


def _engine_ready(name: str, value: Any) -> Any:
    """A C-contiguous numpy array, or a tensor that stays on its device."""
    if not isinstance(value, np.ndarray) and device_of(value) is not None:
        return value
    return np.asarray(to_numpy(name, value), order="C")
