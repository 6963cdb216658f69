"""What runs the graphs of a step, on batches that are checked before the engine sees them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import InputError
from ..ir.dims import names
from ..ir.types import DTYPES, TensorType
from ..models.declared_types import declared_type, dtype_text, input_types
from ..models.light_copy import copy_of, without_elements
from ..runtime.arrays import device_of, stand_in, to_numpy
from ..runtime.input_checks import check_arrays
from ..runtime.resident import Residents, ResidentSession
from ..runtime.runner import check_class_labels
from .feeds import as_declared
from .step import TrainingStep

Array = np.ndarray[Any, Any]

LOSS, NEXT = "loss", "next_"

# Elements from which on weights are shared by sessions. Each would have two copies of its own, one
# of them while the model is read.
_LARGE = 1 << 16

# Batches of sizes that were right are not compared again, which takes 20 us.
_MOST_KINDS = 256


class StepRuns:
    """The sessions of a step, each made when it is first used.

    Args:
        step: the step.
        residents: its parameters and state.
        providers: where the sessions run.
        threads: how many threads an operator may use on the CPU.
        weights: large weights of the model, which its sessions share.
    """

    def __init__(
        self,
        step: TrainingStep,
        residents: Residents,
        providers: Any,
        threads: int | None,
        weights: Mapping[str, Array],
    ) -> None:
        self._step, self._residents, self._weights = step, residents, weights
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
        light, weights = _sharing(model, self._weights)
        return ResidentSession(
            light, self._residents, outputs, written, **self._engine, weights=weights
        )

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


def large_weights(step: TrainingStep) -> dict[str, Array]:
    """The large weights that are not trained, to be shared by all sessions of a step."""
    kept = {*step.parameters, *step.state, *step.tied}
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in step.model.graph.initializer
        if tensor.name not in kept
        and math.prod(tensor.dims) >= _LARGE
        and dtype_text(tensor.data_type) in DTYPES
    }


def _sharing(
    model: onnx.ModelProto, weights: Mapping[str, Array]
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A model without the elements of weights that it has, and those."""
    taken: dict[str, Array] = {}

    def light(tensor: onnx.TensorProto) -> onnx.TensorProto:
        array = weights.get(tensor.name)
        if array is None or array.shape != tuple(tensor.dims):
            return tensor
        taken[tensor.name] = array
        return without_elements(tensor, array.nbytes)

    return (copy_of(model, light), taken) if weights else (model, taken)


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
