"""Arrays of any kind in, arrays of the same kind out.

Whatever speaks DLPack (PyTorch, JAX, CuPy, NumPy) or ``__array__`` is accepted; memory is
shared where the other side allows it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..bridges import is_traced
from ..errors import GradientError, InputError
from ..ir.types import dtype_name, numpy_dtype

Restore = Callable[[Any], Any]
# DLPack's numbers of devices, and ONNX Runtime's names for those that it can bind.
CPU_DEVICES = (1, 3)  # kDLCPU, kDLCUDAHost
DEVICES = {2: "cuda", 10: "cuda"}  # kDLCUDA; ROCm's builds bind under CUDA's name


def is_array(value: object) -> bool:
    """Whether a value is an array, rather than an option."""
    return isinstance(value, (np.ndarray, np.generic, list, tuple)) or (
        hasattr(value, "__dlpack__") or hasattr(value, "__array__")
    )


def device_of(value: Any) -> tuple[str, int] | None:
    """The device of an array by ONNX Runtime's name, with its number; None for the CPU.

    Raises:
        InputError: for a device that ONNX Runtime cannot bind.
    """
    if isinstance(value, (np.ndarray, np.generic)) or not hasattr(value, "__dlpack_device__"):
        return None
    if is_traced(value):
        return None
    kind, number = value.__dlpack_device__()
    if kind in CPU_DEVICES:
        return None
    if kind not in DEVICES:
        raise InputError(f"an array on DLPack device {kind} cannot be read: move it to the CPU")
    return DEVICES[kind], number


def can_read(value: Any) -> bool:
    """Whether an array's numbers are there: in the CPU's memory, and not to be traced only."""
    return not is_traced(value) and device_of(value) is None


def detached(value: Any) -> Any:
    """An array for reading, apart from what differentiates it."""
    return value.detach() if getattr(value, "requires_grad", False) else value


def stand_in(name: str, value: Any) -> np.ndarray[Any, Any]:
    """A numpy array of the same dtype and shape: itself if it can be read, else without memory."""
    if isinstance(value, np.ndarray):
        return _without_mask(name, value)
    if can_read(value):
        return to_numpy(name, detached(value))
    dtype = numpy_dtype(dtype_name(str(value.dtype).rpartition(".")[2]))
    return np.broadcast_to(np.zeros((), dtype), tuple(value.shape))


def shareable(value: Any) -> Any:
    """An array whose memory DLPack can hand out: not differentiated, contiguous, writeable."""
    value = _not_differentiated("", value)
    if hasattr(value, "contiguous"):
        return value.contiguous()
    return _with_dlpack(np.asarray(value, order="C")) if isinstance(value, np.ndarray) else value


def to_numpy(name: str, value: Any) -> np.ndarray[Any, Any]:
    """An array in the CPU's memory as numpy, without a copy where that can be.

    Raises:
        InputError: for what is no array, and for an array on a device.
        GradientError: for a tensor whose gradient would be lost.
    """
    if isinstance(value, np.ndarray):
        return _without_mask(name, value)
    value = _not_differentiated(name, value)
    if hasattr(value, "__dlpack__") and not isinstance(value, np.generic):
        if device_of(value) is not None:
            raise InputError(f"{name}: expected an array in the CPU's memory; move it there")
        bits = _bfloat16_bits(value)
        try:
            if bits is not None:
                return np.from_dlpack(bits).view(numpy_dtype("bfloat16"))
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError) as error:
            if not hasattr(value, "__array__"):
                raise InputError(f"{name}: DLPack cannot hand it over: {error}") from error
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}: not an array: {error}") from None
    if array.dtype == object:
        raise InputError(f"{name}: expected an array of numbers, got {type(value).__name__}")
    return array


def _not_differentiated(name: str, value: Any) -> Any:
    """A tensor that PyTorch can share, which shares no memory of what it differentiates."""
    if not getattr(value, "requires_grad", False):
        return value
    if sys.modules["torch"].is_grad_enabled():
        raise GradientError(
            f"{name or 'a tensor'}: it requires a gradient, which would be lost here; pass it to a "
            "call of the loss, or tensor.detach()"
        )
    return value.detach()


def _without_mask(name: str, value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A numpy array as it is.

    Raises:
        InputError: for one that hides elements, which nothing that follows would see.
    """
    if type(value) is not np.ndarray and np.ma.is_masked(value):
        raise InputError(
            f"{name}: the mask of a masked array would be lost: use lg.masked, or say with "
            "filled() what stands in the place of the elements"
        )
    return value


def kind_of(value: Any) -> Restore:
    """How to turn an answer that speaks DLPack into the kind of array that ``value`` is."""
    if isinstance(value, (np.ndarray, np.generic, list, tuple)):
        return getattr(type(value), "from_numpy", _as_it_is)  # a subclass that wants its own
    module = _library(value)
    if _bfloat16_bits(value) is not None:
        return lambda array: _from_bits(module, array)
    if hasattr(value, "__dlpack__"):
        for home in (module, getattr(module, "numpy", None)):
            from_dlpack = getattr(home, "from_dlpack", None)
            if from_dlpack is not None:
                return lambda array: _restored(array, from_dlpack, home)
    return _as_it_is


def _library(value: Any) -> Any:
    """The library that a kind of array comes from."""
    root = type(value).__module__.partition(".")[0]
    return sys.modules.get({"jaxlib": "jax"}.get(root, root))


def _restored(array: Any, from_dlpack: Callable[[Any], Any], home: Any) -> Any:
    """An answer in another library; by copy where DLPack has not its dtype."""
    try:
        return from_dlpack(_with_dlpack(array))
    except (BufferError, RuntimeError, TypeError):
        if not hasattr(home, "asarray"):
            raise
        return home.asarray(array)


def _bfloat16_bits(value: Any) -> Any:
    """The bits of a bfloat16 tensor, as numpy's DLPack knows no bfloat16; None for others."""
    unsigned = getattr(_library(value), "uint16", None)
    if str(getattr(value, "dtype", "")).endswith("bfloat16") and hasattr(value, "data_ptr"):
        return value.view(unsigned)
    return None


def _from_bits(module: Any, array: Any) -> Any:
    """An answer in bfloat16 given back by its bits; one of another dtype as it is."""
    if isinstance(array, np.ndarray) and array.dtype == numpy_dtype("bfloat16"):
        return module.from_dlpack(array.view(np.uint16)).view(module.bfloat16)
    return module.from_dlpack(_with_dlpack(array))


def _as_it_is(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array


def _with_dlpack(array: Any) -> Any:
    """DLPack carries no read-only arrays."""
    return array.copy() if isinstance(array, np.ndarray) and not array.flags.writeable else array
