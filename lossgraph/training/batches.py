"""Batches: dicts of arrays or tensors by input name, checked before the engine sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.dims import names as names_of
from ..ir.types import TensorType
from ..models.declared_types import input_types
from ..runtime.arrays import device_of, stand_in, to_numpy
from ..runtime.input_checks import check_arrays
from ..runtime.runner import check_class_labels
from .step import TrainingStep


class BatchReader:
    """What makes the engine's inputs of batches.

    Args:
        step: the step that they are for.

    Attributes:
        types: the types of what a batch consists of.
    """

    def __init__(self, step: TrainingStep) -> None:
        found = input_types(step.train)
        self.types: dict[str, TensorType] = {name: found[name] for name in step.batch}
        self._labels = step.labels
        self._checked: set[Any] = set()

    def read(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The arrays of a batch, without copies where that can be.

        Raises:
            InputError: for an input that is missing, unknown, or not of its type, and for dims of
                one name that differ.
        """
        if not isinstance(batch, Mapping):
            raise InputError(
                f"a batch is a dict of arrays by name, {list(self.types)}, got "
                f"{type(batch).__name__}"
            )
        arrays = {name: _engine_ready(name, value) for name, value in batch.items()}
        kinds = tuple((name, array.dtype, array.shape) for name, array in arrays.items())
        if kinds not in self._checked:
            check_arrays(self.types, {name: stand_in(name, a) for name, a in arrays.items()})
            self._remember(kinds)
        return arrays

    def check_labels(self, arrays: Mapping[str, Any]) -> None:
        """Refuse class labels that are none of the classes, for which the loss is NaN.

        Raises:
            InputError: naming the first.
        """
        read = {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
        if len(read) == len(arrays):
            sizes = check_arrays(self.types, read)
            known = ((x, count) for x, count in self._labels if names_of(count) <= sizes.keys())
            check_class_labels(known, read, sizes)

    def _remember(self, kinds: Any) -> None:
        """Batches of sizes that were right are not compared again."""
        if len(self._checked) >= _MOST_KINDS:
            self._checked.clear()
        self._checked.add(kinds)


_MOST_KINDS = 256


def _engine_ready(name: str, value: Any) -> Any:
    """A C-contiguous numpy array, or a tensor that stays on its device."""
    if not isinstance(value, np.ndarray) and device_of(value) is not None:
        return value
    return np.asarray(to_numpy(name, value), order="C")
