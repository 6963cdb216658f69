"""Arrays that stay with the engine from run to run, where a run writes what the next one reads.

They lie on the engine's device in two sets of buffers, of which a run reads one and writes the
other; when its results are accepted the sets change places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..ir.types import TensorType, dtype_name, numpy_dtype
from .plans import engine_value
from .sessions import (
    device_value,
    empty_device_value,
    engine_errors,
    first_provider,
    make_session,
    numpy_of,
    shared_value,
)

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]

# Each resident has two buffers; sums of gradients change places at other times than all else.
_MOST_BINDINGS = 4
_DEVICES = {"cuda": "cuda", "tensorrt": "cuda", "rocm": "cuda", "dml": "dml"}


class Cell(NamedTuple):
    """An array as the engine has it.

    Attributes:
        value: the engine's own value.
        dtype: its dtype.
        array: the same memory for NumPy; None on a device.
    """

    value: Any
    dtype: str
    array: Array | None = None

    def view(self) -> Array:
        """The array: the memory itself where NumPy reaches it, else a copy."""
        return numpy_of(self.value, self.dtype) if self.array is None else self.array


def device_for(providers: Any) -> str:
    """The device of the provider that is tried first, by the engine's name."""
    return _DEVICES.get(first_provider(providers), "cpu")


def shared_cell(array: Array) -> Cell:
    """An array in the CPU's memory, which the engine reads and writes where it lies."""
    array = np.asarray(array, order="C")
    return Cell(shared_value(array), dtype_name(array.dtype), array)


class Residents:
    """Arrays by name, each in two buffers in turn.

    Args:
        arrays: what they are in the beginning; they are read where they lie, and never written.
        device: where they stay.
    """

    def __init__(self, arrays: Mapping[str, Array], device: str = "cpu") -> None:
        self._device = device
        self._now = {name: self._cell(array) for name, array in arrays.items()}
        self._spare: dict[str, Cell] = {}
        self._given = dict(self._now)  # what may not be written

    def __iter__(self) -> Iterator[str]:
        return iter(self._now)

    def __contains__(self, name: object) -> bool:
        return name in self._now

    def now(self, name: str) -> Cell:
        """What a run reads."""
        return self._now[name]

    def following(self, name: str) -> Cell:
        """What a run writes; undefined before."""
        if name not in self._spare:
            self._spare[name] = self._like(self._now[name])
        return self._spare[name]

    def accept(self, names: Iterable[str]) -> None:
        """What was written of these is what is read from now on."""
        for name in names:
            before, self._now[name] = self._now[name], self._spare.pop(name)
            if self._given.pop(name, None) is None:
                self._spare[name] = before

    def assign(self, name: str, array: Array) -> None:
        """Let an array be another one from now on, which is read where it lies, never written."""
        self._now[name] = self._given[name] = self._cell(array)

    def view(self, name: str) -> Array:
        """An array as it is now, to be read at once: the next run but one writes over it."""
        return self._now[name].view()

    def _cell(self, array: Array) -> Cell:
        if self._device == "cpu":
            return shared_cell(array)
        return Cell(device_value(array, self._device), dtype_name(array.dtype))

    def _like(self, cell: Cell) -> Cell:
        shape = tuple(cell.value.shape())
        if self._device == "cpu":
            return shared_cell(np.empty(shape, numpy_dtype(cell.dtype)))
        return Cell(empty_device_value(shape, cell.dtype, self._device), cell.dtype)


class ResidentSession:
    """A session of a model that reads residents, and may write what follows them.

    Args:
        model: the model.
        residents: the arrays that are inputs of it, of the same names; others are left alone.
        outputs: the types of the outputs that are asked for, tensors.
        written: those of them that are written over residents, with the names of these.
        providers: as ``make_session`` takes them.
        threads: how many threads an operator may use on the CPU.
        weights: arrays for initializers whose elements are not in the model; sessions may share
            them.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        residents: Residents,
        outputs: Mapping[str, TensorType],
        written: Mapping[str, str] = MappingProxyType({}),
        providers: Any = None,
        threads: int | None = None,
        weights: Mapping[str, Array] = MappingProxyType({}),
    ) -> None:
        self._weights = {name: shared_cell(array) for name, array in weights.items()}
        values = {name: cell.value for name, cell in self._weights.items()}
        self._session = make_session(model, providers, threads, weights=values)
        self._residents, self._written = residents, written
        inputs = {info.name for info in model.graph.input}
        self._read = [name for name in residents if name in inputs]
        self._used = list(dict.fromkeys([*self._read, *written.values()]))
        own = {name: type_ for name, type_ in outputs.items() if name not in written}
        self._scalars = {name: _scalar(type_) for name, type_ in own.items() if not type_.rank}
        self._arrays = {name: type_.dtype for name, type_ in own.items() if type_.rank}
        self._order = [*self._scalars, *written, *self._arrays]  # in which they are bound
        self._bindings: dict[tuple[int, ...], tuple[Any, Any]] = {}
        self._errors = engine_errors()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """The outputs of further inputs: numpy arrays, or tensors on the device.

        What was written over residents counts only after ``accept``.

        Raises:
            InputError: with what the engine says of inputs that it cannot compute with.
        """
        binding = self._binding()
        for name in self._arrays:  # anew: the engine would take the last one's memory and shape
            binding.bind_output(name, "cpu")
        held = [_bind(binding, name, value) for name, value in feeds.items()]
        try:
            self._session.run_with_iobinding(binding)
        except self._errors as error:
            raise InputError(f"ONNX Runtime cannot compute this batch: {error}") from error
        del held
        made = {name: cell.view().copy() for name, cell in self._scalars.items()}
        if self._arrays:
            pairs = zip(self._order, binding.get_outputs(), strict=True)
            found = {name: value for name, value in pairs if name in self._arrays}
            made |= {name: numpy_of(value, self._arrays[name]) for name, value in found.items()}
        return made

    def accept(self) -> None:
        """Let the next run, of any session, read what was written."""
        self._residents.accept(self._written.values())

    def _binding(self) -> Any:
        """The binding for the buffers that are read now."""
        cells = [self._residents.now(name) for name in self._used]
        key = tuple(map(id, cells))
        found = self._bindings.get(key)
        if found is None:
            while len(self._bindings) >= _MOST_BINDINGS:  # those of the beginning come no more
                del self._bindings[next(iter(self._bindings))]
            found = self._bindings[key] = self._bind_residents(), cells
        return found[0]

    def _bind_residents(self) -> Any:
        binding = self._session.io_binding()
        for name in self._read:
            binding.bind_ortvalue_input(name, self._residents.now(name).value)
        for name, cell in self._scalars.items():
            binding.bind_ortvalue_output(name, cell.value)
        for output, name in self._written.items():
            binding.bind_ortvalue_output(output, self._residents.following(name).value)
        return binding


def _scalar(type_: TensorType) -> Cell:
    return shared_cell(np.zeros((), numpy_dtype(type_.dtype)))


def _bind(binding: Any, name: str, value: Any) -> Any:
    """Bind an input; what has to live until the run is over."""
    if not isinstance(value, np.ndarray):
        made = engine_value(value)
    elif value.dtype.isbuiltin == 1 or value.dtype.kind in "OUS":
        binding.bind_cpu_input(name, value)
        return None
    else:
        made = shared_value(value)
    binding.bind_ortvalue_input(name, made)
    return made
