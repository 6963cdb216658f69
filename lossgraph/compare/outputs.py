"""Outputs by the names that models give them: of calls, of frameworks, and by numpy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import reference
from ..authoring.block import Block
from ..compiler.outputs import by_output_name
from .differences import with_floats

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Outputs = dict[str, Array]


def named_outputs(result: Any) -> Outputs:
    """``(value, grads)`` as numpy arrays by the names that outputs of models have."""
    return {name: np.asarray(array) for name, array in by_output_name(*result).items()}


def as_ours(mine: Array, its: Array) -> Array:
    """Numbers of bfloat16, which frameworks give as float32."""
    if mine.dtype.name == "bfloat16" and its.dtype == np.float32:
        return its.astype(mine.dtype)
    return its


def values_by_numpy(loss: Block, arrays: Arrays, dtype: np.dtype[Any]) -> Outputs:
    """The value of a loss by its body on numpy arrays, in a wider dtype."""
    wide = with_floats(arrays, dtype)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = loss(**{name: reference.Array(array) for name, array in wide.items()})
    return named_outputs((_numbers(value), {}))


def _numbers(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_numbers(item) for item in value)
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return value.asnumpy()
