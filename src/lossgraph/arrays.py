"""Arrays of any kind in, arrays of the same kind out.

Whatever speaks DLPack (PyTorch, JAX, CuPy, NumPy) or ``__array__`` is accepted; memory is
shared where the other side allows it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import InputError

Restore = Callable[["np.ndarray[Any, Any]"], Any]
CPU_DEVICES = (1, 3)  # DLPack: kDLCPU, kDLCUDAHost


def is_array(value: object) -> bool:
    """Whether a value is an array, rather than an option."""
    return isinstance(value, (np.ndarray, np.generic, list, tuple)) or (
        hasattr(value, "__dlpack__") or hasattr(value, "__array__")
    )


def to_numpy(name: str, value: Any) -> np.ndarray[Any, Any]:
    """An array in the CPU's memory as numpy, without a copy where that can be.

    Raises:
        InputError: for what is no array, and for an array on a device.
    """
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):  # PyTorch shares no memory of what it differentiates
        value = value.detach()
    if hasattr(value, "__dlpack__") and not isinstance(value, np.generic):
        device = value.__dlpack_device__()[0]
        if device not in CPU_DEVICES:
            raise InputError(
                f"{name}: the array is on a device; move it to the CPU, or run with "
                "providers=['cuda']"
            )
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError):
            if not hasattr(value, "__array__"):
                raise
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name}: not an array: {error}") from None
    if array.dtype == object:
        raise InputError(f"{name}: expected an array of numbers, got {type(value).__name__}")
    return array


def kind_of(value: Any) -> Restore:
    """How to turn a numpy answer into the kind of array that ``value`` is."""
    if isinstance(value, (np.ndarray, np.generic, list, tuple)):
        return _as_it_is
    module = sys.modules.get(type(value).__module__.partition(".")[0])
    if hasattr(value, "__dlpack__"):
        for home in (module, getattr(module, "numpy", None), getattr(module, "dlpack", None)):
            from_dlpack = getattr(home, "from_dlpack", None)
            if from_dlpack is not None:
                return lambda array: from_dlpack(_with_dlpack(array))
    return _as_it_is


def _as_it_is(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array


def _with_dlpack(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """DLPack carries no read-only arrays."""
    return array if array.flags.writeable else array.copy()
