"""A built library without ONNX Runtime: what is in it, and its kernels called on numpy arrays.

For tests, and to look at a kernel alone: a call takes one thread, and makes its outputs anew.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..ir.types import DTYPES, dtype_name, numpy_dtype
from ..lowering.onnx_api import dtype_code

Array = np.ndarray[Any, Any]
_Dims = tuple[int, ...]


class KernelSignature(NamedTuple):
    """What a kernel of a library takes and gives: a dtype and a rank for each array."""

    name: str
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


class Library:
    """A library of kernels, loaded into this process for as long as it lives.

    Args:
        path: the file.

    Raises:
        InputError: for a file that is no library of this machine, or none of ours.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._loaded = ctypes.CDLL(str(self.path.resolve()))
            self._loaded.lg_count.restype = ctypes.c_size_t
            self._loaded.lg_kernel.restype = ctypes.POINTER(_Kernel)
            self._loaded.lg_run.restype = ctypes.c_char_p
        except (OSError, AttributeError) as error:
            raise InputError(f"{self.path} is no library of kernels: {error}") from None

    @cached_property
    def kernels(self) -> tuple[KernelSignature, ...]:
        """The kernels in it, by number."""
        count = self._loaded.lg_count()
        return tuple(_signature(self._loaded.lg_kernel(i).contents) for i in range(count))

    def shapes(self, number: int, inputs: Sequence[_Dims]) -> list[_Dims]:
        """The shapes of a kernel's outputs for inputs of such shapes.

        Raises:
            InputError: for shapes that the kernel refuses.
        """
        return self._run(number, inputs, [], [], 0)

    def run(self, number: int, *arrays: Array) -> list[Array]:
        """The outputs of a kernel.

        Raises:
            InputError: for arrays that the kernel does not take.
        """
        declared = self.kernels[number]
        types = tuple((dtype_name(array.dtype), array.ndim) for array in arrays)
        if types != declared.inputs:
            raise InputError(f"{declared.name} takes {declared.inputs}, got {types}")
        read = [np.ascontiguousarray(array) for array in arrays]
        shapes = [array.shape for array in arrays]
        results = [
            np.empty(shape, numpy_dtype(dtype))
            for shape, (dtype, _) in zip(self.shapes(number, shapes), declared.outputs, strict=True)
        ]
        self._run(number, shapes, read, results, 1)
        return results

    def _run(
        self,
        number: int,
        shapes: Sequence[_Dims],
        arrays: Sequence[Array],
        results: Sequence[Array],
        stage: int,
    ) -> list[_Dims]:
        ranks = [rank for _, rank in self.kernels[number].outputs]
        flat = [length for shape in shapes for length in shape]
        made = (ctypes.c_int64 * (sum(ranks) + 1))()
        wrong = self._loaded.lg_run(
            ctypes.c_size_t(number),
            _addresses(arrays),
            (ctypes.c_int64 * (len(flat) + 1))(*flat),
            _addresses(results),
            made,
            stage,
        )
        if wrong is not None:
            raise InputError(f"{self.kernels[number].name}: {wrong.decode()}")
        left = iter(made)
        return [tuple(next(left) for _ in range(rank)) for rank in ranks]


def select_operator(path: Path, name: str) -> None:
    """Have the next registration of a library, in this thread, bring one of its operators alone.

    Raises:
        InputError: if there is none of that name.
    """
    if not Library(path)._loaded.lg_select(name.encode()):
        raise InputError(f"{path} has no operator {name}")


class _Kernel(ctypes.Structure):
    """The first fields of ``LgKernel``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("inputs", ctypes.c_int),
        ("outputs", ctypes.c_int),
        ("input_type", ctypes.POINTER(ctypes.c_int)),
        ("output_type", ctypes.POINTER(ctypes.c_int)),
        ("input_rank", ctypes.POINTER(ctypes.c_int)),
        ("output_rank", ctypes.POINTER(ctypes.c_int)),
    )


def _signature(kernel: Any) -> KernelSignature:
    def side(count: int, types: Any, ranks: Any) -> tuple[tuple[str, int], ...]:
        return tuple((_dtype_of(types[i]), ranks[i]) for i in range(count))

    return KernelSignature(
        kernel.name.decode(),
        side(kernel.inputs, kernel.input_type, kernel.input_rank),
        side(kernel.outputs, kernel.output_type, kernel.output_rank),
    )


def _dtype_of(code: int) -> str:
    """The dtype of ONNX's number."""
    return next(name for name in DTYPES if dtype_code(name) == code)


def _addresses(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * (len(arrays) + 1))(*[array.ctypes.data for array in arrays])
