"""What arrays must be before the engine sees them, since it does not ask.

ONNX Runtime reads big-endian arrays as garbage, lets dims that share a name differ, and wraps the
label -1 to the last class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DtypeError, InputError
from ..ir.dims import Dim, evaluate
from ..ir.ops.labels import first_outside
from ..ir.types import TensorType, numpy_dtype

Array = np.ndarray[Any, Any]


def check_arrays(types: Mapping[str, TensorType], arrays: Mapping[str, Array]) -> dict[str, int]:
    """Compare arrays with the types of the inputs; the value of each named dim.

    Raises:
        InputError: for an array that is missing, unknown or not of its type, and for dims of
            one name that differ.
    """
    missing = [name for name in types if name not in arrays]
    unknown = [name for name in arrays if name not in types]
    if missing or unknown:
        raise InputError(
            f"the inputs are {list(types)}: "
            + (f"missing {missing}" if missing else f"unknown {unknown}")
        )
    sizes: dict[str, int] = {}
    read_from: dict[str, str] = {}
    for name, type_ in types.items():
        _check_array(name, arrays[name], type_)
        _read_dims(name, arrays[name].shape, type_, sizes, read_from)
    return sizes


def _check_array(name: str, array: Array, type_: TensorType) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name}: expected a numpy array, got {type(array).__name__}")
    if not array.dtype.isnative:
        raise InputError(
            f"{name}: byte order {array.dtype.byteorder!r} is not this machine's; convert with "
            "array.astype(array.dtype.newbyteorder('='))"
        )
    if array.dtype != numpy_dtype(type_.dtype):
        raise DtypeError(
            f"{name}: expected {type_}, got dtype {array.dtype}; convert with "
            f"array.astype({type_.dtype!r})"
        )
    if array.ndim != type_.rank:
        raise InputError(f"{name}: expected {type_}, of rank {type_.rank}, got {array.shape}")


def _read_dims(
    name: str,
    shape: Sequence[int],
    type_: TensorType,
    sizes: dict[str, int],
    read_from: dict[str, str],
) -> None:
    """Read named dims off a shape, and compare what is known already."""
    for axis, (length, dim) in enumerate(zip(shape, type_.shape, strict=True)):
        if isinstance(dim, int):
            if length != dim:
                raise InputError(f"{name}: axis {axis} of {type_} is {dim}, got {tuple(shape)}")
        elif dim.name is None:
            if evaluate(dim, sizes) != length:
                raise InputError(
                    f"{name}: axis {axis} must be {dim} = {evaluate(dim, sizes)}, "
                    f"got {tuple(shape)}"
                )
        elif sizes.setdefault(dim.name, length) != length:
            raise InputError(
                f"{name}: axis {axis} has length {length}, but dim {dim.name!r} is "
                f"{sizes[dim.name]} in {read_from[dim.name]}"
            )
        else:
            read_from.setdefault(dim.name, f"axis {axis} of {name}")


def check_labels(name: str, array: Array, classes: Dim, sizes: Mapping[str, int]) -> None:
    """Refuse class labels that are none of the classes, naming the first."""
    count = class_count(name, classes, sizes)
    outside = first_outside(array, count)
    if outside is not None:
        raise InputError(
            f"{name}[{', '.join(map(str, outside))}] is {array[outside]!s}, which is not one of "
            f"the {count} allowed, 0 to {count - 1}"
        )


def class_count(label: str, classes: Dim, sizes: Mapping[str, int]) -> int:
    """How many classes there are; an InputError if there are none."""
    count = evaluate(classes, sizes)
    if count == 0:
        raise InputError(f"{label}: there are no classes to choose from: the class axis is empty")
    return count


def check_out(name: str, array: Any, type_: TensorType, shape: tuple[int, ...]) -> None:
    """Compare an array for an output with the output's type and shape."""
    if not isinstance(array, np.ndarray):
        raise InputError(f"out[{name!r}]: expected a numpy array, got {type(array).__name__}")
    if array.dtype != numpy_dtype(type_.dtype) or array.shape != shape:
        raise InputError(
            f"out[{name!r}]: expected {type_.dtype}{list(shape)}, "
            f"got {array.dtype}{list(array.shape)}"
        )
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise InputError(f"out[{name!r}]: needs to be C-contiguous and writeable")
