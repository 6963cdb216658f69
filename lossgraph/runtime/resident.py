"""Arrays that stay with the engine from run to run, where a run writes what the next one reads.

They lie on the engine's device in two sets of buffers, of which a run reads one and writes the
other; when its results are accepted the sets change places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


Cells = dict[str, Cell]


def device_for(providers: Any) -> str:
    """The device of the provider that is tried first, by the engine's name."""
    return _DEVICES.get(first_provider(providers), "cpu")


def shared_cell(array: Array) -> Cell:
    """An array in the CPU's memory, which the engine reads and writes where it lies."""
    array = np.asarray(array, order="C")
    return Cell(shared_value(array), dtype_name(array.dtype), array)


class Residents:
    """Arrays by name in two sets of buffers in turn.

    Args:
        arrays: what they are in the beginning; they are read where they lie, and never written.
        device: where they stay.

    Attributes:
        now: the arrays that a run reads.
    """

    def __init__(self, arrays: Mapping[str, Array], device: str = "cpu") -> None:
        self._device = device
        self.now: Cells = {name: self._cell(array) for name, array in arrays.items()}
        self._next: Cells | None = None
        self._owned = False  # whether ``now`` may be written when its turn comes

    def __iter__(self) -> Iterator[str]:
        return iter(self.now)

    @property
    def following(self) -> Cells:
        """What a run writes; undefined before."""
        if self._next is None:
            self._next = {name: self._like(cell) for name, cell in self.now.items()}
        return self._next

    def advance(self) -> None:
        """Accept what was written: it is what is read from now on."""
        before, self.now = self.now, self.following
        self._next = before if self._owned else None
        self._owned = True

    def view(self, name: str) -> Array:
        """An array as it is now, to be read at once: the next run but one writes over it."""
        return self.now[name].view()

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
        written: the residents that outputs are written to, by the names of those.
        outputs: the outputs that a run gives, with their types.
        providers: as ``make_session`` takes them.
        threads: how many threads an operator may use on the CPU.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        residents: Residents,
        written: Mapping[str, str],
        outputs: Mapping[str, TensorType],
        providers: Any = None,
        threads: int | None = None,
    ) -> None:
        self._session = make_session(model, providers, threads)
        self._residents, self._written = residents, written
        inputs = {info.name for info in self._session.get_inputs()}
        self._read = [name for name in residents if name in inputs]
        self._outputs = outputs
        self._scalars = {name: _scalar(type_) for name, type_ in outputs.items() if not type_.rank}
        self._arrays = [name for name in outputs if name not in self._scalars]
        self._bindings: list[tuple[Cells, Any]] = []
        self._errors = engine_errors()

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """The outputs of further inputs: numpy arrays, or tensors on the device.

        What was written counts only when the residents ``advance``.

        Raises:
            InputError: with what the engine says of inputs that it cannot compute with.
        """
        binding = self._binding()
        held = [_bind(binding, name, value) for name, value in feeds.items()]
        try:
            self._session.run_with_iobinding(binding)
        except self._errors as error:
            raise InputError(f"ONNX Runtime cannot compute this batch: {error}") from error
        del held
        made = {name: cell.view().copy() for name, cell in self._scalars.items()}
        if self._arrays:
            values = dict(zip(self._arrays, binding.get_outputs(), strict=False))
            made |= {name: numpy_of(v, self._outputs[name].dtype) for name, v in values.items()}
        return made

    def _binding(self) -> Any:
        """The binding for the set of buffers that is read now."""
        now = self._residents.now
        for cells, binding in self._bindings:
            if cells is now:
                return binding
        binding = self._session.io_binding()
        for name in self._read:
            binding.bind_ortvalue_input(name, now[name].value)
        for name in self._arrays:
            binding.bind_output(name, "cpu")
        for name, cell in self._scalars.items():
            binding.bind_ortvalue_output(name, cell.value)
        for output, name in self._written.items():
            binding.bind_ortvalue_output(output, self._residents.following[name].value)
        self._bindings = [*self._bindings[-1:], (now, binding)]  # that of the beginning goes
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
