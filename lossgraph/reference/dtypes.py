"""Which dtype a result has: the promotions that lossgraph decided, for numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DtypeError

Raw = npt.NDArray[Any]
FLOAT32 = np.dtype(np.float32)


def parse(dtype: Any) -> np.dtype[Any]:
    """The numpy dtype of a name, a type or a dtype."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise DtypeError(f"unknown dtype {dtype!r}: expected a name as 'float32'") from error
    return found


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether the dtype is one of the floating-point ones."""
    return bool(dtype.kind == "f")


def common(left: np.dtype[Any], right: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of two arrays combined: the wider float, a float before any integer."""
    floats = [dtype for dtype in (left, right) if is_float(dtype)]
    if floats:
        return max(floats, key=lambda dtype: dtype.itemsize)
    if left.kind == right.kind == "b":
        return FLOAT32  # arithmetic on truth values counts them
    return np.promote_types(left, right)


def with_number(dtype: np.dtype[Any], number: float) -> np.dtype[Any]:
    """The dtype of an array combined with a Python number."""
    if is_float(dtype):
        return dtype
    whole = float(number).is_integer() and abs(number) < 2.0**63
    return dtype if whole and dtype.kind != "b" else FLOAT32


def as_float(value: Raw) -> Raw:
    """The array itself if it is of floats, else as float32."""
    return value if is_float(value.dtype) else value.astype(FLOAT32)


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which a reduction adds up: numpy adds rows onto each other one by one."""
    return np.dtype(np.float64) if is_float(dtype) and dtype.itemsize < 8 else dtype
