"""Arrays of a batch in the dtypes of a graph, where nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..ir.types import FLOATS, TensorType, numpy_dtype

_EXACT = {"float64": 2**53, "float32": 2**24, "float16": 2**11, "bfloat16": 2**8}


def as_declared(arrays: Mapping[str, Any], types: Mapping[str, TensorType]) -> dict[str, Any]:
    """Integers as the floats or wider integers that a graph takes; all else as it is.

    Labels of -1 and 1 are integers for one user and floats for another.
    """
    return {
        name: _converted(array, types[name].dtype) if name in types else array
        for name, array in arrays.items()
    }


def _converted(array: Any, dtype: str) -> Any:
    if not isinstance(array, np.ndarray) or array.dtype == numpy_dtype(dtype):
        return array
    if array.dtype.kind not in "iub" or not _holds(dtype, array):
        return array
    return array.astype(numpy_dtype(dtype))


def _holds(dtype: str, array: np.ndarray[Any, Any]) -> bool:
    if dtype not in FLOATS:
        return dtype != "bool" and np.can_cast(array.dtype, numpy_dtype(dtype), "safe")
    if array.dtype.kind == "b" or not array.size:
        return True
    return -_EXACT[dtype] <= array.min() and array.max() <= _EXACT[dtype]
